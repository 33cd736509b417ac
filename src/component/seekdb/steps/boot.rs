//! Starting with the host. Members of a group do not: a former primary that boots would take writes
//! next to the new one.
use super::super::{Instance, facts};
use super::facts_of;
use crate::base::Problem;
use crate::base::shell::quote;
use crate::engine::{Check, Cx, Host, Step};
use async_trait::async_trait;
use std::time::Duration;

/// Makes the instance start with its host, or not.
///
/// A systemd unit where we may write one (root, or the sudo commands of `ob sudoers`), else the run
/// user's crontab.
#[derive(Clone, Debug)]
pub struct SetBoot {
    /// Which one.
    pub instance: Instance,
    /// Start with the host.
    pub on: bool,
    /// Its group ends: the note that is still there is no reason to leave it off.
    pub leaving: bool,
}

impl SetBoot {
    /// For an instance outside a group; a member is left as it is, whoever asks (a lost state, an
    /// import).
    #[must_use]
    pub fn new(instance: &Instance, on: bool) -> Self {
        Self { instance: instance.clone(), on, leaving: false }
    }
    /// For the last member of a group that ends.
    #[must_use]
    pub fn leaving(instance: &Instance) -> Self {
        Self { instance: instance.clone(), on: true, leaving: true }
    }
    fn unit(&self) -> String {
        format!("ob-{}.service", self.instance.name)
    }
    fn body(&self) -> String {
        let (base, unit) = (&self.instance.base_dir, self.unit());
        let tag = quote(&format!("# ob:{}", self.instance.name));
        let without = format!("crontab -l 2>/dev/null | grep -vF -e {tag}");
        let root = "root() { if [ \"$(id -u)\" = 0 ]; then \"$@\"; else sudo -n \"$@\"; fi; }\nunits() { [ -d /run/systemd/system ] && { [ \"$(id -u)\" = 0 ] || sudo -n -l systemctl daemon-reload >/dev/null 2>&1; }; }\n";
        if self.on {
            let text = format!(
                "[Unit]\nDescription=seekdb {name}\nAfter=network-online.target\nWants=network-online.target\n[Service]\nType=forking\nExecStart={base}/.ob/start\nPIDFile={base}/run/seekdb.pid\nUser=RUN_USER\nLimitNOFILE=655350\nTimeoutStartSec=120\n[Install]\nWantedBy=multi-user.target\n",
                name = self.instance.name
            );
            let line = quote(&format!(
                "@reboot {base}/.ob/start >/dev/null 2>&1 # ob:{}",
                self.instance.name
            ));
            format!(
                "{root}if units; then printf %s {text} | sed \"s/RUN_USER/$(id -un)/\" | root tee /etc/systemd/system/{unit} >/dev/null && root systemctl daemon-reload && root systemctl enable {unit} || exit 1\nelif command -v crontab >/dev/null; then {{ {without}; echo {line}; }} | crontab - || exit 1\nelse echo 'neither systemd with the rights of `ob sudoers` nor crontab is there' >&2; exit 1; fi\n: > {mark}",
                text = quote(&text),
                mark = self.instance.own("boot"),
            )
        } else {
            format!(
                "{root}if [ -e /etc/systemd/system/{unit} ]; then root systemctl disable {unit} && root rm -f /etc/systemd/system/{unit} && root systemctl daemon-reload || exit 1; fi\nif command -v crontab >/dev/null && crontab -l 2>/dev/null | grep -qF -e {tag}; then left=$({without}); if [ -n \"$left\" ]; then printf '%s\\n' \"$left\" | crontab -; else crontab -r; fi || exit 1; fi\nrm -f {}",
                self.instance.own("boot")
            )
        }
    }
}

#[async_trait]
impl Step for SetBoot {
    fn kind(&self) -> &'static str {
        "set_boot"
    }
    fn title(&self) -> String {
        if self.on {
            format!("start {} with its host", self.instance.show())
        } else {
            format!("do not start {} with its host", self.instance.show())
        }
    }
    fn host(&self) -> &Host {
        &self.instance.host
    }
    fn effects(&self) -> Vec<String> {
        let verb = if self.on { "write and enable" } else { "disable and remove" };
        vec![format!(
            "{verb} /etc/systemd/system/{} (or an @reboot line in the run user's crontab)",
            self.unit()
        )]
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let facts = facts_of(cx, &self.instance).await?;
        if self.on && !self.leaving && facts.member() {
            return Ok(Check::Done);
        }
        Ok(if facts.boot == self.on || !facts.exists && !self.on {
            Check::Done
        } else {
            Check::Needed(format!("it does{}", if facts.boot { "" } else { " not" }))
        })
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        let body = format!("{}{}", facts::lib(&self.instance), self.body());
        cx.effect(self, &body, Duration::from_secs(30)).await.map(drop)
    }
}
