//! What a host says about itself. One script reads what stays the same, another what changes from
//! minute to minute.
use crate::base::Problem;
use crate::engine::{Cx, Host};
use crate::program;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// What stays the same until somebody changes the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Name that the operating system gives itself.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// Architecture, such as `x86_64`.
    pub arch: String,
    /// Processors that are online.
    pub cores: i64,
    /// Memory in bytes.
    pub memory_bytes: i64,
    /// File systems on disks, by mount point.
    pub disks: BTreeMap<String, Disk>,
    /// Network devices, without those that containers bring and take.
    pub devices: BTreeSet<String>,
}

/// One file system on a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// Name of the device.
    pub device: String,
    /// Size in bytes.
    pub bytes: i64,
    /// Bytes that ordinary users can still write. Changes from minute to minute.
    pub free_bytes: i64,
}

/// What changes from minute to minute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moving {
    /// Memory in bytes that can be had without swapping.
    pub memory_available_bytes: i64,
    /// File systems on disks with their free space, by mount point.
    pub disks: BTreeMap<String, Disk>,
    /// TCP ports that something listens on.
    pub ports: BTreeSet<i64>,
    /// Load average of the last minute, in hundredths: processes that run or wait to run.
    pub load_percent: i64,
    /// Seconds since the host booted.
    pub uptime_seconds: i64,
}

/// Shell function that prints the file systems that live on disks.
const DISKS: &str = include_str!("disks.sh");

/// Reads what stays the same.
///
/// # Errors
/// The host cannot be reached.
pub async fn read(cx: &Cx, host: &Host) -> Result<Facts, Problem> {
    Ok(parse(&cx.read(host, &program!("stable.sh", DISKS)).await?.stdout))
}

/// Reads what changes from minute to minute.
///
/// # Errors
/// The host cannot be reached.
pub async fn moving(cx: &Cx, host: &Host) -> Result<Moving, Problem> {
    Ok(parse_moving(&cx.read(host, &program!("moving.sh", DISKS)).await?.stdout))
}

/// How many milliseconds the host's clock is ahead of this machine's, and how far that may be off:
/// half of the round trip's time.
///
/// # Errors
/// The host cannot be reached, or its `date` has no nanoseconds.
pub async fn clock(cx: &Cx, host: &Host) -> Result<(i64, Duration), Problem> {
    let mut best: Option<(i64, Duration)> = None;
    for _ in 0..4 {
        let (asked, began) = (SystemTime::now(), Instant::now());
        let answer = cx.read(host, &program!("clock.sh")).await?;
        let half = began.elapsed() / 2;
        let here = (asked + half)
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|d| i64::try_from(d.as_millis()).ok())
            .unwrap_or(0);
        let Ok(there) = answer.stdout.trim().parse::<i64>() else {
            return Err(Problem::user(format!(
                "cannot read the clock of host \"{}\"",
                host.endpoint.name
            ))
            .place(host.endpoint.show())
            .why(format!("`date +%s%3N` said {:?}", answer.stdout.trim()))
            .fix("install coreutils on the host"));
        };
        if best.is_none_or(|(_, sure)| half < sure) {
            best = Some((there - here, half));
        }
    }
    Ok(best.unwrap_or_default())
}

/// Whether containers and tunnels bring and take a device: a plan must not change because such a
/// device comes or goes.
fn passing(device: &str) -> bool {
    [
        "veth", "docker", "br-", "cali", "cni", "flannel", "virbr", "vnet", "tap", "tun", "lxc",
        "podman",
    ]
    .iter()
    .any(|p| device.starts_with(p))
}

fn parse(text: &str) -> Facts {
    let mut facts = Facts { disks: disks(text), ..Facts::default() };
    for (key, value) in text.lines().filter_map(|l| l.split_once('=')) {
        match key {
            "os" => facts.os = value.to_owned(),
            "kernel" => facts.kernel = value.to_owned(),
            "arch" => facts.arch = value.to_owned(),
            "cores" => facts.cores = value.trim().parse().unwrap_or(0),
            "memory" => facts.memory_bytes = kib(value),
            "device" if !passing(value) => {
                facts.devices.insert(value.to_owned());
            }
            _ => {}
        }
    }
    facts
}

fn kib(text: &str) -> i64 {
    text.trim().parse::<i64>().ok().and_then(|n| n.checked_mul(1024)).unwrap_or(0)
}

/// Parses the output of `df`. A device with a path is a disk; of the others only the root file
/// system (an overlay, a pool) counts.
fn disks(text: &str) -> BTreeMap<String, Disk> {
    let mut disks = BTreeMap::new();
    for line in text.lines().filter_map(|l| l.strip_prefix("df=")) {
        let words: Vec<_> = line.split_whitespace().collect();
        let [device, size, _, free, _, ..] = words[..] else { continue };
        // The mount point may contain blanks: it is everything after the percentage.
        let at = words.get(5..).map(|w| w.join(" ")).unwrap_or_default();
        let disk = device.starts_with("/dev/")
            && !device.starts_with("/dev/loop")
            && !["/etc/", "/proc/", "/sys/", "/dev/"].iter().any(|p| at.starts_with(p));
        if disk || at == "/" {
            disks.insert(
                at,
                Disk { device: device.to_owned(), bytes: kib(size), free_bytes: kib(free) },
            );
        }
    }
    disks
}

fn parse_moving(text: &str) -> Moving {
    let mut found = Moving { disks: disks(text), ..Moving::default() };
    for (key, value) in text.lines().filter_map(|l| l.split_once('=')) {
        match key {
            "available" => found.memory_available_bytes = kib(value),
            "uptime" => found.uptime_seconds = value.parse().unwrap_or(0),
            "load" => {
                let (whole, rest) = value.split_once('.').unwrap_or((value, "0"));
                found.load_percent =
                    whole.parse::<i64>().unwrap_or(0) * 100 + rest.parse::<i64>().unwrap_or(0);
            }
            "port" => found.ports.extend(i64::from_str_radix(value, 16).ok()),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_from_what_the_script_printed() {
        let facts = parse(
            "os=Debian GNU/Linux 12\nkernel=6.1\narch=x86_64\ncores=8\nmemory=2048\ndevice=lo\n\
             device=eth0\ndevice=veth12\ndf=/dev/sda1 100 40 60 40% /\ndf=tmpfs 9 0 9 0% /run\n\
             df=/dev/sdb 10 1 9 10% /data/my disk\n",
        );
        assert_eq!(
            (facts.os.as_str(), facts.cores, facts.memory_bytes),
            ("Debian GNU/Linux 12", 8, 2 << 20)
        );
        assert_eq!(facts.devices, ["eth0".to_owned(), "lo".into()].into());
        assert_eq!(facts.disks.keys().collect::<Vec<_>>(), ["/", "/data/my disk"]);
        assert_eq!((facts.disks["/"].bytes, facts.disks["/"].free_bytes), (102_400, 61_440));
    }

    #[test]
    fn moving_facts_come_from_what_the_script_printed() {
        let m =
            parse_moving("available=1\nload=1.25\nuptime=77\nport=0016\nport=0B41\nport=0016\n");
        assert_eq!((m.memory_available_bytes, m.load_percent, m.uptime_seconds), (1024, 125, 77));
        assert_eq!(m.ports, [22, 2881].into());
    }
}
