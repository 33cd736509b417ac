//! The pool: one connection per host and login, and a second one while files are sent there. Each is
//! made once and replaced when it is dead.
use super::auth::Tried;
use super::config::SshConfig;
use super::frame::Frame;
use super::guard::Guarded;
use super::handshake::{self, Failure};
use super::local::Local;
use super::socket::Socket;
use super::ssh::Connection;
use super::{
    Connector, Duplex, Endpoint, Input, Output, Script, Transport, TransportError, jump, keys,
};
use crate::base::{InUse, Pauses};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Handshakes at once, over all hosts: they cost processor time on both ends.
const HANDSHAKES: usize = 32;
/// Handshakes at once with one host: sshd's `MaxStartups` begins to drop connections at 10.
const PER_HOST: usize = 4;

/// How often a login is tried that the host ends without an answer, spread over the time for
/// connections that are dropped. A host that boots or goes down does that for a while; one that
/// refuses the account does it each time, and may count it as an attack.
const LOGINS: u32 = 3;

/// How patient the pool is. The defaults are for the product; tests make it quicker.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long a TCP connection may take to be made.
    pub connect: Duration,
    /// How long a port that refuses connections is tried again (a host that boots).
    pub refused: Duration,
    /// How long connections that end before the login are tried again (a busy sshd drops some).
    pub dropped: Duration,
    /// How long at least a host that failed counts as dead. It counts as dead for as long as the
    /// failure took to show, at least this time and at most five times this time.
    pub dead: Duration,
    /// How long a connection that nobody uses stays open: a server runs for months, and hosts come
    /// and go.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            refused: Duration::from_secs(5),
            dropped: Duration::from_secs(15),
            dead: Duration::from_secs(3),
            idle: Duration::from_secs(600),
        }
    }
}

/// What a connection carries. On a slow link a file fills the connection that it goes over, and the
/// renewals of a lease must not wait behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Traffic {
    Scripts,
    Files,
}

/// All connections of one provider process.
pub struct Pool {
    config: SshConfig,
    cancel: CancellationToken,
    patience: Patience,
    slots: InUse<(Endpoint, Traffic), Slot>,
    handshakes: Semaphore,
    per_host: InUse<(String, u16), Semaphore>,
    me: Weak<Self>,
}

/// The place of one connection. Its lock lets only one task connect; the others wait for the same
/// outcome.
#[derive(Default)]
struct Slot {
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<Arc<Connection>>,
    failed: Option<(Instant, Duration, TransportError)>,
}

