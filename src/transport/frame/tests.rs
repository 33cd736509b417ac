//! Frames as tables, and in front of every login shell that this machine has.
use super::*;
use crate::transport::local::converse;
use std::process::Stdio;
use tokio::process::Command;

const SAID: &str = "noise\nob-N pid 7 5\n\nob-N begin\nsaid\n\nob-N ready\nmore\nob-N end 3\nlate";

/// An answer that is read in pieces of `size` bytes; `N` stands for the frame's number.
fn read(text: &str, size: usize, limit: usize) -> Result<Answer, TransportError> {
    let frame = Frame::run(&Script::new("").at_most(limit), "");
    let mut answer = frame.answer();
    for part in text.replace("ob-N ", &format!("ob-{} ", frame.nonce)).as_bytes().chunks(size) {
        answer.stdout(part)?;
    }
    Ok(answer)
}

#[test]
fn what_lies_between_the_lines_is_the_answer_however_it_comes_in_pieces() {
    for size in 1..120 {
        let answer = read(SAID, size, 20).unwrap();
        assert!(answer.ended() && answer.is_ready() && answer.group == Group::parse("7 5"));
        let out = answer.finish(Some(0)).unwrap();
        assert_eq!((out.stdout.as_str(), out.status), ("said\nmore", 3), "{size}");
    }
}

#[test]
fn an_answer_without_its_lines_is_none() {
    let whole = |n: i32, out: &str| Ok((n, out.to_owned()));
    let not_whole = |said: &str| Err(TransportError::NotWhole(said.into()));
    let no_shell = |said: &str| Err(TransportError::NoShell(said.into()));
    let (pid, begin) = ("\nob-N pid 7\n", "\nob-N pid 7\n\nob-N begin\n");
    for (text, status, want) in [
        (String::new(), Some(0), no_shell("")),
        ("not available\n".into(), Some(1), no_shell("not available")),
        ("\nob-X begin\nx\nob-X end 0\n".into(), Some(0), no_shell("ob-X begin\nx\nob-X end 0")),
        (pid.into(), Some(0), not_whole("")),
        (format!("{pid}no rights"), Some(1), whole(1, "")),
        (format!("{begin}half"), Some(0), not_whole("half")),
        (format!("{begin}half"), None, not_whole("half")),
        (format!("{begin}half"), Some(137), whole(137, "half")),
        (format!("{begin}x\nob-N end 0"), Some(0), not_whole("x")),
        (format!("{begin}x\nob-N end 0\n"), Some(0), whole(0, "x")),
        (format!("{begin}x\nob-N end 4\n"), None, whole(4, "x")),
        (format!("{begin}x\nob-N end 4\n"), Some(0), whole(4, "x")),
        (format!("{begin}x\nob-N end 0\n"), Some(143), whole(143, "x")),
        (format!("{begin}\nob-N begin\n\nob-N end 0\n"), Some(0), whole(0, "\nob-N begin\n")),
    ] {
        let read = read(&text, 5, 100).unwrap();
        let number = String::from_utf8_lossy(&read.mark).trim().to_owned();
        let got = read.finish(status).map(|o| (o.status, o.stdout.replace(&number, "ob-N")));
        assert_eq!(got, want, "{text:?} {status:?}");
    }
}

#[test]
fn what_a_host_says_takes_no_more_memory_than_its_bound() {
    let mut answer = Frame::run(&Script::new("").at_most(1 << 20), "").answer();
    let chunk = [b'x'; 32 << 10];
    let mut taken = 0;
    while answer.stdout(&chunk).is_ok() {
        taken += chunk.len();
        assert!(answer.out.capacity() <= 4 * TALK, "{}", answer.out.capacity());
    }
    assert_eq!(taken, 1 << 20, "noise is bounded, too");
    for _ in 0..100 {
        answer.stderr(&chunk);
        assert!(answer.err.capacity() <= 4 * Output::ERRORS);
    }
    let begun = read("\nob-N begin\n12345", 9, 5).unwrap();
    assert_eq!(begun.out, b"12345");
    let over = read("\nob-N begin\n123456", 9, 5).unwrap_err();
    assert!(matches!(over, TransportError::TooMuch { bound: 5, .. }), "{over:?}");
}

#[test]
fn the_command_line_reads_the_same_in_every_shell() {
    let quoted = COMMAND.strip_prefix("exec /bin/sh -c '").and_then(|c| c.strip_suffix('\''));
    let risky = quoted.map(|q| q.contains(['\'', '\\', '!', '\n', '`']));
    assert_eq!(risky, Some(false), "{COMMAND}");
}

async fn through(command: &mut Command, frame: Frame, input: &'static [u8]) -> Option<Output> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().ok()?;
    Some(converse(child, frame, Some(Box::new(input))).await.unwrap())
}

