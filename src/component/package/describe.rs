//! Makes a [`Package`] of declared archives: everything about it is known before anything is
//! planned.
use super::archive::ArchiveError;
use super::archives::Archives;
use super::{File, Package, layout, listing, package_id, store};
use crate::base::Problem;
use std::collections::BTreeMap;
use std::path::Path;

/// One declared archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Path on this machine, or URL.
    pub location: String,
    /// Digest; empty when the configuration has none.
    pub sha256: String,
}

/// Reads the archives and makes one package of them.
///
/// # Errors
/// An archive cannot be used, or they do not go together. The attribute path begins at `files`.
pub async fn describe(
    here: &Archives,
    archives: &[Declared],
    name: Option<&str>,
    version: Option<&str>,
) -> Result<Package, Problem> {
    let mut known = Vec::new();
    for (index, archive) in archives.iter().enumerate() {
        let listing = here
            .list(&archive.location, &archive.sha256)
            .await
            .map_err(|e| explain(&e, index, archive))?;
        let label = layout::label(&store::file_name(&archive.location), &listing);
        known.push((index, archive, listing, label));
    }
    let one = |what: &str, given: Option<&str>, all: Vec<&str>| -> Result<String, Problem> {
        let said =
            given.or_else(|| all.iter().copied().find(|t| !t.is_empty())).unwrap_or_default();
        if said.is_empty() {
            return Err(Problem::user(format!("cannot tell the {what} of a package"))
                .why("neither metadata nor file name of the first archive says it")
                .fix(format!("set {what} = \"…\" in the data source"))
                .attribute([what]));
        }
        if said.len() > 128
            || said.starts_with(['.', '-'])
            || !said.chars().all(|c| c.is_ascii_alphanumeric() || "._+~-".contains(c))
        {
            return Err(Problem::refused(format!("the {what} of a package cannot be {said:?}"))
                .why("it becomes part of a folder's name on hosts")
                .fix(format!("set {what} with letters, digits and . _ + ~ - only"))
                .attribute([what]));
        }
        Ok(said.to_owned())
    };
    let name = one("name", name, known.iter().map(|k| k.3.name.as_str()).collect())?;
    let versions: Vec<&str> =
        known.iter().map(|k| k.3.version.as_str()).filter(|v| !v.is_empty()).collect();
    if version.is_none() && versions.windows(2).any(|w| w[0] != w[1]) {
        return Err(Problem::user("the archives of a package are of different versions")
            .why(versions.join(", "))
            .fix("use archives of one version, or set version = \"…\" if they do go together")
            .attribute(["version"]));
    }
    let version = one("version", version, versions)?;
    let arch = arch(known.iter().map(|k| k.3.arch.as_str()))?;
    let mut files: BTreeMap<String, File> = BTreeMap::new();
    let all: Vec<&listing::Listing> = known.iter().map(|k| &*k.2).collect();
    for (index, archive, listing, _) in &known {
        let found = layout::files(&all, *index, layout::namer(&name, listing))
            .map_err(|e| explain(&e, *index, archive))?;
        for (path, (from, member, m)) in found {
            let mode = if m.mode & 0o111 != 0 || path == name { 0o755 } else { 0o644 };
            let file = File {
                source: archives[from].sha256.clone(),
                member,
                size: m.size,
                sha256: m.sha256.clone(),
                mode,
            };
            if let Some(other) = files.get(&path)
                && other.sha256 != file.sha256
            {
                return Err(Problem::user(format!(
                    "two archives of a package have different files \"{path}\""
                ))
                .place(archive.location.clone())
                .why(format!("sha256 {} and {}", other.sha256, file.sha256))
                .fix("leave one of the archives out")
                .attribute(["files", &index.to_string()]));
            }
            files.entry(path).or_insert(file);
        }
    }
    let needed: &[&str] = if name == "seekdb" { &["seekdb"] } else { &[] };
    if files.is_empty() || needed.iter().any(|n| !files.contains_key(*n)) {
        let what = if needed.is_empty() {
            "a file".to_owned()
        } else {
            format!("the program \"{}\"", needed.join("\", \""))
        };
        let paths: Vec<_> = archives.iter().map(|a| a.location.as_str()).collect();
        let what_is_missing = needed.first().unwrap_or(&"file");
        return Err(Problem::user(format!("a package of {name} holds no {what_is_missing}"))
            .place(paths.join(", "))
            .why(format!("none of its archives has {what}"))
            .fix(
                "use the archive of the server for Linux (for seekdb: the manylinux wheel of \
                 pylibseekdb 1.3 or newer)",
            )
            .attribute(["files"]));
    }
    let sources = archives.iter().map(|a| (a.sha256.clone(), a.location.clone())).collect();
    Ok(Package { id: package_id(&name, &version, &files), name, version, arch, sources, files })
}

fn arch<'a>(all: impl Iterator<Item = &'a str>) -> Result<String, Problem> {
    let mut real: Vec<&str> = all.filter(|a| !a.is_empty() && *a != "noarch").collect();
    real.sort_unstable();
    real.dedup();
    match real[..] {
        [] => Ok("noarch".into()),
        [one] => Ok(one.into()),
        _ => Err(Problem::user("the archives of a package are for different machines")
            .why(real.join(", "))
            .fix("use archives of one architecture")
            .attribute(["files"])),
    }
}

fn explain(error: &ArchiveError, index: usize, archive: &Declared) -> Problem {
    let index = index.to_string();
    let problem = error.explain(Path::new(&archive.location));
    match error {
        ArchiveError::Digest { found, .. } if archive.sha256.is_empty() => {
            Problem::user("sha256 is missing for an archive")
                .place(archive.location.clone())
                .why(format!("the archive has sha256 {found}"))
                .fix(format!(
                    "compare it with what the vendor publishes, then set sha256 = \"{found}\""
                ))
                .attribute(["files", &index, "sha256"])
        }
        ArchiveError::Digest { .. } => problem.attribute(["files", &index, "sha256"]),
        _ => problem.attribute([
            "files",
            &index,
            if store::is_url(&archive.location) { "url" } else { "path" },
        ]),
    }
}
