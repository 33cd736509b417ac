//! A gateway that forwards ports of its own to ports of hosts behind it.
use anyhow::{Context, Result};
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// One forwarded port, until the value is dropped. As with any forwarder in user space, a
/// connection is accepted first, and ends at once when the host behind does not answer.
#[derive(Debug)]
pub struct Forward {
    /// Where the gateway listens.
    pub at: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Forward {
    /// Forwards a free port of the address `gateway` to `host`.
    ///
    /// # Errors
    /// No port is free there.
    pub fn start(gateway: IpAddr, host: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((gateway, 0)).context("no port of the gateway is free")?;
        let (at, ended) = (listener.local_addr()?, Arc::new(AtomicBool::new(false)));
        let end = ended.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if end.load(Ordering::Acquire) {
                    return;
                }
                std::thread::spawn(move || pass(&client, host));
            }
        });
        Ok(Self { at, ended })
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // Wakes the listener up.
        let _ = TcpStream::connect(self.at);
    }
}

/// Passes bytes on in both directions until both have ended.
fn pass(client: &TcpStream, host: SocketAddr) -> Option<()> {
    let server = TcpStream::connect_timeout(&host, Duration::from_secs(5)).ok()?;
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let one_way = |from: &TcpStream, to: &TcpStream| {
        let _ = io::copy(&mut &*from, &mut &*to);
        let _ = to.shutdown(Shutdown::Write);
    };
    std::thread::scope(|s| {
        s.spawn(|| one_way(client, &server));
        one_way(&server, client);
    });
    Some(())
}
