//! The SSH transport against real sshds.
use super::testing::*;
use super::*;
use rustix::process::Signal;
use std::time::{Duration, Instant};

async fn hello(pool: &Arc<Pool>, endpoint: &Endpoint) -> Result<String, TransportError> {
    let t = pool.connect(endpoint).await?;
    Ok(t.run(&Script::new("echo hello")).await?.stdout)
}

fn logins(keys: &Keys) -> usize {
    keys.read("sshd.log").lines().filter(|l| l.contains("Accepted publickey")).count()
}

#[tokio::test]
async fn a_script_runs_and_its_streams_and_status_come_back() {
    let (_keys, sshd, pool) = trusted("");
    let t = pool.connect(&sshd.endpoint()).await.unwrap();
    let out = t.run(&Script::new("echo out; echo err >&2; exit 3")).await.unwrap();
    assert_eq!(out, Output { status: 3, stdout: "out\n".into(), stderr: "err\n".into() });
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_share_one_connection_and_fit_into_few_sessions() {
    let (_keys, sshd, pool) = trusted("MaxSessions 2");
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..30 {
        let (pool, endpoint) =
            (pool.clone(), Endpoint { name: format!("name-{n}"), ..sshd.endpoint() });
        tasks.spawn(async move {
            pool.connect(&endpoint)
                .await?
                .run(&Script::new(format!("sleep 0.05; echo {n}")))
                .await
                .map(|o| (n, o.stdout))
        });
    }
    while let Some(done) = tasks.join_next().await {
        let (n, out) = done.unwrap().unwrap();
        assert_eq!(out, format!("{n}\n"));
    }
    assert_eq!(sshd.connections(), 1);
}

#[tokio::test]
async fn host_key_rules_hold_before_login() {
    let (keys, sshd, _) = trusted("");
    keys.key("other", "ed25519", "");
    let name = format!("[127.0.0.1]:{}", sshd.port);
    let (right, wrong) = (keys.public("host"), keys.public("other"));
    let cases = [
        ("known", format!("{name} {right}"), "", "ok"),
        ("nothing known", String::new(), "", "unknown"),
        ("another key known", format!("{name} {wrong}"), "", "changed"),
        ("two keys, one right", format!("{name} {wrong}\n{name} {right}"), "", "ok"),
        ("revoked", format!("{name} {right}\n@revoked * {right}"), "", "revoked"),
        ("configured", String::new(), right.as_str(), "ok"),
        ("configured wins over known_hosts", format!("{name} {right}"), wrong.as_str(), "changed"),
        ("configured and revoked", format!("@revoked {name} {right}"), right.as_str(), "revoked"),
        ("plain host line for another port", format!("127.0.0.1 {right}"), "", "ok"),
        ("configured nonsense", String::new(), "ssh-nothing", "config"),
    ];
    let mut shown = 0;
    for (case, known, host_key, want) in cases {
        keys.write("known_hosts", &known);
        let got =
            hello(&pool(config(&keys)), &Endpoint { host_key: host_key.into(), ..sshd.endpoint() })
                .await;
        let got = match &got {
            Ok(_) => "ok",
            Err(error @ TransportError::HostKeyUnknown { .. }) => {
                let problem = error.explain(&sshd.endpoint());
                assert!(problem.why.contains("ssh-ed25519 SHA256:"), "{case}: {problem}");
                // The line that it shows is one that lets the host in.
                let line = problem.fix.lines().find(|l| l.starts_with('[')).unwrap();
                keys.write("known_hosts", &format!("{line}\n"));
                assert!(hello(&pool(config(&keys)), &sshd.endpoint()).await.is_ok(), "{case}");
                shown += 1;
                "unknown"
            }
            Err(TransportError::HostKeyChanged { .. }) => "changed",
            Err(TransportError::HostKeyRevoked(_)) => "revoked",
            Err(TransportError::Config(_)) => "config",
            Err(e) => panic!("{case}: {e}"),
        };
        assert_eq!(got, want, "{case}");
    }
    assert_eq!(logins(&keys), 4 + shown, "only trusted hosts saw a login");
}

#[tokio::test(flavor = "multi_thread")]
async fn accept_new_writes_one_line_and_holds_on_to_it() {
    let (keys, sshd, _) = trusted("");
    std::fs::remove_file(keys.path("known_hosts")).unwrap();
    let mut accept = config(&keys);
    accept.policy = HostKeyPolicy::AcceptNew;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (pool, endpoint) = (pool(accept.clone()), sshd.endpoint());
        tasks.spawn(async move { hello(&pool, &endpoint).await });
    }
    while let Some(done) = tasks.join_next().await {
        assert_eq!(done.unwrap().unwrap(), "hello\n");
    }
    assert_eq!(
        keys.read("known_hosts"),
        format!("[127.0.0.1]:{} {}", sshd.port, keys.public("host"))
    );
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(
        std::fs::metadata(keys.path("known_hosts")).unwrap().permissions().mode() & 0o777,
        0o600
    );
    keys.key("other", "ed25519", "");
    keys.write("known_hosts", &format!("[127.0.0.1]:{} {}\n", sshd.port, keys.public("other")));
    assert!(matches!(
        hello(&pool(accept), &sshd.endpoint()).await,
        Err(TransportError::HostKeyChanged { .. })
    ));
}

