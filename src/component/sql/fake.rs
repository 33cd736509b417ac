//! A fake server of the MySQL protocol: it does what a test's script says, and keeps every byte
//! that it received.
use super::{Login, Session, SqlError, Tls, open_with};
use crate::base::Secret;
use crate::transport::{Duplex, Endpoint, Input, Output, Script, Transport, TransportError};
use async_trait::async_trait;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::task::JoinHandle;

pub const NATIVE: &str = "mysql_native_password";
pub const CACHING: &str = "caching_sha2_password";
pub const PASSWORD: &str = "correct horse battery";
/// PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, MULTI_STATEMENTS, PLUGIN_AUTH, LOCAL_FILES.
pub const CAPABILITIES: u32 = 0x200 | 0x2000 | 0x8000 | 0x1_0000 | 0x8_0000 | 0x80;

const LIMIT: Duration = Duration::from_secs(20);

type Heard = Arc<Mutex<Vec<u8>>>;

/// A stream that keeps every byte read from it.
struct Tap(DuplexStream, Heard);

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.0).poll_read(cx, buf);
        self.1.lock().unwrap().extend(&buf.filled()[before..]);
        polled
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// The server's side of one connection.
pub struct Fake {
    pub stream: Box<dyn Duplex>,
    pub sequence: u8,
}

/// A greeting that offers these capabilities.
pub fn greeting(capabilities: u32, plugin: &str) -> Vec<u8> {
    let [a, b, c, d] = capabilities.to_le_bytes();
    let mut out = b"\x0a5.7.25-fake\0\x07\0\0\x0001234567\0".to_vec();
    out.extend([a, b, 33, 2, 0, c, d, 21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.extend(b"89abcdefghij\0");
    out.extend(plugin.as_bytes());
    out.push(0);
    out
}

impl Fake {
    pub async fn raw(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok() && self.stream.flush().await.is_ok()
    }
    /// Sends one packet; false when nobody reads any more.
    pub async fn send(&mut self, payload: &[u8]) -> bool {
        let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
        let head = [length[0], length[1], length[2], self.sequence];
        self.sequence = self.sequence.wrapping_add(1);
        self.raw(&[&head, payload].concat()).await
    }
    pub async fn greet(&mut self, plugin: &str) {
        self.send(&greeting(CAPABILITIES, plugin)).await;
    }
    pub async fn switch(&mut self, plugin: &str) {
        let nonce = b"\0jihgfedcba9876543210\0";
        self.send(&[b"\xfe", plugin.as_bytes(), nonce].concat()).await;
    }
    pub async fn ok(&mut self) {
        self.send(&[0, 0, 0, 2, 0, 0, 0]).await;
    }
    pub async fn error(&mut self, code: u16, text: &str) {
        let [low, high] = code.to_le_bytes();
        self.send(&[&[0xff, low, high], b"#HY000".as_slice(), text.as_bytes()].concat()).await;
    }
    /// Sends the head of an answer with that many columns.
    pub async fn head(&mut self, columns: u8) {
        self.send(&[columns]).await;
        for _ in 0..columns {
            self.send(b"\x03def\0\0\0\x01c\x01c\x0c\x21\0\0\0\0\0\xfd\0\0\0\0\0").await;
        }
        self.end(2).await;
    }
    pub async fn end(&mut self, status: u8) {
        self.send(&[0xfe, 0, 0, status, 0]).await;
    }
    /// Reads one packet of the client; `None` when the client closed the connection.
    pub async fn read(&mut self) -> Option<Vec<u8>> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head).await.ok()?;
        self.sequence = head[3].wrapping_add(1);
        let length = u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize;
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some(payload)
    }
    /// The next statement.
    pub async fn statement(&mut self) -> Option<String> {
        let payload = self.read().await?;
        Some(String::from_utf8_lossy(payload.strip_prefix(&[3])?).into_owned())
    }
    /// Lets anybody log in, and accepts the session's settings.
    pub async fn welcome(&mut self) {
        self.greet(NATIVE).await;
        self.read().await;
        self.ok().await;
        assert!(self.statement().await.unwrap().starts_with("SET SESSION "));
        self.ok().await;
    }
}

/// A transport that leads to the fake server under any address.
struct Way(Mutex<Option<DuplexStream>>, Endpoint);

#[async_trait]
impl Transport for Way {
    fn endpoint(&self) -> &Endpoint {
        &self.1
    }
    async fn run(&self, _: &Script) -> Result<Output, TransportError> {
        unreachable!("only dialled")
    }
    async fn stream(&self, _: &Script, _: Input) -> Result<Output, TransportError> {
        unreachable!("only dialled")
    }
    async fn open(&self, _: &Script) -> Result<Box<dyn Duplex>, TransportError> {
        unreachable!("only dialled")
    }
    async fn dial(&self, _: &str, _: u16) -> Result<Box<dyn Duplex>, TransportError> {
        Ok(Box::new(self.0.lock().unwrap().take().unwrap()))
    }
}

/// The outcome of a login, and what the server received.
pub struct Came {
    pub session: Result<Session, SqlError>,
    pub heard: Heard,
    pub server: JoinHandle<()>,
}

impl Came {
    pub fn heard(&self, what: &[u8]) -> bool {
        self.heard.lock().unwrap().windows(what.len()).any(|w| w == what)
    }
}

/// Logs in at `address` while the server does what `script` says.
pub async fn log_in_at<F>(address: &str, tls: &Tls, script: impl FnOnce(Fake) -> F) -> Came
where
    F: Future<Output = ()> + Send + 'static,
{
    log_in_within(LIMIT, address, tls, script).await
}

/// As [`log_in_at`], with another deadline.
pub async fn log_in_within<F>(
    limit: Duration,
    address: &str,
    tls: &Tls,
    script: impl FnOnce(Fake) -> F,
) -> Came
where
    F: Future<Output = ()> + Send + 'static,
{
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let heard = Heard::default();
    let fake = Fake { stream: Box::new(Tap(theirs, heard.clone())), sequence: 0 };
    let mut server = tokio::spawn(script(fake));
    let endpoint = Endpoint {
        name: "here".into(),
        address: "local".parse().unwrap(),
        port: 22,
        user: String::new(),
        identity: String::new(),
        host_key: String::new(),
    };
    let way = Way(Mutex::new(Some(ours)), endpoint);
    let login = Login::new("somebody", &Secret::new(PASSWORD));
    let session = open_with(&way, address, 2881, &login, tls, limit).await;
    if session.is_err() {
        // The server still has to read what was sent last.
        let _ = tokio::time::timeout(Duration::from_secs(2), &mut server).await;
    }
    Came { session, heard, server }
}

/// Logs in the way this program logs in to its own servers.
pub async fn log_in<F>(script: impl FnOnce(Fake) -> F) -> Came
where
    F: Future<Output = ()> + Send + 'static,
{
    log_in_at("127.0.0.1", &Tls::off(), script).await
}
