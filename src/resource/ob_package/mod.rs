//! `data.ob_package`: software out of archives. Everything about it is known at plan time.
mod schema;
#[cfg(test)]
mod tests;

pub use schema::{Archive, PackageData};

use crate::base::Problem;
use crate::component::package::describe::{Declared, describe};
use crate::component::package::{Archives, store};
use crate::resource::common::{known, set_text};
use crate::resource::ob_cluster::PackageRef;
use crate::resource::{Context, DataSource, Found};
use crate::schema::{AttributePath, AttributePathStep as Step, Diagnostics, Report, Schema, Value};
use async_trait::async_trait;

/// The data source.
pub struct ObPackage;

/// The declared archives; `None` while one of them is unknown.
fn declared(config: &PackageData) -> Option<Vec<Declared>> {
    let mut out = Vec::new();
    for archive in known(&config.files)?.into_iter().flatten() {
        let archive = known(archive)??;
        let text = |v: &Value<String>| known(v).map(|v| v.cloned().unwrap_or_default());
        let (path, url) = (text(&archive.path)?, text(&archive.url)?);
        out.push(Declared {
            location: if path.is_empty() { url } else { path },
            sha256: text(&archive.sha256)?.to_ascii_lowercase(),
        });
    }
    Some(out)
}

/// Reads the package and fills in the state; separate from `read`, so that it needs no session.
async fn look(here: &Archives, mut state: PackageData) -> Result<PackageData, Problem> {
    let Some(archives) =
        declared(&state).filter(|_| !state.name.is_unknown() && !state.version.is_unknown())
    else {
        state.unknown();
        return Ok(state);
    };
    let (name, version) =
        (set_text(&state.name).map(str::to_owned), set_text(&state.version).map(str::to_owned));
    let package = describe(here, &archives, name.as_deref(), version.as_deref()).await?;
    let v = |s: &String| Value::Value(s.clone());
    (state.id, state.name, state.version, state.arch) =
        (v(&package.id), v(&package.name), v(&package.version), v(&package.arch));
    state.package = Value::Value(PackageRef::of(&package));
    Ok(state)
}

/// Why a URL cannot be used.
fn bad_url(text: &str) -> Option<String> {
    if !store::is_url(text) {
        return Some("it does not begin with https:// or http://".into());
    }
    // The URL parser would otherwise take the first part of the path for the host.
    if text.split('/').nth(2).is_none_or(str::is_empty) {
        return Some("it names no host".into());
    }
    match url::Url::parse(text) {
        Err(e) => Some(format!("it is no URL: {e}")),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Some("it holds a login, which would be kept in the plan and the state".into())
        }
        Ok(_) => None,
    }
}

#[async_trait]
impl DataSource for ObPackage {
    type State = PackageData;
    const TYPE: &'static str = "ob_package";

    fn schema(&self) -> Schema {
        schema::schema()
    }

    fn validate(&self, config: &PackageData, diags: &mut Diagnostics) {
        let Value::Value(files) = &config.files else { return };
        for (index, archive) in (0_i64..).zip(files) {
            let Value::Value(archive) = archive else { continue };
            let at = |name: &'static str| AttributePath {
                steps: vec![
                    Step::Attribute("files".into()),
                    Step::Index(index),
                    Step::Attribute(name.into()),
                ],
            };
            match (&archive.path, &archive.url) {
                (Value::Value(_), Value::Value(url)) => diags.problem_at(
                    at("url"),
                    Problem::user("an archive has a path and a URL")
                        .place(url.clone())
                        .fix("set path or url, not both; sha256 says which content is meant"),
                ),
                (_, Value::Value(url)) => {
                    if let Some(why) = bad_url(url) {
                        diags.problem_at(
                            at("url"),
                            Problem::user("an archive cannot be fetched from this URL")
                                .place(url.clone())
                                .why(why)
                                .fix(
                                    "set url = \"https://HOST/FILE\", or download the archive and \
                                     set path",
                                ),
                        )
                    }
                }
                (Value::Null, Value::Null) => diags.problem_at(
                    at("path"),
                    Problem::user("path or url is missing for an archive").fix(
                        "set path to the archive on the machine that runs Terraform, or url to \
                         where it can be downloaded",
                    ),
                ),
                _ => {}
            }
        }
    }

    async fn read(&self, cx: &Context, config: PackageData) -> Result<Found<PackageData>, Problem> {
        Ok(Found { state: Some(look(&cx.session.archives, config).await?), warnings: Vec::new() })
    }
}
