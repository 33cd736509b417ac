//! Packages on hosts: `~/.ob/packages/ID/`, linked from the content-addressed cache `~/.ob/cache/`.
//!
//! Contents reach the cache through [`crate::transport::files`]. The file `.placed` in a package's
//! folder says that the package is whole, and holds each file's stamp (size, inode, mode, mtime and
//! ctime to the nanosecond) from a moment when its digest was known to be right. A stamp that does
//! not hold proves nothing bad: another package may link the same content, which moves ctime. The
//! digest decides then.
use super::{Package, feed};
use crate::base::Problem;
use crate::base::shell::quote;
use crate::engine::{Cx, Host, gate};
use crate::transport::files::{self, FileSpec, Place, Placed};
use std::fmt::Write;

/// `st NAME` prints a stamp, `hash NAME` a digest; as in `transport::files`, whose notes
/// [`publish`] reads.
const FUNCTIONS: &str = r#"export TZ=UTC
st() { [ -f "$d/$1" ] && [ ! -L "$d/$1" ] && stat -c '%s %i %a %y %z' -- "$d/$1" 2>/dev/null; }
hash() { { if command -v openssl >/dev/null 2>&1; then openssl dgst -sha256 -r; else sha256sum; fi; } < "$d/$1" | cut -c1-64; }
"#;

/// Each file's digest, size, mode, name as arguments of the shell function `one`.
fn each(package: &Package) -> String {
    let mut text = String::new();
    for (name, file) in &package.files {
        let _ = writeln!(
            text,
            "one {} {} {:o} {}",
            file.sha256,
            file.size,
            file.mode & 0o7777,
            quote(name)
        );
    }
    text
}

fn head(package: &Package) -> String {
    format!("{}d=\"$OB_STATE/packages/\"{}\n{FUNCTIONS}", gate::LIB, quote(&package.id))
}

/// Tells whether the whole package lies on the host, unchanged since it was placed. Only reads; one
/// round trip.
///
/// # Errors
/// The host cannot be reached.
pub async fn is_there(cx: &Cx, host: &Host, package: &Package) -> Result<bool, Problem> {
    Ok(look(cx, host, package).await?.lines().any(|l| l == "there"))
}

/// Prints the user's state directory, and `there`.
async fn look(cx: &Cx, host: &Host, package: &Package) -> Result<String, Problem> {
    let script = format!(
        "{}one() {{\n\
         s=$(st \"$4\") || exit 3\n\
         grep -qxF -- \"$1 $s $4\" \"$d/.placed\" && return 0\n\
         case $s in \"$2 \"*\" $3 \"*) ;; *) exit 3 ;; esac\n\
         [ \"$(hash \"$4\")\" = \"$1\" ] || exit 3\n}}\n\
         echo \"state=$OB_STATE\"\n( [ -f \"$d/.placed\" ] || exit 3\n{}) >/dev/null 2>&1 && echo there; :",
        head(package),
        each(package)
    );
    Ok(cx.read(host, &script).await?.stdout)
}

/// Reads every file of the package again, stamps or not; the names of those that are missing or
/// differ.
///
/// # Errors
/// The host cannot be reached.
pub async fn verify_deep(cx: &Cx, host: &Host, package: &Package) -> Result<Vec<String>, Problem> {
    let script = format!(
        "{}one() {{ s=$(st \"$4\") && case $s in \"$2 \"*\" $3 \"*) [ \"$(hash \"$4\")\" = \"$1\" ] && return 0 ;; esac; printf 'bad=%s\\n' \"$4\"; }}\n{}:",
        head(package),
        each(package)
    );
    Ok(cx
        .read(host, &script)
        .await?
        .stdout
        .lines()
        .filter_map(|l| l.strip_prefix("bad="))
        .map(str::to_owned)
        .collect())
}

/// Puts what is missing there; contents are verified on the host. Names and contents are fixed by
/// digests, so this needs no gate.
///
/// # Errors
/// The host cannot be reached, its disk is full, an archive on this machine cannot be read or is
/// another one.
pub async fn fill(cx: &Cx, host: &Host, package: &Package) -> Result<Placed, Problem> {
    let id = &package.id;
    if id.is_empty()
        || id.starts_with(['.', '-'])
        || !id.chars().all(|c| c.is_ascii_alphanumeric() || "._+~-".contains(c))
    {
        return Err(Problem::refused(format!("cannot place a package with the id {id:?}"))
            .why("it becomes the name of a folder on hosts")
            .fix("set `package` from data.ob_package"));
    }
    // What the step's check has just asked.
    let said = look(cx, host, package).await?;
    let state = said.lines().find_map(|l| l.strip_prefix("state=")).unwrap_or_default();
    let openers = feed::openers(package);
    let spec = |(name, file): (&String, &super::File)| {
        Some(FileSpec {
            name: name.clone(),
            sha256: file.sha256.clone(),
            size: file.size,
            mode: file.mode,
            open: openers.get(name)?.clone(),
        })
    };
    let specs: Vec<FileSpec> = package.files.iter().filter_map(spec).collect();
    let to = Place {
        run_as: host.run_as.clone(),
        cache: format!("{state}/cache"),
        dest: format!("{state}/packages/{id}"),
        deep: false,
    };
    files::place(&cx.connect(host).await?, &to, &specs).await
}

/// Shell that notes the package as whole. A stamp goes in only if the transport's note about it
/// holds, or the digest is right.
#[must_use]
pub fn publish(package: &Package) -> String {
    format!(
        "{}chmod 700 \"$OB_STATE/packages\" \"$OB_STATE/cache\" || exit 1\n\
         one() {{\n\
         s=$(st \"$4\") || {{ echo \"$d/$4 is missing\" >&2; exit 1; }}\n\
         grep -qxF -- \"$s $d/$4\" \"$OB_STATE/cache/$1-$3.stamp\" 2>/dev/null || [ \"$(hash \"$4\")\" = \"$1\" ] || {{ echo \"$d/$4 was changed by somebody: its sha256 is not $1\" >&2; exit 1; }}\n\
         printf '%s %s %s\\n' \"$1\" \"$s\" \"$4\"\n}}\n\
         lines=$( {{\n{}}} ) || exit 1\nexec 5<\"$OB_STATE/cache\" && flock -w 50 5 || exit 1\nprintf '%s\\n' \"$lines\" | ob_put \"$d/.placed\"",
        head(package),
        each(package)
    )
}
