//! Another password for our account when a member leaves its group: who left knows the old one, and
//! our account may do everything on the members that stay.
//!
//! The new password first lies beside the old one on all members, where either is tried. Then the
//! primary changes it, and each member that knows it drops the old one.
use super::super::server::{self, On};
use super::super::{ACCOUNT, about};
use super::account::{MAKE_PASSWORD, PASSWORD, copied, name};
use super::{facts_of, id};
use crate::base::{Pauses, Problem};
use crate::engine::{
    Check, Cx, Effect, Form, Host, Name, Node, Sql, Step, StepId, Template, Values,
};
use async_trait::async_trait;
use std::time::Duration;

/// Name of the value: the password that is to follow.
const NEXT: Name = Name("the account's next password");
/// How long a standby may take to know a password that its primary has changed.
const KNOWS: Duration = Duration::from_secs(30);

/// Makes the password that is to follow, on the primary's host.
#[derive(Clone, Debug)]
pub struct OfferPassword {
    /// The primary.
    pub node: Node,
    /// Which leave it is for.
    pub leave: String,
}

#[async_trait]
impl Step for OfferPassword {
    fn id(&self) -> StepId {
        id("offer_password", &self.node)
    }
    fn title(&self) -> String {
        format!("make another password for {ACCOUNT} of {}", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let in_force = Template::value(PASSWORD);
        Effect::Shell(
            about!(self.node, "offer_password.sh", MAKE_PASSWORD)
                .arg(self.leave.as_str())
                .arg(in_force),
        )
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.node).await?;
        let offered = facts.account_next.is_some() && facts.rotating == self.leave;
        Ok(if facts.rotated == self.leave || offered {
            Check::Done
        } else if facts.account_next.is_some() {
            Check::Partial("one was made for another leave, which was cut".into())
        } else {
            Check::Needed("the member that leaves knows the one in force".into())
        })
    }
    async fn values(&self, cx: &Cx) -> Result<Option<Values>, Problem> {
        let login = server::account(cx, &self.node).await?;
        let Some(next) = login.following() else {
            return Ok(login.password.map(|p| Values::default().with(PASSWORD, p)));
        };
        let in_force = match server::accepts(cx, &self.node, &next).await? {
            Check::Done => next.password,
            Check::Needed(_) => login.password,
            _ => {
                return Err(Problem::user(format!("{} does not answer", self.node.show()))
                    .place(self.node.host.endpoint.show())
                    .why("which of two passwords is in force could not be asked")
                    .fix("run the same command again"));
            }
        };
        Ok(in_force.map(|p| Values::default().with(PASSWORD, p)))
    }
}

/// Puts both passwords on the host of another member.
#[derive(Clone, Debug)]
pub struct SharePassword {
    /// The primary.
    pub from: Node,
    /// The other member.
    pub to: Node,
    /// Which leave it is for.
    pub leave: String,
}

#[async_trait]
impl Step for SharePassword {
    fn id(&self) -> StepId {
        id("share_password", &self.to)
    }
    fn title(&self) -> String {
        format!("share the next password of {ACCOUNT} with {}", self.to.show())
    }
    fn host(&self) -> &Host {
        &self.to.host
    }
    fn effect(&self) -> Effect {
        let password = Template::value(PASSWORD);
        Effect::Shell(about!(self.to, "copy_account.sh").arg(password))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        if facts_of(cx, &self.from).await?.rotated == self.leave {
            return Ok(Check::Done);
        }
        let from = server::account(cx, &self.from).await?;
        let to = facts_of(cx, &self.to).await?.login(ACCOUNT);
        // It may have dropped the old one already.
        Ok(if to.is_some() && (to == from.following() || to == Some(from)) {
            Check::Done
        } else {
            Check::Needed("it does not have it".into())
        })
    }
    async fn values(&self, cx: &Cx) -> Result<Option<Values>, Problem> {
        copied(cx, &self.from).await
    }
}

/// Changes the password in the primary, and ends all other sessions of our account there.
#[derive(Clone, Debug)]
pub struct ChangePassword {
    /// The primary.
    pub node: Node,
    /// Which leave it is for.
    pub leave: String,
}

#[async_trait]
impl Step for ChangePassword {
    fn id(&self) -> StepId {
        id("change_password", &self.node)
    }
    fn title(&self) -> String {
        format!("change the password of {ACCOUNT} in {}", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let user = name();
        let statement =
            Template::from(format!("ALTER USER {user} IDENTIFIED BY ")).and(NEXT, Form::Sql);
        let sql = Sql::new(On::service(&self.node), [statement]);
        Effect::Sql(Sql { end_others: true, ..sql })
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        if facts_of(cx, &self.node).await?.rotated == self.leave {
            return Ok(Check::Done);
        }
        knows(cx, &self.node).await
    }
    async fn values(&self, cx: &Cx) -> Result<Option<Values>, Problem> {
        let next = server::account(cx, &self.node).await?.next;
        Ok(next.map(|next| Values::default().with(NEXT, next)))
    }
}

/// Whether the password that is to follow is in force on a server.
async fn knows(cx: &Cx, node: &Node) -> Result<Check, Problem> {
    let Some(next) = server::account(cx, node).await?.following() else {
        return Ok(Check::Unknown("there is no password that is to follow".into()));
    };
    server::accepts(cx, node, &next).await
}

/// Drops the old password on a member's host, once the member's server knows the new one.
#[derive(Clone, Debug)]
pub struct KeepPassword {
    /// The member.
    pub node: Node,
    /// The primary, whose note says that all is done.
    pub primary: Node,
    /// Which leave it is for.
    pub leave: String,
}

impl KeepPassword {
    /// The primary's turn comes when all others have done it.
    fn last(&self) -> bool {
        self.node.same_place(&self.primary)
    }
}

#[async_trait]
impl Step for KeepPassword {
    fn id(&self) -> StepId {
        id("keep_password", &self.node)
    }
    fn title(&self) -> String {
        format!("drop the old password of {ACCOUNT} with {}", self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let leave = if self.last() { self.leave.as_str() } else { "" };
        Effect::Shell(about!(self.node, "keep_password.sh").arg(leave))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        if facts_of(cx, &self.primary).await?.rotated == self.leave {
            return Ok(Check::Done);
        }
        // Cut between its file and its note: the one password that is left is the new one.
        if server::account(cx, &self.node).await?.next.is_none() {
            let unnoted = Check::Partial("it is not noted yet".into());
            return Ok(if self.last() { unnoted } else { Check::Done });
        }
        let mut pauses = Pauses::every(Duration::from_millis(200)).within(KNOWS);
        loop {
            match knows(cx, &self.node).await? {
                Check::Done => return Ok(Check::Needed("its server knows the new one".into())),
                _ if cx.pause(&mut pauses).await? => {}
                _ => return Ok(Check::Unknown("its server does not know the new one yet".into())),
            }
        }
    }
}
