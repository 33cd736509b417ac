//! Turns archives into a package: which software it is, and which files it has under which names.
use super::archive::{ArchiveError, Format, Kind, Label};
use super::listing::{Listing, Member};
use std::collections::BTreeMap;

/// What an archive says about itself: by its metadata, or else by its file name.
#[must_use]
pub fn label(file_name: &str, listing: &Listing) -> Label {
    if listing.format == Format::Rpm {
        return listing.label.clone();
    }
    let text = |end: &str| {
        listing.texts.iter().find(|(name, _)| name.ends_with(end)).map(|(_, text)| text.as_str())
    };
    if let (Some(metadata), Some(wheel)) = (text(".dist-info/METADATA"), text(".dist-info/WHEEL")) {
        let field = |text: &str, key: &str| {
            text.lines()
                .take_while(|l| !l.is_empty())
                .find_map(|l| l.strip_prefix(key))
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let name = field(metadata, "Name:");
        let name = if name == "pylibseekdb" { "seekdb".to_owned() } else { name };
        return Label {
            name,
            version: field(metadata, "Version:"),
            arch: arch(&field(wheel, "Tag:")).unwrap_or("noarch").to_owned(),
        };
    }
    by_file_name(file_name)
}

fn arch(text: &str) -> Option<&'static str> {
    [
        ("x86_64", "x86_64"),
        ("amd64", "x86_64"),
        ("aarch64", "aarch64"),
        ("arm64", "aarch64"),
        ("noarch", "noarch"),
    ]
    .into_iter()
    .find(|(word, _)| text.contains(word))
    .map(|(_, arch)| arch)
}

/// Parses a name such as `oceanbase-ce-4.3.5.0-100.el8.x86_64.tar.gz`. The version begins at the
/// first digit that follows a dash.
fn by_file_name(file: &str) -> Label {
    let stem = [".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.zst", ".tar", ".zip", ".whl"]
        .iter()
        .find_map(|end| file.strip_suffix(end))
        .unwrap_or(file);
    let Some(at) = stem
        .match_indices('-')
        .map(|(at, _)| at)
        .find(|at| stem[at + 1..].starts_with(|c: char| c.is_ascii_digit()))
    else {
        return Label::default();
    };
    let (name, rest) = (&stem[..at], &stem[at + 1..]);
    let arch = arch(rest).unwrap_or_default();
    let mut version = rest;
    for word in ["x86_64", "amd64", "aarch64", "arm64", "noarch", "linux", "Linux"] {
        if let Some(at) = version.find(word) {
            version = version[..at].trim_end_matches(['-', '.', '_']);
        }
    }
    Label { name: name.to_owned(), version: version.to_owned(), arch: arch.to_owned() }
}

/// A file of a package: the index of its archive in the declaration, the name of the member that
/// holds its content, and that member.
pub type Found<'a> = (usize, String, &'a Member);

/// The files of archive `index`, by the name they have in the package. A link becomes the files
/// that it leads to, which may lie in another archive of the package.
///
/// # Errors
/// A link leads to nothing.
pub fn files<'a>(
    all: &[&'a Listing],
    index: usize,
    name: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, Found<'a>>, ArchiveError> {
    let mut out = BTreeMap::new();
    for member in all[index].members.keys() {
        let Some(name) = name(member) else { continue };
        for (below, real) in resolve(all, index, member)? {
            if let Some((archive, found)) = get(all, index, &real) {
                out.insert(format!("{name}{below}"), (archive, real, found));
            }
        }
    }
    Ok(out)
}

/// A member by name: of archive `index`, or else of the first other archive that has it.
fn get<'a>(all: &[&'a Listing], index: usize, name: &str) -> Option<(usize, &'a Member)> {
    std::iter::once(index)
        .chain(0..all.len())
        .find_map(|n| all[n].members.get(name).map(|m| (n, m)))
}

