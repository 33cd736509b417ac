//! `ob doctor`: hosts and what of ours lies on them, each finding with its fix.
use super::journal;
use super::output::{End, Out, table};
use super::reach::{Where, told_apart};
use crate::base::{Kind, Problem};
use crate::component::database::{self, Database, Member, Root, Standing, Whose};
use crate::component::host::MOUNT;
use crate::engine::mark::Stage;
use crate::engine::{Cx, Host, Node};
use crate::operate::history::{self, Whole};
use crate::operate::inventory::{self, Survey};
use crate::program;
use crate::transport::key_values;
use serde::Serialize;
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

/// Which hosts.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    at: Where,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, and somebody should look.
    Warn,
    /// Does not work.
    Bad,
}

/// One finding.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Host.
    pub host: String,
    /// What was looked at.
    pub what: String,
    /// How it is.
    pub state: Level,
    /// The facts.
    pub why: String,
    /// What to do.
    pub fix: String,
}

impl Finding {
    fn new(
        host: &Host,
        what: impl Into<String>,
        state: Level,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            host: host.endpoint.name.clone(),
            what: what.into(),
            state,
            why: why.into(),
            fix: fix.into(),
        }
    }
}

/// Runs `ob doctor`. The exit status is 2 when something should be done, 1 when something is bad.
///
/// # Errors
/// No host is named.
pub async fn run(out: &Out, args: Args, cancel: CancellationToken) -> Result<End, Problem> {
    let (hosts, _, cx) = args.at.open(cancel)?;
    let hosts = told_apart(hosts);
    let listed = args.at.host.is_empty();
    let (surveys, bad) = inventory::look_all(&cx, &hosts).await;
    let mut found: Vec<_> = bad
        .iter()
        .map(|(h, p)| Finding::new(h, "login", Level::Bad, p.why.clone(), p.fix.clone()))
        .collect();
    for survey in &surveys {
        found.push(Finding::new(&survey.host, "login", Level::Ok, survey.host.endpoint.show(), ""));
        let (user, findings) = machine(&cx, survey).await;
        found.extend(findings);
        if survey.objects.is_empty() {
            found.push(nothing(&survey.host, &user, listed));
        }
        found.extend(objects(&cx, survey).await);
    }
    found.extend(operations(&surveys));
    out.data(&found, || show(&found))?;
    Ok(match found.iter().map(|f| f.state).max() {
        Some(Level::Bad) => End::Failed,
        Some(Level::Warn) => End::Pending,
        _ => End::Done,
    })
}

/// Looks at the machine itself: what every effect script needs. Also gives the user who works there;
/// empty when nothing answers.
async fn machine(cx: &Cx, survey: &Survey) -> (String, Vec<Finding>) {
    let (host, homes) = (&survey.host, survey.objects.iter().filter_map(|o| o.home.as_deref()));
    match cx.read(host, &program!("machine.sh", MOUNT).args(homes)).await {
        Ok(output) => {
            let facts = key_values(&output.stdout);
            (facts.get("user").cloned().unwrap_or_default(), judge_machine(host, &facts))
        }
        Err(problem) => {
            let bad = Finding::new(host, "scripts", Level::Bad, problem.why, problem.fix);
            (String::new(), vec![bad])
        }
    }
}

/// What it means that a user has nothing of ours on a host. A state or a kit lists the host (`listed`)
/// because there should be something.
fn nothing(host: &Host, user: &str, listed: bool) -> Finding {
    let why = format!("user {user} has none of ours here");
    let other = "name the user who logs in there (--user), or the one who runs the servers (--as, \
                 with --host)";
    if listed {
        let why = format!("{why}, and the state or the kit names this host");
        Finding::new(host, "objects", Level::Warn, why, other)
    } else {
        let why = format!("{why}; if there should be some, {other}");
        Finding::new(host, "objects", Level::Ok, why, "")
    }
}

fn judge_machine(host: &Host, facts: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut found = forbidden(host, facts);
    let missing: Vec<_> = facts.keys().filter_map(|k| k.strip_prefix("missing.")).collect();
    if !missing.is_empty() {
        found.push(Finding::new(
            host,
            "programs",
            Level::Bad,
            format!("not there: {}", missing.join(", ")),
            "install coreutils, util-linux, gawk and sed",
        ));
    }
    if !facts.contains_key("writable") {
        found.push(Finding::new(
            host,
            "home",
            Level::Bad,
            "the run user's home cannot be written",
            "~/.ob lies there: correct its owner or rights",
        ));
    }
    let number = |key: &str| facts.get(key).and_then(|v| v.parse::<u64>().ok()).unwrap_or(u64::MAX);
    if number("free") < 512 * 1024 {
        found.push(Finding::new(
            host,
            "disk",
            Level::Warn,
            format!("{} MB free where ~/.ob lies", number("free") / 1024),
            "free space: a journal line that cannot be written stops an operation",
        ));
    }
    if number("inodes") < 1000 {
        found.push(Finding::new(
            host,
            "disk",
            Level::Warn,
            format!("{} inodes free where ~/.ob lies", number("inodes")),
            "remove files there",
        ));
    }
    found
}

