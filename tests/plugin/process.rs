//! Tests of the process: its start, its handshake, who may connect, how it ends.
use crate::client::{Caller, Plugin, command, connect, connect_plain, plugin_command, stderr};
use crate::{Test, block_on};
use ob::protocol::pb::plugin::{
    Empty, grpc_controller_client::GrpcControllerClient, grpc_stdio_client::GrpcStdioClient,
};
use ob::protocol::pb::tf::{get_provider_schema, provider_client::ProviderClient};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

pub const TESTS: &[Test] = &[
    ("started by hand it says that it is a plugin", by_hand),
    ("without a certificate it refuses to serve", no_certificate),
    ("an old caller is told which version it needs", old_caller),
    ("the handshake line comes fast and the socket is ours alone", handshake),
    ("a long TMPDIR falls back to a short folder", long_tmpdir),
    ("only the caller's certificate gets in", certificates),
    ("plain text only with the one variable", plaintext),
    ("another user cannot connect", other_user),
    ("shutdown ends it within two seconds and leaves no socket", shutdown),
    ("it ignores SIGINT", sigint),
    ("the parent's death stops a running apply at a safe point", orphan),
    ("under a debugger it prints what to export", debugger),
];

fn fails(command: &mut std::process::Command, status: i32, says: &str) {
    let out = command.output().unwrap();
    let text = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(status), "{text}");
    assert!(text.contains(says), "{text}");
    assert!(
        out.stdout.is_empty(),
        "nothing goes to stdout: {:?}",
        String::from_utf8_lossy(&out.stdout)
    );
}

fn product() -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_terraform-provider-ob"));
    command.env_remove("TF_PLUGIN_MAGIC_COOKIE");
    command
}

fn by_hand() {
    fails(&mut product(), 1, "This binary is a plugin.");
    fails(product().env("TF_PLUGIN_MAGIC_COOKIE", "wrong"), 1, "This binary is a plugin.");
    fails(product().arg("--help"), 2, "unknown argument");
}

fn no_certificate() {
    fails(&mut plugin_command(None), 1, "OB_PLUGIN_ALLOW_PLAINTEXT=1");
    fails(plugin_command(None).env("PLUGIN_CLIENT_CERT", "garbage"), 1, "PLUGIN_CLIENT_CERT");
}

fn old_caller() {
    fails(
        plugin_command(Some(&Caller::new())).env("PLUGIN_PROTOCOL_VERSIONS", "4,5"),
        1,
        "speaks plugin protocol 4,5",
    );
}

fn handshake() {
    let caller = Caller::new();
    let plugin = Plugin::start(&caller);
    println!("  start to handshake line: {} ms (debug build)", plugin.took.as_millis());
    assert!(plugin.line.starts_with("1|6|unix|") && !plugin.line.ends_with('='), "{}", plugin.line);
    assert_eq!(plugin.line.split('|').count(), 6);
    let mode = |p: &std::path::Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&plugin.socket), mode(plugin.socket.parent().unwrap())), (0o600, 0o700));
    let multiplexed =
        Plugin::launch(plugin_command(Some(&caller)).env("PLUGIN_MULTIPLEX_GRPC", "true"));
    assert!(multiplexed.line.ends_with("|false"), "{}", multiplexed.line);
}

fn long_tmpdir() {
    let base = tempfile::tempdir().unwrap();
    let long = base.path().join("x".repeat(120));
    std::fs::create_dir(&long).unwrap();
    let caller = Caller::new();
    let plugin = Plugin::launch(plugin_command(Some(&caller)).env("TMPDIR", &long));
    assert!(!plugin.socket.starts_with(&long));
    block_on(async {
        plugin
            .client(&caller)
            .await
            .get_provider_schema(get_provider_schema::Request {})
            .await
            .unwrap()
    });
}

fn certificates() {
    let (caller, other) = (Caller::new(), Caller::new());
    let plugin = Plugin::start(&caller);
    block_on(async {
        for (name, who, want) in [
            ("its caller", Some(&caller), true),
            ("another certificate of the same make", Some(&other), false),
            ("no certificate", None, false),
        ] {
            // With TLS 1.3 a refused certificate shows only at the first read, so ask something.
            let good = match connect(&plugin, who).await {
                Ok(channel) => ProviderClient::new(channel)
                    .get_provider_schema(get_provider_schema::Request {})
                    .await
                    .is_ok(),
                Err(_) => false,
            };
            assert_eq!(good, want, "{name}");
        }
        let plain = match connect_plain(&plugin).await {
            Ok(channel) => ProviderClient::new(channel)
                .get_provider_schema(get_provider_schema::Request {})
                .await
                .is_ok(),
            Err(_) => false,
        };
        assert!(!plain, "no TLS");
    });
}

fn plaintext() {
    let plugin = Plugin::launch(plugin_command(None).env("OB_PLUGIN_ALLOW_PLAINTEXT", "1"));
    assert!(plugin.cert.is_empty());
    assert_eq!(
        std::fs::metadata(&plugin.socket).unwrap().permissions().mode() & 0o777,
        0o600,
        "still ours alone"
    );
    block_on(async {
        let channel = connect_plain(&plugin).await.unwrap();
        ProviderClient::new(channel)
            .get_provider_schema(get_provider_schema::Request {})
            .await
            .unwrap();
    });
}

