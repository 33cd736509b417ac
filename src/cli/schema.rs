//! `ob schema write`: schemas/*.json and the registry pages under docs/, written by the program and
//! checked in CI.
use super::output::{End, Out};
use super::pages;
use super::runbook::Part;
use crate::base::Problem;
use crate::component::database::Group;
use crate::engine::history::Record;
use crate::engine::journal::Entry;
use crate::engine::mark::Mark;
use crate::operate::Kit;
use crate::operate::inventory::Gate;
use crate::provider::document::{Document, Page, Row};
use crate::transport::Pool;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What to do with schemas.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Writes schemas/*.json and docs/.
    Write {
        /// Writes nothing; exit status 2 when a file differs.
        #[arg(long)]
        check: bool,
        /// Root of the repository.
        #[arg(long, default_value = ".")]
        root: PathBuf,
    },
}

/// Runs `ob schema`.
///
/// # Errors
/// A file cannot be written.
pub fn run(out: &Out, verb: Verb) -> Result<End, Problem> {
    let Verb::Write { check, root } = verb;
    let registry =
        crate::provider::registry(std::sync::Arc::new(|ssh, cancel| Pool::new(ssh, cancel)));
    let document = crate::provider::schema_document(&registry);
    let mut files = schemas(&document);
    files.extend(pages::pages(&document, &|path| std::fs::read_to_string(root.join(path)).ok()));
    let differ: Vec<_> = files
        .iter()
        .filter(|(path, text)| std::fs::read_to_string(root.join(path)).ok().as_ref() != Some(text))
        .map(|(path, _)| path.clone())
        .collect();
    let stale = stale(&root, &files);
    if !check {
        for path in &differ {
            let to = root.join(path);
            let bad = |e: std::io::Error| {
                Problem::user(format!("cannot write {}", to.display()))
                    .why(e.to_string())
                    .fix("give --root the root of the repository")
            };
            to.parent()
                .map_or(Ok(()), std::fs::create_dir_all)
                .and_then(|()| std::fs::write(&to, &files[path]))
                .map_err(bad)?;
        }
        for path in &stale {
            std::fs::remove_file(root.join(path))
                .map_err(|e| Problem::user(format!("cannot remove {path}")).why(e.to_string()))?;
        }
    }
    let word = if check { "differs" } else { "wrote" };
    out.data(&json!({ "differ": differ, "stale": stale }), || {
        let lines = differ.iter().map(|p| format!("{word} {p}")).chain(
            stale.iter().map(|p| format!("{} {p}", if check { "no type has" } else { "removed" })),
        );
        let text = lines.collect::<Vec<_>>().join("\n");
        if text.is_empty() { format!("{} files are as they should be", files.len()) } else { text }
    })?;
    Ok(if check && !(differ.is_empty() && stale.is_empty()) { End::Pending } else { End::Done })
}

/// Pages of types that do not exist any more.
fn stale(root: &std::path::Path, files: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for dir in ["docs/resources", "docs/data-sources"] {
        for entry in std::fs::read_dir(root.join(dir)).into_iter().flatten().flatten() {
            let path = format!("{dir}/{}", entry.file_name().to_string_lossy());
            if path.ends_with(".md") && !files.contains_key(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The JSON schemas by file name.
#[must_use]
pub fn schemas(document: &Document) -> BTreeMap<String, String> {
    let pretty = |json: &Json| serde_json::to_string_pretty(json).unwrap_or_default() + "\n";
    let of = |schema: schemars::Schema| pretty(schema.as_value());
    [
        ("provider", pretty(&provider(document))),
        ("journal", of(schemars::schema_for!(Entry))),
        ("operation", of(schemars::schema_for!(Record))),
        ("mark", of(schemars::schema_for!(Mark))),
        ("group", of(schemars::schema_for!(Group))),
        ("gate", of(schemars::schema_for!(Gate))),
        ("kit", of(schemars::schema_for!(Kit))),
        ("runbook", of(schemars::schema_for!(Vec<Part>))),
    ]
    .into_iter()
    .map(|(name, text)| (format!("schemas/{name}.json"), text))
    .collect()
}

/// The schemas in the form that `terraform providers schema -json` prints.
fn provider(document: &Document) -> Json {
    let all = |pages: &BTreeMap<String, Page>| {
        pages.iter().map(|(name, p)| (name.clone(), schema(p))).collect::<Map<_, _>>()
    };
    let mut own = Map::new();
    own.insert("provider".into(), schema(&document.provider));
    own.insert("resource_schemas".into(), Json::Object(all(&document.resources)));
    if !document.data_sources.is_empty() {
        own.insert("data_source_schemas".into(), Json::Object(all(&document.data_sources)));
    }
    let identities: Map<_, _> = document
        .resources
        .iter()
        .filter(|(_, p)| !p.identity.is_empty())
        .map(|(name, p)| {
            let attributes: Map<_, _> = p
                .identity
                .iter()
                .map(|n| (n.clone(), json!({ "type": "string", "required_for_import": true })))
                .collect();
            (name.clone(), json!({ "version": 0, "attributes": attributes }))
        })
        .collect();
    if !identities.is_empty() {
        own.insert("resource_identity_schemas".into(), Json::Object(identities));
    }
    json!({ "format_version": "1.0", "provider_schemas": { crate::provider::ADDRESS: own } })
}

fn schema(page: &Page) -> Json {
    json!({ "version": page.version, "block": {
        "attributes": attributes(&page.attributes),
        "description": page.description,
        "description_kind": "markdown"
    } })
}

fn attributes(rows: &BTreeMap<String, Row>) -> Json {
    Json::Object(rows.iter().map(|(name, row)| (name.clone(), attribute(row))).collect())
}

fn attribute(row: &Row) -> Json {
    let mut json = Map::new();
    if row.attributes.is_empty() {
        json.insert("type".into(), row.r#type.clone());
    } else {
        json.insert(
            "nested_type".into(),
            json!({ "attributes": attributes(&row.attributes), "nesting_mode": row.r#type }),
        );
    }
    json.insert("description".into(), row.description.clone().into());
    json.insert("description_kind".into(), "markdown".into());
    for (name, on) in [
        ("deprecated", !row.deprecated.is_empty()),
        ("required", row.required),
        ("optional", row.optional),
        ("computed", row.computed),
        ("sensitive", row.sensitive),
        ("write_only", row.write_only),
    ] {
        if on {
            json.insert(name.into(), true.into());
        }
    }
    Json::Object(json)
}
