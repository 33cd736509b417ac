//! What a hostile server may ask in a login, and that it never learns the password.
use super::SqlError;
use super::fake::{CACHING, CAPABILITIES, Fake, NATIVE, PASSWORD, greeting, log_in};
use crate::base::Secret;

/// One thing that the server does.
enum Say {
    Greet(&'static str),
    Raw(Vec<u8>),
    Packet(Vec<u8>),
    Read,
    Switch(&'static str),
    More(&'static [u8]),
    Ok,
    Error(u16),
}
use Say::{Error, Greet, More, Ok as Yes, Packet, Raw, Read, Switch};

async fn act(mut fake: Fake, script: Vec<Say>) {
    for say in script {
        match say {
            Greet(plugin) => fake.greet(plugin).await,
            Raw(bytes) => drop(fake.raw(&bytes).await),
            Packet(payload) => drop(fake.send(&payload).await),
            Read => drop(fake.read().await),
            Switch(plugin) => fake.switch(plugin).await,
            More(data) => drop(fake.send(&[&[1], data].concat()).await),
            Yes => fake.ok().await,
            Error(code) => fake.error(code, "no").await,
        }
    }
    // Accepts the settings, and whatever else comes.
    while fake.read().await.is_some() {
        fake.ok().await;
    }
}

#[tokio::test]
async fn a_password_is_proved_and_never_told() {
    let key = b"-----BEGIN PUBLIC KEY-----";
    for (name, script, want) in [
        ("native", vec![Greet(NATIVE), Read, Yes], Ok(())),
        ("caching, known", vec![Greet(CACHING), Read, More(&[3]), Yes], Ok(())),
        ("caching, no word of how", vec![Greet(CACHING), Read, Yes], Ok(())),
        (
            "caching, unknown",
            vec![Greet(CACHING), Read, More(&[4]), Read],
            Err("full authentication"),
        ),
        ("caching, a key at once", vec![Greet(CACHING), Read, More(key), Read], Err("no place")),
        (
            "caching, known and not",
            vec![Greet(CACHING), Read, More(&[3]), More(&[4]), Read],
            Err("no place"),
        ),
        ("native, asked as caching", vec![Greet(NATIVE), Read, More(&[4]), Read], Err("no place")),
        ("caching to native", vec![Greet(CACHING), Read, Switch(NATIVE), Read, Yes], Ok(())),
        (
            "native to caching",
            vec![Greet(NATIVE), Read, Switch(CACHING), Read, More(&[3]), Yes],
            Ok(()),
        ),
        (
            "native to caching, unknown",
            vec![Greet(NATIVE), Read, Switch(CACHING), Read, More(&[4]), Read],
            Err("full authentication"),
        ),
        (
            "another default",
            vec![Greet("sha256_password"), Read, Switch(NATIVE), Read, Yes],
            Ok(()),
        ),
        (
            "twice",
            vec![Greet(NATIVE), Read, Switch(CACHING), Read, Switch(NATIVE), Read],
            Err("no place"),
        ),
        (
            "after the word",
            vec![Greet(CACHING), Read, More(&[3]), Switch(NATIVE), Read],
            Err("no place"),
        ),
        (
            "clear",
            vec![Greet(NATIVE), Read, Switch("mysql_clear_password"), Read],
            Err("\"mysql_clear_password\""),
        ),
        ("clear as default", vec![Greet("mysql_clear_password"), Read, Yes], Ok(())),
        (
            "sha256",
            vec![Greet(NATIVE), Read, Switch("sha256_password"), Read],
            Err("\"sha256_password\""),
        ),
        (
            "old by name",
            vec![Greet(NATIVE), Read, Switch("mysql_old_password"), Read],
            Err("\"mysql_old_password\""),
        ),
        ("old", vec![Greet(NATIVE), Read, Packet(vec![0xfe]), Read], Err("\"mysql_old_password\"")),
        ("PAM", vec![Greet(NATIVE), Read, Switch("dialog"), Read], Err("\"dialog\"")),
        (
            "a name that is none",
            vec![Greet(NATIVE), Read, Packet(b"\xfe\xff\x1b[2J".to_vec()), Read],
            Err("reveals"),
        ),
        (
            "a short nonce",
            vec![
                Greet(NATIVE),
                Read,
                Packet([b"\xfe", NATIVE.as_bytes(), b"\0abc\0"].concat()),
                Read,
            ],
            Err("no place"),
        ),
        (
            "no secure answer",
            vec![Packet(greeting(CAPABILITIES & !0x8000, NATIVE)), Read],
            Err("can be computed"),
        ),
        ("a refusal", vec![Greet(NATIVE), Read, Error(1045)], Err("server error 1045: no")),
        ("a refusal at once", vec![Error(1040)], Err("server error 1040: no")),
        (
            "a file",
            vec![Greet(NATIVE), Read, Packet(b"\xfb/etc/passwd".to_vec()), Read],
            Err("no place"),
        ),
        ("nothing", vec![Greet(NATIVE), Read, Packet(vec![])], Err("no place")),
        (
            "HTTP",
            vec![Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())],
            Err("not the MySQL protocol"),
        ),
        ("SSH", vec![Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())], Err("not the MySQL protocol")),
        ("zeros", vec![Raw(vec![0; 64])], Err("no server of the MySQL protocol")),
        ("too long", vec![Packet(vec![b'x'; (64 << 10) + 1])], Err("more than 64 KiB")),
        ("endless", vec![Raw(vec![0xff, 0xff, 0xff, 0])], Err("more than 64 KiB")),
        ("out of order", vec![Greet(NATIVE), Read, Raw(vec![1, 0, 0, 9, 0])], Err("packet 9 came")),
    ] {
        let came = log_in(|fake| act(fake, script)).await;
        let got = came.session.as_ref().map(drop).map_err(ToString::to_string);
        match (&got, want) {
            (Ok(()), Ok(())) => {}
            (Err(got), Err(want)) if got.contains(want) => {}
            _ => panic!("{name}: got {got:?}, want {want:?}"),
        }
        assert!(!came.heard(PASSWORD.as_bytes()), "{name}: the password was told");
    }
}

#[tokio::test]
async fn a_greeting_cut_anywhere_is_an_error() {
    let whole = greeting(CAPABILITIES, NATIVE);
    let name = NATIVE.len() + 1;
    for length in 0..whole.len() - name {
        let script = vec![Packet(whole[..length].to_vec()), Read];
        let came = log_in(|fake| act(fake, script)).await;
        assert!(matches!(came.session, Err(SqlError::Broken(_))), "{length}");
    }
    // The server chooses the byte that tells the nonce's length.
    let at = whole.windows(11).position(|w| w == [21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    for length in 0..=255 {
        let mut payload = whole.clone();
        payload[at] = length;
        let came = log_in(|fake| act(fake, vec![Packet(payload), Read, Yes])).await;
        assert_eq!(came.session.is_ok(), length <= 43, "{length}");
    }
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    let script = vec![Greet(NATIVE), Read, Switch("mysql_clear_password"), Read];
    let came = log_in(|fake| act(fake, script)).await;
    let problem = came.session.err().unwrap().explain("log in", "10.0.0.1:2881");
    let text = problem.to_string();
    for want in ["10.0.0.1:2881", "mysql_clear_password", "reveals", "what listens on that port"] {
        assert!(text.contains(want), "{text}");
    }
}

#[test]
fn a_password_has_the_digest_that_a_server_keeps() {
    // Read in mysql.user of seekdb 1.4.0.post1.
    let want = "*8E2D5FAFEE9E6C993094CC1DBD7B43F7E9DEE726";
    assert_eq!(super::native_digest(&Secret::new("Zz1-root")), want);
}
