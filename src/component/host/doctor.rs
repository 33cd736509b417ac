//! Checks everything about a host in one look; each finding says what to do. Only reads. The host
//! may have been prepared by us, by others, or not at all.
use super::facts;
use super::rules::{self, Rules};
use crate::base::Problem;
use crate::base::units::Bytes;
use crate::engine::{Cx, Host};
use crate::program;
use crate::transport::key_values;
use crate::transport::sudo::SYSCTL;
use serde::Serialize;
use std::collections::BTreeMap;

/// How good something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it shall be.
    Ok,
    /// It works, not well or not for ever.
    Warn,
    /// A database would not start, or not survive.
    Bad,
}

/// What one check says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Finding {
    /// What was looked at, `sysctl vm.max_map_count`.
    pub what: String,
    /// How good it is.
    pub state: State,
    /// What was found.
    pub why: String,
    /// What to do; empty when it is fine.
    pub fix: String,
}

/// What the checks compare with. The default fits one seekdb on its usual ports.
#[derive(Clone, Debug)]
pub struct Needs {
    /// Profile of kernel settings.
    pub profile: String,
    /// Ports that should be free.
    pub ports: Vec<u16>,
    /// Largest allowed difference of the clocks, in milliseconds.
    pub clock_ms: u64,
    /// Asynchronous I/O requests (aio) that must be free.
    pub aio: i64,
    /// Free space that at least one disk must have.
    pub disk: Bytes,
}

impl Default for Needs {
    fn default() -> Self {
        Self {
            profile: "seekdb".into(),
            ports: vec![2881, 2882],
            clock_ms: 500,
            aio: 512,
            disk: Bytes(10 << 30),
        }
    }
}

/// Checks everything that databases need of a host, as the host's `run_as` user. The checks run in
/// a new login, because limits come with logins.
///
/// # Errors
/// The host cannot be reached.
pub async fn doctor(cx: &Cx, host: &Host) -> Result<Vec<Finding>, Problem> {
    examine(cx, host, &Needs::default()).await
}

/// As [`doctor`], with other needs.
///
/// # Errors
/// The host cannot be reached.
pub async fn examine(cx: &Cx, host: &Host, needs: &Needs) -> Result<Vec<Finding>, Problem> {
    let rules = rules::rules(&needs.profile, &BTreeMap::new());
    let program = program!("doctor.sh").args(rules.keys());
    let (stable, moving) = (facts::read(cx, host).await?, facts::moving(cx, host).await?);
    let seen = key_values(&cx.read(host, &program).await?.stdout);
    let mut all = Vec::new();
    system(&mut all, &stable, &seen);
    limits(&mut all, &seen);
    kernel_settings(&mut all, &rules, &seen);
    room(&mut all, needs, &stable, &moving, &seen);
    all.push(match facts::clock(cx, host).await {
        Ok((offset, sure)) => {
            let off =
                offset.unsigned_abs().saturating_sub(u64::try_from(sure.as_millis()).unwrap_or(0));
            grade(
                "clock",
                if off > needs.clock_ms {
                    State::Bad
                } else if off > needs.clock_ms / 5 {
                    State::Warn
                } else {
                    State::Ok
                },
                format!("{offset} ms from this machine's, give or take {} ms", sure.as_millis()),
                "run chrony or another NTP client on the host",
            )
        }
        Err(problem) => grade("clock", State::Warn, problem.why, "install coreutils"),
    });
    Ok(all)
}

fn grade(what: impl Into<String>, state: State, why: impl Into<String>, fix: &str) -> Finding {
    Finding {
        what: what.into(),
        state,
        why: why.into(),
        fix: if state == State::Ok { String::new() } else { fix.to_owned() },
    }
}

