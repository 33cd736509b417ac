//! Kernel settings, in a file of our own. The record notes each former value, so that the setting
//! can be set back.
use super::super::Site;
use super::super::rules::{Rules, normal};
use super::{Seen, id, prepare};
use crate::base::Problem;
use crate::engine::{Check, Cx, Effect, Host, Name, Step, StepId, Template, Values};
use crate::transport::sudo::SYSCTL as FILE;
use async_trait::async_trait;
use std::collections::BTreeMap;

/// Name of a value: the notes that are written before anything is set.
const NOTES: Name = Name("each setting that differs: its old value > its new one");
/// Name of a value: our file, including the settings that are set back.
const BOTH: Name = Name("the file, with what is set back");
/// Name of a value: our file as it stays in the end.
const STAYS: Name = Name("the file, only what differs");
/// Name of a value: the notes that are removed in the end.
const FORGET: Name = Name("settings that are no longer asked for");

/// Sets each setting that differs from its rule, and sets back each setting of ours that no rule
/// asks for any more.
#[derive(Clone, Debug)]
pub struct SetSysctl {
    /// The host.
    pub site: Site,
    /// The rules; an empty set sets everything back and removes the file.
    pub rules: Rules,
}

/// What is to be done, computed from what was seen: pure.
#[derive(Debug, Default, PartialEq, Eq)]
struct Work {
    /// The lines that our file shall have.
    file: BTreeMap<String, String>,
    /// Notes `old>new` that are written first.
    notes: BTreeMap<String, String>,
    /// Settings to set back.
    back: BTreeMap<String, String>,
    /// Settings whose notes are removed in the end.
    forget: Vec<String>,
    /// What is not as it shall be.
    why: Vec<String>,
    /// Settings that the user named and that this kernel does not have or cannot change.
    missing: Vec<String>,
}

async fn look(cx: &Cx, step: &SetSysctl) -> Result<Seen, Problem> {
    // Only the host knows which settings are noted; only this machine knows those of the rules.
    let program = prepare!("look_sysctl.sh").arg(FILE).args(step.rules.keys());
    Seen::read(cx, &step.site, &program).await
}

impl SetSysctl {
    fn work(&self, seen: &Seen) -> Work {
        let mut work = Work::default();
        let memory = seen.get("memory").trim().parse().unwrap_or(0);
        let lines: BTreeMap<_, _> = seen
            .file("file.")
            .lines()
            .filter(|l| !l.starts_with('#'))
            .filter_map(|l| l.split_once('='))
            .map(|(k, v)| (k.trim().to_owned(), normal(v)))
            .collect();
        let noted = |key: &str| {
            seen.record
                .get(&format!("sysctl.{key}"))
                .and_then(|n| n.split_once('>'))
                .map(|(old, new)| (old.to_owned(), new.to_owned()))
        };
        let now = |key: &str| seen.facts.get(&format!("now.{key}")).map(|v| normal(v));
        for (key, (want, named)) in &self.rules {
            // The setting does not exist, or is read-only, as much of net.core is in a container.
            // One that comes from a profile is left out; one that the user named is an error.
            let fixed = seen.has(&format!("fixed.{key}"));
            let Some(now) = now(key).filter(|now| !fixed || want.holds(now)) else {
                if *named {
                    work.missing.push(key.clone());
                }
                continue;
            };
            let note = noted(key);
            let value = match &note {
                _ if !want.holds(&now) => {
                    work.why.push(format!("{key} is {now}, not {}", want.show()));
                    want.value(memory)
                }
                Some((_, set)) if want.holds(set) => set.clone(),
                Some(_) => now.clone(),
                None => continue,
            };
            if want.holds(&now) && lines.get(key) != Some(&value) {
                work.why
                    .push(format!("{key} is {now}, but {FILE} does not say so for the next boot"));
            }
            let old = note.as_ref().map_or(now, |(old, _)| old.clone());
            if note != Some((old.clone(), value.clone())) {
                work.notes.insert(key.clone(), format!("{old}>{value}"));
            }
            work.file.insert(key.clone(), value);
        }
        for (key, _) in
            seen.record.below("sysctl.").filter(|(key, _)| !self.rules.contains_key(*key))
        {
            work.why.push(format!("{key} is no longer asked for"));
            work.forget.push(key.to_owned());
            // If somebody else has set it meanwhile, it is not ours to set back.
            if let Some((old, set)) = noted(key)
                && now(key).as_ref() == Some(&set)
            {
                work.back.insert(key.to_owned(), old);
            }
        }
        if work.why.is_empty() && lines != work.file {
            work.why.push(format!("{FILE} holds other lines"));
        }
        work
    }
}

fn text(header: &str, lines: &BTreeMap<String, String>) -> String {
    lines.iter().fold(header.to_owned(), |text, (k, v)| format!("{text}{k} = {v}\n"))
}

