//! The server process: start and stop. Exit status 0 of the start command says nothing; the SQL
//! port does.
use super::super::{Facts, Instance, facts, server};
use super::facts_of;
use crate::base::{Kind, Problem};
use crate::component::sql::Login;
use crate::engine::{Check, Cx, Host, Impact, Step};
use async_trait::async_trait;
use std::time::Duration;

/// Who starts a server, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// An instance by itself. Never a member of a group: only the group may start it, which asks
    /// the other members first.
    Alone,
    /// A member, by its group.
    Member,
    /// A member on a new store, as standby of the instance at this `address:rpc_port` from the
    /// start.
    Join(String),
    /// Within a restart that was begun: a server that did not run before stays stopped.
    Again,
}

/// Starts the server and waits until it answers SQL.
#[derive(Clone, Debug)]
pub struct StartServer {
    /// Which one.
    pub instance: Instance,
    /// The package it must run from.
    pub package: String,
    /// By whom, and how.
    pub start: Start,
}

/// Shell: the lines of the newest log that say why it ended.
const LAST_WORDS: &str = "tail -n 400 \"$base/log/seekdb.log\" 2>/dev/null | grep -E 'ERROR|ret=-' | tail -n 3 | cut -c1-300";

/// How a server answers a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Serves,
    /// A server that can say no is serving too (the account is not made yet); one that has just
    /// started says no for a moment before it knows its accounts.
    Denies,
    Nothing,
}

/// Shell: a first start that was cut (full disk, power loss) leaves a store that no server ever
/// starts on again (-4015 on 1.4.0.post1). It is wiped when the object is still being built, no
/// later step has begun, and its only log is empty or says that no start ever came to its end: then
/// no client was ever served, and no row can be in it.
const FRESH: &str = r#"sdb_log="$base/log/seekdb.log"
if [ ! -e "$base/store" ]; then : > "$base/.ob/fresh"
elif [ -e "$base/.ob/fresh" ] && [ ! -e "$base/.ob/account" ] && grep -q '"stage":"building"' "$base/.ob/mark" && [ "$(ls "$base/log" | grep -c '^seekdb.log')" = 1 ]; then
  if [ ! -s "$sdb_log" ] || { grep -qaE 'server_start [0-9]+/[0-9]+\]' "$sdb_log" && ! grep -qa 'observer start success' "$sdb_log"; }; then
    rm -rf "$base/store" "$base/etc" "$base/run" "$base/log"
  fi
fi
"#;

impl StartServer {
    fn arguments(&self) -> String {
        let Start::Join(source) = &self.start else { return String::new() };
        format!(
            " --role STANDBY --parameter log_restore_source={}",
            crate::base::shell::quote(source)
        )
    }
    async fn answers(&self, cx: &Cx, facts: &Facts) -> Result<Answer, Problem> {
        let login = facts.login().unwrap_or_else(Login::fresh_root);
        Ok(match server::open(cx, &self.instance, &login).await? {
            Ok(mut session) => {
                session.value("select 1").await.map_or(Answer::Nothing, |_| Answer::Serves)
            }
            Err(error) if error.code() == Some(crate::component::sql::ACCESS_DENIED) => {
                Answer::Denies
            }
            Err(_) => Answer::Nothing,
        })
    }
}