impl Pool {
    /// An empty pool. `cancel` ends every wait for a connection; [`super::guard`] says what happens
    /// to running scripts.
    #[must_use]
    pub fn new(config: SshConfig, cancel: CancellationToken) -> Arc<Self> {
        Self::with_patience(config, cancel, Patience::default())
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_patience(
        config: SshConfig,
        cancel: CancellationToken,
        patience: Patience,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            config,
            cancel,
            patience,
            slots: InUse::kept_for(patience.idle),
            handshakes: Semaphore::new(HANDSHAKES),
            per_host: InUse::kept_for(Duration::ZERO),
            me: me.clone(),
        })
    }

    fn slot(&self, endpoint: &Endpoint, traffic: Traffic) -> Arc<Slot> {
        // The name is for people: two names of one host share its connection. The jump chain is the
        // same for all hosts.
        let key = Endpoint { name: String::new(), ..endpoint.clone() };
        // A connection that is forgotten ends once nothing runs over it any more.
        self.slots.get((key, traffic), Slot::default)
    }

    /// The live connection to `endpoint`: the one there is, or a new one.
    async fn connection(
        &self,
        endpoint: &Endpoint,
        traffic: Traffic,
    ) -> Result<Arc<Connection>, TransportError> {
        let slot = self.slot(endpoint, traffic);
        let get = async {
            let mut state = slot.state.lock().await;
            if let Some(connection) = &state.connection {
                if connection.usable().await {
                    return Ok(connection.clone());
                }
                state.connection = None;
            }
            if let Some((at, long, error)) = &state.failed
                && at.elapsed() < *long
            {
                return Err(error.clone());
            }
            if self.cancel.is_cancelled() {
                return Err(TransportError::Cancelled);
            }
            let started = Instant::now();
            match self.establish(endpoint, traffic).await {
                Ok(connection) => {
                    *state = State { connection: Some(connection.clone()), failed: None };
                    Ok(connection)
                }
                Err(error) => {
                    if error != TransportError::Cancelled {
                        state.failed = Some((
                            Instant::now(),
                            started.elapsed().clamp(self.patience.dead, self.patience.dead * 5),
                            error.clone(),
                        ));
                    }
                    Err(error)
                }
            }
        };
        // An existing connection is handed out even after a cancel: the engine still has its last
        // journal line to write.
        tokio::pin!(get);
        tokio::select! {
            biased;
            got = &mut get => got,
            () = self.cancel.cancelled() => Err(TransportError::Cancelled),
        }
    }

    async fn establish(
        &self,
        endpoint: &Endpoint,
        traffic: Traffic,
    ) -> Result<Arc<Connection>, TransportError> {
        let login = keys::login(&self.config, endpoint).await?;
        let (started, mut tries, mut tried) = (Instant::now(), 0_u32, Tried::default());
        let mut unanswered = 0;
        let (first, longest) = (Duration::from_millis(50), Duration::from_secs(1));
        let mut pauses = Pauses::growing(first, longest).scattered();
        loop {
            tries += 1;
            let attempt = self.attempt(endpoint, traffic, &login, &mut tried).await;
            let so_far = started.elapsed();
            let said = |why| format!("{why} ({tries} tries in {:.0} s)", so_far.as_secs_f64());
            let (patience, error) = match attempt {
                Ok(connection) => return Ok(connection),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Again) => continue,
                Err(Failure::Refused(why)) => {
                    (self.patience.refused, TransportError::Unreachable(said(why)))
                }
                Err(Failure::Dropped(why)) => {
                    (self.patience.dropped, TransportError::Unreachable(said(why)))
                }
                Err(Failure::NoAnswer(why)) => {
                    unanswered += 1;
                    if unanswered == LOGINS {
                        let user = login.user.clone();
                        return Err(TransportError::LoginEnded(user, said(why)));
                    }
                    tokio::time::sleep(self.patience.dropped / LOGINS).await;
                    continue;
                }
            };
            let pause = pauses.next().filter(|pause| so_far + *pause <= patience);
            let Some(pause) = pause else { return Err(error) };
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(
        &self,
        endpoint: &Endpoint,
        traffic: Traffic,
        login: &keys::Login,
        tried: &mut Tried,
    ) -> Result<Arc<Connection>, Failure> {
        // Connect to the hop first, so that no place for a handshake is held while another one is
        // waited for.
        let below = match jump::before(&self.config.bastion, endpoint) {
            Some(hop) => Some(
                Box::pin(self.connection(hop, traffic))
                    .await
                    .map_err(|e| Failure::Final(through(hop, e)))?,
            ),
            None => None,
        };
        let host = (endpoint.address.to_string(), endpoint.port);
        let here = self.per_host.get(host, || Semaphore::new(PER_HOST));
        let closed = |_| Failure::Final(TransportError::Cancelled);
        let _here = here.acquire().await.map_err(closed)?;
        let _overall = self.handshakes.acquire().await.map_err(closed)?;
        let (handle, ended) = match &below {
            Some(hop) => {
                let stream =
                    hop.dial(&endpoint.address, endpoint.port).await.map_err(|e| match e {
                        TransportError::Dial(place, why) => {
                            Failure::Refused(format!("{place} through the jump host: {why}"))
                        }
                        TransportError::Forbidden(place) => {
                            Failure::Final(TransportError::Unreachable(format!(
                                "{place} through the jump host: its sshd forbids forwarding \
                                 (AllowTcpForwarding, PermitOpen)"
                            )))
                        }
                        other => Failure::Dropped(other.to_string()),
                    })?;
                handshake::establish(stream, &self.config, endpoint, login, tried).await?
            }
            None => {
                let stream = self.tcp(endpoint).await?;
                handshake::establish(stream, &self.config, endpoint, login, tried).await?
            }
        };
        Ok(Connection::new(handle, ended, below))
    }

    async fn tcp(&self, endpoint: &Endpoint) -> Result<Socket, Failure> {
        let limit = self.patience.connect;
        match tokio::time::timeout(limit, Socket::connect(&endpoint.address, endpoint.port)).await {
            Ok(Ok(socket)) => Ok(socket),
            Ok(Err(e)) => Err(match e.kind() {
                std::io::ErrorKind::ConnectionRefused => Failure::Refused(e.to_string()),
                std::io::ErrorKind::ConnectionReset => Failure::Dropped(e.to_string()),
                _ => Failure::Final(TransportError::Unreachable(e.to_string())),
            }),
            Err(_) => Err(Failure::Final(TransportError::Timeout(
                limit,
                "the TCP connection was made".into(),
            ))),
        }
    }
}