/// The shell that reads the script may be any POSIX one.
#[tokio::test]
async fn a_script_ends_with_its_own_status_in_every_sh() {
    let mut found = Vec::new();
    for (shell, words) in [
        ("dash", "dash -s"),
        ("bash", "bash --posix -s"),
        ("bash", "bash -s"),
        ("busybox", "busybox sh -s"),
        ("ksh", "ksh -s"),
        ("mksh", "mksh -s"),
        ("zsh", "zsh --emulate sh -s"),
    ] {
        if !crate::transport::testing::has(shell) {
            continue;
        }
        found.push(words);
        for (text, want) in [
            ("echo said", 0),
            ("echo said; false", 1),
            ("echo said; exit 77", 77),
            ("set -eu; echo said; (exit 3); echo never", 3),
            ("f() { return 4; }; echo said; f", 4),
            ("f() { exit 5; }; echo said; f; echo never", 5),
            ("echo said; (trap 'exit 9' EXIT; exit 6)", 9),
            ("echo said; no-such-command 2>/dev/null", 127),
            ("trap 'exit 8' TERM; echo said; kill -TERM $$", 8),
            ("echo said; kill -KILL $$", 137),
        ] {
            let mut frame = Frame::run(&Script::new(text), "");
            frame.text = frame.text.replace("/bin/sh -s", words);
            let out = through(Command::new("sh").args(["-c", COMMAND]), frame, b"").await.unwrap();
            assert_eq!((out.stdout.as_str(), out.status), ("said\n", want), "{words}: {text}");
        }
    }
    println!("tried: {}", found.join(", "));
    assert!(found.contains(&"bash -s"), "{found:?}");
}

/// Every shell that Debian has and this machine too; sh and bash at least.
#[tokio::test]
async fn any_login_shell_hands_the_script_on() {
    let text = "echo \"$1 $#\"; ob_ready; read -r a && echo \"got $a\"; id -un; exit 7";
    let text = crate::base::shell::program(text, ["it's \"$HOME\" !x `id` \\"]);
    let own = std::process::Command::new("id").arg("-un").output().unwrap().stdout;
    let own = String::from_utf8(own).unwrap();
    let mut found = Vec::new();
    for shell in "sh bash dash csh tcsh fish zsh ksh mksh yash busybox".split(' ') {
        for user in ["", "nobody"] {
            let script = Script::new(&text).run_as(user);
            let mut command = Command::new(shell);
            if shell == "busybox" {
                command.arg("sh");
            }
            command.args(["-c", COMMAND]);
            let frame = Frame::run(&script, "");
            let Some(out) = through(&mut command, frame, b"a line\nexit 9\n").await else {
                continue;
            };
            let me = if user.is_empty() { own.trim() } else { user };
            let want = format!("it's \"$HOME\" !x `id` \\ 1\ngot a line\n{me}\n");
            assert_eq!((out.stdout, out.status), (want, 7), "{shell}: {}", out.stderr);
            found.push(shell);
        }
    }
    found.dedup();
    println!("login shells tried: {}", found.join(" "));
    assert!(found.contains(&"sh") && found.contains(&"bash"), "{found:?}");
}

/// A link that was cut delivers what was sent when it is whole again, and by then the number of the
/// group may be another's.
#[test]
fn a_kill_that_comes_late_ends_no_stranger() {
    use rustix::process::{Pid, Signal, kill_process, test_kill_process};
    let mut found = Vec::new();
    for shell in "sh bash dash csh tcsh fish zsh ksh mksh yash".split(' ') {
        let say = |line: &str| std::process::Command::new(shell).args(["-c", line]).output();
        if say("true").is_err() {
            continue;
        }
        // The first process of a group, and a program of the same group.
        let begin = || {
            let line =
                format!("{}; sleep 60 >/dev/null & echo $!; exec sleep 60 >/dev/null", numbers());
            let mut first = std::process::Command::new("setsid");
            let mut first = first.args(["sh", "-c", &line]).stdout(Stdio::piped()).spawn().unwrap();
            let said = std::io::read_to_string(first.stdout.take().unwrap()).unwrap();
            let (numbers, program) = said.trim().split_once('\n').unwrap();
            let program = Pid::from_raw(program.parse().unwrap()).unwrap();
            (first, program, Group::parse(numbers).unwrap())
        };
        let lives = |p: Pid| {
            let stat = std::fs::read_to_string(format!("/proc/{p}/stat")).unwrap_or_default();
            test_kill_process(p).is_ok() && !stat.contains(") Z ")
        };
        // Whoever is killed is there for another moment.
        let ends = |p: Pid| {
            (0..500).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(10));
                !lives(p)
            })
        };
        let (mut first, program, group) = begin();
        let own = Pid::from_child(&first);
        let start = group.start.map(|s| s - 1);
        say(&Group { start, ..group }.kill()).unwrap();
        assert!(lives(own) && lives(program), "{shell} kills strangers");
        say(&group.kill()).unwrap();
        first.wait().unwrap();
        assert!(ends(program), "{shell} kills not the whole group");
        // Who leads no more may have been followed by somebody else's group of that number.
        let (mut first, program, group) = begin();
        kill_process(Pid::from_child(&first), Signal::KILL).unwrap();
        first.wait().unwrap();
        say(&group.kill()).unwrap();
        assert!(lives(program), "{shell} kills a group that has lost its first process");
        kill_process(program, Signal::KILL).unwrap();
        found.push(shell);
    }
    println!("login shells tried: {}", found.join(" "));
    assert!(found.contains(&"sh") && found.contains(&"bash"), "{found:?}");
}

#[test]
fn a_host_names_no_group_that_is_everybody() {
    for (text, start) in [("7 5", Some(5)), ("7", None), ("7 ", None), ("7 x", None)] {
        assert_eq!(Group::parse(text), Some(Group { number: 7, start }), "{text:?}");
    }
    for text in ["", "0 5", "1 5", "-1 5", "x 5", "4294967295 5", "2147483648"] {
        assert_eq!(Group::parse(text), None, "{text:?}");
    }
    let unknown = Group { number: 7, start: None };
    assert_eq!(unknown.kill(), "exec /bin/sh -c 'kill -s KILL -- -7'");
}
