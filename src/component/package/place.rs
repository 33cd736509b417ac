//! Packages on hosts: `~/.ob/packages/ID/`, linked from the content-addressed cache `~/.ob/cache/`.
use super::{Package, archive};
use crate::base::Problem;
use crate::base::shell::quote;
use crate::engine::{Cx, Host, gate};
use crate::transport::files::{self, FileSpec, Opener, Place};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// Shell: prints the stamp of each file of the package, in a fixed order.
fn stamps(package: &Package) -> String {
    let mut text = format!("d=\"$OB_STATE/packages/\"{}\n", quote(&package.id));
    text += "now=$(for f in";
    for name in package.files.keys() {
        let _ = write!(text, " {}", quote(name));
    }
    text + "; do stat -c '%n %s %i %Y %Z' \"$d/$f\" 2>&1; done)\n"
}

/// Tells whether every file of the package lies on the host, unchanged since it was placed. Only reads.
///
/// # Errors
/// The host cannot be reached.
pub async fn is_there(cx: &Cx, host: &Host, package: &Package) -> Result<bool, Problem> {
    let script = format!("{}{}[ \"$now\" = \"$(cat \"$d/.placed\" 2>/dev/null)\" ] && echo there; :", gate::LIB, stamps(package));
    Ok(cx.read(host, &script).await?.stdout.contains("there"))
}

/// Puts what is missing there; contents are verified on the host. Names and contents are fixed by digests, so this needs no gate.
///
/// # Errors
/// The host cannot be reached, its disk is full, an archive on this machine cannot be read or is another one.
pub async fn fill(cx: &Cx, host: &Host, package: &Package) -> Result<(), Problem> {
    let state = cx.read(host, &format!("{}echo \"$OB_STATE\"", gate::LIB)).await?.stdout.trim().to_owned();
    let specs: Vec<FileSpec> = package.files.iter().map(|(name, file)| FileSpec { name: name.clone(), sha256: file.sha256.clone(), size: file.size, mode: file.mode, open: opener(package, &file.source, &file.member) }).collect();
    let to = Place { run_as: host.run_as.clone(), cache: format!("{state}/cache"), dest: format!("{state}/packages/{}", package.id), deep: false };
    files::place(&cx.connect(host).await?, &to, &specs).await.map(drop)
}

fn opener(package: &Package, source: &str, member: &str) -> Opener {
    let path = package.sources.get(source).map(PathBuf::from);
    let member = member.to_owned();
    Arc::new(move || {
        let path = path.as_ref().ok_or_else(|| std::io::Error::other("the package does not say which archive it comes from (it was imported): name it with data.ob_package"))?;
        archive::open(path, &member)
    })
}

/// Shell that notes the package as placed.
#[must_use]
pub fn publish(package: &Package) -> String {
    format!("{}printf '%s\\n' \"$now\" | ob_put \"$d/.placed\"", stamps(package))
}
