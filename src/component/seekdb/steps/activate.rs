//! A failover: a standby is opened without its primary, once nothing says that the primary lives.
use super::super::{Instance, Role, server};
use super::replicate::{role_is, run, writable};
use crate::base::{Kind, Problem};
use crate::engine::{Check, Cx, Host, Impact, Step};
use async_trait::async_trait;
use std::time::Duration;

/// Opens a standby for writes without its primary: a failover. What the old primary acknowledged and did not send is lost.
#[derive(Clone, Debug)]
pub struct Activate {
    /// The new primary.
    pub heir: Instance,
    /// The old one, named in the consent; it must not answer.
    pub dead: Instance,
    /// Other members, which must not take writes.
    pub others: Vec<Instance>,
    /// Go on although the old primary's host answers (`accept_unfenced`).
    pub accept_unfenced: bool,
    /// The most that may be lost, as time between now and the end of the heir's log.
    pub max_loss: Option<Duration>,
}

#[async_trait]
impl Step for Activate {
    fn kind(&self) -> &'static str {
        "activate"
    }
    fn title(&self) -> String {
        format!("open {} for writes without {}", self.heir.show(), self.dead.show())
    }
    fn host(&self) -> &Host {
        &self.heir.host
    }
    fn effects(&self) -> Vec<String> {
        vec!["ALTER SYSTEM ACTIVATE STANDBY".into()]
    }
    fn impact(&self) -> &'static [Impact] {
        &[Impact::LeaderSwitch, Impact::DataLoss]
    }
    fn irreversible(&self) -> bool {
        true
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let check = role_is(cx, &self.heir, Role::Primary).await?;
        if check == Check::Done {
            return Ok(check);
        }
        if let Some(alive) = still_answers(cx, &self.dead, &self.heir).await? {
            let fix = "the old primary lives: use a planned switchover (set primary), or stop it first";
            if !self.accept_unfenced {
                return Ok(Check::Refused(Problem::refused(format!("refused to {}", self.title())).place(server::place(&self.dead)).why(alive).fix(fix)));
            }
        }
        for other in &self.others {
            if let Ok(said) = server::ask(cx, other).await
                && said.role == Role::Primary
            {
                return Ok(Check::Refused(writable(&self.title(), other, "it takes writes")));
            }
        }
        let (before, _) = super::end_of_log(cx, &self.heir).await?;
        cx.sleep(Duration::from_secs(2)).await?;
        let (after, age) = super::end_of_log(cx, &self.heir).await?;
        if after > before {
            return Ok(Check::Refused(
                Problem::refused(format!("refused to {}", self.title()))
                    .place(server::place(&self.heir))
                    .why("log of the old primary still arrives: it lives")
                    .fix("use a planned switchover (set primary), or stop the old primary first"),
            ));
        }
        if let Some(most) = self.max_loss.filter(|most| age > *most) {
            return Ok(Check::Refused(
                Problem::refused(format!("refused to {}", self.title()))
                    .place(server::place(&self.heir))
                    .why(format!("its log ends {} ago; max_loss is {}", crate::base::units::show_duration(age), crate::base::units::show_duration(most)))
                    .fix("bring the old primary back, or consent to a larger max_loss"),
            ));
        }
        Ok(check)
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        run(cx, self, &self.heir, "ALTER SYSTEM ACTIVATE STANDBY".into()).await
    }
}

/// Says how `dead` still answers: to us, or to the host of `heir`. `None`: from nowhere. All ways at once: while they are
/// waited for nobody takes writes.
pub(super) async fn still_answers(cx: &Cx, dead: &Instance, heir: &Instance) -> Result<Option<String>, Problem> {
    let (from_here, from_heir) = tokio::join!(cx.connect(&dead.host), dial(cx, dead, heir));
    match from_here {
        Ok(_) => Ok(Some(format!("its host {} answers SSH from here", dead.host.endpoint.show()))),
        Err(problem) if problem.kind == Kind::Cancelled => Err(problem),
        Err(_) => from_heir,
    }
}

async fn dial(cx: &Cx, dead: &Instance, heir: &Instance) -> Result<Option<String>, Problem> {
    let transport = cx.connect(&heir.host).await?;
    let address = &dead.host.endpoint.address;
    let answers = |port: u16| {
        let dial = transport.dial(address, port);
        async move { matches!(tokio::time::timeout(Duration::from_secs(5), dial).await, Ok(Ok(_))).then_some(port) }
    };
    let (sql, rpc, ssh) = tokio::join!(answers(dead.sql_port), answers(dead.rpc_port), answers(dead.host.endpoint.port));
    Ok(sql.or(rpc).or(ssh).map(|port| format!("port {port} of {address} answers from {}", heir.host.endpoint.name)))
}
