//! Starting with the host. Members of a group do not start with it: a former primary that boots
//! would take writes beside the new one.
use super::super::about;
use super::{facts_of, id};
use crate::base::Problem;
use crate::engine::{Check, Cx, Effect, Host, Node, Step, StepId};
use async_trait::async_trait;

/// Makes the instance start with its host, or stop doing so.
///
/// Uses a systemd unit where we may write one (as root, or with the sudo commands of `ob sudoers`),
/// and otherwise the run user's crontab.
#[derive(Clone, Debug)]
pub struct SetBoot {
    /// The instance.
    pub node: Node,
    /// Whether it shall start with its host.
    pub on: bool,
    /// The instance's group ends: the note that is still there does not keep the instance from
    /// starting with its host.
    pub leaving: bool,
}

impl SetBoot {
    /// For an instance outside a group. A member is never made to start with its host, whoever asks
    /// (a lost state, an import).
    #[must_use]
    pub fn new(node: &Node, on: bool) -> Self {
        Self { node: node.clone(), on, leaving: false }
    }
    /// For the last member of a group that ends.
    #[must_use]
    pub fn leaving(node: &Node) -> Self {
        Self { node: node.clone(), on: true, leaving: true }
    }
    fn unit(&self) -> String {
        format!("ob-{}.service", self.node.name)
    }
    fn unit_text(&self) -> String {
        let (name, base) = (&self.node.name, &self.node.directory);
        format!(
            "[Unit]\nDescription=seekdb {name}\nAfter=network-online.target\n\
             Wants=network-online.target\n[Service]\nType=forking\nExecStart={base}/.ob/start\n\
             PIDFile={base}/run/seekdb.pid\nUser=RUN_USER\nLimitNOFILE=655350\n\
             TimeoutStartSec=120\n[Install]\nWantedBy=multi-user.target\n"
        )
    }
    /// The line in the crontab. It includes the directory, because two objects may have one name.
    fn line(&self) -> String {
        let start = crate::base::shell::quote(&self.node.own("start"));
        format!("@reboot {start} >/dev/null 2>&1 # ob:{}:{}", self.node.name, self.node.directory)
    }
}

#[async_trait]
impl Step for SetBoot {
    fn id(&self) -> StepId {
        id("set_boot", &self.node).about(if self.on { "on" } else { "off" })
    }
    fn title(&self) -> String {
        if self.on {
            format!("start {} with its host", self.node.show())
        } else {
            format!("do not start {} with its host", self.node.show())
        }
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        Effect::Shell(if self.on {
            let program = about!(self.node, "set_boot.sh");
            program.args([self.unit(), self.unit_text(), self.line()])
        } else {
            about!(self.node, "unset_boot.sh").args([self.unit(), self.line()])
        })
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.node).await?;
        if self.on && !self.leaving && facts.member() {
            return Ok(Check::Done);
        }
        Ok(if facts.boot == self.on || !facts.exists && !self.on {
            Check::Done
        } else {
            Check::Needed(format!("it does{}", if facts.boot { "" } else { " not" }))
        })
    }
}
