//! Links to the hosts of a lab without sshd. Scripts run inside the host at once, and a link can be
//! cut or held.
//!
//! A link behaves like SSH. A script goes on when its sender dies (its streams end) and when the
//! link is cut (its streams stay open and silent), until the script ends or its watchdog ends it.
use super::bug::Bug;
use super::pipe;
use super::received::{self, Received};
use crate::Host;
use crate::process::{Process, until};
use async_trait::async_trait;
use ob::transport::frame::{COMMAND, Frame};
use ob::transport::{
    Connector, Duplex, Endpoint, Input, Output, Script, Transport, TransportError,
};
use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// The state of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Open,
    /// Nothing gets through, and whoever waits gets an error.
    Cut,
    /// Nothing gets through, and nobody is told: what a frozen provider sees.
    Held,
}

/// The links of one provider to its hosts.
pub struct Links {
    hosts: BTreeMap<String, (Host, watch::Sender<State>)>,
    bug: Option<Bug>,
    received: Arc<Mutex<Vec<Received>>>,
    /// What stays open after a cut: the hosts do not notice that nobody listens any more.
    limbo: Mutex<Vec<(Option<Process>, Box<dyn std::any::Any + Send>)>>,
}

impl Links {
    /// Open links to all of `hosts`. `bug` changes the scripts on their way; `received` collects
    /// the programs of effects.
    #[must_use]
    pub fn new(
        hosts: Vec<Host>,
        bug: Option<Bug>,
        received: Arc<Mutex<Vec<Received>>>,
    ) -> Arc<Self> {
        let hosts = hosts
            .into_iter()
            .map(|h| (h.address().to_string(), (h, watch::Sender::new(State::Open))))
            .collect();
        Arc::new(Self { hosts, bug, received, limbo: Mutex::default() })
    }

    /// Sets the state of the link to one host, or to all.
    pub fn set(&self, host: Option<&str>, state: State) {
        for (at, link) in self.hosts.values() {
            if host.is_none_or(|name| name == at.name()) {
                link.send_replace(state);
            }
        }
    }

    /// Waits until the scripts that a cut separated from us have ended by themselves, or until
    /// `limit` has passed.
    pub fn let_end(&self, limit: Duration) {
        until(limit, || {
            let limbo = self.limbo.lock().unwrap_or_else(PoisonError::into_inner);
            !limbo.iter().any(|(process, _)| process.is_some_and(|p| p.alive()))
        });
    }

    fn keep(&self, process: Option<Process>, one: impl Send + 'static) {
        self.limbo.lock().unwrap_or_else(PoisonError::into_inner).push((process, Box::new(one)));
    }
}

/// The connector of one provider.
pub struct Way(pub Arc<Links>);

#[async_trait]
impl Connector for Way {
    async fn connect(&self, endpoint: &Endpoint) -> Result<Arc<dyn Transport>, TransportError> {
        let (host, state) = self.0.hosts.get(&*endpoint.address).ok_or_else(|| {
            TransportError::Unreachable(format!("{} is no host of the lab", endpoint.address))
        })?;
        let link = Link {
            endpoint: endpoint.clone(),
            host: host.clone(),
            state: state.subscribe(),
            links: self.0.clone(),
        };
        link.pass().await?;
        Ok(Arc::new(link))
    }
}

/// A link to one host.
#[derive(Clone)]
pub struct Link {
    endpoint: Endpoint,
    host: Host,
    state: watch::Receiver<State>,
    links: Arc<Links>,
}

impl Link {
    /// Waits while the link is held; fails when it is cut.
    pub(super) async fn pass(&self) -> Result<(), TransportError> {
        let mut state = self.state.clone();
        let now =
            *state.wait_for(|s| *s != State::Held).await.map_err(|_| TransportError::Cancelled)?;
        if now == State::Cut || !self.host.is_on() { Err(gone()) } else { Ok(()) }
    }

    /// Returns when the link is cut.
    pub(super) async fn cut(&self) {
        let mut state = self.state.clone();
        if state.wait_for(|s| *s == State::Cut).await.is_err() {
            std::future::pending().await
        }
    }

    /// Keeps something open although nobody here listens any more.
    pub(super) fn keep(&self, script: Option<Process>, one: impl Send + 'static) {
        self.links.keep(script, one);
    }

    /// What the product sends, with the planted bug if there is one.
    fn plant(&self, mut frame: Frame) -> Frame {
        if let Some(bug) = self.links.bug {
            frame.text = bug.plant(&frame.text);
        }
        frame
    }

    /// Notes the effects in what the host receives.
    fn note(&self, frame: &Frame) -> Result<(), TransportError> {
        let effects = received::effects(self.host.name(), &frame.text)
            .map_err(|e| TransportError::Unreachable(format!("a script is none of ours: {e:#}")))?;
        self.links.received.lock().unwrap_or_else(PoisonError::into_inner).extend(effects);
        Ok(())
    }

    async fn spawn(&self) -> Result<Child, TransportError> {
        self.pass().await?;
        // Like sshd, which starts a session for every command.
        let command =
            self.host.command(&["setsid", "-w", "/bin/sh", "-c", COMMAND]).map_err(|_| gone())?;
        let mut command = Command::from(command);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command.spawn().map_err(|e| TransportError::Unreachable(e.to_string()))
    }

    async fn finish(
        &self,
        script: &Script,
        input: Option<Input>,
    ) -> Result<Output, TransportError> {
        let frame = self.plant(Frame::run(script, self.endpoint.login()));
        self.note(&frame)?;
        let done = pipe::finish(self, self.spawn().await?, frame, input, script.deadline).await?;
        self.pass().await?;
        Ok(done)
    }
}

fn gone() -> TransportError {
    TransportError::Unreachable("the simulated link is cut".into())
}

#[async_trait]
impl Transport for Link {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    async fn run(&self, script: &Script) -> Result<Output, TransportError> {
        self.finish(script, None).await
    }

    async fn stream(&self, script: &Script, input: Input) -> Result<Output, TransportError> {
        self.finish(script, Some(input)).await
    }

    async fn open(&self, script: &Script) -> Result<Box<dyn Duplex>, TransportError> {
        let frame = self.plant(Frame::open(script, self.endpoint.login()));
        self.note(&frame)?;
        pipe::open(self, self.spawn().await?, frame, script.deadline).await
    }

    async fn dial(&self, address: &str, port: u16) -> Result<Box<dyn Duplex>, TransportError> {
        self.pass().await?;
        let no = |why: &str| TransportError::Dial(format!("{address}:{port}"), why.to_owned());
        let own = self.host.address().to_string();
        let to = if address == "127.0.0.1" { own.as_str() } else { address };
        // A host without power does not answer; here the wait for it is short.
        if self.links.hosts.get(to).is_some_and(|(host, _)| !host.is_on()) {
            return Err(no("no answer"));
        }
        let stream = tokio::time::timeout(
            Duration::from_secs(5),
            tokio::net::TcpStream::connect((to, port)),
        )
        .await;
        let stream = stream.map_err(|_| no("no answer"))?.map_err(|e| no(&e.to_string()))?;
        stream.set_nodelay(true).map_err(|e| no(&e.to_string()))?;
        Ok(pipe::duplex(self, stream, None))
    }
}
