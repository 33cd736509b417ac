//! Placement on this machine and over a real sshd.
use super::*;
use crate::transport::testing;
use crate::transport::{Connector, Duplex, Endpoint, Output, TransportError, local::Local};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

fn spec(name: &str, content: &[u8], mode: u32, opened: &Arc<AtomicUsize>) -> FileSpec {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content);
    let sha256 = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let (content, opened) = (content.to_vec(), opened.clone());
    let size = content.len() as u64;
    let open: Opener = Arc::new(move || {
        opened.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(std::io::Cursor::new(content.clone())))
    });
    FileSpec { name: name.into(), sha256, size, mode, open }
}

fn place_in(dir: &Path, dest: &str) -> Place {
    let at = |p: &str| dir.join(p).display().to_string();
    Place { run_as: String::new(), cache: at("it's a cache"), dest: at(dest), deep: false }
}

fn local() -> Arc<dyn Transport> {
    Arc::new(Local::new(
        Endpoint {
            name: "here".into(),
            address: "local".parse().unwrap(),
            port: 0,
            user: String::new(),
            identity: String::new(),
            host_key: String::new(),
        },
        BTreeMap::new(),
    ))
}

async fn whole_life(transport: &Arc<dyn Transport>) {
    let dir = tempfile::tempdir().unwrap();
    let opened = Arc::new(AtomicUsize::new(0));
    let big: Vec<u8> = (0..9_000_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    let files = vec![
        spec("bin/server", &big, 0o755, &opened),
        spec("etc/a b'c.conf", b"x=1\n", 0o644, &opened),
        spec("empty", b"", 0o600, &opened),
    ];
    let v1 = place_in(dir.path(), "v1");
    let placed = place(transport, &v1, &files).await.unwrap();
    assert_eq!(placed, Placed { same: 0, linked: 3, sent: 3 });
    assert_eq!(std::fs::read(dir.path().join("v1/bin/server")).unwrap(), big);
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(
        std::fs::metadata(dir.path().join("v1/bin/server")).unwrap().permissions().mode() & 0o7777,
        0o755
    );
    let none = Placed { same: 3, linked: 0, sent: 0 };
    assert_eq!(place(transport, &v1, &files).await.unwrap(), none);
    // A rollback: another place, nothing sent.
    assert_eq!(
        place(transport, &place_in(dir.path(), "v2"), &files).await.unwrap(),
        Placed { same: 0, linked: 3, sent: 0 }
    );
    assert_eq!(opened.load(Ordering::Relaxed), 3);
    assert_eq!(place(transport, &v1, &files).await.unwrap(), none);
    // Somebody writes into a linked file, size and mtime kept: found by ctime, and sent again.
    let path = dir.path().join("v1/bin/server");
    let before = std::fs::metadata(&path).unwrap().modified().unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"evil", 100).unwrap();
    file.set_modified(before).unwrap();
    assert_eq!(
        place(transport, &v1, &files).await.unwrap(),
        Placed { same: 2, linked: 1, sent: 1 }
    );
    assert_eq!(std::fs::read(&path).unwrap(), big);
    assert_eq!(place(transport, &Place { deep: true, ..v1.clone() }, &files).await.unwrap(), none);
    let left: Vec<_> = std::fs::read_dir(&v1.cache)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .filter(|n| n.to_string_lossy().contains("partial"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_sent_once_then_linked_and_damage_is_found_here() {
    whole_life(&local()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_sent_once_then_linked_and_damage_is_found_over_ssh() {
    let (_keys, sshd, pool) = testing::trusted("");
    whole_life(&pool.connect(&sshd.endpoint()).await.unwrap()).await;
}

#[tokio::test]
async fn a_content_that_is_not_what_was_declared_is_refused_and_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Arc::new(AtomicUsize::new(0));
    let right = spec("f", b"content", 0o644, &opened);
    let cases = [
        ("other digest", FileSpec { sha256: "0".repeat(64), ..right.clone() }, "expected 0000"),
        ("shorter", FileSpec { size: 8, ..right.clone() }, "it has 7 bytes, expected 8"),
        (
            "cut source",
            FileSpec { open: Arc::new(|| Err(std::io::Error::other("gone"))), ..right.clone() },
            "gone",
        ),
        (
            "leaves its folder",
            FileSpec { name: "a/../../b".into(), ..right.clone() },
            "leaves its folder",
        ),
        ("absolute", FileSpec { name: "/etc/passwd".into(), ..right.clone() }, "leaves its folder"),
    ];
    for (case, file, why) in cases {
        let problem = place(&local(), &place_in(dir.path(), "d"), &[file]).await.unwrap_err();
        assert!(problem.why.contains(why), "{case}: {problem}");
        assert!(!problem.fix.is_empty());
    }
    let left: Vec<_> = std::fs::read_dir(dir.path().join("it's a cache")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_full_disk_is_said_with_its_numbers_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mount = |args: &[&str]| {
        Command::new(args[0]).args(&args[1..]).arg(dir.path()).status().is_ok_and(|s| s.success())
    };
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=4m", "ob-test"]) {
        eprintln!(
            "SKIPPED a_full_disk_is_said_with_its_numbers_and_leaves_nothing: needs the right to \
             mount"
        );
        return;
    }
    let opened = Arc::new(AtomicUsize::new(0));
    let big = spec("big", &vec![7; 6 << 20], 0o644, &opened);
    // Seen before a byte is sent …
    let early = place(&local(), &place_in(dir.path(), "d"), std::slice::from_ref(&big)).await;
    let sent = opened.load(Ordering::Relaxed);
    // … and on the way, when something else filled the disk meanwhile.
    let late = send(&local(), &place_in(dir.path(), "d"), &big, CancellationToken::new()).await;
    let left: Vec<_> = std::fs::read_dir(dir.path().join("it's a cache"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert!(mount(&["umount"]));
    let early = early.unwrap_err();
    assert!(
        early.what.contains("disk is full")
            && early.why.contains("6 MiB have to be written and ")
            && early.why.contains("MiB are free"),
        "{early}"
    );
    assert_eq!(sent, 0);
    assert!(late.unwrap_err().what.contains("disk is full"));
    assert!(left.is_empty(), "{left:?}");
}

/// A host behind a slow link: 64 KiB in ten seconds, or nothing more after some of them.
struct Slow {
    endpoint: Endpoint,
    stops_after: usize,
    looks: AtomicUsize,
}

#[async_trait::async_trait]
impl Transport for Slow {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
    async fn run(&self, _: &Script) -> Result<Output, TransportError> {
        let first = self.looks.fetch_add(1, Ordering::Relaxed) == 0;
        let state = if first { "missing" } else { "linked" };
        Ok(Output { stdout: format!("{state}\navailable 9999999 4096\n"), ..Output::default() })
    }
    async fn stream(&self, script: &Script, mut input: Input) -> Result<Output, TransportError> {
        let take = async {
            let mut chunk = vec![0; 64 << 10];
            for n in 0.. {
                if n == self.stops_after {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(Duration::from_secs(10)).await;
                match tokio::io::AsyncReadExt::read(&mut input, &mut chunk).await {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(e) => return Err(TransportError::Input(e.to_string())),
                }
            }
            Ok(Output::default())
        };
        let late = |_| Err(TransportError::Timeout(script.deadline, "a script ran".into()));
        tokio::time::timeout(script.deadline, take).await.unwrap_or_else(late)
    }
    async fn open(&self, _: &Script) -> Result<Box<dyn Duplex>, TransportError> {
        unimplemented!("no file is sent so")
    }
    async fn dial(&self, _: &str, _: u16) -> Result<Box<dyn Duplex>, TransportError> {
        unimplemented!("no file is sent so")
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_link_is_waited_for_and_one_that_stands_still_is_not() {
    let opened = Arc::new(AtomicUsize::new(0));
    // 4 MiB take 11 minutes there.
    let files = [spec("server", &vec![7; 4 << 20], 0o755, &opened)];
    for (what, stops_after, arrives) in [
        ("slow", usize::MAX, true),
        ("still at once", 0, false),
        ("still after a while", 30, false),
        ("still at the end", 64, false),
    ] {
        let endpoint = local().endpoint().clone();
        let slow = Slow { endpoint, stops_after, looks: AtomicUsize::new(0) };
        let transport: Arc<dyn Transport> = Arc::new(slow);
        let start = tokio::time::Instant::now();
        let placed = place(&transport, &place_in(Path::new("/"), "x"), &files).await;
        assert_eq!(placed.is_ok(), arrives, "{what}: {placed:?}");
        if let Err(problem) = placed {
            assert!(problem.what.contains("does not arrive"), "{what}: {problem}");
            let most = Duration::from_secs(10 * stops_after as u64) + STALL * 2 + TAIL;
            assert!(start.elapsed() <= most, "{what}: {:?}", start.elapsed());
        } else {
            assert!(start.elapsed() > Duration::from_secs(600), "{what}");
        }
    }
}
