//! Shows a graph as a runbook: every step with the exact shell and SQL, what it does to users, and
//! the way back.
use crate::component::mysql::Statement;
use crate::engine::{Effect, Graph, Step};
use serde::Serialize;
use std::fmt::Write;

/// One step of a runbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Line {
    /// Number from 1.
    pub number: usize,
    /// Step type.
    pub kind: String,
    /// Title, as everywhere.
    pub title: String,
    /// Host.
    pub host: String,
    /// What it does, values and secrets as names.
    pub effects: Vec<String>,
    /// The program that its host receives, if it is one.
    pub program: Option<Program>,
    /// What it does to users.
    pub impact: Vec<String>,
    /// No way back.
    pub irreversible: bool,
    /// Numbers of the steps it waits for.
    pub after: Vec<usize>,
    /// Steps that lead back when it fails.
    pub way_back: Vec<Back>,
}

/// A shell program as a host receives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Program {
    /// Its file name.
    pub name: String,
    /// Digest of its text, what it needs of others included: 64 hex digits.
    pub sha256: String,
    /// Its arguments; a value that only a run knows stands as `<name>`.
    pub arguments: Vec<String>,
}

impl Program {
    /// The program of an effect, if it has one.
    #[must_use]
    pub fn of(effect: &Effect) -> Option<Self> {
        let program = effect.program()?;
        let sha256 = sha256(&program.text());
        Some(Self { name: program.name.into(), sha256, arguments: program.shown() })
    }
}

/// The digest by which runbooks name a program: 64 hex digits.
#[must_use]
pub fn sha256(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// A step of a way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Back {
    /// Title.
    pub title: String,
    /// Shell and SQL.
    pub effects: Vec<String>,
}

/// The steps of a graph.
#[must_use]
pub fn lines(graph: &Graph) -> Vec<Line> {
    let back =
        |s: &std::sync::Arc<dyn Step>| Back { title: s.title(), effects: s.effect().lines() };
    let line = |(n, node): (usize, &crate::engine::graph::Node)| Line {
        number: n + 1,
        kind: node.step.kind().as_str().to_owned(),
        title: node.step.title(),
        host: node.step.host().endpoint.name.clone(),
        effects: node.step.effect().lines(),
        program: Program::of(&node.step.effect()),
        impact: node.step.impact().iter().map(|i| i.as_str().to_owned()).collect(),
        irreversible: node.step.irreversible(),
        after: node.after.iter().map(|a| a.0 + 1).collect(),
        way_back: node.way_back.iter().map(back).collect(),
    };
    graph.nodes().iter().enumerate().map(line).collect()
}

/// The statements of one session, each as a step. A statement is its own title.
#[must_use]
pub fn statements(all: &[Statement]) -> Vec<Line> {
    let line = |(n, s): (usize, &Statement)| Line {
        number: n + 1,
        kind: "sql".into(),
        title: s.shown.clone(),
        host: String::new(),
        effects: Vec::new(),
        program: None,
        impact: Vec::new(),
        irreversible: false,
        after: if n == 0 { Vec::new() } else { vec![n] },
        way_back: Vec::new(),
    };
    all.iter().enumerate().map(line).collect()
}

/// What all steps together do to users.
#[must_use]
pub fn impact(graph: &Graph) -> Vec<String> {
    graph.impact().into_iter().map(|i| i.as_str().to_owned()).collect()
}

/// The number, title and impact of a step.
fn head(line: &Line) -> String {
    let mut notes = line.impact.clone();
    if line.irreversible {
        notes.push("cannot be undone".into());
    }
    let notes = if notes.is_empty() { String::new() } else { format!("   [{}]", notes.join(", ")) };
    format!("  {:>2}  {}{notes}", line.number, line.title)
}

/// The steps by their titles alone.
#[must_use]
pub fn titles(lines: &[Line]) -> String {
    lines.iter().map(|line| head(line) + "\n").collect()
}

/// The steps as indented text.
#[must_use]
pub fn show(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        let _ = writeln!(text, "{}", head(line));
        for effect in line.effects.iter().flat_map(|e| e.lines()) {
            let _ = writeln!(text, "        {effect}");
        }
        if !line.way_back.is_empty() {
            let _ = writeln!(text, "      if it fails, back by:");
            for back in &line.way_back {
                let _ = writeln!(text, "        {}", back.title);
                for effect in back.effects.iter().flat_map(|e| e.lines()) {
                    let _ = writeln!(text, "          {effect}");
                }
            }
        }
    }
    text
}
