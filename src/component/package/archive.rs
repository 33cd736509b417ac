//! Temporary.
use std::path::Path;
use crate::transport::Input;
/// Opens.
pub fn open(path: &Path, member: &str) -> std::io::Result<Input> {
    let (path, member) = (path.to_owned(), member.to_owned());
    let (mut tx, rx) = tokio::io::duplex(1 << 20);
    tokio::task::spawn_blocking(move || -> std::io::Result<()> {
        let mut zip = zip::ZipArchive::new(std::fs::File::open(path)?).map_err(std::io::Error::other)?;
        let mut f = zip.by_name(&member).map_err(std::io::Error::other)?;
        let mut tx2 = tokio_util::io::SyncIoBridge::new(&mut tx);
        std::io::copy(&mut f, &mut tx2)?; Ok(())
    });
    Ok(Box::new(rx))
}
