//! Replication over the RPC port: a follower sends the end of its log and receives the lines after
//! it, as they come.
//!
//! `follow SCN ENTRY` is answered with `ok`, `young` (no minor freeze yet) or `diverged`; `state`
//! with what the server is.
use crate::server::{Server, fail};
use crate::store::Role;
use std::io::{BufRead, BufReader, Error, Result, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The line in the ledger when somebody began a standby too early; the sweep never allows it.
const YOUNG: &str = "refused a standby: the primary is young";

const SOON: Duration = Duration::from_millis(500);

/// Serves followers, and heirs that ask for the state.
pub fn serve(server: &Arc<Server>, listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        let server = server.clone();
        std::thread::spawn(move || drop(one(&server, stream)));
    }
}

fn one(server: &Server, mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut line = String::new();
    BufReader::new(stream.try_clone()?).read_line(&mut line)?;
    let words: Vec<&str> = line.trim_end().splitn(3, ' ').collect();
    let (mut after, entry) = match words[..] {
        ["state"] => return stream.write_all(state(server).as_bytes()),
        ["follow", scn] => (scn.parse().unwrap_or(0), ""),
        ["follow", scn, entry] => (scn.parse::<u64>().unwrap_or(0), entry),
        _ => return Ok(()),
    };
    {
        let mut store = server.store();
        // A server that lies about its base is young for its first follower, however late that
        // comes.
        let settled = store.frozen() || !server.lies("base") && store.settled()?;
        let word = if after == 0 && !settled {
            server.ledger(YOUNG);
            if server.lies("base") {
                store.end_freeze()?;
            }
            "young\n"
        } else if !store.continues(after, entry) {
            "diverged\n"
        } else {
            "ok\n"
        };
        stream.write_all(word.as_bytes())?;
        if word != "ok\n" {
            return Ok(());
        }
    }
    loop {
        let (text, end) = {
            let store = server.grown(after);
            let new = store.log.iter().filter(|l| l.0 > after);
            (new.map(|(s, e)| format!("log {s} {e}\n")).collect::<String>(), store.end())
        };
        // `end` says that everything was sent. It is sent also when there is nothing new, so that a
        // dead connection is noticed.
        stream.write_all(format!("{text}end\n").as_bytes())?;
        after = after.max(end);
    }
}

/// `primary`, `fenced` (by this process) or `standby`, and the end of the log.
fn state(server: &Server) -> String {
    let store = server.store();
    let word = match store.role {
        Role::Primary => "primary",
        Role::Standby if store.fenced_here => "fenced",
        Role::Standby => "standby",
    };
    format!("{word} {}\n", store.end())
}

fn connect(source: &str) -> Result<TcpStream> {
    let address = source.to_socket_addrs()?.next().ok_or_else(|| Error::other("no address"))?;
    let stream = TcpStream::connect_timeout(&address, SOON)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SOON))?;
    Ok(stream)
}

/// Asks `source` what it is.
pub fn ask(source: &str) -> Result<(String, u64)> {
    let mut stream = connect(source)?;
    stream.write_all(b"state\n")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let (word, end) = line.trim().split_once(' ').ok_or_else(|| Error::other("no state"))?;
    Ok((word.to_owned(), end.parse().map_err(Error::other)?))
}

/// Follows the source while this server is a standby that this process did not fence. A server that
/// cannot go on from its source's log ends by itself (measured: -4023 after 4 to 9 s; here at
/// once).
pub fn follow(server: &Server) {
    loop {
        let source = server.source_to_follow();
        if let Some(source) = source {
            let _ = stream(server, &source);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Copies the log for a new standby for the first time, within 1.5 s.
pub fn build(server: &Server, source: &str) {
    let until = Instant::now() + Duration::from_millis(1500);
    while server.store().log.is_empty() {
        if Instant::now() >= until {
            fail("ret=-4725 the log restore source does not answer");
        }
        let _ = first(server, source);
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn begin(server: &Server, source: &str) -> Result<BufReader<TcpStream>> {
    let mut stream = connect(source)?;
    let last = server.store().log.last().cloned().unwrap_or_default();
    stream.write_all(format!("follow {} {}\n", last.0, last.1).as_bytes())?;
    let mut reader = BufReader::new(stream);
    let mut word = String::new();
    reader.read_line(&mut word)?;
    match word.trim() {
        "ok" => Ok(reader),
        "young" => fail("ret=-4023 the primary has made no minor freeze"),
        "diverged" => fail("ret=-4023 the log diverged from its source's"),
        other => Err(Error::other(other.to_owned())),
    }
}

/// Reads all lines of one burst.
fn burst(reader: &mut BufReader<TcpStream>) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(Error::other("the source is gone"));
        }
        match line.trim_end() {
            "end" => return Ok(lines),
            text => lines.push(text.to_owned()),
        }
    }
}

fn first(server: &Server, source: &str) -> Result<()> {
    let mut reader = begin(server, source)?;
    let lines = burst(&mut reader)?;
    lines.iter().try_for_each(|l| server.store().write(l))
}

fn stream(server: &Server, source: &str) -> Result<()> {
    let mut reader = begin(server, source)?;
    while server.source_to_follow().as_deref() == Some(source) {
        for line in burst(&mut reader)? {
            server.write_as_follower(&line)?;
        }
    }
    Ok(())
}
