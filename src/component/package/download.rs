//! Downloads an archive.
use super::archive::{ArchiveError, Limits};
use reqwest::Client;
use rustls::crypto::aws_lc_rs;
use rustls_platform_verifier::BuilderVerifierExt;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;

/// To reach a server, until it answers, and between two parts of what it sends.
const ANSWER: Duration = Duration::from_secs(30);
/// For a whole download.
const WHOLE: Duration = Duration::from_secs(3600);

/// Downloads an archive to an unfinished file in `folder`, which goes with the value. The content
/// is not looked at.
///
/// # Errors
/// The server cannot be reached, refuses, sends nothing for 30 s or more than an archive may have;
/// the file cannot be written.
pub async fn download(url: &str, folder: &Path) -> Result<NamedTempFile, ArchiveError> {
    let disk = |e: std::io::Error| {
        ArchiveError::Download(format!("cannot keep it in {}: {e}", folder.display()))
    };
    let part = tempfile::Builder::new().suffix(".partial").tempfile_in(folder).map_err(disk)?;
    let mut file = tokio::fs::File::from_std(part.reopen().map_err(disk)?);
    let mut answer =
        client()?.get(url).send().await.and_then(|a| a.error_for_status()).map_err(link)?;
    let (most, mut got) = (Limits::default().unpacked, 0);
    while let Some(bytes) = answer.chunk().await.map_err(link)? {
        got += bytes.len() as u64;
        if got > most {
            let most = most >> 20;
            return Err(ArchiveError::Download(format!("the server sends more than {most} MiB")));
        }
        file.write_all(&bytes).await.map_err(disk)?;
    }
    file.flush().await.map_err(disk)?;
    Ok(part)
}

/// A client that trusts whom this machine trusts.
fn client() -> Result<Client, ArchiveError> {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|tls| tls.with_platform_verifier())
        .map_err(|e| ArchiveError::Download(format!("TLS: {e}")))?
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("terraform-provider-ob/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(ANSWER)
        .read_timeout(ANSWER)
        .timeout(WHOLE)
        .build()
        .map_err(link)
}

/// The whole chain of causes: the last one says what it is. The URL is told by who asked.
fn link(error: reqwest::Error) -> ArchiveError {
    let error = error.without_url();
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    ArchiveError::Download(text)
}
