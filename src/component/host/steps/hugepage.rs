//! Transparent huge pages: sets them in the running kernel and, where systemd runs, by a unit for
//! the next boot.
use super::super::Site;
use super::{Seen, header_template, id, prepare};
use crate::base::Problem;
use crate::engine::{Check, Cx, Effect, Host, Step, StepId};
use crate::transport::sudo::HUGEPAGE;
use async_trait::async_trait;

const FILE: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
const UNIT: &str = HUGEPAGE.0;

/// Sets the mode, or sets it back to what it was before.
#[derive(Clone, Debug)]
pub struct SetHugepage {
    /// The host.
    pub site: Site,
    /// `never`, `madvise` or `always`; `None` sets the former mode back.
    pub want: Option<String>,
}

async fn look(cx: &Cx, site: &Site) -> Result<Seen, Problem> {
    Seen::read(cx, site, &prepare!("look_hugepage.sh").args([FILE, UNIT])).await
}

/// The word in brackets: the kernel prints all words and puts the current one in brackets.
fn current(text: &str) -> &str {
    text.split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .map_or(text.trim(), |(word, _)| word)
}

/// The unit's text after its first line.
fn unit(want: &str) -> String {
    format!(
        "[Unit]\nDescription=Transparent huge pages: {want}\nDefaultDependencies=no\n\
         After=sysinit.target local-fs.target\nBefore=basic.target\n[Service]\nType=oneshot\n\
         RemainAfterExit=yes\nExecStart=/bin/sh -c 'echo {want} > {FILE}'\n[Install]\n\
         WantedBy=basic.target\n"
    )
}

#[async_trait]
impl Step for SetHugepage {
    fn id(&self) -> StepId {
        id("set_hugepage", &self.site).about(self.want.as_deref().unwrap_or("back"))
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
    fn effect(&self) -> Effect {
        Effect::Shell(match &self.want {
            Some(want) => {
                let text = header_template(&self.site).then(format!("\n{}", unit(want)));
                prepare!("set_hugepage.sh").args([FILE, UNIT, want]).arg(text)
            }
            None => {
                let program = prepare!("unset_hugepage.sh").args([FILE, UNIT]);
                program.arg(header_template(&self.site))
            }
        })
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let seen = look(cx, &self.site).await?;
        let ours = seen.record.get("thp").is_some();
        let Some(want) = &self.want else {
            return Ok(if ours { Check::Needed("it was changed".into()) } else { Check::Done });
        };
        // This kernel has no transparent huge pages, so there is nothing to set.
        if !seen.has("now") {
            return Ok(Check::Done);
        }
        if let Some(problem) = seen.foreign(&self.site, UNIT, &seen.file("unit.")) {
            return Ok(Check::Refused(problem));
        }
        let now = current(seen.get("now"));
        if now != want {
            return Ok(Check::Needed(format!("transparent huge pages are {now}, not {want}")));
        }
        if ours
            && seen.has("systemd")
            && seen.file("unit.") != seen.header(&self.site) + &unit(want)
        {
            return Ok(Check::Needed(format!("{UNIT} does not set it at boot")));
        }
        Ok(Check::Done)
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
