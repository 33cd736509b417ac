//! Logins, certificates, jump hosts and the pool's rules against real sshds.
use super::testing::*;
use super::*;
use crate::base::Secret;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

fn with(base: &SshConfig, key: KeySource, certificate: Option<String>) -> SshConfig {
    let identity = Identity { user: Some("root".into()), key, certificate };
    SshConfig { identities: BTreeMap::from([("main".to_owned(), identity)]), ..base.clone() }
}

async fn try_login(config: SshConfig, endpoint: &Endpoint) -> String {
    let pool = pool(config);
    match pool.connect(endpoint).await {
        Ok(host) => host.run(&Script::new("printf ok")).await.unwrap().stdout,
        Err(e) => e.explain(endpoint).to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_key_logs_in_or_says_why_not() {
    let keys = Keys::new();
    for kind in ["rsa", "ecdsa"] {
        keys.key(kind, kind, "");
    }
    keys.key("locked", "ed25519", "open sesame");
    keys.key("pem", "rsa", "");
    keys.keygen(&["-q", "-p", "-m", "PKCS8", "-P", "", "-N", "", "-f", "pem"]);
    keys.key("stranger", "ed25519", "");
    let all: String = ["user", "rsa", "ecdsa", "locked", "pem"]
        .iter()
        .map(|k| keys.read(&format!("{k}.pub")) + "\n")
        .collect();
    keys.write("authorized_keys", &all);
    let sshd = Sshd::start(&keys, "");
    keys.write("known_hosts", &format!("[127.0.0.1]:{} {}\n", sshd.port, keys.public("host")));
    let base = config(&keys);
    let file = |name: &str, passphrase: Option<&str>| KeySource::File {
        path: keys.path(name),
        passphrase: passphrase.map(Secret::new),
    };
    let cases = [
        ("ed25519 file", file("user", None), "ok"),
        (
            "value",
            KeySource::Value { key: Secret::new(keys.read("user") + "\n"), passphrase: None },
            "ok",
        ),
        (
            "value without last newline",
            KeySource::Value { key: Secret::new(keys.read("user")), passphrase: None },
            "ok",
        ),
        ("rsa", file("rsa", None), "ok"),
        ("ecdsa", file("ecdsa", None), "ok"),
        ("pkcs8", file("pem", None), "ok"),
        ("encrypted", file("locked", Some("open sesame")), "ok"),
        ("wrong passphrase", file("locked", Some("nope")), "passphrase"),
        ("no passphrase", file("locked", None), "is encrypted and no passphrase is given"),
        ("missing file", file("nowhere", None), "No such file"),
        (
            "no key",
            KeySource::Value { key: Secret::new("hunter2"), passphrase: None },
            "no OpenSSH or PEM private key",
        ),
        ("not authorized", file("stranger", None), "was refused: ssh-ed25519 SHA256:"),
    ];
    for (case, key, want) in cases {
        let got = try_login(with(&base, key, None), &sshd.endpoint()).await;
        assert!(got.contains(want), "{case}: {got}");
        assert!(
            !got.contains("hunter2") && !got.contains("sesame") && !got.contains("PRIVATE"),
            "{case}: {got}"
        );
    }
    let mut two = base.clone();
    two.identities.insert("other".into(), two.identities["main"].clone());
    for (case, config, identity, want) in [
        ("several, none named", two.clone(), "", "there are several: \"main\", \"other\""),
        ("named", two, "other", "ok"),
        ("unknown name", base, "nobody", "there is none of that name; there are \"main\""),
    ] {
        let got =
            try_login(config, &Endpoint { identity: identity.into(), ..sshd.endpoint() }).await;
        assert!(got.contains(want), "{case}: {got}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_users_and_hosts_are_checked() {
    let keys = Keys::new();
    keys.key("ca", "ed25519", "");
    keys.key("lone", "ed25519", "");
    keys.write("authorized_keys", "");
    keys.keygen(&["-q", "-s", "ca", "-I", "user cert", "-n", "root", "-V", "+1h", "lone.pub"]);
    let sign = |args: &[&str]| {
        let mut all = vec!["-q", "-s", "ca", "-I", "host cert", "-h"];
        all.extend(args);
        all.push("host.pub");
        keys.keygen(&all);
    };
    let trust = format!(
        "@cert-authority 127.0.0.* {}\n@cert-authority [127.0.0.*]:* {0}\n",
        keys.public("ca")
    );
    keys.write("known_hosts", &trust);
    let file = || KeySource::File { path: keys.path("lone"), passphrase: None };
    let extra = format!(
        "HostCertificate {0}/host-cert.pub\nTrustedUserCAKeys {0}/ca.pub",
        keys.dir.path().display()
    );
    let text = keys.read("lone-cert.pub");
    let path = keys.path("lone-cert.pub").display().to_string();
    let cases: [(&str, &[&str], Option<&str>, &str); 7] = [
        ("both good", &["-n", "127.0.0.1", "-V", "+1h"], Some(&text), "ok"),
        ("user certificate by path", &["-n", "127.0.0.1", "-V", "+1h"], Some(&path), "ok"),
        ("no user certificate", &["-n", "127.0.0.1", "-V", "+1h"], None, "was refused"),
        (
            "host certificate for another name",
            &["-n", "db.example.com", "-V", "+1h"],
            Some(&text),
            "is for db.example.com, not for 127.0.0.1",
        ),
        (
            "host certificate expired",
            &["-n", "127.0.0.1", "-V", "-2h:-1h"],
            Some(&text),
            "is valid from",
        ),
        ("host certificate for no name", &["-V", "+1h"], Some(&text), "is for no name"),
        ("host certificate by wildcard", &["-n", "127.*", "-V", "+1h"], Some(&text), "ok"),
    ];
    for (case, args, certificate, want) in cases {
        sign(args);
        let sshd = Sshd::start(&keys, &extra);
        let got = try_login(
            with(&config(&keys), file(), certificate.map(str::to_owned)),
            &sshd.endpoint(),
        )
        .await;
        assert!(got.contains(want), "{case}: {got}");
    }
    sign(&["-n", "127.0.0.1", "-V", "+1h"]);
    let sshd = Sshd::start(&keys, &extra);
    keys.write("known_hosts", &format!("{trust}@revoked * {}\n", keys.public("ca")));
    let got = try_login(with(&config(&keys), file(), Some(text.clone())), &sshd.endpoint()).await;
    assert!(got.contains("@revoked"), "{got}");
    // An authority nobody trusts does not count, and neither does the key inside.
    keys.write("known_hosts", &format!("@cert-authority * {}\n", keys.public("lone")));
    let got = try_login(with(&config(&keys), file(), Some(text)), &sshd.endpoint()).await;
    assert!(got.contains("is not known"), "{got}");
}

#[test]
fn the_agent_signs() {
    // The agent's address is in the environment, so this test runs itself in a process of its own.
    if let Ok(port) = std::env::var("OB_TEST_AGENT_PORT") {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let host_key = std::env::var("OB_TEST_AGENT_HOST").unwrap();
        let endpoint = Endpoint {
            name: "agent".into(),
            address: "127.0.0.1".parse().unwrap(),
            port: port.parse().unwrap(),
            user: String::new(),
            identity: String::new(),
            host_key,
        };
        let case = std::env::var("OB_TEST_AGENT_CASE").unwrap();
        let key = match case.split_once(' ') {
            Some(("file", path)) => KeySource::File { path: path.into(), passphrase: None },
            Some((_, path)) => {
                KeySource::Own { agent: true, files: vec![path.into()], passphrase: None }
            }
            None => KeySource::Agent,
        };
        let got = runtime.block_on(try_login(with(&SshConfig::default(), key, None), &endpoint));
        println!("got: {got}");
        return;
    }
    let keys = Keys::new();
    keys.key("first", "ed25519", "");
    keys.key("rsa", "rsa", "");
    keys.write("authorized_keys", &keys.read("rsa.pub"));
    let sshd = Sshd::start(&keys, "LogLevel VERBOSE");
    let socket = keys.path("agent");
    struct Agent(std::process::Child);
    impl Drop for Agent {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    let _agent = Agent(
        std::process::Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap(),
    );
    for _ in 0..200 {
        if socket.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let add = |args: &[&str]| {
        let mut command = std::process::Command::new("ssh-add");
        command.arg("-q").args(args).current_dir(keys.dir.path());
        assert!(command.env("SSH_AUTH_SOCK", &socket).status().unwrap().success(), "{args:?}");
    };
    let six = ["first", "k2", "k3", "k4", "k5", "k6"];
    six[1..].iter().for_each(|key| drop(keys.key(key, "ed25519", "")));
    let seven = [&six[..], &["rsa"]].concat();
    let path = |name: &str| keys.path(name).display().to_string();
    for (what, held, case, want, connections) in [
        ("the second key", &["first", "rsa"][..], "agent".to_owned(), "ok", 1),
        // sshd ends a connection after six keys.
        ("the seventh key", &seven, "agent".to_owned(), "ok", 2),
        ("the seventh key, chosen", &seven, format!("file {}", path("rsa.pub")), "ok", 1),
        ("a file behind six keys", &six, format!("own {}", path("rsa")), "ok", 2),
        ("a file, and no key", &[], format!("own {}", path("rsa")), "ok", 1),
        ("no key", &[], "agent".to_owned(), "the agent holds no key", 1),
        ("another key", &["first"], format!("file {}", path("rsa.pub")), "does not hold it", 1),
    ] {
        add(&["-D"]);
        held.iter().for_each(|key| add(&[key]));
        std::fs::write(keys.path("sshd.log"), "").unwrap();
        let me = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "transport::tests_login::the_agent_signs", "--nocapture"])
            .env("SSH_AUTH_SOCK", &socket)
            .env("OB_TEST_AGENT_PORT", sshd.port.to_string())
            .env("OB_TEST_AGENT_HOST", keys.public("host"))
            .env("OB_TEST_AGENT_CASE", case)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&me.stdout);
        let got = said.lines().find_map(|l| l.split_once("got: ")).map_or("", |(_, got)| got);
        assert!(if want == "ok" { got == want } else { said.contains(want) }, "{what}: {said}");
        let log = keys.read("sshd.log");
        let made = log.lines().filter(|l| l.contains("Connection from")).count();
        assert!(made == connections, "{what}: {log}");
        assert_eq!(log.contains("Accepted publickey"), want == "ok", "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_chain_verifies_each_hop() {
    let keys = Keys::new();
    let (outer, inner, target) = (
        Sshd::start(&keys, ""),
        Sshd::start(&keys, ""),
        Sshd::start(&keys, "AllowTcpForwarding no"),
    );
    let line = |sshd: &Sshd| format!("[127.0.0.1]:{} {}\n", sshd.port, keys.public("host"));
    let mut through = config(&keys);
    through.bastion = vec![outer.endpoint(), inner.endpoint()];
    keys.write("known_hosts", &(line(&outer) + &line(&inner) + &line(&target)));
    let pool = pool(through.clone());
    let host = pool.connect(&target.endpoint()).await.unwrap();
    let out = host.run(&Script::new("echo $SSH_CONNECTION")).await.unwrap();
    assert!(out.stdout.trim().ends_with(&target.port.to_string()), "{}", out.stdout);
    assert_eq!((outer.connections(), inner.connections(), target.connections()), (1, 1, 1));
    assert!(matches!(host.dial("127.0.0.1", outer.port).await, Err(TransportError::Forbidden(_))));
    // 20 MB through two hops.
    let zeros: Input = Box::new(tokio::io::AsyncReadExt::take(tokio::io::repeat(0), 20_000_000));
    let count = Script::new("ob_ready; wc -c");
    assert_eq!(host.stream(&count, zeros).await.unwrap().stdout.trim(), "20000000");
    // The second hop's key is not known: its name is in the message, and the target is never
    // reached.
    keys.write("known_hosts", &(line(&outer) + &line(&target)));
    let got =
        super::testing::pool(through.clone()).connect(&target.endpoint()).await.err().unwrap();
    assert!(matches!(got, TransportError::HostKeyUnknown { .. }), "{got}");
    // The hop is there and the host behind it is not.
    keys.write("known_hosts", &(line(&outer) + &line(&inner)));
    let nobody = Endpoint { port: 1, ..target.endpoint() };
    let got = super::testing::pool(through).connect(&nobody).await.err().unwrap();
    assert!(
        matches!(&got, TransportError::Unreachable(why) if why.contains("through the jump host")),
        "{got}"
    );
}

/// A link of so many connections, each of which is full after some bytes. It says when one is, and
/// goes on when it is told so.
async fn narrow(
    to: u16,
    connections: usize,
) -> (u16, tokio::sync::watch::Receiver<bool>, CancellationToken) {
    const ROOM: u64 = 256 << 10;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (fill, full) = tokio::sync::watch::channel(false);
    let (fill, wide) = (std::sync::Arc::new(fill), CancellationToken::new());
    let open = wide.clone();
    tokio::spawn(async move {
        for _ in 0..connections {
            let (client, _) = listener.accept().await.unwrap();
            let server = tokio::net::TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            let (from, mut back) = client.into_split();
            let (mut answers, mut sent) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut answers, &mut back).await });
            let (fill, open) = (fill.clone(), open.clone());
            tokio::spawn(async move {
                let mut first = tokio::io::AsyncReadExt::take(from, ROOM);
                if tokio::io::copy(&mut first, &mut sent).await.unwrap_or(0) == ROOM {
                    fill.send_replace(true);
                    open.cancelled().await;
                    let _ = tokio::io::copy(&mut first.into_inner(), &mut sent).await;
                }
            });
        }
    });
    (port, full, wide)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_script_waits_behind_a_file_on_a_slow_link() {
    let (keys, sshd, _) = trusted("");
    for connections in [2, 1] {
        let (port, mut full, wide) = narrow(sshd.port, connections).await;
        let pool = pool(config(&keys));
        let through = Endpoint { port, host_key: keys.public("host"), ..sshd.endpoint() };
        let host = pool.connect(&through).await.unwrap();
        let zeros = tokio::io::AsyncReadExt::take(tokio::io::repeat(0), 20_000_000);
        let (sender, count) = (host.clone(), Script::new("ob_ready; wc -c"));
        let file = tokio::spawn(async move { sender.stream(&count, Box::new(zeros)).await });
        full.wait_for(|full| *full).await.unwrap();
        if connections == 2 {
            let renewal = Script::new("echo renewed").within(Duration::from_secs(20));
            assert_eq!(host.run(&renewal).await.unwrap().stdout, "renewed\n");
        }
        // A host that takes no second login is sent files over the first.
        wide.cancel();
        assert_eq!(file.await.unwrap().unwrap().stdout.trim(), "20000000");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn observe_mode_refuses_effects_and_allows_reading() {
    let (keys, sshd, _) = trusted("");
    let mut observe = config(&keys);
    observe.observe = true;
    let pool = pool(observe);
    let local = Endpoint {
        name: "here".into(),
        address: "local".parse().unwrap(),
        port: 0,
        user: String::new(),
        identity: String::new(),
        host_key: String::new(),
    };
    for endpoint in [sshd.endpoint(), local] {
        let host = pool.connect(&endpoint).await.unwrap();
        assert_eq!(host.run(&Script::read("echo seen")).await.unwrap().stdout, "seen\n");
        assert_eq!(host.run(&Script::new("true")).await, Err(TransportError::Observe));
        let (effect, nothing) = (Script::new("ob_ready; cat"), Box::new(tokio::io::empty()));
        assert_eq!(host.stream(&effect, nothing).await, Err(TransportError::Observe));
        assert!(matches!(host.open(&effect).await, Err(TransportError::Observe)));
        assert!(host.open(&Script::read("ob_ready; cat")).await.is_ok());
        assert!(host.dial("127.0.0.1", sshd.port).await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_waits_at_once_and_lets_a_running_script_settle() {
    let (keys, sshd, _) = trusted("");
    let cancel = CancellationToken::new();
    let pool = Pool::with_patience(config(&keys), cancel.clone(), quick());
    let host = pool.connect(&sshd.endpoint()).await.unwrap();
    let start = |text: &str| {
        let (host, script) = (host.clone(), Script::new(text));
        tokio::spawn(async move { (host.run(&script).await, Instant::now()) })
    };
    let (short, long) = (start("sleep 1; echo done"), start("sleep 25"));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let waiting = {
        let (pool, port) = (pool.clone(), silent.local_addr().unwrap().port());
        let to = Endpoint { port, ..sshd.endpoint() };
        tokio::spawn(async move { (pool.connect(&to).await.err(), Instant::now()) })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    let asked = Instant::now();
    cancel.cancel();
    let (got, at) = waiting.await.unwrap();
    assert_eq!(got, Some(TransportError::Cancelled));
    assert!(at - asked < Duration::from_millis(500));
    assert_eq!(short.await.unwrap().0.unwrap().stdout, "done\n");
    assert_eq!(host.run(&Script::new("echo last words")).await.unwrap().stdout, "last words\n");
    let (got, at) = long.await.unwrap();
    assert_eq!(got, Err(TransportError::Cancelled));
    assert!(at - asked < guard::SETTLE + Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_host_is_asked_once_for_many_and_a_busy_one_again() {
    let keys = Keys::new();
    let pool = pool(config(&keys));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dead = Endpoint {
        name: "dead".into(),
        address: "127.0.0.1".parse().unwrap(),
        port,
        user: String::new(),
        identity: String::new(),
        host_key: keys.public("host"),
    };
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (pool, dead) = (pool.clone(), dead.clone());
        tasks.spawn(async move { pool.connect(&dead).await.err() });
    }
    while let Some(got) = tasks.join_next().await {
        assert!(matches!(got.unwrap(), Some(TransportError::Unreachable(_))));
    }
    // One after the other these tries would take ten seconds.
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // MaxStartups 1: all but one login at a time are dropped at random; each pool here logs in by
    // itself.
    let sshd = Sshd::start(&keys, "MaxStartups 1:80:2");
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let patience =
            pool::Patience { dropped: Duration::from_secs(60), ..super::testing::quick() };
        let pool = Pool::with_patience(config(&keys), CancellationToken::new(), patience);
        let (pool, endpoint) =
            (pool, Endpoint { host_key: keys.public("host"), ..sshd.endpoint() });
        tasks.spawn(async move { pool.connect(&endpoint).await.err() });
    }
    while let Some(got) = tasks.join_next().await {
        assert_eq!(got.unwrap(), None);
    }
    assert!(keys.read("sshd.log").contains("MaxStartups"), "nothing was dropped");
}