#[tokio::test]
async fn a_frozen_host_is_an_error_in_bounded_time() {
    let (_keys, sshd, pool) = trusted("");
    let t = pool.connect(&sshd.endpoint()).await.unwrap();
    sshd.signal(Signal::STOP);
    let started = Instant::now();
    let out = t.run(&Script::new("echo never").within(Duration::from_secs(1))).await;
    assert!(matches!(out, Err(TransportError::Timeout(..))), "{out:?}");
    // The next use asks for a sign of life, gets none, and finds that a new connection is silent
    // too.
    let again = t.run(&Script::new("echo never").within(Duration::from_secs(1))).await;
    assert!(matches!(again, Err(TransportError::Timeout(..))), "{again:?}");
    assert!(started.elapsed() < Duration::from_secs(16), "{:?}", started.elapsed());
    sshd.signal(Signal::CONT);
}

#[tokio::test]
async fn a_host_that_dies_mid_script_is_an_error_at_once_and_comes_back() {
    let (keys, sshd, pool) = trusted("");
    let endpoint = sshd.endpoint();
    let t = pool.connect(&endpoint).await.unwrap();
    let running = {
        let t = t.clone();
        tokio::spawn(async move {
            t.run(&Script::new("sleep 20").within(Duration::from_secs(30))).await
        })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    let started = Instant::now();
    drop(sshd);
    let out = running.await.unwrap();
    assert!(
        matches!(&out, Err(TransportError::Unreachable(why)) if why.contains("may have done its work")),
        "{out:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(2));
    let dead = t.run(&Script::new("true")).await;
    assert!(
        matches!(&dead, Err(TransportError::Unreachable(why)) if why.contains("tries")),
        "{dead:?}"
    );
    let _again = Sshd::start_on(&keys, endpoint.port, "");
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(t.run(&Script::new("echo back")).await.unwrap().stdout, "back\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_keeps_the_contract() {
    let (keys, sshd, pool) = trusted("MaxSessions 4");
    let host = pool.connect(&sshd.endpoint()).await.unwrap();
    let broken = contract::check(
        &host,
        &contract::Options { run_as: Some("nobody".into()), listening: Some(sshd.port) },
    )
    .await;
    assert!(broken.is_empty(), "{broken:#?}");
    assert_eq!(logins(&keys), 2, "one connection for scripts, and one for files");
}

#[tokio::test(flavor = "multi_thread")]
async fn local_keeps_the_contract() {
    let pool = pool(SshConfig::default());
    let endpoint = Endpoint {
        name: "here".into(),
        address: "local".parse().unwrap(),
        port: 0,
        user: String::new(),
        identity: String::new(),
        host_key: String::new(),
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = pool.connect(&endpoint).await.unwrap();
    let broken = contract::check(
        &host,
        &contract::Options {
            run_as: Some("nobody".into()),
            listening: Some(listener.local_addr().unwrap().port()),
        },
    )
    .await;
    assert!(broken.is_empty(), "{broken:#?}");
}

/// A forced command of the key that stands in the place of a login shell.
#[tokio::test]
async fn a_host_that_runs_no_script_of_ours_is_named_as_that() {
    let (keys, sshd, _) = trusted("");
    let key = keys.public("user");
    for (command, said) in [
        ("true", ""),
        ("/bin/false", ""),
        // These send our script back, which may hold secrets.
        ("cat", "our own script"),
        ("read -r x; cat >&2", "our own script"),
        ("echo 'This account is not available.'; exit 1", "This account is not available."),
        ("while read -r choice; do echo \"no choice: $choice\"; done", "our own script"),
        ("echo menu >&2; exit 3", "menu"),
    ] {
        let line = format!("command=\"{}\" {key}\n", command.replace('"', "\\\""));
        keys.write("authorized_keys", &line);
        let t = pool(config(&keys)).connect(&sshd.endpoint()).await.unwrap();
        let script = Script::new("echo hello").within(Duration::from_secs(2));
        let run = t.run(&script).await.unwrap_err();
        let TransportError::NoShell(what) = &run else { panic!("{command}: {run:?}") };
        assert_eq!((what.contains(said), what.contains("hello")), (true, false), "{command}");
        // A command that reads on for ever is only noticed because it does not answer.
        let input = Box::new(tokio::io::empty());
        let others = [t.stream(&script, input).await.err(), t.open(&script).await.err()];
        let ends = !command.contains("cat") && !command.contains("while");
        for error in others.into_iter().flatten() {
            let named = matches!(error, TransportError::NoShell(_));
            let late = matches!(error, TransportError::Timeout(..));
            assert!(named || (late && !ends), "{command}: {error:?}");
        }
        let problem = run.explain(t.endpoint());
        assert!(problem.why.contains("login shell") && problem.fix.contains("chsh"), "{problem}");
    }
}

#[tokio::test]
async fn what_the_login_shell_prints_is_no_answer() {
    let (keys, sshd, _) = trusted("");
    let key = keys.public("user");
    // bash reads its start file when sshd starts it; a wrapper speaks before and after.
    keys.write(".bashrc", "echo a=1; echo warning >&2; printf 'no end'\n");
    let wrapper = "printf before; eval \\\"${SSH_ORIGINAL_COMMAND#exec}\\\"; echo after=$?";
    for line in [format!("{key}\n"), format!("command=\"{wrapper}\" {key}\n")] {
        keys.write("authorized_keys", &line);
        let t = pool(config(&keys)).connect(&sshd.endpoint()).await.unwrap();
        let out = t.run(&Script::new("echo said; exit 5")).await.unwrap();
        assert_eq!((out.stdout.as_str(), out.status), ("said\n", 5), "{line}");
        let input = Box::new(&b"input"[..]);
        let out = t.stream(&Script::new("ob_ready; cat; exit 6"), input).await.unwrap();
        assert_eq!((out.stdout.as_str(), out.status), ("input", 6), "{line}");
        let stream = t.open(&Script::new("ob_ready; echo open; read -r x")).await.unwrap();
        let mut stream = tokio::io::BufReader::new(stream);
        assert_eq!(line_of(&mut stream).await, Some("open".into()));
    }
}

async fn line_of(from: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> Option<String> {
    line(from, 100).await.unwrap()
}

#[tokio::test]
async fn a_line_of_a_host_has_an_end() {
    let mut from = &b"one\n\n12345\n123456\n"[..];
    assert_eq!(line(&mut from, 5).await.unwrap(), Some("one".into()));
    assert_eq!(line(&mut from, 5).await.unwrap(), Some(String::new()));
    assert_eq!(line(&mut from, 5).await.unwrap(), Some("12345".into()));
    assert!(line(&mut from, 5).await.is_err());
    let mut rest = &b"rest"[..];
    assert_eq!(line(&mut rest, 5).await.unwrap(), Some("rest".into()));
    assert_eq!(line(&mut rest, 5).await.unwrap(), None);
}
