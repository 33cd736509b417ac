//! Reads the programs that hosts received as effects back from the scripts on their way, and
//! compares them with the runbook.
use anyhow::{Context, Result, bail};
use ob::cli::steps::{Line, sha256};
use ob::engine::gate::{BEGIN, END};

/// A program as a host received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The host's name.
    pub host: String,
    /// The program's file name.
    pub name: String,
    /// Digest of its text.
    pub sha256: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// The effects in a script for `host`; none in a script that only looks.
///
/// # Errors
/// An effect does not have the form of effects.
pub fn effects(host: &str, script: &str) -> Result<Vec<Received>> {
    let mut found = Vec::new();
    for part in script.split(BEGIN).skip(1) {
        let (part, _) = part.split_once(END).context("an effect without its end")?;
        let (name, rest) = part.split_once('\n').context("an effect without a name")?;
        let rest = rest.strip_prefix("(\numask 022\nset -- ").context("no arguments")?;
        let (arguments, text) = words(rest)?;
        let end = text.rfind("\n)").context("a program without its end")?;
        let (host, name) = (host.to_owned(), name.to_owned());
        found.push(Received { host, name, sha256: sha256(&text[..end]), arguments });
    }
    Ok(found)
}

/// The quoted words at the beginning of `text`, up to the end of their line, and the text after
/// that line.
fn words(text: &str) -> Result<(Vec<String>, &str)> {
    let (mut words, mut word, mut open) = (Vec::new(), String::new(), false);
    let mut chars = text.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '\n' => {
                words.extend(open.then(|| std::mem::take(&mut word)));
                return Ok((words, &text[i + 1..]));
            }
            ' ' => {
                words.extend(open.then(|| std::mem::take(&mut word)));
                open = false;
            }
            '\'' => {
                open = true;
                word.extend(chars.by_ref().map(|(_, c)| c).take_while(|c| *c != '\''));
            }
            '\\' => word.extend(chars.next().map(|(_, c)| c)),
            c => {
                open = true;
                word.push(c);
            }
        }
    }
    bail!("the arguments do not end")
}

/// Demands that the runbook of a host has each program that the host received, to the letter except
/// for named values, and that the host received each program that `ran` there.
///
/// # Errors
/// The two differ.
pub fn compare(
    planned: &[Vec<Line>],
    received: &[Received],
    ran: impl Fn(&Line) -> bool,
) -> Result<()> {
    let lines = || planned.iter().flatten().filter_map(|l| Some((l, l.program.as_ref()?)));
    let same = |l: &Line, p: &ob::cli::steps::Program, r: &Received| {
        l.host == r.host
            && p.name == r.name
            && p.sha256 == r.sha256
            && p.arguments.len() == r.arguments.len()
            && p.arguments.iter().zip(&r.arguments).all(|(p, r)| fits(p, r))
    };
    if let Some(r) = received.iter().find(|r| !lines().any(|(l, p)| same(l, p, r))) {
        bail!("host {} received {} {:?}, which is in no runbook", r.host, r.name, r.arguments);
    }
    let missing = |l: &Line, p| ran(l) && !received.iter().any(|r| same(l, p, r));
    if let Some((l, p)) = lines().find(|(l, p)| missing(l, p)) {
        bail!("the runbook has {} for {:?}, which no host received", p.name, l.title);
    }
    Ok(())
}

/// Whether a value matches what the runbook shows; `<name>` matches anything.
fn fits(shown: &str, value: &str) -> bool {
    let Some((before, rest)) = shown.split_once('<') else { return shown == value };
    let Some((_, after)) = rest.split_once('>') else { return shown == value };
    if shown == value {
        return true;
    }
    let Some(rest) = value.strip_prefix(before) else { return false };
    (0..=rest.len()).filter(|i| rest.is_char_boundary(*i)).any(|i| fits(after, &rest[i..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ob::cli::steps::Program;
    use ob::engine::gate::{Body, Lines, effect};
    use ob::engine::journal::{Entry, Event};
    use ob::engine::{StepKind, Values};

    const STOP: ob::engine::Program =
        ob::engine::Program::of("stop.sh", &["lib\n", "sdb_end \"$2\"\n"]);

    fn line(program: &ob::engine::Program) -> Line {
        let effect = ob::engine::Effect::Shell(program.clone());
        Line {
            number: 1,
            kind: "stop".into(),
            title: "stop".into(),
            host: "h".into(),
            effects: Vec::new(),
            program: Program::of(&effect),
            impact: Vec::new(),
            irreversible: false,
            after: Vec::new(),
            way_back: Vec::new(),
        }
    }

    fn script(program: &ob::engine::Program) -> String {
        let entry: Entry = serde_json::from_value(serde_json::json!({
            "v": 1, "op": "o", "event": Event::Begin, "step": 1, "of": 1
        }))
        .unwrap();
        let lines = Lines {
            journal: "o.log",
            before: &[],
            end: &entry,
            fail: &entry,
            kind: StepKind("stop"),
        };
        let text = program.script(&Values::default()).unwrap();
        effect(&[], &lines, &Body { name: program.name, text: &text }, "echo 'set -- x'\n")
    }

    #[test]
    fn what_a_host_received_is_what_the_runbook_has_shown() {
        let good = STOP.arg("/data/a b's\nx").arg("300");
        let planned = [vec![line(&good)]];
        let check = |script: &str| {
            let received = effects("h", script).unwrap();
            compare(&planned, &received, |_| true)
        };
        check(&script(&good)).unwrap();
        assert!(effects("h", "echo no effect").unwrap().is_empty());
        for (planted, why) in [
            (script(&good).replace("sdb_end", "sdb_end_too"), "another text"),
            (script(&good).replace("lib\n", "rm -rf /\n"), "another library"),
            (script(&good).replace(" 300", " 0"), "another argument"),
            (script(&good).replace(" 300", " 300 more"), "one more argument"),
            (script(&good).replace("stop.sh", "start.sh"), "another name"),
            ("echo nothing".to_owned(), "nothing at all"),
        ] {
            assert!(check(&planted).is_err(), "{why}");
        }
    }

    #[test]
    fn a_named_value_stands_for_anything() {
        for (shown, value, good) in [
            ("a", "a", true),
            ("a", "b", false),
            ("<x>", "anything\nat all", true),
            ("{\"owner\":<owner>,\"n\":1}", "{\"owner\":\"me\",\"n\":1}", true),
            ("{\"owner\":<owner>,\"n\":1}", "{\"owner\":\"me\",\"n\":2}", false),
            ("echo </dev/null", "echo </dev/null", true),
        ] {
            assert_eq!(fits(shown, value), good, "{shown} {value}");
        }
    }
}
