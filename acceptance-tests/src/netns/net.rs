//! The network of a lab: a bridge, and for each host a namespace with a cable to the bridge.
//!
//! A namespace lives as long as its host is on, so a host that boots again knows nothing of its
//! former connections. Hardware addresses are fixed per host, so that neighbours find a host again
//! at once.
//!
//! Cuts are silent on purpose, as in a real network. The cable of a host that is cut off leads to a
//! bridge that is never up, so that the host keeps its carrier. (Closing the host's port on the
//! bridge does not last: the bridge opens the port by itself at the next event on it.) A pair is
//! cut by sending each other's packets to a hardware address that nobody has.
use super::needs_netns;
use crate::registry::{EVERYONE, HostInfo, Info, OPERATOR};
use crate::run::{command, run};
use anyhow::{Result, bail};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

/// A hardware address that nobody has.
const NOBODY: &str = "02:0b:ff:ff:ff:ff";

/// Name of a lab's bridge.
pub fn bridge_name(id: u8) -> String {
    format!("obl{id}")
}

/// Name of the bridge that is never up: the cable of a host that is cut off leads there.
fn void_name(id: u8) -> String {
    format!("obl{id}x")
}

/// Name of a host's network namespace.
pub fn netns(info: &Info, host: &HostInfo) -> String {
    format!("obl{}-{}", info.id, host.name)
}

/// Name of the bridge's end of a host's cable.
pub fn veth(info: &Info, host: &HostInfo) -> String {
    format!("obl{}v{}", info.id, host.address.octets()[3])
}

fn mac(address: Ipv4Addr) -> String {
    let [_, _, id, n] = address.octets();
    format!("02:0b:0a:63:{id:02x}:{n:02x}")
}

/// Runs `ip -batch`; `lenient` ignores errors.
pub fn batch(lines: &str, lenient: bool) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let words: &[&str] =
        if lenient { &["ip", "-force", "-batch", "-"] } else { &["ip", "-batch", "-"] };
    let out = run(&mut command(words), lines.as_bytes(), Duration::from_secs(60))?;
    if !lenient && out.status != 0 {
        bail!("ip refused a change of the lab's network: {}", out.stderr.trim());
    }
    Ok(())
}

/// Whether another user of this lab number's network is visible.
pub fn network_in_use(id: u8) -> bool {
    if Path::new("/sys/class/net").join(bridge_name(id)).exists() {
        return true;
    }
    let words = ["ip", "-o", "route", "show", "table", "all", "root", &format!("10.99.{id}.0/24")];
    run(&mut command(words), b"", Duration::from_secs(10))
        .is_ok_and(|out| !out.stdout.trim().is_empty())
}

/// Makes the bridge, with the machine's own address on it.
pub fn bridge(info: &Info) -> Result<()> {
    let br = bridge_name(info.id);
    batch(
        &format!(
            "link add {br} address {} type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
             addr add {}/24 dev {br}\nlink set {br} up\nlink add {} type bridge\n",
            mac(info.gateway),
            info.gateway,
            void_name(info.id)
        ),
        false,
    )
}

/// Gives each host a namespace and a cable.
pub fn plug(info: &Info, hosts: &[&HostInfo]) -> Result<()> {
    let cuts = info.cuts();
    let mut lines = String::new();
    for h in hosts {
        let (ns, v) = (netns(info, h), veth(info, h));
        if Path::new("/run/netns").join(&ns).exists() {
            unplug(info, &[h]);
        }
        let cut = cuts.contains(&(h.name.clone(), EVERYONE.to_owned()));
        let br = if cut { void_name(info.id) } else { bridge_name(info.id) };
        lines += &format!(
            "netns add {ns}\nlink add {v} type veth peer name eth0 address {} netns {ns}\n\
             link set {v} master {br} up\n",
            mac(h.address)
        );
    }
    batch(&lines, false)
}

/// Takes the namespaces and cables away.
pub fn unplug(info: &Info, hosts: &[&HostInfo]) {
    let lines: String = hosts.iter().map(|h| format!("netns del {}\n", netns(info, h))).collect();
    let _ = batch(&lines, true);
    let left: String = hosts
        .iter()
        .map(|h| veth(info, h))
        .filter(|v| Path::new("/sys/class/net").join(v).exists())
        .map(|v| format!("link del {v}\n"))
        .collect();
    let _ = batch(&left, true);
}

