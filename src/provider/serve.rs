//! The whole life of a provider process, from `main` to exit.
use super::{ADDRESS, Registry, dispatch::Provider};
use crate::protocol::host::{Host, HostError};
use crate::protocol::server::Bound;
use crate::protocol::{log, parent};
use std::io::Write;
use tokio::signal::unix::{SignalKind, signal};

/// Serves `registry` as this process's environment and arguments ask, until the caller is done with
/// us.
///
/// Starts its own runtime of two workers, because the provider mostly waits for hosts.
///
/// # Errors
/// The process was not started as a plugin, or the way to the caller failed. The text is for
/// stderr; exit with status 1.
pub fn run(registry: Registry, debug: bool) -> Result<(), HostError> {
    let parent = rustix::process::getppid();
    let host = Host::read(debug, |name| std::env::var_os(name))?;
    log::install(std::env::var("OB_LOG").ok().as_deref());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|e| HostError::Serve(e.to_string()))?;
    let out = runtime.block_on(serve(registry, host, parent));
    // Blocking work (a file read on a dead disk) must not outlast the 2 s that the caller gives us.
    runtime.shutdown_background();
    out
}

async fn serve(
    registry: Registry,
    host: Host,
    parent: Option<rustix::process::Pid>,
) -> Result<(), HostError> {
    let debug = host.debug;
    // Ctrl-C reaches the whole terminal group. The caller then sends StopProvider; dying of the
    // signal would cut an apply.
    let mut interrupt =
        signal(SignalKind::interrupt()).map_err(|e| HostError::Serve(e.to_string()))?;
    let bound = Bound::new(host)?;
    let line = bound.announcement(ADDRESS);
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(|e| HostError::Serve(format!("cannot write the handshake line: {e}")))?;
    let ended = async move {
        if debug {
            interrupt.recv().await;
        } else {
            let ignore = async { while interrupt.recv().await.is_some() {} };
            tokio::select! { () = parent::gone(parent) => {}, () = async { ignore.await; std::future::pending().await } => {} }
        }
    };
    let provider = Provider::new(registry, |name| std::env::var(name).ok());
    let running = provider.running();
    bound.serve(provider, running, ended).await
}
