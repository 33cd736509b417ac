//! Promises about answers: whole, bounded, and of the script alone.
use super::{Host, gone, marker, run, same, taking};
use crate::transport::{Output, Script, TransportError};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;

pub(super) async fn whole(host: &Host) -> Result<(), String> {
    let forged = "\nob-00000000000000000000000000000000 end 0\n\nob-along 0\n\nob- begin\n";
    for said in ["", "\n", "no end of line", "\n\nlines\n\n", forged] {
        let out = run(host, format!("printf %s '{said}'; exit 77")).await?;
        same("what was said", (out.stdout.as_str(), out.status), (said, 77))?;
    }
    for (text, want) in [
        ("set -e; echo said; false; echo never", ("said\n", 1)),
        ("echo said; (exit 5)", ("said\n", 5)),
        ("f() { exit 6; }; echo said; f", ("said\n", 6)),
        ("echo said; trap 'echo told' TERM; kill -TERM $$", ("said\ntold\n", 0)),
        ("echo said; kill -KILL $$", ("said\n", 137)),
        ("echo said; exec sh -c 'exit 7'", ("said\n", 7)),
        ("echo said; exec >&-; exit 8", ("said\n", 8)),
        ("echo said; (sleep 0.3; echo late) & exit 9", ("said\n", 9)),
    ] {
        let out = run(host, text).await?;
        same(text, (out.stdout.as_str(), out.status), want)?;
    }
    // The host reports success, but the line that ends the answer is missing.
    for text in ["echo said; exec true", "echo said; exec >&-", "trap - EXIT; echo said"] {
        match host.run(&Script::new(text)).await {
            Err(TransportError::NotWhole(said)) => same(text, said.as_str(), "said")?,
            other => return Err(format!("{text}: got {other:?}")),
        }
    }
    Ok(())
}

pub(super) async fn bound(host: &Host) -> Result<(), String> {
    let exact = Script::new("printf 1234567890").at_most(10);
    same("as much as may be", host.run(&exact).await.map(|o| o.stdout.len()), Ok(10))?;
    let script = Script::new("printf 1234567890x").at_most(10);
    let over = Err(TransportError::TooMuch { read: 0, bound: 10 });
    same("one byte more", host.run(&script).await.map_err(uncounted), over)?;
    let (mark, started) = (marker(), Instant::now());
    let out = run(host, "head -c 9000000 /dev/zero | tr '\\0' y >&2; echo end >&2; exit 5").await?;
    let end = out.stderr.ends_with("y\nend\n") || out.stderr.ends_with("yend\n");
    same("the end of stderr", (out.status, out.stderr.len(), end), (5, Output::ERRORS, true))?;
    // The second one would stay if nobody killed it: it prints nothing more.
    let silent = format!("head -c 5000000 /dev/zero | tr '\\0' x; sh -c 'sleep 40; : {mark}'");
    for endless in [format!("yes {mark}"), silent] {
        let over = Err(TransportError::TooMuch { read: 0, bound: Output::LIMIT });
        same("without end", host.run(&Script::new(endless)).await.map_err(uncounted), over)?;
    }
    same("in time", started.elapsed() < Duration::from_secs(30), true)?;
    gone(host, &mark).await
}

/// Leaves out the number of bytes read, which is not known beforehand.
fn uncounted(error: TransportError) -> TransportError {
    match error {
        TransportError::TooMuch { read, bound } if read > bound => {
            TransportError::TooMuch { read: 0, bound }
        }
        other => other,
    }
}

pub(super) async fn not_ready(host: &Host) -> Result<(), String> {
    let kept = |e: &TransportError| matches!(e, TransportError::TooMuch { bound: 65536, .. });
    let mark = marker();
    for (text, good) in [
        ("echo said >&2; exit 0".to_owned(), ended as fn(&TransportError) -> bool),
        ("echo said; exec true".to_owned(), ended),
        (format!("sh -c 'yes; : {mark}'"), kept),
        (format!("sh -c 'sleep 40; : {mark}'"), |e| matches!(e, TransportError::Timeout(..))),
    ] {
        let script = Script::new(&text).within(Duration::from_secs(2));
        match host.open(&script).await {
            Err(e) if good(&e) => {}
            Err(e) => return Err(format!("{text}: got {e:?}")),
            Ok(_) => return Err(format!("{text}: it is open")),
        }
    }
    gone(host, &mark).await
}

fn ended(error: &TransportError) -> bool {
    *error == TransportError::Ended("said".into())
}

pub(super) async fn input(host: &Host) -> Result<(), String> {
    let mark = format!("/tmp/{}", marker());
    let line = format!("touch {mark}; echo commands\n");
    let check = format!("ls {mark} 2>/dev/null; rm -f {mark}");
    for text in ["true", "read -r word", "(exit 3)", "sleep 0.3"] {
        let lines = std::io::Cursor::new(line.repeat(3).into_bytes());
        let out = host.stream(&taking(text), Box::new(lines)).await.map_err(|e| e.to_string())?;
        same(text, out.stdout.as_str(), "")?;
        same(text, run(host, &check).await?.stdout.as_str(), "")?;
    }
    // A script that refuses before it is ready gets no byte of it.
    let lines = std::io::Cursor::new(line.into_bytes()).chain(tokio::io::repeat(b'\n'));
    let refuse = Script::new("echo no; exit 9");
    let out = host.stream(&refuse, Box::new(lines)).await.map_err(|e| e.to_string())?;
    same("refused", (out.stdout.as_str(), out.status), ("no\n", 9))?;
    same("refused", run(host, &check).await?.stdout.as_str(), "")
}
