//! What the host says about an instance, read by one script.
use super::{ACCOUNT, Instance};
use crate::base::units::Bytes;
use crate::base::{Problem, Secret};
use crate::component::sql::Login;
use crate::engine::mark::Mark;
use crate::engine::{Cx, gate};
use crate::transport::key_values;

/// Shell functions about one instance: `$base` is its directory.
const LIB: &str = r#"
# Leaves in sdb_p the pid of the server of $base, if it lives, and in sdb_s its state and what follows in its stat: the pid
# file outlives the process, and pids are used again. Nothing is started for it.
sdb_find() {
  sdb_p= sdb_s= sdb_c=
  { read -r sdb_p < "$base/run/seekdb.pid"; } 2>/dev/null
  [ -n "$sdb_p" ] && { read -r sdb_s < "/proc/$sdb_p/stat"; } 2>/dev/null || { sdb_p=; return 0; }
  sdb_s=${sdb_s##*) }
  # A first thread that has ended is not the end: the others still hold store and ports.
  case $sdb_s in Z*) set -- "/proc/$sdb_p/task"/*; [ $# -gt 1 ] || sdb_p=; return 0 ;; X*|"") sdb_p=; return 0 ;; esac
  { read -r sdb_c < "/proc/$sdb_p/cmdline"; } 2>/dev/null
  case $sdb_c in *seekdb*) ;; *) sdb_p=; return 0 ;; esac
  [ "/proc/$sdb_p/cwd" -ef "$base" ] || sdb_p=
}
sdb_pid() { sdb_find; [ -z "$sdb_p" ] || echo "$sdb_p"; }
# Names the process for ever: after a boot another one may well have its pid.
sdb_process() {
  sdb_find; [ -n "$sdb_p" ] || return 1
  ob_boot; set -- $sdb_s; echo "$sdb_p ${20} $ob_boot"
}
# Whether a server of $base is between its start and its pid file, which takes seconds on a busy host.
sdb_begins() {
  [ -z "$(sdb_pid)" ] || return 1
  for sdb_d in /proc/[0-9]*; do
    sdb_c=
    { read -r sdb_c < "$sdb_d/cmdline"; } 2>/dev/null
    case $sdb_c in *"--base-dir$base--"*|*"--base-dir$base") return 0 ;; esac
  done
  return 1
}
# Waits while it is, 20 s at most.
sdb_settle() { n=0; while sdb_begins && [ $n -lt 200 ]; do n=$((n+1)); sleep 0.1; done; }
# Ends the server and waits until it is gone: until then a new one of this directory ends at its start (status 96). Asked
# first, killed after $1 tenths of a second, at once with 0; fails when it is still there 20 s after that.
sdb_end() {
  sdb_n=0
  while sdb_find; [ -n "$sdb_p" ]; do
    if [ $sdb_n -eq "$1" ]; then kill -KILL "$sdb_p"; elif [ $sdb_n -eq 0 ]; then kill -TERM "$sdb_p"; fi
    [ $sdb_n -lt $(($1 + 200)) ] || { echo "pid $sdb_p does not end" >&2; return 1; }
    sdb_n=$((sdb_n + 1)); sleep 0.1
  done
}
"#;

/// The shell functions every script about this instance begins with.
#[must_use]
pub fn lib(instance: &Instance) -> String {
    format!("base={}\n{LIB}", instance.base())
}

/// An instance as its host shows it. Nothing here needs SQL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The base directory exists.
    pub exists: bool,
    /// It holds something that is not ours (`.ob` aside).
    pub occupied: bool,
    /// It is empty and cannot be removed by its user: a mount point, or in a directory of somebody
    /// else.
    pub stays: bool,
    /// Who made it.
    pub mark: Option<Mark>,
    /// There is a mark that cannot be read.
    pub mark_damaged: bool,
    /// Its store has been created.
    pub store: bool,
    /// The store was created by a build that has not ended; it may be wiped.
    pub building_store: Option<String>,
    /// Process id while it runs.
    pub pid: Option<u32>,
    /// Package directory name its start script uses.
    pub package: Option<String>,
    /// The running process's command line, words separated by blanks.
    pub command: String,
    /// Package directory name of the running process.
    pub running_package: Option<String>,
    /// The password of our SQL account, if it was made.
    pub account: Option<Secret>,
    /// The host's memory in bytes.
    pub memory: Option<Bytes>,
    /// An adoption of it has begun and not ended.
    pub adopting: bool,
    /// It starts with its host.
    pub boot: bool,
    /// Checksum (crc32 of cksum) of the start script.
    pub start_sum: String,
    /// The note of the group it is a member of.
    pub group: Option<super::group::Group>,
    /// There is a note that cannot be read.
    pub group_damaged: bool,
    /// A restart of it has begun and not ended.
    pub restart: bool,
    /// The process that is to be restarted still runs.
    pub restart_runs: bool,
    /// What the last failover to it may have lost.
    pub loss: Option<super::steps::Loss>,
    /// It was fenced by a switchover that has not ended.
    pub fenced: bool,
    /// The process that was fenced still runs.
    pub fenced_runs: bool,
    /// Set-aside stores.
    pub aside: Vec<String>,
}

impl Facts {
    /// How we log in, once our account was made.
    #[must_use]
    pub fn login(&self) -> Option<Login> {
        self.account.as_ref().map(|password| Login::new(ACCOUNT, password))
    }
    /// It belongs to a group, which alone says whether its server runs: nothing else starts it.
    #[must_use]
    pub fn member(&self) -> bool {
        self.group.is_some() || self.group_damaged
    }
}

/// Prints the facts. Every process that it starts costs a host a millisecond, so it starts few.
const LOOK: &str = r#"
while read -r k v _; do case $k in MemTotal:) echo "memory=${v}K"; break ;; esac; done < /proc/meminfo
if [ -d "$base" ]; then
  echo exists=1
  empty=1
  for f in "$base"/* "$base"/.[!.]* "$base"/..?*; do
    [ -e "$f" ] || [ -L "$f" ] || continue
    empty=0
    case ${f##*/} in .ob) ;; *) echo occupied=1; break ;; esac
  done
  [ $empty = 1 ] && { [ ! -w "${base%/*}/" ] || mountpoint -q "$base"; } && echo stays=1
