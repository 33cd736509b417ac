//! Tables for the contract with the starting program. What needs a real client is in tests/plugin.
use super::guard::{self, Panicked};
use super::host::{COOKIE, COOKIE_NAME, Host, HostError};
use super::log::{Hclog, timestamp};
use super::running::Running;
use super::socket::{Socket, uid_allowed};
use super::{convert, pb::tf, server};
use crate::base::Problem;
use crate::schema::{Diagnostics, Report, Schema, build::*};
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

fn read(debug: bool, env: &[(&str, &str)]) -> Result<Host, HostError> {
    let env: BTreeMap<_, _> = env.iter().copied().collect();
    Host::read(debug, |name| env.get(name).map(Into::into))
}

#[test]
fn serves_only_who_knows_the_cookie_speaks_6_and_brings_a_certificate() {
    let (cookie, cert, six) =
        ((COOKIE_NAME, COOKIE), ("PLUGIN_CLIENT_CERT", "pem"), ("PLUGIN_PROTOCOL_VERSIONS", "5,6"));
    for (name, debug, env, want) in [
        ("by hand", false, vec![], Err(HostError::NotAPlugin)),
        ("another cookie", false, vec![(COOKIE_NAME, "x"), cert, six], Err(HostError::NotAPlugin)),
        (
            "too old",
            false,
            vec![cookie, cert, ("PLUGIN_PROTOCOL_VERSIONS", "4,5")],
            Err(HostError::Version("4,5".into())),
        ),
        ("no version named", false, vec![cookie, cert], Ok(true)),
        ("TLS", false, vec![cookie, cert, six], Ok(true)),
        ("no TLS", false, vec![cookie, six], Err(HostError::NoCertificate)),
        (
            "an empty certificate",
            false,
            vec![cookie, six, ("PLUGIN_CLIENT_CERT", "")],
            Err(HostError::NoCertificate),
        ),
        (
            "plain text allowed by another word",
            false,
            vec![cookie, six, ("OB_PLUGIN_ALLOW_PLAINTEXT", "yes")],
            Err(HostError::NoCertificate),
        ),
        (
            "plain text allowed",
            false,
            vec![cookie, six, ("OB_PLUGIN_ALLOW_PLAINTEXT", "1")],
            Ok(false),
        ),
        (
            "a certificate wins over the permission",
            false,
            vec![cookie, six, cert, ("OB_PLUGIN_ALLOW_PLAINTEXT", "1")],
            Ok(true),
        ),
        ("under a debugger", true, vec![], Ok(false)),
    ] {
        assert_eq!(read(debug, &env).map(|h| h.client_cert.is_some()), want, "{name}");
    }
    assert!(HostError::NotAPlugin.to_string().starts_with("This binary is a plugin."));
}

#[test]
fn the_handshake_line_is_what_go_plugin_parses() {
    let host = read(false, &[(COOKIE_NAME, COOKIE), ("PLUGIN_CLIENT_CERT", "pem")]).unwrap();
    assert_eq!(
        host.handshake(Path::new("/tmp/s"), &[1, 2, 3, 4]),
        "1|6|unix|/tmp/s|grpc|AQIDBA",
        "no padding"
    );
    let host = read(
        false,
        &[(COOKIE_NAME, COOKIE), ("PLUGIN_CLIENT_CERT", "pem"), ("PLUGIN_MULTIPLEX_GRPC", "true")],
    )
    .unwrap();
    assert_eq!(host.handshake(Path::new("/tmp/s"), &[]), "1|6|unix|/tmp/s|grpc||false");
    let line = read(true, &[])
        .unwrap()
        .reattach("registry.terraform.io/oceanbase/ob", Path::new("/tmp/s"));
    let json = line.split_once('\'').unwrap().1.rsplit_once('\'').unwrap().0;
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(json["registry.terraform.io/oceanbase/ob"]["Addr"]["String"], "/tmp/s");
}

#[tokio::test]
async fn the_socket_is_ours_alone_and_falls_back_to_a_short_folder() {
    let long = std::env::temp_dir().join("x".repeat(120));
    std::fs::create_dir_all(&long).unwrap();
    let missing = PathBuf::from("/nonexistent");
    let good = tempfile::tempdir().unwrap();
    let socket = Socket::open(&[long.clone(), missing, good.path().to_owned()]).unwrap();
    let path = socket.path().to_owned();
    assert!(path.starts_with(good.path()), "{}", path.display());
    let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&server::folder_of(&path))), (0o600, 0o700));
    drop(socket);
    assert!(!server::folder_of(&path).exists(), "nothing stays behind");
    let Err(e) = Socket::open(std::slice::from_ref(&long)) else {
        panic!("a path of more than 107 bytes was taken")
    };
    assert!(e.to_string().contains("longer than a socket's"), "{e}");
    std::fs::remove_dir(long).unwrap();
}

#[test]
fn only_this_user_and_root_may_connect() {
    for (peer, me, want) in
        [(1000, 1000, true), (0, 1000, true), (1001, 1000, false), (1000, 0, false)]
    {
        assert_eq!(uid_allowed(peer, me), want, "{peer} to {me}");
    }
}

