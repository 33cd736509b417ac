//! One running server: its store behind a lock, and its sessions.
use crate::answer;
use crate::sha1::proves;
use crate::store::{Role, Store};
use crate::wire::{Answer, Wire};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Result, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The ledger: every statement that changes something is written here as `BASE STATEMENT`. A
/// destroy does not remove this file.
const LEDGER: &str = "/var/log/sim-seekdb.ledger";

/// The file that names the lies this server tells, for tests of the tests; see [`Server::lies`].
const LIES: &str = "/etc/sim-seekdb.lies";

/// One running server.
pub struct Server {
    /// The server's base directory.
    pub base: PathBuf,
    /// The parameters on this run's command line.
    pub given: BTreeMap<String, String>,
    /// The store was made by an earlier start.
    pub again: bool,
    store: Mutex<Store>,
    asked: Mutex<BTreeSet<String>>,
    grown: Condvar,
    /// Open sessions: user and connection by id.
    pub sessions: Mutex<BTreeMap<u32, (String, TcpStream)>>,
}

/// Logs the reason and ends the process. The real server, too, ends long after its start command
/// exited with 0.
pub fn fail(why: &str) -> ! {
    log(Path::new("."), &format!("ERROR {why}"));
    std::process::exit(1)
}

/// Appends a line to the server's log.
pub fn log(base: &Path, line: &str) {
    let _ = std::fs::create_dir_all(base.join("log"));
    let _ = File::options()
        .create(true)
        .append(true)
        .open(base.join("log/seekdb.log"))
        .and_then(|mut f| writeln!(f, "{line}"));
}

impl Server {
    /// A server over an open store.
    pub fn new(base: PathBuf, given: BTreeMap<String, String>, store: Store) -> Self {
        Self {
            base,
            given,
            again: !store.is_new(),
            store: Mutex::new(store),
            asked: Mutex::default(),
            grown: Condvar::new(),
            sessions: Mutex::default(),
        }
    }

    /// The store.
    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store, once its log goes beyond `after`, or else a moment later.
    pub fn grown(&self, after: u64) -> MutexGuard<'_, Store> {
        let store = self.store();
        if store.end() > after {
            return store;
        }
        self.grown
            .wait_timeout(store, Duration::from_millis(100))
            .map_or_else(|e| e.into_inner().0, |g| g.0)
    }

    /// Appends to the replicated log, if this server is the primary.
    pub fn append(&self, entry: &str) -> Answer {
        let mut store = self.store();
        if store.role != Role::Primary {
            return read_only();
        }
        self.appended(&mut store, entry)
    }

    /// As [`Server::append`], for a caller that holds the store.
    pub fn appended(&self, store: &mut Store, entry: &str) -> Answer {
        let done = store.append(entry);
        self.grown.notify_all();
        done.map_or_else(|e| Answer::Err(4000, e.to_string()), |()| Answer::Ok)
    }

    /// Writes a line of the source's log, unless this server no longer follows.
    pub fn write_as_follower(&self, line: &str) -> Result<()> {
        let mut store = self.store();
        if store.role == Role::Standby && !store.fenced_here {
            store.write(line)?;
            self.grown.notify_all();
        }
        Ok(())
    }

    /// The source that the server follows now. A fenced process follows nobody before it is
    /// restarted.
    pub fn source_to_follow(&self) -> Option<String> {
        let store = self.store();
        let follows = store.role == Role::Standby && !store.fenced_here;
        store.parameters.get("log_restore_source").filter(|s| follows && !s.is_empty()).cloned()
    }

    /// Whether a question about the server's own tables is answered. A process that was fenced
    /// answers only the questions that it was asked before, and 4012 to others (run on
    /// 1.4.0.post1). It was seen with `SHOW PROCESSLIST`, the only question to which this rule
    /// applies here.
    pub fn answers(&self, question: &str) -> bool {
        let fenced = self.store().fenced_here;
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.contains(question) || !fenced && asked.insert(question.to_owned())
    }

    /// Writes a statement to the ledger.
    pub fn ledger(&self, statement: &str) {
        let line = format!("{} {statement}\n", self.base.display());
        let _ = File::options()
            .create(true)
            .append(true)
            .open(LEDGER)
            .and_then(|mut f| f.write_all(line.as_bytes()));
    }

    /// Whether a test asks this server to lie about `what`.
    pub fn lies(&self, what: &str) -> bool {
        std::fs::read_to_string(LIES).is_ok_and(|t| t.lines().any(|l| l == what))
    }

    /// Serves clients until the process ends.
    pub fn serve(self: &Arc<Self>, listener: &TcpListener) {
        for (stream, id) in listener.incoming().flatten().zip(1..) {
            let server = self.clone();
            std::thread::spawn(move || {
                let _ = server.session(stream, id);
                server.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            });
        }
    }

    fn session(&self, stream: TcpStream, id: u32) -> Result<()> {
        let nonce = std::array::from_fn(|i| {
            u8::try_from((id as usize * 31 + i * 7) % 94 + 33).unwrap_or(33)
        });
        let other = stream.try_clone()?;
        let (mut wire, user, proof) = Wire::greet(stream, id, &nonce)?;
        let kept = self.store().users.get(&user).cloned();
        if !kept.is_some_and(|kept| proves(&proof, &nonce, &kept)) {
            return wire.answer(&Answer::Err(1045, format!("Access denied for user '{user}'")));
        }
        wire.answer(&Answer::Ok)?;
        self.sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, (user.clone(), other));
        loop {
            let packet = wire.command()?;
            let answer = match packet.split_first() {
                Some((3, text)) => answer::answer(self, &user, id, &String::from_utf8_lossy(text)),
                Some((14, _)) => Answer::Ok,
                _ => return Ok(()),
            };
            wire.answer(&answer)?;
        }
    }

    /// Ends a session once it has sent nothing for this long.
    pub fn idle(&self, id: u32, seconds: u64) {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, stream)) = sessions.get(&id) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(seconds.max(1))));
        }
    }

    /// Ends a session; a standby lets nobody do that (run on 1.4.0.post1).
    pub fn kill(&self, id: u32) -> Answer {
        if self.store().role == Role::Standby {
            return read_only();
        }
        match self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(&id) {
            Some((_, stream)) => {
                let _ = stream.shutdown(Shutdown::Both);
                Answer::Ok
            }
            None => Answer::Err(1094, format!("Unknown thread id: {id}")),
        }
    }
}

/// The answer to a write on a standby or fenced server (4688, at once).
pub fn read_only() -> Answer {
    Answer::Err(4688, "standby tenant is read only".into())
}