/// What the host forbids: by its mounts, by cron, by its limits.
fn forbidden(host: &Host, facts: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut found = Vec::new();
    let paths = |word: &str| {
        let of = |(k, _): (&String, &String)| k.strip_prefix(word).map(str::to_owned);
        facts.iter().filter_map(of).collect::<Vec<_>>()
    };
    for path in paths("noexec.") {
        found.push(Finding::new(
            host,
            "mounts",
            Level::Bad,
            format!("no program may run in {path}: its file system is mounted with noexec"),
            "mount it without noexec, or let the servers be elsewhere",
        ));
    }
    for path in paths("readonly.") {
        found.push(Finding::new(
            host,
            "mounts",
            Level::Bad,
            format!("nothing can be written in {path}: its file system is read-only"),
            "see dmesg for an error of the disk; mount it for writing",
        ));
    }
    if let Some(why) = facts.get("cron").filter(|why| !why.is_empty()) {
        let user = facts.get("user").map_or("", String::as_str);
        found.push(Finding::new(
            host,
            "cron",
            Level::Warn,
            format!("a server of user {user} could not start with this host: {why}"),
            "name the user in /etc/cron.allow, or give it what `ob sudoers` prints",
        ));
    }
    if let Some(why) = facts.get("nofile") {
        found.push(Finding::new(
            host,
            "limits",
            Level::Bad,
            format!("{why}: the kernel refuses new logins of its user"),
            "lower that limit, or raise fs.nr_open",
        ));
    }
    found
}

/// What is wrong with root of a server. The server is asked with our account; where that cannot be,
/// a login without a password is tried.
async fn root(
    database: &dyn Database,
    cx: &Cx,
    instance: &Node,
    member: &Member,
) -> Option<(Level, Problem)> {
    let facts = member.facts.as_ref().filter(|f| f.pid.is_some())?;
    let root = if facts.account.is_some() && member.standing != Standing::Unreachable {
        database.ask(cx, instance, facts).await.map(|said| said.root).unwrap_or_default()
    } else {
        Root::Unknown
    };
    if root == Root::Unknown {
        let open = database.root_is_open(cx, instance).await;
        return open.then(|| (Level::Bad, database::open_to_all(instance)));
    }
    let level = if root == Root::Open { Level::Bad } else { Level::Warn };
    Some((level, database::root_changed(instance, root, facts.group.is_some())?))
}

