//! What the host says about an instance, read by one script.
use super::Instance;
use crate::base::Problem;
use crate::engine::mark::Mark;
use crate::engine::{Cx, gate};
use crate::transport::key_values;

/// Shell functions about one instance: `$base` is its directory.
const LIB: &str = r#"
# The pid of the server of $base, if it lives: the pid file outlives the process, and pids are used again.
sdb_pid() {
  sdb_p=$(cat "$base/run/seekdb.pid" 2>/dev/null); [ -n "$sdb_p" ] || return 0
  [ -r "/proc/$sdb_p/stat" ] || return 0
  sdb_s=$(cat "/proc/$sdb_p/stat" 2>/dev/null); sdb_s=${sdb_s##*) }
  # A first thread that has ended is not the end: the others still hold store and ports.
  case $sdb_s in Z*) set -- "/proc/$sdb_p/task"/*; [ $# -gt 1 ] && echo "$sdb_p"; return 0 ;; X*|"") return 0 ;; esac
  case "$(tr '\0' ' ' < "/proc/$sdb_p/cmdline" 2>/dev/null)" in *seekdb*) ;; *) return 0 ;; esac
  [ "$(readlink "/proc/$sdb_p/cwd")" = "$(readlink -f "$base")" ] && echo "$sdb_p"
}
# Names the process for ever: after a boot another one may well have its pid.
sdb_process() {
  sdb_q=$(sdb_pid); [ -n "$sdb_q" ] || return 1
  sdb_s=$(cat "/proc/$sdb_q/stat" 2>/dev/null); sdb_s=${sdb_s##*) }
  set -- $sdb_s; echo "$sdb_q ${20} $(cat /proc/sys/kernel/random/boot_id)"
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
    /// It is empty and cannot be removed by its user: a mount point, or in a directory of somebody else.
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
    /// Our SQL account's file is there.
    pub account: bool,
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
    /// It belongs to a group, which alone says whether its server runs: nothing else starts it.
    #[must_use]
    pub fn member(&self) -> bool {
        self.group.is_some() || self.group_damaged
    }
}

/// Reads the facts.
///
/// # Errors
/// The host cannot be reached or the script failed.
pub async fn read(cx: &Cx, instance: &Instance) -> Result<Facts, Problem> {
    let script = format!(
        "{}{}
[ -d \"$base\" ] && echo exists=1
[ -d \"$base\" ] && [ -z \"$(ls -A \"$base\")\" ] && {{ [ ! -w \"$(dirname \"$base\")\" ] || mountpoint -q \"$base\"; }} && echo stays=1
if [ -d \"$base\" ]; then for f in \"$base\"/* \"$base\"/.[!.]*; do [ -e \"$f\" ] || continue; case ${{f##*/}} in .ob) ;; *) echo occupied=1; break ;; esac; done; fi
[ -e \"$base/.ob/mark\" ] && {{ echo marked=1; printf 'mark=%s\\n' \"$(cat \"$base/.ob/mark\")\"; }}
[ -d \"$base/store/redo\" ] && echo store=1
[ -e \"$base/.ob/building\" ] && printf 'building=%s\\n' \"$(cat \"$base/.ob/building\")\"
p=$(sdb_pid); [ -n \"$p\" ] && {{ echo pid=$p; x=$(readlink \"/proc/$p/exe\"); x=${{x%/seekdb*}}; echo running=${{x##*/}}; printf 'command=%s\\n' \"$(tr '\\0' ' ' < \"/proc/$p/cmdline\" 2>/dev/null)\"; }}
[ -e \"$base/.ob/group\" ] && {{ echo grouped=1; printf 'group=%s\\n' \"$(cat \"$base/.ob/group\")\"; }}
[ -e \"$base/.ob/loss\" ] && printf 'loss=%s\\n' \"$(cat \"$base/.ob/loss\")\"
[ -e \"$base/.ob/restart\" ] && {{ echo restart=1; [ \"$(cat \"$base/.ob/restart\")\" = \"$(sdb_process)\" ] && echo restart_runs=1; }}
[ -e \"$base/.ob/fenced\" ] && {{ echo fenced=1; [ \"$(cat \"$base/.ob/fenced\")\" = \"$(sdb_process)\" ] && echo fenced_runs=1; }}
l=$(readlink \"$base/.ob/package\" 2>/dev/null) && echo package=${{l##*/}}
[ -s \"$base/.ob/account\" ] && echo account=1
[ -e \"$base/.ob/adopting\" ] && echo adopting=1
[ -e \"$base/.ob/boot\" ] && echo boot=1
[ -e \"$base/.ob/start\" ] && echo start=$(cksum < \"$base/.ob/start\")
for f in \"$base\"/.ob/aside/*; do [ -e \"$f\" ] && printf 'aside.%s=1\\n' \"${{f##*/}}\"; done
:",
        gate::LIB,
        lib(instance)
    );
    Ok(parse(&cx.read(&instance.host, &script).await?.stdout))
}

fn parse(text: &str) -> Facts {
    let facts = key_values(text);
    let has = |key: &str| facts.contains_key(key);
    let mark = facts.get("mark").and_then(|m| Mark::parse(m));
    let group = facts.get("group").and_then(|g| super::group::Group::parse(g));
    Facts {
        exists: has("exists"),
        occupied: has("occupied"),
        stays: has("stays"),
        group_damaged: has("grouped") && group.is_none(),
        group,
        loss: facts.get("loss").and_then(|l| serde_json::from_str(l).ok()),
        restart: has("restart"),
        restart_runs: has("restart_runs"),
        fenced: has("fenced"),
        fenced_runs: has("fenced_runs"),
        mark_damaged: has("marked") && mark.is_none(),
        mark,
        store: has("store"),
        building_store: facts.get("building").cloned(),
        pid: facts.get("pid").and_then(|p| p.parse().ok()),
        package: facts.get("package").cloned(),
        command: facts.get("command").cloned().unwrap_or_default(),
        running_package: facts.get("running").cloned(),
        account: has("account"),
        adopting: has("adopting"),
        boot: has("boot"),
        start_sum: facts.get("start").cloned().unwrap_or_default(),
        aside: facts.keys().filter_map(|k| k.strip_prefix("aside.")).map(str::to_owned).collect(),
    }
}

/// The checksum that `cksum` prints for `text`, so that a start script can be compared without sending it.
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
            let mut child = std::process::Command::new("cksum").stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
            let out = child.wait_with_output().unwrap();
            assert_eq!(cksum(text), String::from_utf8(out.stdout).unwrap().trim(), "{text:?}");
        }
    }

    #[test]
    fn facts_come_from_what_the_script_printed() {
        let facts = parse("exists=1\noccupied=1\nstore=1\npid=42\nrunning=p1\npackage=p2\nboot=1\nstart=1 2\naside.x=1\n");
        assert!(facts.exists && facts.occupied && facts.store && facts.boot && !facts.account);
        assert_eq!((facts.pid, facts.running_package.as_deref(), facts.package.as_deref()), (Some(42), Some("p1"), Some("p2")));
        assert_eq!(facts.aside, ["x"]);
        assert!(parse("marked=1\nmark={half\n").mark_damaged);
    }
}
