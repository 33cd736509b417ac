//! Transparent huge pages: the running kernel, and a unit for the next boot where systemd runs.
use super::super::Site;
use super::{LIMIT, Seen, lib, tee};
use crate::base::Problem;
use crate::base::shell::quote;
use crate::engine::{Check, Cx, Host, Step};
use async_trait::async_trait;

const FILE: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
const UNIT: &str = "ob-host.thp.service";

/// Sets them, or sets back what was there before.
#[derive(Clone, Debug)]
pub struct SetHugepage {
    /// Which host.
    pub site: Site,
    /// `never`, `madvise`, `always`; `None` sets back.
    pub want: Option<String>,
}

async fn look(cx: &Cx, site: &Site) -> Result<Seen, Problem> {
    let script = format!(
        "[ ! -r {FILE} ] || printf 'now=%s\\n' \"$(cat {FILE})\"\n[ ! -d /run/systemd/system ] || echo systemd=1\n[ ! -e /etc/systemd/system/{UNIT} ] || sed 's/^/unit./' /etc/systemd/system/{UNIT}"
    );
    Seen::read(cx, site, &script).await
}

/// The word in brackets; a kernel prints all words and brackets the one that holds.
fn current(text: &str) -> &str {
    text.split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .map_or(text.trim(), |(word, _)| word)
}

fn unit(site: &Site, seen: &Seen, want: &str) -> String {
    format!(
        "{}[Unit]\nDescription=Transparent huge pages: {want}\nDefaultDependencies=no\nAfter=sysinit.target local-fs.target\nBefore=basic.target\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'echo {want} > {FILE}'\n[Install]\nWantedBy=basic.target\n",
        seen.header(site)
    )
}

#[async_trait]
impl Step for SetHugepage {
    fn kind(&self) -> &'static str {
        "set_hugepage"
    }
    fn title(&self) -> String {
        match &self.want {
            Some(want) => format!("set transparent huge pages to {want} on {}", self.site.name),
            None => format!("set transparent huge pages back on {}", self.site.name),
        }
    }
    fn host(&self) -> &Host {
        &self.site.host
    }
    fn effects(&self) -> Vec<String> {
        match &self.want {
            Some(want) => vec![
                format!("echo {want} > {FILE}"),
                format!("write and enable /etc/systemd/system/{UNIT}  # where systemd runs"),
            ],
            None => vec![
                format!("echo FORMER_VALUE > {FILE}"),
                format!("disable and remove /etc/systemd/system/{UNIT}"),
            ],
        }
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let seen = look(cx, &self.site).await?;
        let ours = seen.record.get("thp").is_some();
        let Some(want) = &self.want else {
            return Ok(if ours { Check::Needed("it was changed".into()) } else { Check::Done });
        };
        // A kernel without them has nothing to set.
        if !seen.has("now") {
            return Ok(Check::Done);
        }
        let now = current(seen.get("now"));
        if now != want {
            return Ok(Check::Needed(format!("transparent huge pages are {now}, not {want}")));
        }
        if ours && seen.has("systemd") && seen.file("unit.") != unit(&self.site, &seen, want) {
            return Ok(Check::Needed(format!("{UNIT} does not set it at boot")));
        }
        Ok(Check::Done)
    }
    async fn apply(&self, cx: &Cx) -> Result<(), Problem> {
        let seen = look(cx, &self.site).await?;
        let (lib, now) = (lib(&self.site), current(seen.get("now")));
        let body = if let Some(want) = &self.want {
            let old =
                seen.record.get("thp").map_or(now, |noted| noted.split('>').next().unwrap_or(now));
            let boot = if seen.has("systemd") {
                format!(
                    " && {} && root systemctl daemon-reload && root systemctl enable {UNIT}",
                    tee(&format!("/etc/systemd/system/{UNIT}"), &unit(&self.site, &seen, want))
                )
            } else {
                String::new()
            };
            format!(
                "{lib}ob_note thp {} && echo {} | root tee {FILE} >/dev/null{boot}",
                quote(&format!("{old}>{want}")),
                quote(want)
            )
        } else {
            // Set by somebody else meanwhile: not ours to set back.
            let (old, set) = seen.record.text("thp").split_once('>').unwrap_or_default();
            let back = if now == set && !old.is_empty() {
                format!("echo {} | root tee {FILE} >/dev/null && ", quote(old))
            } else {
                String::new()
            };
            format!(
                "{lib}if [ -e /etc/systemd/system/{UNIT} ]; then root systemctl disable {UNIT} && root rm -f /etc/systemd/system/{UNIT} && root systemctl daemon-reload || exit 1; fi\n{back}ob_forget thp"
            )
        };
        cx.effect(self, &body, LIMIT).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_word_in_brackets_holds() {
        for (text, want) in [
            ("always madvise [never]", "never"),
            ("[always] madvise never\n", "always"),
            ("never\n", "never"),
            ("", ""),
        ] {
            assert_eq!(super::current(text), want, "{text:?}");
        }
    }
}
