//! Serves gRPC on the socket until the parent says Shutdown, or is gone.
use super::host::{Host, HostError};
use super::pb::plugin::{self, grpc_controller_server as ctl, grpc_stdio_server as stdio};
use super::pb::tf::provider_server::{Provider, ProviderServer};
use super::running::Running;
use super::socket::{Socket, peer_is_us};
use super::{MESSAGE_LIMIT, tls};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long answers may still go out after Shutdown. The parent kills us after 2 s: answers that
/// are not out by then never will be.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long running applies may take to reach a safe point once the parent is gone. They are told
/// at once.
pub const SAFE_POINT: Duration = Duration::from_secs(60);

/// A socket that is open, but not yet served.
pub struct Bound {
    host: Host,
    socket: Socket,
    tls: Option<TlsAcceptor>,
    cert: Vec<u8>,
}

impl Bound {
    /// Opens the socket and makes the key. Must run inside the runtime.
    ///
    /// # Errors
    /// No folder takes a socket, or the client certificate cannot be used.
    pub fn new(host: Host) -> Result<Self, HostError> {
        let (tls, cert) = match &host.client_cert {
            Some(pem) => {
                let (config, cert) = tls::server_config(pem)?;
                (Some(TlsAcceptor::from(config)), cert)
            }
            None => (None, Vec::new()),
        };
        let socket = Socket::open(&host.socket_dirs)?;
        Ok(Self { host, socket, tls, cert })
    }

    /// Where the socket is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.socket.path()
    }
    /// Our certificate (DER); empty for plain text.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.cert
    }
    /// The text for stdout now: the handshake line, or for a debugger what to export. `address` is
    /// the provider's.
    #[must_use]
    pub fn announcement(&self, address: &str) -> String {
        if self.host.debug {
            self.host.reattach(address, self.path())
        } else {
            self.host.handshake(self.path(), &self.cert)
        }
    }

    /// Serves until Shutdown, until `ended` (the parent's death, Ctrl-C under a debugger), or until
    /// the server fails.
    ///
    /// On Shutdown it returns within [`LAST_WORDS`]. On `ended` everything under way is told to
    /// stop and given [`SAFE_POINT`].
    ///
    /// # Errors
    /// The gRPC server failed.
    pub async fn serve<P: Provider>(
        self,
        provider: P,
        running: Running,
        ended: impl Future<Output = ()> + Send,
    ) -> Result<(), HostError> {
        let Self { socket, tls, .. } = self;
        let shutdown = CancellationToken::new();
        let (sender, incoming) = tokio::sync::mpsc::channel(8);
        let accept = accept(&socket, tls, sender);
        let served = tonic::transport::Server::builder()
            .add_service(ctl::GrpcControllerServer::new(Controller(shutdown.clone())))
            .add_service(stdio::GrpcStdioServer::new(Stdio(shutdown.clone())))
            .add_service(
                ProviderServer::new(provider)
                    .max_decoding_message_size(MESSAGE_LIMIT)
                    .max_encoding_message_size(MESSAGE_LIMIT),
            )
            .serve_with_incoming_shutdown(
                ReceiverStream::new(incoming),
                shutdown.clone().cancelled_owned(),
            );
        let last_words = async {
            shutdown.cancelled().await;
            running.cancel();
            tokio::time::sleep(LAST_WORDS).await;
        };
        let orphaned = async {
            ended.await;
            let calls = running.count();
            tracing::warn!(calls, "the calling program is gone: stopping at a safe point");
            running.cancel();
            let _ = tokio::time::timeout(SAFE_POINT, running.idle()).await;
        };
        tokio::select! {
            out = served => out.map_err(|e| HostError::Serve(e.to_string())),
            () = last_words => Ok(()),
            () = orphaned => Ok(()),
            () = accept => Err(HostError::Serve("the socket was closed".to_owned())),
        }
    }
}

async fn accept(
    socket: &Socket,
    tls: Option<TlsAcceptor>,
    sender: tokio::sync::mpsc::Sender<std::io::Result<Connection>>,
) {
    loop {
        let stream = match socket.listener.accept().await {
            Ok((stream, _)) => stream,
            Err(e) => {
                // We may be out of file descriptors, for instance: that may pass.
                tracing::warn!(error = %e, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if !peer_is_us(&stream) {
            tracing::warn!("refused a connection of another user");
            continue;
        }
        let (tls, sender) = (tls.clone(), sender.clone());
        tokio::spawn(async move {
            let connection = match tls {
                None => Connection(Box::new(stream)),
                Some(tls) => match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                    Ok(Ok(stream)) => Connection(Box::new(stream)),
                    Ok(Err(e)) => return tracing::warn!(error = %e, "refused a TLS handshake"),
                    Err(_) => return tracing::warn!("a TLS handshake took too long"),
                },
            };
            let _ = sender.send(Ok(connection)).await;
        });
    }
}

/// The folder of the socket, for tests that look at its mode.
#[must_use]
pub fn folder_of(path: &Path) -> PathBuf {
    path.parent().map(Path::to_path_buf).unwrap_or_default()
}

struct Controller(CancellationToken);

#[tonic::async_trait]
impl ctl::GrpcController for Controller {
    async fn shutdown(&self, _: Request<plugin::Empty>) -> Result<Response<plugin::Empty>, Status> {
        self.0.cancel();
        Ok(Response::new(plugin::Empty {}))
    }
}

/// The stream of what the plugin prints. It stays open and empty, because the plugin prints nothing
/// but the handshake.
struct Stdio(CancellationToken);

#[tonic::async_trait]
impl stdio::GrpcStdio for Stdio {
    type StreamStdioStream = Pin<Box<dyn Stream<Item = Result<plugin::StdioData, Status>> + Send>>;

    async fn stream_stdio(
        &self,
        _: Request<()>,
    ) -> Result<Response<Self::StreamStdioStream>, Status> {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let shutdown = self.0.clone();
        tokio::spawn(async move {
            shutdown.cancelled().await;
            drop(sender);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

struct Connection(Box<dyn Stream2>);

trait Stream2: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream2 for T {}

impl tonic::transport::server::Connected for Connection {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}
impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buffer)
    }
}
impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buffer)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}
