//! Whether a failover may be done.
use super::super::Instance;
use super::activate::one_writes;
use super::replicate::opens;
use super::{end_of_log, id};
use crate::base::units::show_duration;
use crate::base::{Kind, Problem};
use crate::engine::{Check, Cx, Effect, Host, Node, Step, StepId};
use async_trait::async_trait;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

/// Proves that the old primary is gone and that the heir's log is recent enough. Only looks, and
/// runs before anything is written: a refusal here leaves the group as it was, and its primary may
/// come back.
#[derive(Clone, Debug)]
pub struct ProveGone {
    /// The new primary. Once it takes writes, nothing is left to prove.
    pub heir: Node,
    /// The old primary, which must not answer.
    pub dead: Node,
    /// Other members, which must not take writes.
    pub others: Vec<Node>,
    /// Go on although the old primary's host answers (`accept_unfenced`).
    pub accept_unfenced: bool,
    /// The longest stretch of the log that may be lost: the time between now and the end of the
    /// heir's log.
    pub max_loss: Option<Duration>,
}

impl ProveGone {
    /// What would be done, in words for a refusal.
    fn deed(&self) -> String {
        format!("open {} for writes without {}", self.heir.show(), self.dead.show())
    }
    fn refused(&self, at: &Node, why: impl Into<String>, fix: &str) -> Check {
        Check::Refused(
            Problem::refused(format!("refused to {}", self.deed()))
                .place(at.place())
                .why(why)
                .fix(fix),
        )
    }
}

#[async_trait]
impl Step for ProveGone {
    fn id(&self) -> StepId {
        id("prove_gone", &self.heir).about(&*self.dead.name)
    }
    fn title(&self) -> String {
        format!("prove that {} is gone", self.dead.show())
    }
    fn host(&self) -> &Host {
        &self.heir.host
    }
    fn effect(&self) -> Effect {
        let most =
            self.max_loss.map_or(String::new(), |m| format!(", at most {} old", show_duration(m)));
        let (dead, from) = (self.dead.address(), &self.heir.host.endpoint.name);
        Effect::Look(vec![
            format!("connect to {dead} from here and from {from}  -- must fail"),
            "SELECT max(END_SCN) FROM oceanbase.V$OB_LOG_STAT".into(),
            format!("-- twice, must not move{most}"),
        ])
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        if opens(cx, &self.heir).await? == Check::Done {
            return Ok(Check::Done);
        }
        if !self.accept_unfenced
            && let Some(alive) = still_answers(cx, &self.dead, &self.heir).await?
        {
            return Ok(self.refused(
                &self.dead,
                alive,
                "the old primary lives: use a planned switchover (set primary), or stop it first",
            ));
        }
        if let Some(problem) = one_writes(cx, &self.deed(), &self.others).await {
            return Ok(Check::Refused(problem));
        }
        let (before, _) = end_of_log(cx, &self.heir).await?;
        cx.sleep(Duration::from_secs(2)).await?;
        let (after, mut age) = end_of_log(cx, &self.heir).await?;
        if after > before {
            return Ok(self.refused(
                &self.heir,
                "log of the old primary still arrives: it lives",
                "use a planned switchover (set primary), or stop the old primary first",
            ));
        }
        let Some(most) = self.max_loss else { return Ok(Check::Done) };
        // The heir will read what other members have more of the log, so the youngest end counts.
        for other in &self.others {
            age = end_of_log(cx, other).await.map_or(age, |(_, a)| a.min(age));
        }
        if age > most {
            let why = format!(
                "its log ends {} ago; max_loss is {}",
                show_duration(age),
                show_duration(most)
            );
            return Ok(self.refused(
                &self.heir,
                why,
                "bring the old primary back, or consent to a larger max_loss",
            ));
        }
        Ok(Check::Done)
    }
}

/// How `dead` still answers: to us, or to the host of `heir`; `None` if it answers neither. All
/// ways are tried at once, because nobody takes writes in the meantime.
async fn still_answers(cx: &Cx, dead: &Node, heir: &Node) -> Result<Option<String>, Problem> {
    let (from_here, from_heir) = tokio::join!(cx.connect(&dead.host), dial(cx, dead, heir));
    match from_here {
        Ok(_) => Ok(Some(format!("its host {} answers SSH from here", dead.host.endpoint.show()))),
        Err(problem) if problem.kind == Kind::Cancelled => Err(problem),
        // A host that refuses our login, or shows another key, answers.
        Err(problem) if problem.kind != Kind::Unreachable => Ok(Some(format!(
            "its host {} is not proved to be gone: {}",
            dead.host.endpoint.show(),
            problem.why
        ))),
        Err(_) => from_heir,
    }
}

async fn dial(cx: &Cx, dead: &Node, heir: &Node) -> Result<Option<String>, Problem> {
    let transport = cx.connect(&heir.host).await?;
    let (serves, logs_in) = (dead.address().to_owned(), dead.host.endpoint.address.to_string());
    // A gateway takes connections for a host behind it that is off, and sends nothing: the first
    // byte tells, which sshd sends unasked.
    let answers = |address: String, port: u16, speaks: bool| {
        let transport = transport.clone();
        async move {
            let dial = async {
                let mut stream = transport.dial(&address, port).await.ok()?;
                if speaks { stream.read_u8().await.ok().map(drop) } else { Some(()) }
            };
            let answer = tokio::time::timeout(Duration::from_secs(5), dial).await;
            matches!(answer, Ok(Some(()))).then(|| format!("port {port} of {address}"))
        }
    };
    let (sql, rpc, ssh) = tokio::join!(
        answers(serves.clone(), dead.sql_port(), false),
        answers(serves, dead.rpc_port(), false),
        answers(logs_in, dead.host.endpoint.port, true)
    );
    Ok(sql.or(rpc).or(ssh).map(|at| format!("{at} answers from {}", heir.host.endpoint.name)))
}