#[tokio::test]
async fn a_panic_ends_one_call_and_says_where_but_not_what() {
    let out: Result<(), Panicked> = guard::run(async { panic!("hunter2") }).await;
    let place = out.unwrap_err().0;
    assert!(place.contains("protocol/tests.rs:") && !place.contains("hunter2"), "{place}");
    let late: Result<(), Panicked> = guard::run(async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let empty: Vec<u8> = Vec::new();
        let _ = empty[usize::from(std::process::id() == 0)];
    })
    .await;
    assert!(late.unwrap_err().0.contains("protocol/tests.rs:"));
    assert_eq!(guard::run(async { 7 }).await, Ok(7));
}

#[tokio::test]
async fn a_call_outlives_the_one_who_waits_for_it() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let waiting = guard::run(async move {
        tokio::time::sleep(Duration::from_millis(30)).await;
        let _ = sender.send("done");
    });
    assert!(tokio::time::timeout(Duration::from_millis(5), waiting).await.is_err());
    assert_eq!(receiver.await, Ok("done"), "a broken connection does not cut an apply in half");
}

#[tokio::test]
async fn running_counts_cancels_and_starts_anew() {
    let running = Running::default();
    let first = running.token();
    let call = running.enter();
    assert_eq!(running.count(), 1);
    assert!(tokio::time::timeout(Duration::from_millis(5), running.idle()).await.is_err());
    drop(call);
    tokio::time::timeout(Duration::from_secs(5), running.idle()).await.unwrap();
    assert!(!running.renew().is_cancelled());
    assert!(!first.is_cancelled(), "Configure of a run that goes on leaves its token");
    running.cancel();
    assert!(first.is_cancelled());
    assert!(!running.renew().is_cancelled(), "Configure starts a new run");
}

#[test]
fn times_are_written_as_hclog_reads_them() {
    for (seconds, micros, want) in [
        (0, 0, "1970-01-01T00:00:00.000000Z"),
        (951_782_400, 5, "2000-02-29T00:00:00.000005Z"),
        (1_709_251_199, 999_999, "2024-02-29T23:59:59.999999Z"),
        (4_107_542_400, 0, "2100-03-01T00:00:00.000000Z"),
        (1_795_417_445, 0, "2026-11-23T07:04:05.000000Z"),
    ] {
        assert_eq!(timestamp(UNIX_EPOCH + Duration::new(seconds, micros * 1000)), want);
    }
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);
impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn log_lines_are_hclog_json() {
    use tracing_subscriber::prelude::*;
    let out = Shared::default();
    let layer = Hclog::with_clock(out.clone(), || UNIX_EPOCH + Duration::from_secs(1));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        tracing::warn!(host = "ob-1", tries = 3, secret = ?crate::base::Secret::new("hunter2"), "no \"answer\"\nyet");
    });
    let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    let want = serde_json::json!({"@level": "warn", "@message": "no \"answer\"\nyet", "@module": "ob.protocol.tests", "@timestamp": "1970-01-01T00:00:01.000000Z", "host": "ob-1", "tries": 3, "secret": "***"});
    assert_eq!(line, want);
}

#[test]
fn schemas_are_sent_with_either_type_or_nested_type() {
    let schema = Schema::new(2, "A *thing*.")
        .attr("name", string("Name.").required())
        .attr("old", string("Old.").optional().deprecated("use name"))
        .attr("labels", map("Labels.", NUMBER).optional_computed().sensitive())
        .attr(
            "zones",
            map_of("Zones.", [("key_wo", string("Key.").optional().write_only())]).required(),
        );
    let sent = convert::schema(&schema);
    let block = sent.block.unwrap();
    assert_eq!(
        (sent.version, block.version, block.description.as_str(), block.description_kind),
        (2, 2, "A *thing*.", tf::StringKind::Markdown as i32)
    );
    let [labels, name, old, zones] = &block.attributes[..] else {
        panic!("{:?}", block.attributes)
    };
    assert_eq!(
        (labels.r#type.as_slice(), labels.optional, labels.computed, labels.sensitive),
        (&br#"["map","number"]"#[..], true, true, true)
    );
    assert_eq!(
        (name.r#type.as_slice(), name.required, name.optional, name.computed),
        (&br#""string""#[..], true, false, false)
    );
    assert_eq!((old.deprecated, old.deprecation_message.as_str()), (true, "use name"));
    assert!(zones.r#type.is_empty(), "core refuses an attribute with both");
    let nested = zones.nested_type.as_ref().unwrap();
    assert_eq!(nested.nesting, tf::schema::object::NestingMode::Map as i32);
    assert!(nested.attributes[0].write_only);
}

#[test]
fn diagnostics_point_at_keys_where_the_schema_has_keys() {
    use tf::attribute_path::step::Selector as S;
    let schema = Schema::new(1, "T.")
        .attr("zones", map_of("Zones.", [("n", number("N.").optional())]).required());
    let mut diags = Diagnostics::default();
    diags.problem(Problem::user("cannot use it").why("no").attribute(["zones", "z1", "n"]));
    diags.caution(Problem::user("look"));
    let [error, warning] = &convert::diagnostics(Some(&schema), diags)[..] else { panic!() };
    let steps: Vec<_> = error
        .attribute
        .as_ref()
        .unwrap()
        .steps
        .iter()
        .map(|s| s.selector.clone().unwrap())
        .collect();
    assert_eq!(
        steps,
        [
            S::AttributeName("zones".into()),
            S::ElementKeyString("z1".into()),
            S::AttributeName("n".into())
        ]
    );
    assert_eq!(
        (error.severity, warning.severity),
        (tf::diagnostic::Severity::Error as i32, tf::diagnostic::Severity::Warning as i32)
    );
    assert!(warning.attribute.is_none());
}