#[async_trait]
impl Step for StartServer {
    fn kind(&self) -> &'static str {
        "start_server"
    }
    fn title(&self) -> String {
        let name = self.instance.show();
        match &self.start {
            Start::Join(source) => format!("start seekdb {name} as standby of {source}"),
            Start::Again => format!("start seekdb {name} again"),
            Start::Alone | Start::Member => format!("start seekdb {name}"),
        }
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        vec![format!("{}/.ob/start{}", self.instance.base_dir, self.arguments())]
    }
    fn deadline(&self) -> Duration {
        Duration::from_secs(90)
    }
    fn tries(&self) -> usize {
        // A young standby exits by itself in about one of fifteen starts (run on 1.4.0); its store
        // is wiped and begun again. A server on a store that is whole did so once in some hundred
        // restarts (-4109 on 1.4.0.post1, a standby that had been the primary until just before),
        // and came up on the same store with the next start.
        if matches!(self.start, Start::Join(_)) { 3 } else { 2 }
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.instance).await?;
        if self.start == Start::Again && !facts.restart {
            return Ok(Check::Done);
        }
        if facts.pid.is_none() {
            if self.start == Start::Alone && facts.member() {
                return Ok(Check::Refused(
                    Problem::refused(format!("seekdb {} is not started: it is a member of a group", self.instance.show()))
                        .place(format!("{}:{}", server::place(&self.instance), self.instance.base_dir))
                        .why("only its group may start it, which asks the other members first: a former primary would take writes next to the new one")
                        .fix("apply the ob_standby that has it as a member, or import that group first"),
                ));
            }
            let ports = [self.instance.sql_port, self.instance.rpc_port];
            let mut taken = listening(cx, &self.instance, &ports).await?;
            // A server that has just ended lets its ports go a moment later.
            for _ in 0..20 {
                if taken.is_empty() {
                    break;
                }
                cx.sleep(Duration::from_millis(250)).await?;
                taken = listening(cx, &self.instance, &ports).await?;
            }
            if let Some(port) = taken.first() {
                return Ok(Check::Refused(
                    Problem::user(format!(
                        "cannot start seekdb {}: port {port} is taken",
                        self.instance.show()
                    ))
                    .place(self.instance.host.endpoint.show())
                    .why(format!("another process listens on {port}"))
                    .fix("stop that process, or set another sql_port / rpc_port"),
                ));
            }
            return Ok(Check::Needed("it does not run".into()));
        }
        if facts.running_package.as_ref() != Some(&self.package) {
            return Ok(Check::Partial(format!(
                "it runs from {}",
                facts.running_package.unwrap_or_default()
            )));
        }
        Ok(if self.answers(cx, &facts).await? != Answer::Nothing {
            Check::Done
        } else {
            Check::Partial("it runs and does not answer yet".into())
        })
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        // One that runs and does not answer yet is waited for, not started.
        if facts_of(cx, &self.instance).await?.pid.is_some() {
            return Ok(());
        }
        let (fresh, wipe) = match self.start {
            Start::Alone => (FRESH, String::new()),
            Start::Join(_) => (
                "",
                format!(
                    "if [ -e {} ]; then rm -rf \"$base/store\" \"$base/etc\" \"$base/run\"; fi; ",
                    self.instance.own("building")
                ),
            ),
            Start::Member | Start::Again => ("", String::new()),
        };
        let body = format!(
            "{}rc=; sdb_settle; if [ -z \"$(sdb_pid)\" ]; then {wipe}{fresh}mkdir -p \"$base/log\"; cd / && \"$base/.ob/start\"{} </dev/null >\"$base/.ob/start.log\" 2>&1 || rc=$?; sdb_settle; [ -z \"$rc\" ] || [ -n \"$(sdb_pid)\" ] || {{ tail -n 5 \"$base/.ob/start.log\" >&2; exit $rc; }}; fi",
            facts::lib(&self.instance),
            self.arguments(),
        );
        cx.effect(self, &body, Duration::from_secs(90)).await.map(drop)
    }
    async fn verify(&self, cx: &Cx) -> Result<Check, Problem> {
        let until = tokio::time::Instant::now() + self.deadline();
        let (mut gone, mut denied) = (0, 0);
        loop {
            let begun = tokio::time::Instant::now();
            let facts = facts_of(cx, &self.instance).await?;
            match facts.pid {
                None if self.start == Start::Again && !facts.restart => return Ok(Check::Done),
                // The old process, in a restart that has not reached it: never taken for the new
                // one.
                Some(_) if facts.running_package.as_ref().is_some_and(|p| *p != self.package) => {}
                Some(_) => {
                    gone = 0;
                    match self.answers(cx, &facts).await? {
                        Answer::Serves => return Ok(Check::Done),
                        Answer::Denies if denied >= 8 => return Ok(Check::Done),
                        Answer::Denies => denied += 1,
                        Answer::Nothing => {}
                    }
                }
                None => gone += 1,
            }
            // The daemon forks before it writes its pid file: one look without a process is not yet
            // an end.
            if gone >= 8 || tokio::time::Instant::now() >= until {
                let words = cx.read(&self.instance.host, &format!("{}cat \"$base/.ob/start.log\" 2>/dev/null | tail -n 2; {LAST_WORDS}; :", facts::lib(&self.instance))).await?;
                let what = if gone >= 8 {
                    "the process ended by itself"
                } else {
                    "the process runs and did not answer SQL in time"
                };
                return Ok(Check::Refused(
                    Problem::new(Kind::User, format!("cannot start seekdb {}", self.instance.show()))
                        .place(format!("{}:{}", server::place(&self.instance), self.instance.base_dir))
                        .why(format!("{what}; its last words: {}", words.tail()))
                        .fix(format!(
                            "read {}/log/seekdb.log on the host; common causes: memory_limit under 1G, log_disk_size under 2G, a full disk, a store of another version{}",
                            self.instance.base_dir,
                            if self.start == Start::Member { "; should it not come back, give a failover consent for this epoch, and rebuild it as a standby then" } else { "" },
                        )),
                ));
            }
            // A host that is slow to answer is busy starting it: it is asked less often.
            cx.sleep(Duration::from_millis(250).max(begun.elapsed() * 3)).await?;
        }
    }
}

/// Which of `ports` somebody listens on.
async fn listening(cx: &Cx, instance: &Instance, ports: &[u16]) -> Result<Vec<u16>, Problem> {
    let output = cx.read(&instance.host, "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4==\"0A\"{n=split($2,a,\":\"); print a[n]}'").await?;
    Ok(output
        .stdout
        .lines()
        .filter_map(|l| u16::from_str_radix(l.trim(), 16).ok())
        .filter(|p| ports.contains(p))
        .collect())
}

/// Stops the server: SIGTERM, and SIGKILL when it does not end (redo makes that safe).
#[derive(Clone, Debug)]
pub struct StopServer {
    /// Which one.
    pub instance: Instance,
    /// Only the process that a switchover has fenced: one that was started since is left alone.
    pub fenced_only: bool,
    /// Only within a restart that was begun, and only the process it was begun for.
    pub restart: bool,
}

#[async_trait]
impl Step for StopServer {
    fn kind(&self) -> &'static str {
        "stop_server"
    }
    fn title(&self) -> String {
        format!("stop seekdb {}", self.instance.show())
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        vec![format!("kill -TERM $(cat {}/run/seekdb.pid)", self.instance.base_dir)]
    }
    fn impact(&self) -> &'static [Impact] {
        &[Impact::ClientsCut, Impact::Outage]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.instance).await?;
        Ok(match facts.pid {
            Some(_) if self.fenced_only && !facts.fenced_runs => Check::Done,
            Some(_) if self.restart && !facts.restart_runs => Check::Done,
            Some(pid) => Check::Needed(format!("it runs as pid {pid}")),
            None => Check::Done,
        })
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        let body = format!("{}sdb_end 300", facts::lib(&self.instance));
        cx.effect(self, &body, Duration::from_secs(70)).await.map(drop)
    }
}