fn other_user() {
    if !rustix::process::geteuid().is_root() {
        println!("  left out: only root can become another user");
        return;
    }
    let plugin = Plugin::start(&Caller::new());
    // Try each lock by itself: the folder, the socket, the check of the peer's uid.
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap()
    };
    let try_it = || {
        // Connects and reads. An end of file at once means that the file system let it in and we
        // threw it out.
        let script = "import socket,sys\n\
                      s=socket.socket(socket.AF_UNIX)\n\
                      try: s.connect(sys.argv[1])\n\
                      except PermissionError: sys.exit(13)\n\
                      s.settimeout(2)\n\
                      try: sys.exit(1 if s.recv(1)!=b'' else 14)\n\
                      except ConnectionResetError: sys.exit(14)\n";
        std::process::Command::new("python3")
            .args(["-c", script])
            .arg(&plugin.socket)
            .uid(65534)
            .gid(65534)
            .current_dir("/")
            .status()
            .unwrap()
            .code()
    };
    assert_eq!(try_it(), Some(13), "the folder");
    mode(plugin.socket.parent().unwrap(), 0o755);
    assert_eq!(try_it(), Some(13), "the socket");
    mode(&plugin.socket, 0o666);
    assert_eq!(try_it(), Some(14), "the peer's uid");
}

fn shutdown() {
    let caller = Caller::new();
    let mut plugin = Plugin::start(&caller);
    let status = block_on(async {
        let channel = connect(&plugin, Some(&caller)).await.unwrap();
        let mut stdio =
            GrpcStdioClient::new(channel.clone()).stream_stdio(()).await.unwrap().into_inner();
        let quiet = tokio::time::timeout(Duration::from_millis(100), stdio.message()).await;
        assert!(quiet.is_err(), "the stdio stream stays open: {quiet:?}");
        let asked = Instant::now();
        GrpcControllerClient::new(channel).shutdown(Empty {}).await.unwrap();
        let status = plugin.exited(Duration::from_secs(2));
        println!("  exit after {} ms", asked.elapsed().as_millis());
        status
    });
    assert!(status.is_some_and(|s| s.success()), "{status:?}");
    assert!(!plugin.socket.parent().unwrap().exists(), "no socket stays behind");
}

fn sigint() {
    let caller = Caller::new();
    let mut plugin = Plugin::start(&caller);
    let pid = rustix::process::Pid::from_child(&plugin.child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(plugin.exited(Duration::from_millis(300)).is_none());
    block_on(async {
        plugin
            .client(&caller)
            .await
            .get_provider_schema(get_provider_schema::Request {})
            .await
            .unwrap()
    });
}

fn orphan() {
    use ob::protocol::pb::tf;
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("m");
    let caller = Caller::new();
    // A shell in between is the parent that dies. It prints its child's id first.
    let sh = plugin_command(Some(&caller));
    let exe = sh.get_program().to_owned();
    let mut command = std::process::Command::new("/bin/sh");
    command
        .args(["-c", "\"$0\" & echo $! > \"$OB_TEST_MARKER.pid\"; wait"])
        .arg(exe)
        .env("OB_TEST_MARKER", &marker);
    for (key, value) in sh.get_envs() {
        match value {
            Some(v) => command.env(key, v),
            None => command.env_remove(key),
        };
    }
    command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut plugin = Plugin::launch(&mut command);
    let pid: i32 = std::fs::read_to_string(format!("{}.pid", marker.display()))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let alive = || std::path::Path::new(&format!("/proc/{pid}")).exists();
    block_on(async {
        let mut client = plugin.client(&caller).await;
        client.configure_provider(tf::configure_provider::Request::default()).await.unwrap();
        let request = crate::values::create("wait");
        let apply = tokio::spawn(async move { client.apply_resource_change(request).await });
        let until = Instant::now() + Duration::from_secs(20);
        while !std::path::Path::new(&format!("{}.started", marker.display())).exists() {
            assert!(Instant::now() < until, "the apply never started");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // This is kill -9 of the parent: its connection is gone with it, as terraform's would be.
        apply.abort();
        let _ = plugin.child.kill();
        let _ = plugin.child.wait();
    });
    let until = Instant::now() + Duration::from_secs(10);
    while alive() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!alive(), "the provider outlived its parent");
    assert!(
        std::path::Path::new(&format!("{}.safe", marker.display())).exists(),
        "the apply was cut before its safe point"
    );
}

fn debugger() {
    use std::io::{BufRead, BufReader};
    let mut child = command().arg("--debug").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let export =
        lines.find_map(|l| l.ok().filter(|l| l.contains("TF_REATTACH_PROVIDERS="))).unwrap();
    assert!(
        export.contains("registry.terraform.io/oceanbase/ob")
            && export.contains("\"Protocol\":\"grpc\""),
        "{export}"
    );
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::INT,
    )
    .unwrap();
    let until = Instant::now() + Duration::from_secs(5);
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < until, "Ctrl-C ends it: {}", stderr(&mut child));
        std::thread::sleep(Duration::from_millis(10));
    }
}
