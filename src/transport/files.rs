//! Files on hosts: sent once, verified there, linked from a content-addressed cache.
//!
//! One script looks at all files at once. A file has a stamp: size, inode, mode, mtime and ctime,
//! written down when its digest was last verified. A file whose stamp still holds is not read
//! again, so an unchanged set costs one round trip. A set that was on the host before is linked
//! without a copy.
//!
//! A missing file is streamed to a `.partial` file. The host takes its digest, syncs it and renames
//! it. Links share an inode with the cache: a write into a linked file changes its stamp, so the
//! file is found and sent again.
use super::{Input, Script, Transport};
use crate::base::{Kind, Problem, shell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Streams at once to one host.
const STREAMS: usize = 3;
/// How long to wait for streams that were told to stop.
const STOP: Duration = Duration::from_secs(3);

/// How long a file may make no progress on its way to the host.
const STALL: Duration = Duration::from_secs(120);
/// How long the host may take after it was sent the whole file: for what is still on its way, the
/// digest and the disk.
const TAIL: Duration = Duration::from_secs(600);
/// The slowest link, in bytes a second: beyond what this needs the host itself gives up.
const SLOWEST: u64 = 8 << 10;

/// Opens the content of a file; called only when the host lacks it.
pub type Opener = Arc<dyn Fn() -> std::io::Result<Input> + Send + Sync>;

/// One file to be placed.
#[derive(Clone)]
pub struct FileSpec {
    /// Name below the destination, `/` between folders.
    pub name: String,
    /// Digest of the content, 64 lower-case hex digits.
    pub sha256: String,
    /// Size in bytes.
    pub size: u64,
    /// Permission bits, such as `0o755`.
    pub mode: u32,
    /// The content.
    pub open: Opener,
}

/// Where to place them.
#[derive(Clone, Debug)]
pub struct Place {
    /// The user who owns them; empty means the login user.
    pub run_as: String,
    /// The host's cache folder, on the same file system as `dest` if links are to work.
    pub cache: String,
    /// The destination folder.
    pub dest: String,
    /// Whether to read every file again instead of trusting stamps.
    pub deep: bool,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placed {
    /// Files that were right already.
    pub same: usize,
    /// Files linked from the cache. A file that was sent is linked too, so it counts here and in
    /// `sent`.
    pub linked: usize,
    /// Files sent.
    pub sent: usize,
}

/// Puts `files` into `to.dest` on the host.
///
/// # Errors
/// The link broke, the disk is full (the problem has the numbers), a content is not what its digest
/// says, or a name leaves the folder.
pub async fn place(
    transport: &Arc<dyn Transport>,
    to: &Place,
    files: &[FileSpec],
) -> Result<Placed, Problem> {
    for file in files {
        check(file)?;
    }
    let first = look(transport, to, files).await?;
    let missing: BTreeMap<String, &FileSpec> = files
        .iter()
        .zip(&first.states)
        .filter(|(_, s)| *s == "missing")
        .map(|(f, _)| (key(f), f))
        .collect();
    if missing.is_empty() {
        return Ok(first.count(0));
    }
    let need: u64 = missing.values().map(|f| f.size).sum();
    if need > first.available {
        return Err(full(transport, to, need, first.available));
    }
    let places = Arc::new(tokio::sync::Semaphore::new(STREAMS));
    let stop = CancellationToken::new();
    let mut streams = tokio::task::JoinSet::new();
    for file in missing.values() {
        let (transport, to, file, places, stop) =
            (transport.clone(), to.clone(), (*file).clone(), places.clone(), stop.clone());
        streams.spawn(async move {
            let _place = places.acquire().await;
            send(&transport, &to, &file, stop).await
        });
    }
    while let Some(done) = streams.join_next().await {
        if let Err(e) =
            done.unwrap_or_else(|e| Err(Problem::internal(format!("a stream ended early: {e}"))))
        {
            // The first problem ends the other streams: their inputs break, so that their scripts
            // remove what they wrote.
            stop.cancel();
            let rest = async { while streams.join_next().await.is_some() {} };
            let _ = tokio::time::timeout(STOP, rest).await;
            return Err(e);
        }
    }
    let second = look(transport, to, files).await?;
    if let Some(n) = second.states.iter().position(|s| s == "missing") {
        return Err(Problem::new(
            Kind::Refused,
            format!(
                "file \"{}\" vanished from the cache on host \"{}\"",
                files[n].name,
                transport.endpoint().name
            ),
        )
        .place(to.cache.clone())
        .why("it was verified there a moment ago")
        .fix("find out what else writes to this folder; then run the same command again"));
    }
    let mut placed = second.count(missing.len());
    // What the first look linked is "same" in the second.
    let before = first.count(0);
    placed.linked += before.linked;
    placed.same -= before.linked;
    Ok(placed)
}

fn check(file: &FileSpec) -> Result<(), Problem> {
    let parts = || file.name.split('/');
    if file.name.is_empty()
        || file.name.contains(['\n', '\0'])
        || parts().any(|p| p.is_empty() || p == "." || p == "..")
    {
        return Err(Problem::refused(format!("cannot place a file named {:?}", file.name))
            .why("the name leaves its folder or is empty")
            .fix("use a package that was not tampered with"));
    }
    if file.sha256.len() != 64
        || !file.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    {
        return Err(Problem::user(format!("the sha256 of file \"{}\" is no digest", file.name))
            .why(format!("{:?} is not 64 lower-case hex digits", file.sha256))
            .fix("write the output of `sha256sum`"));
    }
    Ok(())
}

/// The file's name in the cache. The mode is part of it, because linked files share one inode and
/// so one mode.
fn key(file: &FileSpec) -> String {
    format!("{}-{:o}", file.sha256, file.mode & 0o7777)
}

struct Look {
    states: Vec<String>,
    available: u64,
}

impl Look {
    fn count(&self, sent: usize) -> Placed {
        let of = |state: &str| self.states.iter().filter(|s| *s == state).count();
        Placed { same: of("same"), linked: of("linked"), sent }
    }
}

const LOOK: &str = concat!(include_str!("files/lib.sh"), include_str!("files/look.sh"));
const TAKE: &str = concat!(include_str!("files/lib.sh"), include_str!("files/take.sh"));

async fn look(
    transport: &Arc<dyn Transport>,
    to: &Place,
    files: &[FileSpec],
) -> Result<Look, Problem> {
    let deep = u8::from(to.deep).to_string();
    let mut words = vec![to.cache.clone(), to.dest.clone(), deep];
    for file in files {
        words.extend([key(file), file.size.to_string(), file.name.clone()]);
    }
    // A look may have to read every file once. 2 s for each 100 MiB is half the speed of the
    // slowest digest seen.
    let bytes: u64 = files.iter().map(|f| f.size).sum();
    let deadline = Duration::from_secs(60 + bytes / (100 << 20) * 2);
    let out = transport
        .run(&Script::new(shell::program(LOOK, words)).run_as(&to.run_as).within(deadline))
        .await
        .map_err(|e| e.explain(transport.endpoint()))?;
    let (states, rest): (Vec<&str>, Vec<&str>) =
        out.stdout.lines().partition(|l| matches!(*l, "same" | "linked" | "missing"));
    if !out.ok() || states.len() != files.len() {
        if out.stderr.contains("No space left") {
            return Err(full(transport, to, bytes, 0));
        }
        return Err(failed(transport, to, &out.tail()));
    }
    let numbers: Vec<u64> = rest
        .iter()
        .filter_map(|l| l.strip_prefix("available "))
        .flat_map(str::split_whitespace)
        .filter_map(|n| n.parse().ok())
        .collect();
    let available =
        if let [blocks, size] = numbers[..] { blocks.saturating_mul(size) } else { u64::MAX };
    Ok(Look { states: states.into_iter().map(str::to_owned).collect(), available })
}

/// An input that breaks once `stop` is cancelled, and that counts what was taken of it.
struct Stoppable {
    input: Input,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    progress: Arc<Progress>,
}

/// How far a file is on its way.
#[derive(Default)]
struct Progress {
    taken: AtomicU64,
    whole: AtomicBool,
}

impl Progress {
    /// Ends when the file makes no progress any more. A slow link is no reason to give up; one that
    /// stands still is.
    async fn stalls(&self, size: u64) {
        let mut before = 0;
        while !self.whole.load(Ordering::Relaxed) {
            tokio::time::sleep(STALL).await;
            let taken = self.taken.load(Ordering::Relaxed);
            if taken == before && !self.whole.load(Ordering::Relaxed) {
                return;
            }
            before = taken;
        }
        tokio::time::sleep(TAIL + Duration::from_secs(size / (10 << 20))).await;
    }
}

impl AsyncRead for Stoppable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(std::io::Error::other("another file could not be sent")));
        }
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let done = Pin::new(&mut self.input).poll_read(cx, buffer);
        if matches!(done, Poll::Ready(Ok(()))) {
            let taken = buffer.filled().len() - before;
            self.progress.taken.fetch_add(taken as u64, Ordering::Relaxed);
            self.progress.whole.fetch_or(taken == 0 && room > 0, Ordering::Relaxed);
        }
        done
    }
}

