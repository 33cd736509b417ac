//! The contract of every transport, as a suite that runs on any of them: SSH, local, simulated.
//!
//! [`check`] gives back the promises that were broken, so that one run shows all of them. It leaves
//! nothing on the host.
use super::{Input, Output, Script, Transport, TransportError};
use crate::base::shell::{program, quote};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, ReadBuf};

mod answers;

/// What the suite may use on the host.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Another user that the login user may become.
    pub run_as: Option<String>,
    /// A TCP port on the host's 127.0.0.1 that accepts connections.
    pub listening: Option<u16>,
}

type Kept<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;
type Host = Arc<dyn Transport>;

/// A script that takes input.
fn taking(text: impl AsRef<str>) -> Script {
    Script::new(format!("ob_ready\n{}", text.as_ref())).within(Duration::from_secs(30))
}

/// Runs the whole suite. The result names each broken promise and what was seen instead; it is
/// empty when all is well.
pub async fn check(host: &Host, options: &Options) -> Vec<String> {
    let promises: Vec<(&str, Kept<'_>)> = vec![
        ("exit statuses and signals come back", Box::pin(statuses(host))),
        (
            "the environment is the C locale with system commands in reach",
            Box::pin(environment(host)),
        ),
        ("hostile words arrive as they were quoted", Box::pin(quoting(host))),
        ("an answer is what the script said, all of it", Box::pin(answers::whole(host))),
        ("an answer beyond its bound is an error and ends", Box::pin(answers::bound(host))),
        ("every byte of a stream arrives", Box::pin(bytes(host))),
        (
            "a source that fails is an input error and ends the script",
            Box::pin(failing_source(host)),
        ),
        ("no secret of a script is in the host's process list", Box::pin(secrets(host))),
        ("a script is read whole before its first line runs", Box::pin(whole(host))),
        ("a deadline ends the wait and the processes", Box::pin(deadline(host))),
        ("a daemon that keeps the streams open holds nobody up", Box::pin(daemon(host))),
        ("more scripts than sessions run at once", Box::pin(concurrency(host))),
        ("an open script talks both ways and ends with its stream", Box::pin(open(host))),
        ("a script that is not ready is not opened", Box::pin(answers::not_ready(host))),
        ("input is never taken for commands", Box::pin(answers::input(host))),
        (
            "a port that is closed is a dial error, one that listens answers",
            Box::pin(dial(host, options.listening)),
        ),
        (
            "a script runs as another user when asked",
            Box::pin(run_as(host, options.run_as.as_deref())),
        ),
    ];
    let mut broken = Vec::new();
    for (promise, kept) in promises {
        let started = Instant::now();
        let kept = tokio::time::timeout(Duration::from_secs(60), kept).await;
        tracing::debug!(promise, took = ?started.elapsed(), "checked");
        match kept {
            Ok(Ok(())) => {}
            Ok(Err(why)) => broken.push(format!("{promise}: {why}")),
            Err(_) => broken.push(format!("{promise}: no end within 60 s")),
        }
    }
    broken
}

async fn run(host: &Host, text: impl AsRef<str>) -> Result<Output, String> {
    host.run(&Script::new(text)).await.map_err(|e| e.to_string())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, want: T) -> Result<(), String> {
    if got == want { Ok(()) } else { Err(format!("{what}: got {got:?}, want {want:?}")) }
}

fn marker() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// A script that prints the processes whose command line holds `text`. The text itself is on no
/// command line of the script.
fn search(text: &str) -> String {
    format!("grep -alF -f /dev/stdin /proc/[0-9]*/cmdline 2>/dev/null <<'MARK'\n{text}\nMARK\ntrue")
}

async fn statuses(host: &Host) -> Result<(), String> {
    for (text, want) in [
        ("true", 0),
        ("false", 1),
        ("exit 77", 77),
        ("exit 255", 255),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
        ("no-such-command-here", 127),
    ] {
        same(text, run(host, text).await?.status, want)?;
    }
    let out = run(host, "echo out; echo err >&2").await?;
    same("streams", (out.stdout.as_str(), out.stderr.as_str()), ("out\n", "err\n"))?;
    same(
        "a command in a script does not eat the script",
        run(host, "cat; echo after").await?.stdout,
        "after\n".into(),
    )
}