fi
[ -d "$base/store/redo" ] && echo store=1
if [ -d "$base/.ob" ]; then
  for f in mark building group loss restart fenced adopting boot; do [ -e "$base/.ob/$f" ] && echo "has.$f=1"; done
  for f in "$base"/.ob/aside/*; do [ -e "$f" ] && echo "aside.${f##*/}=1"; done
  [ -s "$base/.ob/account" ] && { read -r a < "$base/.ob/account"; printf 'account=%s\n' "$a"; }
  # Each line with the name of its file: "mark:{…".
  (cd "$base/.ob" && exec grep -s '' mark building group loss restart fenced /dev/null)
  l=$(readlink "$base/.ob/package") && echo "package=${l##*/}"
  [ -e "$base/.ob/start" ] && echo "start=$(cksum < "$base/.ob/start")"
fi
sdb_find
if [ -n "$sdb_p" ]; then
  p=$sdb_p
  ob_boot; set -- $sdb_s; echo "pid=$p"; echo "process=$p ${20} $ob_boot"
  x=$(readlink "/proc/$p/exe"); x=${x%/seekdb*}; echo "running=${x##*/}"
  echo "command=$(tr '\0' ' ' < "/proc/$p/cmdline" 2>/dev/null)"
fi
:"#;

/// Reads the facts.
///
/// # Errors
/// The host cannot be reached or the script failed.
pub async fn read(cx: &Cx, instance: &Instance) -> Result<Facts, Problem> {
    let script = format!("{}{}{LOOK}", gate::LIB, lib(instance));
    Ok(parse(&cx.read(&instance.host, &script).await?.stdout))
}

fn parse(text: &str) -> Facts {
    let facts = key_values(text);
    let has = |key: &str| facts.contains_key(key);
    let file = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
    // A note about a process: it still runs if the one that runs now is the same.
    let runs = |name: &str| {
        file(name).is_some_and(|noted| facts.get("process").is_some_and(|p| p == noted))
    };
    let mark = file("mark").and_then(Mark::parse);
    let group = file("group").and_then(super::group::Group::parse);
    Facts {
        exists: has("exists"),
        occupied: has("occupied"),
        stays: has("stays"),
        group_damaged: has("has.group") && group.is_none(),
        group,
        loss: file("loss").and_then(|l| serde_json::from_str(l).ok()),
        restart: has("has.restart"),
        restart_runs: runs("restart"),
        fenced: has("has.fenced"),
        fenced_runs: runs("fenced"),
        mark_damaged: has("has.mark") && mark.is_none(),
        mark,
        store: has("store"),
        building_store: has("has.building")
            .then(|| file("building").unwrap_or_default().to_owned()),
        pid: facts.get("pid").and_then(|p| p.parse().ok()),
        package: facts.get("package").cloned(),
        command: facts.get("command").cloned().unwrap_or_default(),
        running_package: facts.get("running").cloned(),
        account: facts.get("account").map(Secret::new),
        memory: facts.get("memory").and_then(|m| Bytes::parse(m)),
        adopting: has("has.adopting"),
        boot: has("has.boot"),
        start_sum: facts.get("start").cloned().unwrap_or_default(),
        aside: facts.keys().filter_map(|k| k.strip_prefix("aside.")).map(str::to_owned).collect(),
    }
}

/// The checksum that `cksum` prints for `text`, so that a start script can be compared without
/// sending it.
#[must_use]
pub fn cksum(text: &str) -> String {
    let mut crc: u32 = 0;
    let mut feed = |byte: u8| {
        crc ^= u32::from(byte) << 24;
        for _ in 0..8 {
            crc = if crc & 0x8000_0000 == 0 { crc << 1 } else { (crc << 1) ^ 0x04C1_1DB7 };
        }
    };
    text.bytes().for_each(&mut feed);
    let mut length = text.len();
    while length > 0 {
        #[allow(clippy::cast_possible_truncation)]
        feed((length & 0xff) as u8);
        length >>= 8;
    }
    format!("{} {}", !crc, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cksum_is_that_of_coreutils() {
        for text in ["", "a", "123456789", "#!/bin/sh\nexec x\n"] {
            let mut child = std::process::Command::new("cksum")
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
            let out = child.wait_with_output().unwrap();
            assert_eq!(cksum(text), String::from_utf8(out.stdout).unwrap().trim(), "{text:?}");
        }
    }

    #[test]
    fn facts_come_from_what_the_script_printed() {
        let facts = parse(
            "exists=1\noccupied=1\nstore=1\npid=42\nprocess=42 7 b\nrestart:42 7 b\nfenced:42 6 b\nrunning=p1\npackage=p2\nhas.boot=1\nstart=1 2\naside.x=1\n",
        );
        assert!(facts.restart_runs && !facts.fenced_runs, "another process has that pid");
        assert!(
            facts.exists && facts.occupied && facts.store && facts.boot && facts.account.is_none()
        );
        assert_eq!(
            (facts.pid, facts.running_package.as_deref(), facts.package.as_deref()),
            (Some(42), Some("p1"), Some("p2"))
        );
        assert_eq!(facts.aside, ["x"]);
        assert!(parse("has.mark=1\nmark:{half\n").mark_damaged);
    }
}
