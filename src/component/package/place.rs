//! Packages on hosts: `~/.ob/cache/SHA256` holds contents, `~/.ob/packages/ID/` hard links to them.
use super::Package;
use crate::base::Problem;
use crate::base::shell::quote;
use crate::engine::{Cx, Host, gate};
use std::fmt::Write;

/// Shell: checks one published file by its stamp (size, inode, mtime, ctime when its digest was last verified).
fn check_line(package: &Package) -> String {
    let mut text = format!("{}d=\"$OB_STATE/packages/\"{}\n", gate::LIB, quote(&package.id));
    for (name, file) in &package.files {
        let _ = writeln!(text, "[ \"$(stat -c '%s %i %Y %Z' \"$d\"/{name} 2>/dev/null) {sha}\" = \"$(cat \"$OB_STATE/cache/{sha}.stamp\" 2>/dev/null)\" ] || exit 3", name = quote(name), sha = file.sha256);
    }
    text + "exit 0"
}

/// Tells whether every file of the package lies published on the host, unchanged since its digest was verified.
///
/// # Errors
/// The host cannot be reached.
pub async fn is_there(cx: &Cx, host: &Host, package: &Package) -> Result<bool, Problem> {
    let output = cx.read(host, &format!("( {} ); echo rc=$?", check_line(package))).await?;
    Ok(output.stdout.contains("rc=0"))
}

/// Shell that publishes cached files under the package's name.
#[must_use]
pub fn publish(package: &Package) -> String {
    let mut text = format!("d=\"$OB_STATE/packages/\"{}; rm -rf \"$d.new\"; mkdir -p \"$d.new\" || exit 1\n", quote(&package.id));
    for (name, file) in &package.files {
        let _ = writeln!(
            text,
            "mkdir -p \"$(dirname \"$d.new\"/{name})\" && ln -f \"$OB_STATE/cache/{sha}\" \"$d.new\"/{name} || exit 1\nprintf '%s {sha}\\n' \"$(stat -c '%s %i %Y %Z' \"$OB_STATE/cache/{sha}\")\" > \"$OB_STATE/cache/{sha}.stamp\"",
            name = quote(name),
            sha = file.sha256
        );
    }
    text + "rm -rf \"$d\" && mv -T \"$d.new\" \"$d\" && sync \"$OB_STATE/packages\""
}

/// Streams what the host's cache lacks, verifies it there.
///
/// # Errors
/// The host cannot be reached, its disk is full, an archive on this machine cannot be read or differs.
pub async fn fill_cache(cx: &Cx, host: &Host, package: &Package) -> Result<(), Problem> {
    let _ = (cx, host, package);
    Err(Problem::internal("not wired yet"))
}
