//! Lists an archive's members with their digests.
use super::archive::{self, ArchiveError, Format, Kind, Label, Limits, Next};
use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

/// One member of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Kind.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Size in bytes.
    pub size: u64,
    /// Lower-case hex sha256 of the content.
    pub sha256: String,
}

/// The content of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Format.
    pub format: Format,
    /// What the archive says about itself.
    pub label: Label,
    /// Members by name.
    pub members: BTreeMap<String, Member>,
    /// The small text files in which wheels describe themselves, by name.
    pub texts: BTreeMap<String, String>,
}

/// Reads to the end; returns the size in bytes and the sha256.
///
/// # Errors
/// The input cannot be read.
pub fn digest(input: &mut dyn Read) -> std::io::Result<(u64, String)> {
    let (mut context, mut buffer, mut size) = (Context::new(&SHA256), vec![0; 128 << 10], 0);
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                context.update(&buffer[..n]);
                size += n as u64;
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok((size, context.finish().as_ref().iter().map(|b| format!("{b:02x}")).collect()))
}

/// Lists an open archive.
///
/// # Errors
/// Whatever is wrong with the archive.
pub fn read(file: &mut File, limits: &Limits) -> Result<Listing, ArchiveError> {
    let (mut members, mut texts) = (BTreeMap::new(), BTreeMap::new());
    let (format, label) = archive::walk(file, limits, &mut |entry, content| {
        let mut text = Vec::new();
        let mut content: Box<dyn Read> = if is_text(&entry.name) {
            content.take(1 << 20).read_to_end(&mut text).map_err(|e| ArchiveError::of(&e))?;
            texts.insert(entry.name.clone(), String::from_utf8_lossy(&text).into_owned());
            Box::new(text.as_slice().chain(content))
        } else {
            Box::new(content)
        };
        let (size, sha256) = digest(&mut content).map_err(|e| ArchiveError::of(&e))?;
        members.insert(
            entry.name.clone(),
            Member { kind: entry.kind.clone(), mode: entry.mode, size, sha256 },
        );
        Ok(Next::Go)
    })?;
    Ok(Listing { format, label, members, texts })
}

fn is_text(name: &str) -> bool {
    name.split_once('/').is_some_and(|(folder, file)| {
        folder.ends_with(".dist-info") && matches!(file, "METADATA" | "WHEEL")
    })
}