async fn environment(host: &Host) -> Result<(), String> {
    let out = run(host, "echo $LC_ALL $(umask); case :$PATH: in *:/usr/sbin:*) echo sbin ;; esac")
        .await?;
    same("environment", out.stdout, "C 0022\nsbin\n".into())
}

async fn quoting(host: &Host) -> Result<(), String> {
    for word in [
        "a b",
        "it's",
        "\"$(id)\"",
        "`id`",
        "$HOME",
        "two\nlines",
        "\\",
        "*",
        "~",
        "ä€",
        "-n",
        "#",
        "a;b&c|d>e",
        "!x",
        "'\\''",
    ] {
        same(word, run(host, format!("printf %s {}", quote(word))).await?.stdout, word.to_owned())?;
        let text = program("printf '<%s>' \"$@\"", [word, "", word]);
        same("as arguments", run(host, text).await?.stdout, format!("<{word}><><{word}>"))?;
    }
    Ok(())
}

async fn bytes(host: &Host) -> Result<(), String> {
    let all: Vec<u8> = (0..=255).collect();
    let want: String = all.iter().map(|b| format!("{b:02x}")).collect();
    let out = stream(host, "od -An -v -tx1 | tr -d ' \\n'", Box::new(std::io::Cursor::new(all)));
    same("each byte", out.await?.stdout, want)?;
    let zeros: Input = Box::new(tokio::io::repeat(0).take(30_000_000));
    same("30 MB", stream(host, "wc -c", zeros).await?.stdout.trim(), "30000000")?;
    let early = stream(host, "exit 4", Box::new(tokio::io::repeat(0))).await?;
    same("a script that does not read", early.status, 4)
}

async fn stream(host: &Host, text: &str, input: Input) -> Result<Output, String> {
    host.stream(&taking(text), input).await.map_err(|e| e.to_string())
}

/// An input that gives some bytes, then an error.
struct Broken(bool);

impl tokio::io::AsyncRead for Broken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        if self.0 {
            return std::task::Poll::Ready(Err(std::io::Error::other("the source broke")));
        }
        self.0 = true;
        buf.put_slice(b"half");
        std::task::Poll::Ready(Ok(()))
    }
}

async fn failing_source(host: &Host) -> Result<(), String> {
    let mark = marker();
    let out =
        host.stream(&taking(format!("cat; sleep 30; : {mark}")), Box::new(Broken(false))).await;
    match out {
        Err(TransportError::Input(why)) => same("why", why.as_str(), "the source broke")?,
        other => return Err(format!("got {other:?}")),
    }
    gone(host, &mark).await?;
    // The script may remove what it has begun.
    let begun = format!("/tmp/{mark}");
    let tidy = format!("(trap 'sleep 0.1; rm -f {begun}' EXIT; cat >{begun})");
    let out = host.stream(&taking(tidy), Box::new(Broken(false))).await;
    same("an error of the input", matches!(out, Err(TransportError::Input(_))), true)?;
    same(
        "what is left",
        run(host, format!("ls {begun} 2>&1; rm -f {begun}")).await?.stdout.contains("No such file"),
        true,
    )
}

/// Waits until no process shows `mark` on its command line.
async fn gone(host: &Host, mark: &str) -> Result<(), String> {
    let mut left = String::new();
    for _ in 0..50 {
        left = run(host, search(mark)).await?.stdout;
        if left.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("still running: {left}"))
}

async fn secrets(host: &Host) -> Result<(), String> {
    let secret = marker();
    let out = run(host, format!("password={secret}\nsleep 0.2 &\n{}", search(&secret))).await?;
    same("processes that show the secret", out.stdout.as_str(), "")?;
    // Proves that the search itself works: it finds what is on a command line.
    let mark = marker();
    let out = run(
        host,
        format!(
            "sh -c 'sleep 2; : {mark}' >/dev/null 2>&1 & p=$!\nsleep 0.1\n{}\nkill $p",
            search(&mark)
        ),
    )
    .await?;
    if out.stdout.is_empty() { Err("the search finds nothing at all".into()) } else { Ok(()) }
}

async fn whole(host: &Host) -> Result<(), String> {
    let out = run(host, "echo started\nif true; then\n").await?;
    if out.ok() || !out.stdout.is_empty() {
        Err(format!("a cut script ran: {out:?}"))
    } else {
        Ok(())
    }
}

