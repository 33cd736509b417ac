//! The package of a version. Only this module knows how to describe it.
use crate::{files, seekdb};
use anyhow::{Context, Result};
use serde_json::json;
use std::time::Duration;

/// The package of a version as HCL.
///
/// # Errors
/// The wheel cannot be fetched or read.
pub fn package(version: &str) -> Result<String> {
    let wheel = seekdb::fetch(version)?;
    let cached = seekdb::cache().join(format!("members-by-digest-{}.json", wheel.sha256));
    if !cached.exists() {
        let script = "import sys, zipfile, hashlib, json
z = zipfile.ZipFile(sys.argv[1])
out = {}
for name in ('seekdb', 'libaio.so.1'):
    h = hashlib.sha256()
    with z.open('pylibseekdb/' + name) as f:
        while b := f.read(1 << 20): h.update(b)
    out[name] = dict(source=sys.argv[2], member='pylibseekdb/' + name, \
               size=z.getinfo('pylibseekdb/' + name).file_size, sha256=h.hexdigest(), mode='0755')
print(json.dumps(out))";
        let out = crate::run(
            &mut crate::command([
                "python3",
                "-c",
                script,
                &wheel.path.display().to_string(),
                &wheel.sha256,
            ]),
            b"",
            Duration::from_secs(120),
        )?
        .ok()
        .context("cannot read the wheel")?;
        files::write(&cached, out, 0o644)?;
    }
    let members: serde_json::Value = serde_json::from_str(&files::read(&cached)?)?;
    let package = json!({
        "id": format!("seekdb-{version}-{}", &wheel.sha256[..12]), "name": "seekdb",
        "version": version, "arch": std::env::consts::ARCH,
        "sources": { wheel.sha256.clone(): wheel.path.display().to_string() }, "files": members,
    });
    Ok(package.to_string())
}
