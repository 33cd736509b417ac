//! Strict mutual TLS: only the certificate that the parent handed over may connect.
//!
//! go-plugin's client key is ECDSA P-521, which `ring` cannot verify and aws-lc-rs can. Its
//! certificate is self-signed with CA:TRUE, which webpki refuses as an end entity. So the
//! certificate's bytes are pinned; its signature is verified as usual.
use super::host::HostError;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{self, WebPkiSupportedAlgorithms};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime, pem::PemObject,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};
use std::sync::Arc;

#[derive(Debug)]
struct Pinned {
    der: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }
    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if leaf.as_ref() == self.der.as_ref() {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
        }
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, cert, signed, &self.algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, cert, signed, &self.algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Our side of TLS for this one run: a fresh P-256 key. The parent's certificate `client_pem` is
/// the only one that may connect. Also gives our certificate (DER), for the handshake line.
///
/// # Errors
/// `client_pem` is no certificate.
pub fn server_config(client_pem: &str) -> Result<(Arc<ServerConfig>, Vec<u8>), HostError> {
    let fail = |e: &dyn std::fmt::Display| HostError::Tls(e.to_string());
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let der = CertificateDer::from_pem_slice(client_pem.as_bytes()).map_err(|e| fail(&e))?;
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(|e| fail(&e))?;
    let mut params =
        rcgen::CertificateParams::new(["localhost".to_owned()]).map_err(|e| fail(&e))?;
    // go-plugin puts our certificate into its root pool, so it has to be a CA as well.
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages =
        vec![rcgen::KeyUsagePurpose::DigitalSignature, rcgen::KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let cert = params.self_signed(&key).map_err(|e| fail(&e))?;
    let verifier = Pinned { der, algorithms: provider.signature_verification_algorithms };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| fail(&e))?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(
            vec![cert.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .map_err(|e| fail(&e))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok((Arc::new(config), cert.der().to_vec()))
}
