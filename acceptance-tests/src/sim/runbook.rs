//! Checks that the steps that `ob runbook` computes for a change are the steps that run: compares
//! what was planned with the journals, and with the statements that the servers noted.
use anyhow::{Result, bail};
use ob::cli::steps::Line;
use ob::engine::journal::{Entry, Event};

/// A statement in the form in which both sides are compared: lower case, without its secret.
fn bare(statement: &str) -> String {
    let lower = statement.trim().trim_end_matches(';').to_lowercase();
    let lower = lower.split("  --").next().unwrap_or_default();
    lower.split("identified by").next().unwrap_or_default().trim().to_owned()
}

/// Demands that the journal lines `ran` (with their hosts, in order) hold the steps of `planned`,
/// each after the steps that it waits for, and that the runbook has every statement of the
/// `ledger`.
///
/// # Errors
/// The two differ.
pub fn compare(planned: &[Vec<Line>], ran: &[(String, Entry)], ledger: &[String]) -> Result<()> {
    let at = |host: &str, title: &str, events: &[Event]| {
        ran.iter().position(|(h, e)| h == host && e.title == title && events.contains(&e.event))
    };
    let mut wrong = Vec::new();
    let all = || planned.iter().flatten();
    for (_, e) in ran.iter().filter(|(h, e)| {
        e.event == Event::Begin
            && !all().any(|l| l.host == *h && l.title == e.title && l.kind == e.kind)
    }) {
        wrong.push(format!("it ran {:?}, which is in no runbook", e.title));
    }
    for lines in planned {
        for line in lines {
            if at(&line.host, &line.title, &[Event::Begin]).is_none()
                && !ran.iter().any(|(_, e)| e.event == Event::Skip && e.title == line.title)
            {
                wrong.push(format!("the runbook has {:?}, which did not run", line.title));
            }
            let Some(begun) = at(&line.host, &line.title, &[Event::Begin]) else { continue };
            for before in line.after.iter().filter_map(|n| lines.get(n - 1)) {
                if at(&before.host, &before.title, &[Event::End])
                    .is_some_and(|ended| ended > begun && before.host == line.host)
                {
                    wrong.push(format!(
                        "{:?} began before {:?} had ended",
                        line.title, before.title
                    ));
                }
            }
        }
    }
    let effects: Vec<String> =
        all().flat_map(|l| &l.effects).flat_map(|e| e.lines()).map(bare).collect();
    for statement in ledger
        .iter()
        .filter(|s| !["start", "first start"].contains(&s.as_str()) && !effects.contains(&bare(s)))
    {
        wrong.push(format!("a server ran {statement:?}, which is in no runbook"));
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        bail!("the runbook is not what ran: {}", wrong.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize, title: &str, after: &[usize]) -> Line {
        Line {
            number,
            kind: "k".into(),
            title: title.into(),
            host: "h".into(),
            effects: vec![format!("DO {title}")],
            program: None,
            impact: Vec::new(),
            irreversible: false,
            after: after.into(),
            way_back: Vec::new(),
        }
    }

    fn entry(event: Event, title: &str) -> (String, Entry) {
        let entry = Entry {
            v: 1,
            op: "o".into(),
            event,
            step: 1,
            of: 2,
            kind: "k".into(),
            title: title.into(),
            lease: 1,
            who: String::new(),
            authority: String::new(),
            epoch: 0,
            engine: None,
            nodes: Vec::new(),
            object: String::new(),
            titles: Vec::new(),
            note: String::new(),
        };
        ("h".into(), entry)
    }

    #[test]
    fn each_difference_between_runbook_and_run_is_told() {
        let planned = [vec![line(1, "a", &[]), line(2, "b", &[1])]];
        let run =
            |events: &[(Event, &str)]| events.iter().map(|(e, t)| entry(*e, t)).collect::<Vec<_>>();
        let (begin, end) = (Event::Begin, Event::End);
        let good = run(&[(begin, "a"), (end, "a"), (begin, "b"), (end, "b")]);
        assert!(compare(&planned, &good, &["do a".into(), "start".into()]).is_ok());
        for (ran, ledger, word) in [
            (run(&[(begin, "a"), (end, "a")]), "do a", "\"b\", which did not run"),
            (run(&[(begin, "b"), (end, "b"), (begin, "a"), (end, "a")]), "do a", "began before"),
            (
                run(&[(begin, "a"), (end, "a"), (begin, "b"), (end, "b"), (begin, "c")]),
                "do a",
                "\"c\", which is in no runbook",
            ),
            (good, "do c", "a server ran \"do c\""),
        ] {
            let said = compare(&planned, &ran, &[ledger.into()]).map_err(|e| e.to_string());
            assert!(said.as_ref().is_err_and(|e| e.contains(word)), "{word}: {said:?}");
        }
    }
}
