//! A server's store: one append-only file of lines, which is read back at each start. An
//! acknowledged line is on the disk.
//!
//! Lines `log SCN ENTRY` are replicated. All others are the server's own: `whole`, `role ROLE`,
//! `frozen`, `parameter NAME VALUE`.
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Result, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long after the answer to its statement a minor freeze moves the base of the log (seen on
/// 1.4.0.post1: up to 4 s).
const FREEZE: Duration = Duration::from_millis(700);

/// The role of a server in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes writes.
    Primary,
    /// Follows, or is fenced.
    Standby,
}

/// A server's data and settings in memory, and the file they come from.
pub struct Store {
    file: File,
    /// The first start came to its end.
    pub whole: bool,
    /// The server's role; it survives restarts.
    pub role: Role,
    /// This very process was fenced.
    pub fenced_here: bool,
    /// A standby can be built from this server.
    frozen: bool,
    /// When the minor freeze that is under way began.
    freezing: Option<Instant>,
    /// Parameters that a statement or the first start set.
    pub parameters: BTreeMap<String, String>,
    /// The replicated log: SCN and entry.
    pub log: Vec<(u64, String)>,
    /// Users, each with what is kept of the password.
    pub users: BTreeMap<String, String>,
    /// Numbers of the writer's rows.
    pub rows: BTreeSet<u64>,
}

impl Store {
    /// Opens or makes the file below `base`.
    pub fn open(base: &Path) -> Result<Self> {
        std::fs::create_dir_all(base.join("store/redo"))?;
        let path = base.join("store/redo/log");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let file = File::options().create(true).append(true).open(path)?;
        let users = BTreeMap::from([("root".to_owned(), String::new())]);
        let mut store = Self {
            file,
            whole: false,
            role: Role::Primary,
            fenced_here: false,
            frozen: false,
            freezing: None,
            parameters: BTreeMap::new(),
            log: Vec::new(),
            users,
            rows: BTreeSet::new(),
        };
        text.split_inclusive('\n').filter_map(|l| l.strip_suffix('\n')).for_each(|l| store.take(l));
        Ok(store)
    }

    /// Whether nothing was ever written.
    pub fn is_new(&self) -> bool {
        self.log.is_empty() && !self.whole && self.parameters.is_empty()
    }

    fn take(&mut self, line: &str) {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        match words[..] {
            ["whole"] => self.whole = true,
            ["frozen"] => self.frozen = true,
            ["role", word] => {
                self.role = if word == "primary" { Role::Primary } else { Role::Standby }
            }
            ["parameter", name, value] => drop(self.parameters.insert(name.into(), value.into())),
            ["parameter", name] => drop(self.parameters.insert(name.into(), String::new())),
            ["log", scn, entry] => {
                self.log.push((scn.parse().unwrap_or(0), entry.into()));
                match entry.split(' ').collect::<Vec<_>>()[..] {
                    ["user", name, kept] => drop(self.users.insert(name.into(), kept.into())),
                    ["user", name] => drop(self.users.insert(name.into(), String::new())),
                    ["row", n] => self.rows.extend(n.parse::<u64>().ok()),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// Writes a line durably, then applies it.
    pub fn write(&mut self, line: &str) -> Result<()> {
        self.file.write_all(format!("{line}\n").as_bytes())?;
        self.file.sync_data()?;
        self.take(line);
        Ok(())
    }

    /// Begins a minor freeze, unless one is under way.
    pub fn freeze(&mut self) {
        self.freezing.get_or_insert_with(Instant::now);
    }

    /// Whether a standby can be built from this server now. A minor freeze that is due comes to its
    /// end here.
    pub fn settled(&mut self) -> Result<bool> {
        if !self.frozen && self.freezing.is_some_and(|since| since.elapsed() >= FREEZE) {
            self.end_freeze()?;
        }
        Ok(self.frozen)
    }

    /// Whether a minor freeze has come to its end.
    pub fn frozen(&self) -> bool {
        self.frozen
    }

    /// Lets a minor freeze come to its end.
    pub fn end_freeze(&mut self) -> Result<()> {
        self.write("frozen")
    }

    /// Appends to the replicated log.
    pub fn append(&mut self, entry: &str) -> Result<()> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(0));
        let scn = now.max(self.end() + 1);
        self.write(&format!("log {scn} {entry}"))
    }

    /// The SCN at which the log ends.
    pub fn end(&self) -> u64 {
        self.log.last().map_or(0, |l| l.0)
    }

    /// Whether a follower whose log ends with `scn` and `entry` can go on from this log; `scn` 0
    /// means an empty log.
    pub fn continues(&self, scn: u64, entry: &str) -> bool {
        scn == 0 || self.log.iter().any(|(s, e)| *s == scn && e == entry)
    }
}