async fn deadline(host: &Host) -> Result<(), String> {
    let mark = marker();
    let started = Instant::now();
    let script = Script::new(format!("sh -c 'sleep 40; : {mark}'; echo never"))
        .within(Duration::from_millis(600));
    match host.run(&script).await {
        Err(TransportError::Timeout(..)) => {}
        other => return Err(format!("got {other:?}")),
    }
    if started.elapsed() > Duration::from_secs(5) {
        return Err(format!("it took {:?}", started.elapsed()));
    }
    gone(host, &mark).await
}

async fn daemon(host: &Host) -> Result<(), String> {
    let started = Instant::now();
    let out = run(host, "sleep 12 & echo $!").await?;
    let took = started.elapsed();
    let alive = run(host, format!("kill {}", out.stdout.trim())).await?;
    if took > Duration::from_secs(6) {
        return Err(format!("it took {took:?}"));
    }
    if alive.ok() { Ok(()) } else { Err("the daemon was killed with its script".into()) }
}

async fn concurrency(host: &Host) -> Result<(), String> {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..25 {
        let host = host.clone();
        tasks.spawn(async move {
            run(&host, format!("sleep 0.05; echo {n}"))
                .await
                .and_then(|o| same("output", o.stdout, format!("{n}\n")))
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|e| e.to_string())??;
    }
    Ok(())
}

async fn open(host: &Host) -> Result<(), String> {
    let mark = marker();
    let text = |e: std::io::Error| e.to_string();
    let script = Script::new(format!(
        "echo before; ob_ready; echo first; while read -r line; do echo \"got $line\"; done; : \
         {mark}"
    ));
    let stream = host.open(&script).await.map_err(|e| e.to_string())?;
    let mut stream = BufReader::new(stream);
    let first = super::line(&mut stream, 80).await.map_err(text)?;
    same("what comes first", first.as_deref(), Some("first"))?;
    for line in ["one", "two"] {
        stream.write_all(format!("{line}\n").as_bytes()).await.map_err(text)?;
        let want = format!("got {line}\n");
        let mut got = vec![0; want.len()];
        stream.read_exact(&mut got).await.map_err(text)?;
        same("answer", String::from_utf8_lossy(&got).into_owned(), want)?;
    }
    drop(stream);
    gone(host, &mark).await
}

async fn dial(host: &Host, listening: Option<u16>) -> Result<(), String> {
    match host.dial("127.0.0.1", 1).await {
        Err(TransportError::Dial(place, _)) => same("place", place.as_str(), "127.0.0.1:1")?,
        Err(other) => return Err(format!("a closed port gave {other:?}")),
        Ok(_) => return Err("port 1 is open".into()),
    }
    match listening {
        None => Ok(()),
        Some(port) => host.dial("127.0.0.1", port).await.map(drop).map_err(|e| e.to_string()),
    }
}

async fn run_as(host: &Host, user: Option<&str>) -> Result<(), String> {
    let Some(user) = user else { return Ok(()) };
    let script = Script::new("id -un; cat; exit 9").run_as(user);
    let out = host.run(&script).await.map_err(|e| e.to_string())?;
    same("user and status", (out.stdout.trim(), out.status), (user, 9))?;
    let mine = run(host, "id -un").await?.stdout;
    let out =
        host.run(&Script::new("id -un").run_as(mine.trim())).await.map_err(|e| e.to_string())?;
    same("as oneself", out.stdout, mine)?;
    let nobody = taking("echo never").run_as("no-such-user");
    let out = host.run(&nobody).await.map_err(|e| e.to_string())?;
    same("as nobody", (out.ok(), out.stdout.as_str(), out.stderr.is_empty()), (false, "", false))?;
    let open = host.open(&nobody).await.err();
    same("open as nobody", matches!(open, Some(TransportError::Ended(_))), true)?;
    let out = host.stream(&taking("id -un; cat").run_as(user), Box::new(&b"input"[..])).await;
    let out = out.map_err(|e| e.to_string())?;
    same("with input", out.stdout, format!("{user}\ninput"))?;
    let open = host.open(&taking("id -un; read -r x; echo $x").run_as(user)).await;
    let mut open = BufReader::new(open.map_err(|e| e.to_string())?);
    let text = |e: std::io::Error| e.to_string();
    same("open", super::line(&mut open, 80).await.map_err(text)?.as_deref(), Some(user))?;
    open.write_all(b"word\n").await.map_err(text)?;
    same("talk", super::line(&mut open, 80).await.map_err(text)?.as_deref(), Some("word"))
}
