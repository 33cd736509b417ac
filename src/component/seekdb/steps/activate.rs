//! A failover's own step: a standby is opened without its primary.
use super::super::Dialect;
use super::super::server::{self, On};
use super::id;
use super::replicate::{opens, writable};
use crate::base::Problem;
use crate::engine::{Check, Cx, Effect, Host, Impact, Node, Sql, Step, StepId, StepKind};
use async_trait::async_trait;

/// Opens a standby for writes without its primary: a failover. What the old primary acknowledged
/// and did not send is lost. Whether it may be done at all was proved before anything was written:
/// [`super::ProveGone`].
#[derive(Clone, Debug)]
pub struct Activate {
    /// The new primary.
    pub heir: Node,
    /// The old one, named in the consent.
    pub dead: Node,
    /// Other members, which must not take writes.
    pub others: Vec<Node>,
    /// The words of the server.
    pub dialect: &'static Dialect,
}

impl Activate {
    /// Its kind.
    pub const KIND: StepKind = StepKind("activate");
}

#[async_trait]
impl Step for Activate {
    fn id(&self) -> StepId {
        id(Self::KIND.0, &self.heir)
    }
    fn title(&self) -> String {
        format!("open {} for writes without {}", self.heir.show(), self.dead.show())
    }
    fn host(&self) -> &Host {
        &self.heir.host
    }
    fn effect(&self) -> Effect {
        let statements = self.dialect.moves(&["ALTER SYSTEM ACTIVATE STANDBY"]);
        Effect::Sql(Sql::new(On::service(&self.heir), statements))
    }
    fn tries(&self) -> usize {
        self.dialect.tries()
    }
    fn impact(&self) -> &'static [Impact] {
        &[Impact::LeaderSwitch, Impact::DataLoss]
    }
    fn irreversible(&self) -> bool {
        true
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let check = opens(cx, &self.heir).await?;
        if check == Check::Done {
            return Ok(check);
        }
        Ok(one_writes(cx, &self.title(), &self.others).await.map_or(check, Check::Refused))
    }
}

/// Says which of `others` takes writes, or may. A member that cannot be asked is passed over, as a
/// failover has to.
pub(super) async fn one_writes(cx: &Cx, title: &str, others: &[Node]) -> Option<Problem> {
    for other in others {
        if let Ok(role) = server::role(cx, other).await
            && let Some(why) = role.may_write()
        {
            return Some(writable(title, other, why));
        }
    }
    None
}