/// The input with which a booting host sets up its own network by `ip -batch`.
pub fn own_setup(info: &Info, host: &HostInfo) -> String {
    let mut lines =
        format!("link set lo up\naddr add {}/24 dev eth0\nlink set eth0 up\n", host.address);
    for (a, b) in info.cuts() {
        let other = if a == host.name {
            b
        } else if b == host.name {
            a
        } else {
            continue;
        };
        if let Some(address) = address_of(info, &other) {
            lines += &neighbour(address, true);
        }
    }
    lines
}

fn address_of(info: &Info, name: &str) -> Option<Ipv4Addr> {
    match name {
        OPERATOR => Some(info.gateway),
        EVERYONE => None,
        name => info.host(name).ok().map(|h| h.address),
    }
}

/// The line of `ip` that loses, or finds again, the neighbour at `address`.
fn neighbour(address: Ipv4Addr, lost: bool) -> String {
    let to = if lost { NOBODY.to_owned() } else { mac(address) };
    // `reachable` and not `delete`: the entry is right at once, and ages like any other.
    format!(
        "neigh replace {address} lladdr {to} nud {} dev eth0\n",
        if lost { "permanent" } else { "reachable" }
    )
}

/// Makes `name` lose or find `address`. A host that is off learns of it when it boots.
fn tell(info: &Info, name: &str, address: Ipv4Addr, lost: bool) -> Result<()> {
    let line = neighbour(address, lost);
    if name == OPERATOR {
        return batch(&line.replace("dev eth0", &format!("dev {}", bridge_name(info.id))), false);
    }
    let host = info.host(name)?;
    if info.init_of(host).is_none() {
        return Ok(());
    }
    batch_in(&netns(info, host), &line)
}

/// Runs `ip -batch` in a namespace.
fn batch_in(netns: &str, lines: &str) -> Result<()> {
    let out = run(
        &mut command(["ip", "-n", netns, "-batch", "-"]),
        lines.as_bytes(),
        Duration::from_secs(20),
    )?;
    if out.status != 0 {
        bail!("ip refused a change in {netns}: {}", out.stderr.trim());
    }
    Ok(())
}

/// Plugs the host's cable into the lab's bridge, or into the one that is never up.
fn port(info: &Info, host: &HostInfo, open: bool) -> Result<()> {
    let to = if open { bridge_name(info.id) } else { void_name(info.id) };
    batch(&format!("link set {} master {to}\n", veth(info, host)), false)
}

/// Cuts a host off from `other`: a host's name, [`OPERATOR`] or [`EVERYONE`].
pub fn cut(info: &Info, host: &HostInfo, other: &str) -> Result<()> {
    needs_netns(info, "be partitioned")?;
    if other == host.name {
        bail!("a host cannot be cut from itself");
    }
    if other == EVERYONE {
        info.note_cut(&host.name, EVERYONE, true)?;
        return if info.init_of(host).is_some() { port(info, host, false) } else { Ok(()) };
    }
    let Some(address) = address_of(info, other) else {
        bail!("lab {} has no host {other:?}", info.id)
    };
    info.note_cut(&host.name, other, true)?;
    tell(info, &host.name, address, true)?;
    tell(info, other, host.address, true)
}

/// Ends every cut that `host` is part of.
pub fn heal(info: &Info, host: &HostInfo) -> Result<()> {
    needs_netns(info, "be partitioned")?;
    for (a, b) in info.cuts().into_iter().filter(|(a, b)| *a == host.name || *b == host.name) {
        info.note_cut(&a, &b, false)?;
        if b == EVERYONE {
            if info.init_of(host).is_some() {
                port(info, host, true)?;
            }
            continue;
        }
        for (one, other) in [(&a, &b), (&b, &a)] {
            if let Some(address) = address_of(info, other) {
                tell(info, one, address, false)?;
            }
        }
    }
    Ok(())
}

/// Removes every link and namespace of a lab number.
pub fn sweep(id: u8) -> Result<()> {
    let names = |dir: &str| -> Vec<String> {
        std::fs::read_dir(dir)
            .map(|d| d.flatten().filter_map(|e| e.file_name().into_string().ok()).collect())
            .unwrap_or_default()
    };
    let (ns, v, br, void) =
        (format!("obl{id}-"), format!("obl{id}v"), bridge_name(id), void_name(id));
    let mut lines: String = names("/run/netns")
        .iter()
        .filter(|n| n.starts_with(&ns))
        .map(|n| format!("netns del {n}\n"))
        .collect();
    batch(&lines, true)?;
    lines = names("/sys/class/net")
        .iter()
        .filter(|n| n.starts_with(&v) || **n == br || **n == void)
        .map(|n| format!("link del {n}\n"))
        .collect();
    batch(&lines, true)
}
