//! Before a failover opens its heir, the heir reads the part of the dead primary's log that only
//! other living members have.
use super::super::Instance;
use super::super::server::On;
use super::id;
use super::replicate::opens;
use crate::base::{Pauses, Problem};
use crate::engine::{
    Check, Cx, Effect, Form, Host, Name, Node, Sql, Step, StepId, Template, Values,
};
use async_trait::async_trait;
use std::time::Duration;

/// Name of the value: where the member answers whose log ends last.
const LONGEST: Name = Name("the member whose log ends last, when later than its own");

/// How long the heir may take to read what it lacks.
const READS: Duration = Duration::from_secs(60);

/// Lets the heir of a failover read the log from the member that has the most of it. Without that,
/// rows that still exist would be lost, and a member whose log goes beyond the new primary's could
/// never follow it.
#[derive(Clone, Debug)]
pub struct TakeLog {
    /// The new primary.
    pub heir: Node,
    /// The old primary; [`super::ProveGone`] has proved before that it is gone.
    pub dead: Node,
    /// The other members.
    pub others: Vec<Node>,
}

impl TakeLog {
    /// The member with the longest log, and where that log ends. Leaves out a member that does not
    /// answer; the consent covers its log.
    async fn longest(&self, cx: &Cx) -> Option<(&Node, u64)> {
        let mut longest = None;
        for other in &self.others {
            if let Ok((end, _)) = super::end_of_log(cx, other).await
                && longest.is_none_or(|(_, most)| end > most)
            {
                longest = Some((other, end));
            }
        }
        longest
    }
}

#[async_trait]
impl Step for TakeLog {
    fn id(&self) -> StepId {
        id("take_log", &self.heir)
    }
    fn title(&self) -> String {
        format!(
            "let {} read what others have more of the log of {}",
            self.heir.show(),
            self.dead.show()
        )
    }
    fn host(&self) -> &Host {
        &self.heir.host
    }
    fn effect(&self) -> Effect {
        let statement =
            Template::from("ALTER SYSTEM SET log_restore_source = ").and(LONGEST, Form::Sql);
        Effect::Sql(Sql::new(On::service(&self.heir), [statement]))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        if opens(cx, &self.heir).await? == Check::Done {
            return Ok(Check::Done);
        }
        let (own, _) = super::end_of_log(cx, &self.heir).await?;
        let Some((member, _)) = self.longest(cx).await.filter(|(_, end)| *end > own) else {
            return Ok(Check::Done);
        };
        Ok(Check::Needed(format!("the log of {} ends later", member.show())))
    }
    async fn values(&self, cx: &Cx) -> Result<Option<Values>, Problem> {
        let longest = self.longest(cx).await;
        Ok(longest.map(|(member, _)| Values::default().with(LONGEST, member.source())))
    }
    async fn verify(&self, cx: &Cx) -> Result<Check, Problem> {
        let Some((member, goal)) = self.longest(cx).await else { return Ok(Check::Done) };
        let mut pauses = Pauses::every(Duration::from_millis(200)).within(READS);
        loop {
            let (own, _) = super::end_of_log(cx, &self.heir).await?;
            if own >= goal {
                return Ok(Check::Done);
            }
            if !cx.pause(&mut pauses).await? {
                return Ok(Check::Refused(
                    Problem::user(format!(
                        "{} does not get the log that {} has",
                        self.heir.show(),
                        member.show()
                    ))
                    .place(self.heir.place())
                    .why(format!("its log ends at SCN {own}, the other's at {goal}"))
                    .fix(format!(
                        "consent to a failover to {} instead; nothing was opened yet",
                        member.show()
                    )),
                ));
            }
        }
    }
}
