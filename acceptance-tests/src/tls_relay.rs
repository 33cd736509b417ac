//! Puts TLS in front of a server of the MySQL protocol that has none, as a proxy beside the server
//! would.
//!
//! The relay offers TLS in the server's greeting, accepts it, and passes on the rest. Until the
//! login has ended, the server counts one packet less than the client. A login without TLS is not
//! passed on.
use anyhow::{Context, Result, bail};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_rustls::rustls::{ServerConfig, crypto};

/// `CLIENT_SSL`, in the second byte of capabilities.
const SSL: u8 = 8;

/// A running relay; it ends when the value is dropped.
pub struct Relay {
    /// The address that the relay listens on.
    pub at: SocketAddr,
    logins: Arc<AtomicUsize>,
    _runtime: tokio::runtime::Runtime,
}

impl Relay {
    /// Starts a relay in front of `server`, with this certificate and key (PEM).
    ///
    /// # Errors
    /// Certificate and key are unusable, or no port is free.
    pub fn start(server: SocketAddr, certificate: &str, key: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes())?];
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes())?)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let at = listener.local_addr()?;
        let logins = Arc::new(AtomicUsize::new(0));
        let counted = logins.clone();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, counted) = (acceptor.clone(), counted.clone());
                tokio::spawn(async move {
                    let _ = relay(client, server, &acceptor, &counted).await;
                });
            }
        });
        Ok(Self { at, logins, _runtime: runtime })
    }

    /// How many logins went through the relay, all of them over TLS.
    #[must_use]
    pub fn logins(&self) -> usize {
        self.logins.load(Ordering::Relaxed)
    }
}

async fn relay(
    mut client: TcpStream,
    server: SocketAddr,
    acceptor: &TlsAcceptor,
    logins: &AtomicUsize,
) -> Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let mut greeting = packet(&mut server).await?;
    // After the header, the protocol's number and the version come id, nonce, filler, capabilities.
    let version = greeting[5..].iter().position(|b| *b == 0).context("no version")?;
    *greeting.get_mut(5 + version + 1 + 4 + 8 + 1 + 1).context("no capabilities")? |= SSL;
    client.write_all(&greeting).await?;
    let request = packet(&mut client).await?;
    if request.len() != 4 + 32 {
        bail!("a login without TLS");
    }
    let mut client = acceptor.accept(client).await?;
    loop {
        let mut answer = packet(&mut client).await?;
        answer[3] -= 1;
        if answer[3] == 1 {
            answer[5] &= !SSL;
        }
        server.write_all(&answer).await?;
        let mut asked = packet(&mut server).await?;
        asked[3] += 1;
        client.write_all(&asked).await?;
        client.flush().await?;
        match asked.get(4) {
            Some(0) => break,
            Some(0xff) | None => return Ok(()),
            Some(_) => {}
        }
    }
    logins.fetch_add(1, Ordering::Relaxed);
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Reads one packet with its header.
async fn packet(from: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<Vec<u8>> {
    let mut all = vec![0; 4];
    from.read_exact(&mut all).await?;
    let length = usize::from(all[0]) | usize::from(all[1]) << 8 | usize::from(all[2]) << 16;
    all.resize(4 + length, 0);
    from.read_exact(&mut all[4..]).await?;
    Ok(all)
}