/// Looks at gates, marks and servers.
async fn objects(cx: &Cx, survey: &Survey) -> Vec<Finding> {
    let host = &survey.host;
    let mut found = Vec::new();
    for object in &survey.objects {
        let gate = &object.gate;
        let held = if gate.live {
            format!("number {}, held by {} (operation {})", gate.number, gate.who, gate.holder)
        } else {
            format!("number {}, free", gate.number)
        };
        if !gate.live && !gate.holder.is_empty() {
            found.push(Finding::new(
                host,
                format!("gate {}", object.key),
                Level::Warn,
                format!(
                    "number {}: {} did not give it back (operation {})",
                    gate.number, gate.who, gate.holder
                ),
                "run that command again, or `ob operation abandon`; the next holder takes it over \
                 by itself",
            ));
        } else {
            found.push(Finding::new(host, format!("gate {}", object.key), Level::Ok, held, ""));
        }
        if object.mark_damaged {
            found.push(Finding::new(
                host,
                format!("mark {}", object.key),
                Level::Bad,
                "it cannot be read",
                format!(
                    "compare {}/.ob/mark with the journal; restore or remove it by hand",
                    object.home.as_deref().unwrap_or_default()
                ),
            ));
        }
        if let Some(home) = object.home.as_deref()
            && object.mark.is_none()
            && !object.mark_damaged
        {
            found.push(Finding::new(
                host,
                format!("mark {}", object.key),
                Level::Bad,
                format!("{home} is missing, and nobody removed what was made there"),
                format!(
                    "mount its disk or move it back; if it is gone for good: {}",
                    database::gone_command(host, home)
                ),
            ));
        }
        if let Some(mark) = object.mark.as_ref().filter(|m| m.stage != Stage::Complete) {
            let word = if mark.stage == Stage::Building { "create" } else { "destroy" };
            found.push(Finding::new(
                host,
                format!("mark {}", object.key),
                Level::Warn,
                format!(
                    "an unfinished {word} (operation {}, owner {})",
                    mark.operation, mark.owner
                ),
                format!(
                    "run terraform {} again, or `ob operation abandon {}`",
                    if word == "create" { "apply" } else { "destroy" },
                    mark.operation
                ),
            ));
        }
        // An unfinished object is not judged: the finding above says what to do about it.
        let whole = object.mark.as_ref().is_none_or(|m| m.stage == Stage::Complete);
        if let Some((database, instance)) = object.node(host).filter(|_| whole) {
            let what = format!("{} {}", database.engine().as_str(), instance.name);
            let member = match &object.group {
                // The standing of a group's member follows from the notes of all members.
                Some(note) => {
                    let name = note
                        .members
                        .iter()
                        .find(|(_, i)| i.name == instance.name)
                        .map(|(n, _)| n.clone())
                        .unwrap_or_default();
                    let members = &note.untrusted();
                    database::look_all(database, cx, members, Whose::of(note)).await.remove(&name)
                }
                None => Some(database.look(cx, &instance).await),
            };
            let Some(member) = member else { continue };
            if let Some(facts) = &member.facts {
                found.extend(files(host, &what, &instance.directory, facts));
            }
            if let Some((level, problem)) = root(database, cx, &instance, &member).await {
                let (why, fix) = (format!("{}: {}", problem.what, problem.why), problem.fix);
                found.push(Finding::new(host, what.clone(), level, why, fix));
            }
            let (state, fix) = judge(&member, object.group.is_some());
            let held = member.facts.as_ref().and_then(|f| f.held.as_deref());
            let held = held.filter(|_| object.group.is_none()).map(|command| {
                let problem = database::held(&instance, command);
                (state, problem.why, problem.fix)
            });
            if let Some((state, why, fix)) = held {
                found.push(Finding::new(host, what, state, why, fix));
                continue;
            }
            let aside = member.facts.as_ref().map(|f| f.aside.clone()).unwrap_or_default();
            let why = [
                member.standing.as_str().to_owned(),
                instance.directory.to_string(),
                member.why.clone(),
                if aside.is_empty() {
                    String::new()
                } else {
                    format!("stores set aside: {}", aside.join(", "))
                },
            ];
            found.push(Finding::new(
                host,
                what,
                state,
                why.into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join(", "),
                fix,
            ));
            // What an operation is working on is on its way.
            let facts = member.facts.filter(|f| f.store && !f.adopting && !gate.live);
            if facts.is_some() {
                let boot = database.boot(cx, &instance, object.group.is_some()).await;
                found.extend(boot.unwrap_or_else(Some).map(|problem| {
                    let what = format!("boot {}", instance.name);
                    let member = object.group.is_some();
                    let state = if member { Level::Bad } else { Level::Warn };
                    Finding::new(host, what, state, problem.why, problem.fix)
                }));
            }
        }
    }
    found
}

/// What is wrong with the files of a server.
fn files(host: &Host, what: &str, directory: &str, facts: &database::Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut bad = |why: String, fix: &str| {
        found.push(Finding::new(host, what.to_owned(), Level::Bad, why, fix));
    };
    if facts.package_lost {
        bad(
            format!("the package that {directory} starts from is not in ~/.ob/packages"),
            "the next terraform apply places it again; until then the server cannot be started",
        );
    }
    if facts.exposed {
        bad(
            format!("every user of the host can read the rows in {directory}"),
            "the next terraform apply closes the directories; or: chmod o-rwx store etc log run",
        );
    }
    found
}

fn judge(seen: &Member, member: bool) -> (Level, &'static str) {
    match seen.standing {
        Standing::Primary | Standing::Standby => (Level::Ok, ""),
        Standing::Empty => (Level::Ok, ""),
        Standing::Stopped if member => (
            Level::Warn,
            "the next terraform apply or `ob start` starts it after the others were asked",
        ),
        Standing::Stopped => (Level::Warn, "the next terraform apply starts it"),
        Standing::Behind => (
            Level::Warn,
            "it reads its log from elsewhere than the primary, such as a former primary or a former \
             address: terraform apply or `ob start` points it at the primary",
        ),
        Standing::Fenced => (
            Level::Warn,
            "a switchover was not finished: `ob switchover --to MEMBER` or terraform apply \
             finishes it",
        ),
        Standing::Opening => (
            Level::Warn,
            "it was cut while it was opened for writes: `ob switchover --to` it, or terraform \
             apply with primary = it, finishes that",
        ),
        Standing::Building => {
            (Level::Warn, "a standby is being built: terraform apply finishes it")
        }
        Standing::Stale => (
            Level::Bad,
            "a former primary that missed a move of the role: never start it; terraform apply sets \
             its store aside and builds it again",
        ),
        Standing::Rival => (
            Level::Bad,
            "it takes writes, and a newer note names another member: the next plan says how to \
             choose between them",
        ),
        Standing::Unreachable if seen.refuses(Kind::Denied) => {
            (Level::Bad, database::account_again(member))
        }
        Standing::Unreachable if seen.refuses(Kind::Busy) => {
            (Level::Warn, "its server answers that it cannot now: ask again in a minute")
        }
        Standing::Unreachable => (
            Level::Bad,
            "its server runs and does not answer: read log/seekdb.log in its directory",
        ),
    }
}

