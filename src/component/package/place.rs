//! Packages on hosts: `~/.ob/packages/ID/`, linked from the content-addressed cache `~/.ob/cache/`.
//!
//! Contents reach the cache through [`crate::transport::files`]. The file `.placed` in a package's
//! folder says that the package is whole. It holds each file's stamp (size, inode, mode, mtime and
//! ctime to the nanosecond) from a moment when the file's digest was known to be right. A stamp
//! that no longer matches does not prove damage: linking the same content into another package
//! moves ctime. In that case the digest decides.
use super::Package;
use crate::base::Problem;
use crate::engine::effect::{Archive, FileData, Files, STATE};
use crate::engine::{Cx, Host, Program, Values};
use crate::program;
use std::time::Duration;

/// Shell functions that the programs of this module share.
const LIB: &str = include_str!("stamp.sh");

/// Adds the package's id, then four arguments for each file: digest, size, mode and name.
fn each(program: Program, package: &Package) -> Program {
    let mut program = program.arg(package.id.as_str());
    for (name, file) in &package.files {
        let mode = format!("{:o}", file.mode & 0o7777);
        program = program.args([file.sha256.as_str(), &file.size.to_string(), &mode, name]);
    }
    program
}

/// Whether the whole package lies on the host, unchanged since it was placed. Only reads, in one
/// round trip.
///
/// # Errors
/// The host cannot be reached.
pub async fn is_there(cx: &Cx, host: &Host, package: &Package) -> Result<bool, Problem> {
    Ok(look(cx, host, package).await?.lines().any(|l| l == "there"))
}

/// Prints the user's state directory, and `there` when the package is whole.
async fn look(cx: &Cx, host: &Host, package: &Package) -> Result<String, Problem> {
    let program = each(program!("is_there.sh", LIB), package);
    Ok(cx.read(host, &program).await?.stdout)
}

/// Hashes every file of the package again, whatever the stamps say. Returns the names of files that
/// are missing or differ.
///
/// # Errors
/// The host cannot be reached.
pub async fn verify_deep(cx: &Cx, host: &Host, package: &Package) -> Result<Vec<String>, Problem> {
    let program = each(program!("verify_deep.sh", LIB), package);
    let said = cx.read(host, &program).await?.stdout;
    Ok(said.lines().filter_map(|l| l.strip_prefix("bad=")).map(str::to_owned).collect())
}

/// The directory on the host that the files of a package go into, as the value that [`files`]
/// refers to.
///
/// # Errors
/// The host cannot be reached, or the package's id cannot be the name of a folder.
pub async fn state(cx: &Cx, host: &Host, package: &Package) -> Result<Values, Problem> {
    let id = &package.id;
    if id.is_empty()
        || id.starts_with(['.', '-'])
        || !id.chars().all(|c| c.is_ascii_alphanumeric() || "._+~-".contains(c))
    {
        return Err(Problem::refused(format!("cannot place a package with the id {id:?}"))
            .why("it becomes the name of a folder on hosts")
            .fix("set `package` from data.ob_package"));
    }
    // The step's check has just asked this.
    let said = look(cx, host, package).await?;
    let state = said.lines().find_map(|l| l.strip_prefix("state=")).unwrap_or_default();
    Ok(Values::default().with(STATE, state))
}

/// Places the files that are missing, and notes the package as whole; the host verifies the
/// contents.
#[must_use]
pub fn files(package: &Package) -> Files {
    let from = |file: &super::File| {
        let location = package.sources.get(&file.source)?.clone();
        Some(Archive { location, sha256: file.source.clone() })
    };
    let data = |(name, file): (&String, &super::File)| FileData {
        name: name.clone(),
        sha256: file.sha256.clone(),
        size: file.size,
        mode: file.mode,
        from: from(file),
        member: file.member.clone(),
    };
    Files {
        files: package.files.iter().map(data).collect(),
        folder: format!("packages/{}", package.id),
        then: publish(package),
    }
}

/// Notes the package as whole. A file's stamp is written only if the transport's note about that
/// stamp matches, or else if the file's digest is right.
#[must_use]
pub fn publish(package: &Package) -> Program {
    each(program!("publish.sh", LIB), package).within(Duration::from_secs(120))
}
