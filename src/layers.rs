//! Imports point downwards only; this test reads the `crate::` paths of every file and fails on an
//! upward one.
use std::path::{Path, PathBuf};

/// The layers, lowest first. A file may use its own layer and lower ones.
const LAYERS: [&str; 9] = [
    "base",
    "schema",
    "transport",
    "engine",
    "component",
    "resource",
    "operate",
    "provider",
    "cli",
];

/// `schema` needs only `base`, `protocol` these two; neither knows OceanBase.
fn may_use(layer: &str, other: &str) -> bool {
    let rank = |l: &str| LAYERS.iter().position(|x| *x == l);
    match (layer, other) {
        (a, b) if a == b => true,
        ("schema", b) => b == "base",
        ("protocol", b) => b == "base" || b == "schema",
        ("provider", "protocol") => true,
        // The plugin serves resources; what an operator does with objects is not its business.
        ("provider", "operate") => false,
        ("transport" | "engine", "schema") => false,
        (a, b) => matches!((rank(a), rank(b)), (Some(x), Some(y)) if y < x),
    }
}

fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, out)
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path)
        }
    }
}

#[test]
fn imports_point_downwards_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&src, &mut all);
    let mut wrong = Vec::new();
    for file in &all {
        let inside = file.strip_prefix(&src).unwrap();
        let layer = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let name = file.file_name().unwrap().to_str().unwrap();
        // Tests may look wherever they like; binaries sit on top of everything.
        if name.contains("test") || ["bin", "lib", "layers"].contains(&layer) {
            continue;
        }
        for line in std::fs::read_to_string(file)
            .unwrap()
            .lines()
            .filter(|l| !l.trim_start().starts_with("//"))
        {
            for used in line.split("crate::").skip(1) {
                let other: String =
                    used.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                if !may_use(layer, &other)
                    && (LAYERS.contains(&other.as_str()) || other == "protocol")
                {
                    wrong.push(format!(
                        "{}: {layer} uses {other}: {}",
                        inside.display(),
                        line.trim()
                    ));
                }
            }
        }
    }
    assert!(all.len() > 50, "the sources were found");
    // A folder that is no layer would be held to nothing.
    let folders = std::fs::read_dir(&src).unwrap().flatten().filter(|e| e.path().is_dir());
    for name in folders.map(|e| e.file_name().into_string().unwrap()) {
        let known = LAYERS.contains(&name.as_str()) || ["protocol", "bin"].contains(&&*name);
        assert!(known, "src/{name} is in no layer");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_upward_edge_would_be_seen() {
    for (layer, other, ok) in [
        ("engine", "component", false),
        ("base", "transport", false),
        ("schema", "transport", false),
        ("protocol", "resource", false),
        ("component", "engine", true),
        ("provider", "protocol", true),
        ("resource", "operate", false),
        ("provider", "operate", false),
        ("operate", "resource", true),
        ("cli", "provider", true),
    ] {
        assert_eq!(may_use(layer, other), ok, "{layer} → {other}");
    }
}

#[test]
fn nothing_below_the_cli_prints_or_ends_the_process() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    for layer in LAYERS.into_iter().filter(|l| *l != "cli") {
        files(&src.join(layer), &mut all);
    }
    for file in all.iter().filter(|f| !f.file_name().unwrap().to_str().unwrap().contains("test")) {
        let text = std::fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for word in ["println!", "eprintln!", "process::exit", "home_dir"] {
            let used = code.lines().any(|l| !l.trim_start().starts_with("//") && l.contains(word));
            assert!(!used || file.ends_with("serve.rs"), "{} uses {word}", file.display());
        }
    }
}

/// Engines by name: nobody above the seam knows one.
#[test]
fn nothing_above_the_components_names_an_engine() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    for layer in ["resource", "operate", "provider", "cli"] {
        files(&src.join(layer), &mut all);
    }
    let named = |text: &str| {
        let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
        let words = ["component::seekdb", "Engine::Seekdb", "seekdb::"];
        let line = code
            .lines()
            .find(|l| !l.trim_start().starts_with("//") && words.iter().any(|w| l.contains(w)));
        line.map(str::to_owned)
    };
    assert!(named("use crate::component::seekdb::pair;\n").is_some(), "one would be seen");
    for file in all.iter().filter(|f| !f.file_name().unwrap().to_str().unwrap().contains("test")) {
        let found = named(&std::fs::read_to_string(file).unwrap());
        assert_eq!(found, None, "{}", file.display());
    }
}

/// Decisions are made by types: a word is for people, and may be changed by whoever finds a better
/// one.
#[test]
fn nothing_is_decided_by_comparing_words() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&src, &mut all);
    let found = |text: &str| {
        let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
        let word = |l: &&str| {
            let compared = [" == \"", " != \"", "== Some(\"", "!= Some(\"", "contains(\""];
            let subject = [
                "kind()", "title()", "titles()", "outcome", "as_str()", "what", "why", "status)",
                "status",
            ];
            let before = |at: usize| l[..at].trim_end().trim_end_matches(['=', '!', ' ', '.']);
            compared.iter().any(|c| {
                l.match_indices(c).any(|(at, _)| subject.iter().any(|s| before(at).ends_with(s)))
            })
        };
        let mut lines = code.lines().filter(|l| !l.trim_start().starts_with("//"));
        lines.find(word).map(str::to_owned)
    };
    for planted in [
        "if step.kind() == \"promote\" {",
        "graph.titles().contains(\"open\")",
        "if state.as_str() != \"running\" {",
        "whole.outcome == Some(\"done\")",
        "set_text(&state.status) != Some(\"unreachable\")",
    ] {
        assert!(found(planted).is_some(), "{planted} would be seen");
    }
    for file in all.iter().filter(|f| !f.file_name().unwrap().to_str().unwrap().contains("test")) {
        let line = found(&std::fs::read_to_string(file).unwrap());
        assert_eq!(line, None, "{}", file.display());
    }
}
