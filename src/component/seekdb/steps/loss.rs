//! Where a log ends: the bound of what a failover can lose.
use super::super::{Instance, server};
use super::facts_of;
use crate::base::Problem;
use crate::base::shell::quote;
use crate::engine::{Check, Cx, Host, Step};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a failover may have lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Epoch that the failover began.
    pub epoch: u64,
    /// Member that was opened.
    pub to: String,
    /// End of its log before it was opened, in ns since 1970 by the log's own clock: everything
    /// acknowledged later may be lost. After a start or a move of the role that clock leaps ahead
    /// of the primary's (8.1 s seen on 1.4.0.post1) and waits until it is caught up; then the two
    /// are one.
    pub scn: u64,
    /// Age of that end when it was read, in ms.
    pub age_ms: u64,
}

/// The end of an instance's log (SCN, ns since 1970) and how old that is by our clock.
///
/// # Errors
/// It cannot be asked.
pub async fn end_of_log(cx: &Cx, instance: &Instance) -> Result<(u64, Duration), Problem> {
    let explain = |e: crate::component::sql::SqlError| {
        e.explain(
            &format!("read the log position of {}", instance.show()),
            &server::place(instance),
        )
    };
    let mut session = server::session(cx, instance).await?;
    let value =
        session.value("select max(END_SCN) from oceanbase.V$OB_LOG_STAT").await.map_err(explain);
    session.close().await;
    let scn: u64 = value?
        .and_then(|v| v.parse().ok())
        .ok_or_else(|| Problem::internal("V$OB_LOG_STAT has no END_SCN"))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((scn, now.saturating_sub(Duration::from_nanos(scn))))
}

/// Notes on the heir's host where its log ends, before it is opened.
#[derive(Clone, Debug)]
pub struct NoteLoss {
    /// The heir.
    pub heir: Instance,
    /// Its member name.
    pub member: String,
    /// The epoch that begins.
    pub epoch: u64,
}

#[async_trait]
impl Step for NoteLoss {
    fn kind(&self) -> &'static str {
        "note_loss"
    }
    fn title(&self) -> String {
        format!("note where the log of {} ends", self.heir.show())
    }
    fn host(&self) -> &Host {
        &self.heir.host
    }
    fn effects(&self) -> Vec<String> {
        vec![
            "SELECT max(END_SCN) FROM oceanbase.V$OB_LOG_STAT".into(),
            format!("write {}/.ob/loss", self.heir.base_dir),
        ]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let noted = facts_of(cx, &self.heir).await?.loss.is_some_and(|l| l.epoch == self.epoch);
        Ok(if noted { Check::Done } else { Check::Needed("it is not noted for this epoch".into()) })
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        let (scn, age) = end_of_log(cx, &self.heir).await?;
        let loss = Loss {
            epoch: self.epoch,
            to: self.member.clone(),
            scn,
            age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        };
        let json = serde_json::to_string(&loss).unwrap_or_default();
        // Noted once for an epoch: later the log may be the heir's own.
        let (file, epoch) = (self.heir.own("loss"), self.epoch);
        let body = format!(
            "grep -q '\"epoch\":{epoch},' {file} 2>/dev/null || printf '%s\\n' {} | ob_put {file}",
            quote(&json)
        );
        cx.effect(self, &body, Duration::from_secs(30)).await.map(drop)
    }
}
