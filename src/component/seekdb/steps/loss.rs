//! The end of a log: the bound of what a failover can lose.
use super::super::{about, server};
use super::{facts_of, id};
use crate::base::Problem;
pub use crate::component::database::Loss;
use crate::engine::{Check, Cx, Effect, Host, Name, Node, Step, StepId, Template, Values};
use async_trait::async_trait;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Name of a value: where the heir's log ends.
const END: Name = Name("end of the log");
/// Name of a value: how old that end is.
const AGE: Name = Name("its age in ms");

/// The end of an instance's log (SCN, ns since 1970), and its age by this machine's clock.
///
/// # Errors
/// The server cannot be asked.
pub async fn end_of_log(cx: &Cx, node: &Node) -> Result<(u64, Duration), Problem> {
    let explain = |e: crate::component::sql::SqlError| {
        e.explain(&format!("read the log position of {}", node.show()), &node.place())
    };
    let mut session = server::session(cx, node).await?;
    let value =
        session.value("select max(END_SCN) from oceanbase.V$OB_LOG_STAT").await.map_err(explain);
    session.close().await;
    let scn: u64 = value?
        .and_then(|v| v.parse().ok())
        .ok_or_else(|| Problem::internal("V$OB_LOG_STAT has no END_SCN"))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((scn, now.saturating_sub(Duration::from_nanos(scn))))
}

/// Notes on the heir's host where the heir's log ends, before the heir is opened.
#[derive(Clone, Debug)]
pub struct NoteLoss {
    /// The heir.
    pub heir: Node,
    /// Name of the heir as a member.
    pub member: String,
    /// The epoch that begins.
    pub epoch: u64,
}

#[async_trait]
impl Step for NoteLoss {
    fn id(&self) -> StepId {
        id("note_loss", &self.heir).about(self.epoch.to_string())
    }
    fn title(&self) -> String {
        format!("note where the log of {} ends", self.heir.show())
    }
    fn host(&self) -> &Host {
        &self.heir.host
    }
    fn effect(&self) -> Effect {
        let loss = Loss { epoch: self.epoch, to: self.member.clone(), scn: 0, age_ms: 0 };
        let line = Template::json(&loss, &[("scn", END), ("age_ms", AGE)]);
        let program = about!(self.heir, "note_loss.sh");
        Effect::Shell(program.arg(self.epoch.to_string()).arg(line))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let noted = facts_of(cx, &self.heir).await?.loss.is_some_and(|l| l.epoch == self.epoch);
        Ok(if noted { Check::Done } else { Check::Needed("it is not noted for this epoch".into()) })
    }
    async fn values(&self, cx: &Cx) -> Result<Option<Values>, Problem> {
        let (scn, age) = end_of_log(cx, &self.heir).await?;
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Ok(Some(Values::default().with(END, scn).with(AGE, age)))
    }
}