#[async_trait]
impl Step for SetSysctl {
    fn id(&self) -> StepId {
        id("set_sysctl", &self.site).about(if self.rules.is_empty() { "back" } else { "set" })
    }
    fn title(&self) -> String {
        if self.rules.is_empty() {
            format!("set kernel settings back on {}", self.site.name)
        } else {
            format!("set kernel settings on {}", self.site.name)
        }
    }
    fn host(&self) -> &Host {
        &self.site.host
    }
    fn effect(&self) -> Effect {
        let values = [NOTES, BOTH, STAYS, FORGET].map(Template::value);
        Effect::Shell(prepare!("set_sysctl.sh").arg(FILE).args(values))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        let seen = look(cx, self).await?;
        let content = seen.file("file.");
        let work = self.work(&seen);
        let used = !work.file.is_empty() || seen.record.below("sysctl.").next().is_some();
        if used && let Some(problem) = seen.foreign(&self.site, FILE, &content) {
            return Ok(Check::Refused(problem));
        }
        if !work.missing.is_empty() {
            return Ok(Check::Refused(
                Problem::user(format!(
                    "host \"{}\" cannot have the kernel setting {}",
                    self.site.name,
                    work.missing.join(", ")
                ))
                .place(self.site.host.endpoint.show())
                .why(
                    "there is no such file below /proc/sys, or it cannot be written (a container \
                     shows the settings of its machine)",
                )
                .fix(
                    "correct the name, load the module that brings it, or set it on the machine \
                     around the container",
                )
                .attribute(["prepare", "sysctl", "values"]),
            ));
        }
        Ok(if work.why.is_empty() || !used {
            Check::Done
        } else {
            Check::Needed(work.why.join("; "))
        })
    }
    async fn values(&self, cx: &Cx) -> Result<Option<Values>, Problem> {
        let seen = look(cx, self).await?;
        let (work, header) = (self.work(&seen), seen.header(&self.site));
        let mut both = work.file.clone();
        both.extend(work.back.clone());
        let whole = |lines: &BTreeMap<String, String>| {
            if lines.is_empty() { String::new() } else { text(&header, lines) }
        };
        let notes: String = work.notes.iter().map(|(k, n)| format!("{k} {n}\n")).collect();
        let forget: String = work.forget.iter().map(|k| format!("{k}\n")).collect();
        let values = Values::default().with(NOTES, notes).with(FORGET, forget);
        Ok(Some(values.with(BOTH, whole(&both)).with(STAYS, whole(&work.file))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::host::record::Record;
    use crate::component::host::rules::rules;
    use crate::transport::{Endpoint, key_values};

    fn work(text: &str, values: &[(&str, &str)]) -> Work {
        let endpoint = Endpoint {
            name: "h".into(),
            address: "h".parse().unwrap(),
            port: 22,
            user: String::new(),
            identity: String::new(),
            host_key: String::new(),
        };
        let site = Site { name: "h".into(), host: Host { endpoint, run_as: String::new() } };
        let values = values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let seen = Seen { text: text.into(), facts: key_values(text), record: Record::parse(text) };
        SetSysctl { site, rules: rules("", &values) }.work(&seen)
    }

    #[test]
    fn only_what_differs_is_written_and_what_was_there_is_noted() {
        let w = work(
            "now.vm.swappiness=60\nnow.vm.overcommit_memory=0\n",
            &[("vm.swappiness", "0"), ("vm.overcommit_memory", "0")],
        );
        assert_eq!(
            (w.file, w.notes),
            (
                [("vm.swappiness".into(), "0".into())].into(),
                [("vm.swappiness".into(), "60>0".into())].into()
            )
        );
        assert_eq!(w.why, ["vm.swappiness is 60, not 0"]);
    }

    #[test]
    fn a_value_changed_by_hand_is_set_again_and_the_first_old_value_stays_noted() {
        let done = "made.sysctl.vm.swappiness=60>0\nfile.vm.swappiness = 0\n";
        assert_eq!(
            work(&format!("{done}now.vm.swappiness=0\n"), &[("vm.swappiness", "0")]).why,
            [""; 0]
        );
        let w = work(&format!("{done}now.vm.swappiness=30\n"), &[("vm.swappiness", "0")]);
        assert_eq!((w.why, w.notes.len()), (vec!["vm.swappiness is 30, not 0".to_owned()], 0));
        let lost = work(
            "made.sysctl.vm.swappiness=60>0\nnow.vm.swappiness=0\n",
            &[("vm.swappiness", "0")],
        );
        assert!(lost.why[0].contains("next boot"), "{lost:?}");
    }

    #[test]
    fn what_is_no_longer_asked_for_goes_back_unless_somebody_else_set_it() {
        let w = work(
            "made.sysctl.vm.swappiness=60>0\nfile.vm.swappiness = 0\nnow.vm.swappiness=0\n",
            &[],
        );
        assert_eq!(
            (w.back, w.forget.len(), w.file.len()),
            ([("vm.swappiness".into(), "60".into())].into(), 1, 0)
        );
        let w = work("made.sysctl.vm.swappiness=60>0\nnow.vm.swappiness=5\n", &[]);
        assert_eq!((w.back.len(), w.forget), (0, vec!["vm.swappiness".to_owned()]));
    }

    #[test]
    fn a_named_setting_must_exist_and_be_writable() {
        assert_eq!(work("", &[("vm.none", "1")]).missing, ["vm.none"]);
        assert_eq!(work("now.vm.x=2\nfixed.vm.x=1\n", &[("vm.x", "1")]).missing, ["vm.x"]);
        assert_eq!(work("now.vm.x=1\nfixed.vm.x=1\n", &[("vm.x", "1")]).missing, [""; 0]);
    }
}
