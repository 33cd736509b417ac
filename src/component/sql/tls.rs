//! TLS to a server. The MySQL protocol begins it in the middle of the login.
use super::login::Channel;
use super::{Refusal, SqlError};
use crate::transport::Duplex;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{self, CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// Whether a link is encrypted, and what is proved about the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum TlsMode {
    /// Never: the configuration says that the network may be trusted.
    Off,
    /// When the server offers TLS. A man in the middle can suppress the offer.
    #[default]
    Preferred,
    /// Always, with any certificate: nobody can listen, but a man in the middle can pose as the
    /// server.
    Required,
    /// Always, with a certificate for this name, signed by a known authority.
    Verify,
}

impl TlsMode {
    /// The mode of this name in a configuration.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        name.parse().ok()
    }
}

/// Where the certificates of the authorities (PEM) are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ca {
    /// In this text.
    Text(String),
    /// In a file on this machine.
    File(PathBuf),
}

/// The TLS settings of one login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Whether the link uses TLS.
    pub mode: TlsMode,
    /// Who may sign the certificate; needed by [`TlsMode::Verify`].
    pub ca: Option<Ca>,
    /// The name that the certificate must have; the dialled address when `None`.
    pub server_name: Option<String>,
}

impl Tls {
    /// No TLS: for servers that are reached from their own host.
    #[must_use]
    pub fn off() -> Self {
        Self { mode: TlsMode::Off, ca: None, server_name: None }
    }

    /// Whether to begin TLS with a server; `offered` says whether the server offers it.
    pub(super) fn wanted(&self, offered: bool) -> Result<bool, SqlError> {
        match self.mode {
            TlsMode::Off => Ok(false),
            TlsMode::Preferred => Ok(offered),
            TlsMode::Required | TlsMode::Verify if offered => Ok(true),
            TlsMode::Required | TlsMode::Verify => Err(SqlError::Refused(Refusal::NoTls)),
        }
    }

    /// Who can read the link once TLS has begun.
    pub(super) fn channel(&self) -> Channel {
        if self.mode == TlsMode::Verify { Channel::Verified } else { Channel::Encrypted }
    }

    /// Begins TLS on `stream` to the server at `address`.
    pub(super) async fn wrap(
        &self,
        stream: Box<dyn Duplex>,
        address: &str,
    ) -> Result<Box<dyn Duplex>, SqlError> {
        let fail = |e: &dyn std::fmt::Display| SqlError::Tls(e.to_string());
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let verifier = self.verifier(&provider)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|e| fail(&e))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        let name = self.server_name.as_deref().unwrap_or(address);
        let name = ServerName::try_from(name.trim_matches(['[', ']']).to_owned())
            .map_err(|e| fail(&format!("{name:?} is no name of a server: {e}")))?;
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Box::new(connector.connect(name, stream).await.map_err(|e| fail(&e))?))
    }

    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, SqlError> {
        if self.mode != TlsMode::Verify {
            return Ok(Arc::new(Anybody(provider.signature_verification_algorithms)));
        }
        let mut roots = RootCertStore::empty();
        for certificate in self.authorities()? {
            roots.add(certificate).map_err(|e| SqlError::Tls(format!("ca: {e}")))?;
        }
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .map(|verifier| verifier as Arc<dyn ServerCertVerifier>)
            .map_err(|e| SqlError::Tls(format!("ca: {e}")))
    }

    /// The certificates of the authorities.
    ///
    /// # Errors
    /// There is no CA, its file cannot be read, or it holds no certificate.
    pub fn authorities(&self) -> Result<Vec<CertificateDer<'static>>, SqlError> {
        let fail = |why: String| SqlError::Tls(format!("ca: {why}"));
        let text = match &self.ca {
            None => return Err(fail("there is none to verify the server with".into())),
            Some(Ca::Text(text)) => text.clone(),
            Some(Ca::File(path)) => std::fs::read_to_string(path)
                .map_err(|e| fail(format!("cannot read {}: {e}", path.display())))?,
        };
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        let found = found.map_err(|e| fail(format!("it is no PEM: {e}")))?;
        if found.is_empty() {
            return Err(fail("it holds no certificate (-----BEGIN CERTIFICATE-----)".into()));
        }
        Ok(found)
    }
}

/// Accepts any certificate: the link is encrypted, and nothing is proved about the server.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, cert, signed, &self.0)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, cert, signed, &self.0)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