/// The first two numbers of a version; 0 for a number that is missing.
fn version(text: &str) -> (u32, u32) {
    let mut numbers = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|p| !p.is_empty())
        .map(|p| p.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn system(all: &mut Vec<Finding>, facts: &super::Facts, seen: &BTreeMap<String, String>) {
    let has = |key: &str| seen.contains_key(key);
    let bad_unless = |good: bool| if good { State::Ok } else { State::Bad };
    all.push(grade(
        "kernel",
        bad_unless(version(&facts.kernel) >= (3, 10)),
        format!("{} on {}", facts.kernel, facts.os),
        "use a kernel of 3.10 or newer",
    ));
    let glibc = seen.get("glibc").map_or("", String::as_str);
    all.push(grade(
        "glibc",
        bad_unless(version(glibc) >= (2, 28)),
        if glibc.is_empty() { "it is no glibc system".into() } else { glibc.to_owned() },
        "use a system with glibc 2.28 or newer (Debian 10, RHEL 8)",
    ));
    let (state, why, fix) = match facts.arch.as_str() {
        "x86_64" => (
            bad_unless(has("avx")),
            if has("avx") { "x86_64 with avx" } else { "x86_64 without avx" },
            "use a processor (or a virtual one) with avx, or a version that does without",
        ),
        "aarch64" => (
            if has("atomics") { State::Ok } else { State::Warn },
            if has("atomics") { "aarch64 with LSE atomics" } else { "aarch64 without LSE atomics" },
            "use a non-LSE package",
        ),
        other => (State::Bad, other, "use x86_64 or aarch64"),
    };
    all.push(grade("processor", state, why, fix));
    let missing: Vec<_> = seen.keys().filter_map(|k| k.strip_prefix("missing.")).collect();
    all.push(grade(
        "tools",
        bad_unless(missing.is_empty()),
        if missing.is_empty() {
            "all there".into()
        } else {
            format!("missing: {}", missing.join(", "))
        },
        "install coreutils, util-linux and tar",
    ));
    let boot = has("systemd") || has("cron");
    all.push(grade(
        "boot",
        if boot { State::Ok } else { State::Warn },
        if has("systemd") {
            "systemd"
        } else if has("cron") {
            "cron"
        } else {
            "neither systemd nor cron"
        },
        "install cron: without it a server does not start with its host",
    ));
    if let Some(mode) = seen.get("selinux") {
        all.push(grade(
            "selinux",
            if mode == "Enforcing" { State::Warn } else { State::Ok },
            mode.clone(),
            "set it to permissive, or allow the servers' directories and ports",
        ));
    }
    let rights = has("root") || has("sudo");
    all.push(grade(
        "rights",
        if rights { State::Ok } else { State::Warn },
        if has("root") {
            "root"
        } else if has("sudo") {
            "sudo without a password"
        } else {
            "an ordinary user without sudo"
        },
        "install what `ob sudoers` prints, if the host shall be prepared or servers shall be units",
    ));
}

fn limits(all: &mut Vec<Finding>, seen: &BTreeMap<String, String>) {
    for (name, floor, good) in
        [("nofile", 20_000_i64, 655_350_i64), ("nproc", 4_096, 655_360), ("stack", 1_024, i64::MAX)]
    {
        let text = seen.get(name).map_or("", String::as_str);
        let value = if text == "unlimited" { i64::MAX } else { text.parse().unwrap_or(0) };
        let state = if value < floor {
            State::Bad
        } else if value < good {
            State::Warn
        } else {
            State::Ok
        };
        let want = if good == i64::MAX { "unlimited".to_owned() } else { good.to_string() };
        all.push(grade(
            format!("limit {name}"),
            state,
            format!("a new login has {text}, {floor} is the least, {want} is good"),
            "prepare = { limits = {} }, then log in anew (sshd needs UsePAM yes for limits of \
             files)",
        ));
    }
}

fn kernel_settings(all: &mut Vec<Finding>, rules: &Rules, seen: &BTreeMap<String, String>) {
    for (key, (want, _)) in rules {
        let what = format!("sysctl {key}");
        let Some(now) = seen.get(&format!("now.{key}")).map(|v| rules::normal(v)) else {
            all.push(grade(
                what,
                State::Warn,
                "this kernel does not show it",
                "nothing, if the host is a container",
            ));
            continue;
        };
        // The files that set this key at boot; the last one that the boot reads wins.
        let boot = seen
            .iter()
            .filter_map(|(k, v)| Some((k.strip_prefix("boot.")?.split_once(' ')?, v)))
            .filter(|((_, k), _)| k.replace('/', ".") == *key)
            .map(|((file, _), v)| (file, v));
        let last = boot.max_by_key(|(file, _)| (*file == "/etc/sysctl.conf", (*file).to_owned()));
        all.push(match last {
            _ if !want.holds(&now) => grade(
                what,
                State::Bad,
                format!("{now}, not {}", want.show()),
                "prepare = { sysctl = { profile = \"seekdb\" } }",
            ),
            Some((file, value)) if !want.holds(value) => grade(
                what,
                State::Warn,
                format!(
                    "{now} now, but {file} sets {value} at the next boot (it is read after \
                     {SYSCTL})"
                ),
                "remove the line from that file",
            ),
            _ => grade(what, State::Ok, now, ""),
        });
    }
    let thp = seen.get("thp").map_or("", String::as_str);
    let never = thp.is_empty() || thp.trim() == "never" || thp.contains("[never]");
    all.push(grade(
        "transparent huge pages",
        if never { State::Ok } else { State::Warn },
        if thp.is_empty() { "this kernel has none" } else { thp },
        "prepare = { transparent_hugepage = \"never\" }",
    ));
}

fn room(
    all: &mut Vec<Finding>,
    needs: &Needs,
    stable: &super::Facts,
    moving: &super::Moving,
    seen: &BTreeMap<String, String>,
) {
    let number = |key: &str| seen.get(key).and_then(|v| v.trim().parse::<i64>().ok());
    let free = number("aio_max").unwrap_or(0) - number("aio_used").unwrap_or(0);
    all.push(grade(
        "aio",
        if free < needs.aio { State::Bad } else { State::Ok },
        format!("{free} asynchronous requests free, {} needed", needs.aio),
        "raise fs.aio-max-nr: prepare = { sysctl = { profile = \"seekdb\" } }",
    ));
    let available = moving.memory_available_bytes;
    all.push(grade(
        "memory",
        if available < 1 << 30 {
            State::Bad
        } else if available < 3 << 30 {
            State::Warn
        } else {
            State::Ok
        },
        format!("{} MiB of {} MiB available", available >> 20, stable.memory_bytes >> 20),
        "free memory, or use a larger host: seekdb needs 1 GiB, an observer 6 GiB",
    ));
    for port in &needs.ports {
        let used = moving.ports.contains(&i64::from(*port));
        all.push(grade(
            format!("port {port}"),
            if used { State::Warn } else { State::Ok },
            if used { "something listens on it" } else { "free" },
            "fine if that is your server; else stop what listens there, or choose another port",
        ));
    }
    let most = moving.disks.iter().max_by_key(|(_, d)| d.free_bytes);
    let (place, room) = most
        .map_or(("no disk", 0), |(at, d)| (at.as_str(), u64::try_from(d.free_bytes).unwrap_or(0)));
    all.push(grade(
        "disk",
        if room < needs.disk.0 { State::Bad } else { State::Ok },
        format!("{} MiB free on {place}, {} needed", room >> 20, needs.disk),
        "free space, or add a disk",
    ));
    for (at, disk) in
        moving.disks.iter().filter(|(_, d)| d.bytes > 0 && d.free_bytes < d.bytes / 20)
    {
        all.push(grade(
            format!("disk {at}"),
            State::Warn,
            format!("{} MiB of {} MiB free", disk.free_bytes >> 20, disk.bytes >> 20),
            "free space before it is full",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        for (text, good) in [
            ("glibc 2.36", true),
            ("glibc 2.28", true),
            ("glibc 2.17", false),
            ("", false),
            ("glibc 3.1", true),
        ] {
            assert_eq!(version(text) >= (2, 28), good, "{text}");
        }
    }

    #[test]
    fn a_setting_that_the_next_boot_undoes_is_named_with_its_file() {
        let rules = rules::rules("seekdb", &BTreeMap::new());
        let seen = key_values(
            "now.vm.swappiness=0\nboot./etc/sysctl.d/99-ob.conf vm.swappiness=0\n\
             boot./etc/sysctl.conf vm.swappiness=60\nnow.fs.file-max=9000000\n\
             now.vm.max_map_count=65530\nthp=[always] never\n",
        );
        let mut all = Vec::new();
        kernel_settings(&mut all, &rules, &seen);
        let of = |what: &str| all.iter().find(|f| f.what == what).unwrap();
        assert!(
            of("sysctl vm.swappiness").state == State::Warn
                && of("sysctl vm.swappiness").why.contains("/etc/sysctl.conf")
        );
        assert_eq!(
            (
                of("sysctl fs.file-max").state,
                of("sysctl vm.max_map_count").state,
                of("transparent huge pages").state
            ),
            (State::Ok, State::Bad, State::Warn)
        );
        assert!(
            all.iter().all(|f| (f.state == State::Ok) == f.fix.is_empty()),
            "every finding that is not ok has a fix: {all:?}"
        );
    }

    #[test]
    fn limits_have_a_least_and_a_good_value() {
        let mut all = Vec::new();
        limits(&mut all, &key_values("nofile=1024\nnproc=5000\nstack=unlimited\n"));
        assert_eq!(
            all.iter().map(|f| f.state).collect::<Vec<_>>(),
            [State::Bad, State::Warn, State::Ok]
        );
    }
}