/// Adds to an error that the jump host failed. The advice of the error stays right.
fn through(hop: &Endpoint, error: TransportError) -> TransportError {
    use TransportError as E;
    let at = |why: String| format!("jump host {}: {why}", hop.show());
    match error {
        E::Unreachable(why) => E::Unreachable(at(why)),
        E::Timeout(limit, what) => {
            E::Timeout(limit, format!("{what} with the jump host {}", hop.show()))
        }
        E::Config(why) => E::Config(at(why)),
        E::LoginEnded(user, why) => E::LoginEnded(user, at(why)),
        E::Auth { user, identity, tried } => E::Auth { user, identity, tried: at(tried) },
        other => other,
    }
}

#[async_trait]
impl Connector for Pool {
    async fn connect(&self, endpoint: &Endpoint) -> Result<Arc<dyn Transport>, TransportError> {
        let inner: Arc<dyn Transport> = if endpoint.address.is_local() {
            Arc::new(Local::new(endpoint.clone(), BTreeMap::new()))
        } else {
            self.connection(endpoint, Traffic::Scripts).await?;
            let pool = self.me.upgrade().ok_or(TransportError::Cancelled)?;
            Arc::new(Remote { endpoint: endpoint.clone(), pool })
        };
        Ok(Arc::new(Guarded::new(inner, self.cancel.clone(), self.config.observe)))
    }
}

/// A host behind the pool. Each call takes the connection that is alive now, so a host that
/// rebooted is connected again.
struct Remote {
    endpoint: Endpoint,
    pool: Arc<Pool>,
}

impl Remote {
    async fn connection(&self) -> Result<Arc<Connection>, TransportError> {
        self.pool.connection(&self.endpoint, Traffic::Scripts).await
    }
    /// The connection for files; on a host that takes no second login, the only one.
    async fn carrier(&self) -> Result<Arc<Connection>, TransportError> {
        match self.pool.connection(&self.endpoint, Traffic::Files).await {
            Err(e) if e != TransportError::Cancelled => self.connection().await,
            got => got,
        }
    }
}

#[async_trait]
impl Transport for Remote {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
    async fn run(&self, script: &Script) -> Result<Output, TransportError> {
        let frame = Frame::run(script, self.endpoint.login());
        self.connection().await?.exec(frame, None, script.deadline).await
    }
    async fn stream(&self, script: &Script, input: Input) -> Result<Output, TransportError> {
        let frame = Frame::run(script, self.endpoint.login());
        self.carrier().await?.exec(frame, Some(input), script.deadline).await
    }
    async fn open(&self, script: &Script) -> Result<Box<dyn Duplex>, TransportError> {
        let frame = Frame::open(script, self.endpoint.login());
        self.connection().await?.start(frame, script.deadline).await
    }
    async fn dial(&self, address: &str, port: u16) -> Result<Box<dyn Duplex>, TransportError> {
        self.connection().await?.dial(address, port).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Endpoint {
        Endpoint {
            name: String::new(),
            address: address.parse().unwrap(),
            port: 22,
            user: String::new(),
            identity: String::new(),
            host_key: String::new(),
        }
    }

    #[test]
    fn what_a_jump_host_refuses_names_the_jump_host() {
        let hop = Endpoint { name: "door".into(), ..at("10.0.0.9") };
        let (one, two) = (String::new, || "why".to_owned());
        for error in [
            TransportError::Unreachable(two()),
            TransportError::Timeout(Duration::ZERO, two()),
            TransportError::Config(two()),
            TransportError::LoginEnded(one(), two()),
            TransportError::Auth { user: one(), identity: one(), tried: two() },
        ] {
            let said = through(&hop, error).to_string();
            assert!(said.contains("jump host door") && said.contains("why"), "{said}");
        }
    }

    #[test]
    fn what_nobody_uses_goes_and_what_is_used_stays() {
        let patience = Patience { idle: Duration::ZERO, ..Patience::default() };
        let pool = Pool::with_patience(SshConfig::default(), CancellationToken::new(), patience);
        let used = pool.slot(&at("10.0.0.1"), Traffic::Files);
        let idle = Arc::downgrade(&pool.slot(&at("10.0.0.2"), Traffic::Files));
        std::thread::sleep(Duration::from_millis(2));
        drop(pool.slot(&at("10.0.0.3"), Traffic::Files));
        assert!(idle.upgrade().is_none(), "nobody used it");
        assert!(
            Arc::ptr_eq(&used, &pool.slot(&at("10.0.0.1"), Traffic::Files)),
            "somebody used it"
        );
    }
}