async fn send(
    transport: &Arc<dyn Transport>,
    to: &Place,
    file: &FileSpec,
    stop: CancellationToken,
) -> Result<(), Problem> {
    if stop.is_cancelled() {
        return Ok(());
    }
    let key = key(file);
    let partial =
        format!("{}/{key}.{:08x}.partial", to.cache.trim_end_matches('/'), rand::random::<u32>());
    let size = file.size;
    let words = [to.cache.as_str(), &key, &partial, &size.to_string()];
    let deadline = STALL + TAIL + Duration::from_secs(size / SLOWEST);
    let script = Script::new(shell::program(TAKE, words)).run_as(&to.run_as).within(deadline);
    let input = (file.open)().map_err(|e| {
        Problem::user(format!("cannot read file \"{}\" to send it", file.name))
            .why(e.to_string())
            .fix("check the file's path and rights on this machine")
    })?;
    let (stop, progress) = (stop.child_token(), Arc::new(Progress::default()));
    let ends = Box::pin(stop.clone().cancelled_owned());
    let input = Box::new(Stoppable { input, stop: ends, progress: progress.clone() });
    let sending = transport.stream(&script, input);
    tokio::pin!(sending);
    let out = tokio::select! {
        out = &mut sending => out,
        () = progress.stalls(size) => {
            stop.cancel();
            let _ = tokio::time::timeout(STOP, sending).await;
            return Err(stalled(transport, file, progress.taken.load(Ordering::Relaxed)));
        }
    };
    let out = out.map_err(|e| e.explain(transport.endpoint()))?;
    if out.ok() {
        return Ok(());
    }
    let said = super::key_values(&out.stdout);
    let (digest, got) = (
        said.get("digest").map_or("", String::as_str),
        said.get("size").and_then(|n| n.parse::<u64>().ok()),
    );
    if out.stderr.contains("No space left") || out.stderr.contains("quota exceeded") {
        let numbers: Vec<u64> = said
            .get("available")
            .into_iter()
            .flat_map(|l| l.split_whitespace())
            .filter_map(|n| n.parse().ok())
            .collect();
        let left = if let [blocks, block] = numbers[..] { blocks.saturating_mul(block) } else { 0 };
        return Err(full(transport, to, size, left));
    }
    if out.status == 3 && got.is_some() {
        let why = if got == Some(size) {
            format!("its sha256 is {digest}, expected {}", file.sha256)
        } else {
            format!(
                "it has {} bytes, expected {size}; its sha256 is {digest}, expected {}",
                got.unwrap_or(0),
                file.sha256
            )
        };
        return Err(Problem::refused(format!("file \"{}\" is not what was declared", file.name))
            .place(transport.endpoint().show())
            .why(why)
            .fix(
                "download it again from a source you trust, or correct its sha256; nothing of it \
                 was kept on the host",
            ));
    }
    Err(failed(transport, to, &out.tail()))
}