fn operations(surveys: &[Survey]) -> Vec<Finding> {
    let all = history::merge(surveys);
    // An operation that runs is no finding.
    let open = history::unfinished(&all).into_iter().filter(|w| w.over());
    let finding = |w: &Whole| Finding {
        host: w.hosts.iter().cloned().collect::<Vec<_>>().join(", "),
        what: format!("operation {}", w.operation),
        state: Level::Warn,
        why: journal::headline(w),
        fix: "run the same command again; `ob operation show` says how far it is".into(),
    };
    open.map(finding).collect()
}

fn show(found: &[Finding]) -> String {
    let word = |f: &Finding| match f.state {
        Level::Ok => "ok",
        Level::Warn => "warn",
        Level::Bad => "BAD",
    };
    let mut lines = Vec::new();
    let rows: Vec<_> = found
        .iter()
        .map(|f| vec![word(f).to_owned(), f.host.clone(), f.what.clone(), f.why.clone()])
        .collect();
    for (line, finding) in table(&rows).lines().zip(found) {
        lines.push(line.to_owned());
        if !finding.fix.is_empty() {
            lines.push(format!("      fix: {}", finding.fix));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_objects_is_named_and_a_listed_host_should_have_some() {
        let endpoint = crate::cli::reach::endpoint("h").unwrap();
        let host = Host { endpoint, run_as: String::new() };
        for (listed, state, fix) in [(false, Level::Ok, ""), (true, Level::Warn, "--user")] {
            let found = nothing(&host, "dba", listed);
            assert_eq!(found.state, state);
            assert!(found.why.starts_with("user dba has none of ours"), "{found:?}");
            assert!(found.fix.contains(fix) && (found.why + &found.fix).contains("--user"));
        }
    }

    #[test]
    fn what_a_host_forbids_is_named_with_its_fix() {
        let endpoint = crate::cli::reach::endpoint("root@h").unwrap();
        let host = Host { endpoint, run_as: String::new() };
        for (said, want) in [
            ("writable=1\nuser=ob\ncron=\n", vec![]),
            ("writable=1\nnoexec./home/ob=1\n", vec![("mounts", "noexec")]),
            ("writable=1\nreadonly./data/a=1\n", vec![("mounts", "/data/a: its file system")]),
            ("writable=1\nuser=ob\ncron=not allowed\n", vec![("cron", "user ob")]),
            (
                "writable=1\nnofile=/etc/security/limits.conf sets 9, and fs.nr_open is 8\n",
                vec![("limits", "refuses new logins")],
            ),
            ("readonly./home/ob=1\n", vec![("mounts", "read-only"), ("home", "cannot be written")]),
        ] {
            let found = judge_machine(&host, &key_values(said));
            assert_eq!(found.len(), want.len(), "{said}: {found:?}");
            for (finding, (what, why)) in found.iter().zip(&want) {
                assert!(finding.what == *what && finding.why.contains(why), "{finding:?}");
                assert!(!finding.fix.is_empty(), "{finding:?}");
            }
        }
    }

    /// The functions themselves, on a table of mounts.
    #[test]
    fn of_several_mounts_the_one_that_is_seen_counts() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let at = |name: &str| root.join(name).display().to_string();
        for name in ["a", "a/b c", "ab", "ro"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(at("a"), at("link")).unwrap();
        let line = |on: &str, options: &str, disk: &str| {
            format!(
                "1 0 8:1 / {} {options} shared:1 - ext4 /dev/x {disk}\n",
                on.replace(' ', "\\040")
            )
        };
        let table = line("/", "rw", "rw")
            + &line(&at("a"), "rw,noexec", "rw")
            + &line(&at("a/b c"), "rw,noexec", "rw")
            + &line(&at("a/b c"), "rw", "rw,errors=remount-ro")
            + &line(&at("ro"), "rw,nosuid", "ro");
        let file = root.join("mountinfo");
        std::fs::write(&file, table).unwrap();
        for (path, want) in [
            (at("a"), "noexec"),
            (at("a/not/there"), "noexec"),
            (at("a/b c/x"), ""),
            (at("ab"), ""),
            (at("link/new"), "noexec"),
            (at("ro/x"), "readonly"),
            ("/".into(), ""),
        ] {
            let program = format!("{MOUNT}\nmount_forbids \"$1\"");
            let out = std::process::Command::new("sh")
                .args(["-c", &program, "sh", &path])
                .env("mount_info", &file)
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), want, "{path}");
        }
    }
}
