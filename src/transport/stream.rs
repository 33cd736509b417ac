//! A channel as a byte stream that keeps alive what it needs.
use super::Duplex;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A channel as a byte stream. `H` is what lives as long as the stream: its place among the
/// sessions, its connection.
pub struct Stream<H> {
    /// Bytes that were read together with the line that said that a script is ready; they come
    /// after it.
    ahead: Vec<u8>,
    inner: Box<dyn Duplex>,
    _held: H,
}

impl<H> Stream<H> {
    /// A stream that gives `ahead` first, then what comes on `inner`.
    pub fn new(ahead: Vec<u8>, inner: Box<dyn Duplex>, held: H) -> Self {
        Self { ahead, inner, _held: held }
    }
}

impl<H: Unpin> AsyncRead for Stream<H> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if !self.ahead.is_empty() {
            let length = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead[..length]);
            self.ahead.drain(..length);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<H: Unpin> AsyncWrite for Stream<H> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
