//! A provider whose hosts are this machine's shell, for tests of what a resource does by which way.
use super::{Context, Looks, Session};
use crate::component::package::Archives;
use crate::engine::{Cx, Limits};
use crate::transport::local::Local;
use crate::transport::{Connector, Endpoint, Transport, TransportError};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The way to hosts. Shut are: the host key `wrong`, the user `stranger`, the identity `lost`, the
/// port 9 and the address 10.0.0.9.
pub struct Doors {
    home: tempfile::TempDir,
    entered: AtomicUsize,
}

impl Doors {
    pub fn new() -> Arc<Self> {
        let home = tempfile::tempdir().unwrap();
        Arc::new(Self { home, entered: AtomicUsize::new(0) })
    }
    /// How often a way was open.
    pub fn entered(&self) -> usize {
        self.entered.load(Ordering::Relaxed)
    }
    pub fn reader(self: &Arc<Self>) -> Cx {
        Cx::new(self.clone(), CancellationToken::new(), BTreeMap::new())
    }
    pub fn context(self: &Arc<Self>) -> Context {
        let session = Session {
            owner_later: false,
            owner: Some("me".into()),
            who: "test".into(),
            connector: self.clone(),
            archives: Archives::new(None),
            sql_credentials: BTreeMap::new(),
            sql_later: false,
            observe: false,
            sudo: false,
            limits: Limits::of(2),
            operation_timeout: Duration::from_secs(60),
            looks: Looks::default(),
        };
        Context { session: Arc::new(session), cancel: CancellationToken::new() }
    }
}

#[async_trait]
impl Connector for Doors {
    async fn connect(&self, endpoint: &Endpoint) -> Result<Arc<dyn Transport>, TransportError> {
        if endpoint.port == 9 || &*endpoint.address == "10.0.0.9" {
            return Err(TransportError::Unreachable("nobody is there".into()));
        }
        if endpoint.host_key == "wrong" {
            let [offered, expected] = ["right".to_owned(), "wrong".to_owned()];
            return Err(TransportError::HostKeyChanged { offered, expected });
        }
        let Endpoint { user, identity, .. } = endpoint.clone();
        if user == "stranger" {
            return Err(TransportError::Auth { user, identity, tried: "one key".into() });
        }
        if identity == "lost" {
            return Err(TransportError::Identity(identity, "there is none of that name".into()));
        }
        self.entered.fetch_add(1, Ordering::Relaxed);
        let home = self.home.path().display().to_string();
        let state = BTreeMap::from([("OB_STATE".to_owned(), home)]);
        Ok(Arc::new(Local::new(endpoint.clone(), state)))
    }
}