fn stalled(transport: &Arc<dyn Transport>, file: &FileSpec, taken: u64) -> Problem {
    let endpoint = transport.endpoint();
    let what = format!("file \"{}\" does not arrive on host \"{}\"", file.name, endpoint.name);
    Problem::new(Kind::Unreachable, what)
        .place(endpoint.show())
        .why(format!("{} of {} KiB were sent, then nothing moved", taken >> 10, file.size >> 10))
        .fix("check the link and the disk of the host; the same command sends it again")
}

fn full(transport: &Arc<dyn Transport>, to: &Place, need: u64, left: u64) -> Problem {
    let mib = |n: u64| n.div_ceil(1 << 20);
    Problem::user(format!("disk is full on host \"{}\"", transport.endpoint().name))
        .place(format!("{}, {}", transport.endpoint().show(), to.cache))
        .why(format!("{} MiB have to be written and {} MiB are free", mib(need), left >> 20))
        .fix("free space there, or name a folder on a larger disk; the unfinished part was removed")
}

fn failed(transport: &Arc<dyn Transport>, to: &Place, tail: &str) -> Problem {
    let who = if to.run_as.is_empty() { "the login user" } else { &to.run_as };
    Problem::user(format!("cannot place files on host \"{}\"", transport.endpoint().name))
        .place(format!("{}, {} and {}", transport.endpoint().show(), to.cache, to.dest))
        .why(tail)
        .fix(format!("see that {who} may write to both folders"))
}

#[cfg(test)]
mod tests;