/// The real files behind a member, each with the suffix to add to the member's name. A link to a
/// folder gives one for each file in the folder.
fn resolve(
    all: &[&Listing],
    index: usize,
    member: &str,
) -> Result<Vec<(String, String)>, ArchiveError> {
    let mut at = member.to_owned();
    // A link may lead to a link; more than 16 in a row are taken for a circle.
    for _ in 0..16 {
        match get(all, index, &at).map(|(_, m)| &m.kind) {
            Some(Kind::File) => return Ok(vec![(String::new(), at)]),
            Some(Kind::Symlink(to) | Kind::HardLink(to)) => at.clone_from(to),
            Some(Kind::Folder) if at == member => return Ok(Vec::new()),
            Some(Kind::Folder) | None => {
                let folder = format!("{at}/");
                let inside: Vec<_> = all
                    .iter()
                    .flat_map(|l| &l.members)
                    .filter(|(name, m)| name.starts_with(&folder) && m.kind == Kind::File)
                    .map(|(name, _)| (format!("/{}", &name[folder.len()..]), name.clone()))
                    .collect();
                return if inside.is_empty() || at.is_empty() {
                    Err(ArchiveError::Dangling(member.to_owned(), at))
                } else {
                    Ok(inside)
                };
            }
        }
    }
    Err(ArchiveError::Dangling(member.to_owned(), at))
}

/// Returns a function that gives each member its name in the package of `software`; `None` leaves
/// the member out.
pub fn namer(software: &str, listing: &Listing) -> impl Fn(&str) -> Option<String> {
    let top = if listing.format == Format::Rpm { None } else { top(listing) };
    let (seekdb, format) = (software == "seekdb", listing.format);
    move |member: &str| {
        if seekdb {
            return seekdb_name(member);
        }
        if format == Format::Rpm {
            return rpm_name(member);
        }
        let inner = top.as_ref().map_or(Some(member), |t| member.strip_prefix(t.as_str()))?;
        (!inner.is_empty()).then(|| inner.to_owned())
    }
}

/// Keeps the server and the one library that it needs; the rest of the wheel is for Python.
fn seekdb_name(member: &str) -> Option<String> {
    let (folder, file) = member.rsplit_once('/').unwrap_or(("", member));
    let folder = folder.rsplit('/').next().unwrap_or_default();
    (matches!(folder, "" | "pylibseekdb" | "bin" | "lib" | "lib64")
        && matches!(file, "seekdb" | "libaio.so.1"))
    .then(|| file.to_owned())
}

/// Drops the home folder that the vendor's rpm installs to, and the links for debuggers.
fn rpm_name(member: &str) -> Option<String> {
    if member.starts_with("usr/lib/.build-id") {
        return None;
    }
    for home in ["home/admin/", "opt/taobao/install/"] {
        if let Some(rest) = member.strip_prefix(home) {
            return rest.split_once('/').map(|(_, inner)| inner.to_owned());
        }
    }
    Some(member.to_owned())
}

/// The folder that holds all members, if there is one.
fn top(listing: &Listing) -> Option<String> {
    let mut names = listing
        .members
        .iter()
        .filter(|(_, m)| m.kind != Kind::Folder)
        .map(|(name, _)| name.split_once('/').map(|(top, _)| top));
    let first = names.next()??;
    names.all(|n| n == Some(first)).then(|| format!("{first}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_tells_software_version_and_architecture() {
        for (file, name, version, arch) in [
            ("seekdb-1.4.0-linux-x86_64.tar.gz", "seekdb", "1.4.0", "x86_64"),
            (
                "oceanbase-ce-4.3.5.0-100000202024.el8.aarch64.tar.gz",
                "oceanbase-ce",
                "4.3.5.0-100000202024.el8",
                "aarch64",
            ),
            ("obproxy-ce_4.tgz", "", "", ""),
            ("tool-2.tar", "tool", "2", ""),
            ("x.zip", "", "", ""),
        ] {
            assert_eq!(
                by_file_name(file),
                Label { name: name.into(), version: version.into(), arch: arch.into() },
                "{file}"
            );
        }
    }

    #[test]
    fn members_get_the_names_that_the_software_has_at_home() {
        for (member, want) in [
            ("pylibseekdb/seekdb", Some("seekdb")),
            ("pylibseekdb/libaio.so.1", Some("libaio.so.1")),
            ("usr/bin/seekdb", Some("seekdb")),
            ("pylibseekdb/libseekdb.so", None),
            ("pylibseekdb.libs/seekdb", None),
            ("etc/seekdb/seekdb.cnf", None),
        ] {
            assert_eq!(seekdb_name(member).as_deref(), want, "{member}");
        }
        for (member, want) in [
            ("home/admin/oceanbase/bin/observer", Some("bin/observer")),
            ("opt/taobao/install/obproxy-4.3/bin/obproxy", Some("bin/obproxy")),
            ("usr/lib/.build-id/ab/cd", None),
            ("home/admin/oceanbase", None),
            ("etc/x", Some("etc/x")),
        ] {
            assert_eq!(rpm_name(member).as_deref(), want, "{member}");
        }
    }
}
