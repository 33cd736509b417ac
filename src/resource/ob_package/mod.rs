//! `data.ob_package`: software out of archives, everything known at plan.
mod schema;
#[cfg(test)]
mod tests;

pub use schema::{Archive, PackageData};

use crate::base::Problem;
use crate::component::package::describe::{Declared, describe};
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
        out.push(Declared { path: text(&archive.path)?, sha256: text(&archive.sha256)?.to_ascii_lowercase() });
    }
    Some(out)
}

/// Fills in what is read; separate from `read` so that it needs no session.
async fn look(mut state: PackageData) -> Result<PackageData, Problem> {
    let Some(archives) = declared(&state).filter(|_| !state.name.is_unknown() && !state.version.is_unknown()) else {
        state.unknown();
        return Ok(state);
    };
    let (name, version) = (set_text(&state.name).map(str::to_owned), set_text(&state.version).map(str::to_owned));
    let read = tokio::task::spawn_blocking(move || describe(&archives, name.as_deref(), version.as_deref()));
    let package = read.await.map_err(|e| Problem::internal(format!("reading an archive ended early: {e}")))??;
    let v = |s: &String| Value::Value(s.clone());
    (state.id, state.name, state.version, state.arch) = (v(&package.id), v(&package.name), v(&package.version), v(&package.arch));
    state.package = Value::Value(PackageRef::of(&package));
    Ok(state)
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
            let at = |name: &'static str| AttributePath { steps: vec![Step::Attribute("files".into()), Step::Index(index), Step::Attribute(name.into())] };
            match (&archive.path, &archive.url) {
                (_, Value::Value(url)) => {
                    let problem = Problem::user("an archive by URL is not supported yet")
                        .place(url.clone())
                        .why("only files on the machine that runs Terraform can be read at plan")
                        .fix("download it (curl -fLO), then set path instead of url; sha256 stays the same");
                    diags.problem_at(at("url"), problem);
                }
                (Value::Null, Value::Null) => {
                    diags.problem_at(at("path"), Problem::user("path is missing for an archive").fix("set path to the archive on the machine that runs Terraform"))
                }
                _ => {}
            }
        }
    }

    async fn read(&self, _cx: &Context, config: PackageData) -> Result<Found<PackageData>, Problem> {
        Ok(Found { state: Some(look(config).await?), warnings: Vec::new() })
    }
}
