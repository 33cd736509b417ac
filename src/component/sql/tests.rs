//! What a hostile server may answer, and the settings of a session.
use super::fake::{Came, Fake, log_in, log_in_within};
use super::session::{BYTES, ROWS, Row};
use super::{FULL, Refusal, Session, SqlError, Tls, USER_FULL, stays_on_host};
use crate::base::{Kind, Secret};
use std::time::{Duration, Instant};

/// Runs one statement whose answer is what `script` sends, and gives the session back.
async fn ask<F>(
    script: impl FnOnce(Fake) -> F + Send + 'static,
) -> (Result<Vec<Row>, SqlError>, Session)
where
    F: Future<Output = Fake> + Send + 'static,
{
    let came = log_in(|mut fake| async move {
        fake.welcome().await;
        fake.statement().await;
        let mut fake = script(fake).await;
        while fake.read().await.is_some() {
            fake.ok().await;
        }
    })
    .await;
    let mut session = came.session.unwrap();
    (session.query("select 1").await, session)
}

#[tokio::test]
async fn rows_come_as_they_are() {
    let long = "ü".repeat(40_000);
    let sent = long.clone();
    let (rows, mut session) = ask(|mut fake| async move {
        fake.head(3).await;
        fake.send(b"\x01a\xfb\x00").await;
        let length = u32::try_from(sent.len()).unwrap().to_le_bytes();
        fake.send(&[b"\xfd", &length[..3], sent.as_bytes(), b"\xfc\x01\x00x\x02\xff\xfe"].concat())
            .await;
        fake.end(2).await;
        fake
    })
    .await;
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        rows.unwrap(),
        [vec![some("a"), None, some("")], vec![Some(long), some("x"), some("\u{fffd}\u{fffd}")]]
    );
    session.run("select 2").await.unwrap();
    session.close().await;
}

#[tokio::test]
async fn a_server_gets_no_file_of_this_machine() {
    let Came { session, heard, server } = log_in(|mut fake| async move {
        fake.welcome().await;
        fake.statement().await;
        fake.send(b"\xfb/etc/passwd").await;
        while fake.read().await.is_some() {}
    })
    .await;
    let mut session = session.unwrap();
    let said = session.query("select 1").await;
    assert!(matches!(said, Err(SqlError::Refused(Refusal::File))), "{said:?}");
    assert!(matches!(session.query("select 1").await, Err(SqlError::Broken(_))));
    drop(session);
    server.await.unwrap();
    let heard = heard.lock().unwrap();
    assert!(!heard.windows(5).any(|w| w == b"root:"));
    assert!(heard.ends_with(b"\x03select 1"), "nothing after the statement");
}

#[tokio::test]
async fn an_answer_is_read_within_its_bounds_or_not_at_all() {
    // So many columns that no memory holds them.
    let (said, _) = ask(|mut fake| async move {
        fake.send(b"\xfe\xff\xff\xff\xff\xff\xff\xff\x3f").await;
        fake
    })
    .await;
    assert!(matches!(said, Err(SqlError::Broken(_))), "{said:?}");
    let begun = Instant::now();
    let (said, mut session) = ask(|mut fake| async move {
        fake.head(1).await;
        while fake.send(b"\x01x").await {}
        fake
    })
    .await;
    assert!(
        matches!(&said, Err(SqlError::TooMuch(why)) if why.contains(&ROWS.to_string())),
        "{said:?}"
    );
    assert!(session.query("select 1").await.is_err(), "what is left of an answer is no answer");
    let (said, _) = ask(|mut fake| async move {
        fake.head(1).await;
        let row = [b"\xfd\x00\x00\x10", [b'x'; 1 << 20].as_slice()].concat();
        while fake.send(&row).await {}
        fake
    })
    .await;
    assert!(
        matches!(
            &said,
            Err(SqlError::TooMuch(why)) if why.contains(&format!("{} MiB", BYTES >> 20))
        ),
        "{said:?}"
    );
    // Columns, too.
    let (said, _) = ask(|mut fake| async move {
        fake.send(b"\xfc\x00\x10").await;
        let column = vec![b'x'; 1 << 20];
        while fake.send(&column).await {}
        fake
    })
    .await;
    assert!(matches!(said, Err(SqlError::TooMuch(_))), "{said:?}");
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn what_fits_nowhere_ends_the_session() {
    for (name, packets) in [
        ("more results", vec![vec![0, 0, 0, 8, 0, 0, 0]]),
        ("an answer of nothing", vec![vec![]]),
        ("no columns' end", vec![vec![1], vec![b'c'], vec![1, b'x']]),
        (
            "a row too short",
            vec![vec![2], vec![b'c'], vec![b'c'], vec![0xfe, 0, 0, 2, 0], vec![1, b'x']],
        ),
        ("a row too long", vec![vec![1], vec![b'c'], vec![0xfe, 0, 0, 2, 0], vec![1, b'x', 0]]),
        ("a value too long", vec![vec![1], vec![b'c'], vec![0xfe, 0, 0, 2, 0], vec![9, b'x']]),
        ("an error without a number", vec![vec![0xff]]),
    ] {
        let (said, mut session) = ask(move |mut fake| async move {
            for packet in packets {
                fake.send(&packet).await;
            }
            fake
        })
        .await;
        assert!(matches!(said, Err(SqlError::Broken(_))), "{name}: {said:?}");
        assert!(matches!(session.query("x").await, Err(SqlError::Broken(_))), "{name}");
    }
}

#[tokio::test]
async fn an_error_of_the_server_leaves_the_session_whole() {
    let (said, mut session) = ask(|mut fake| async move {
        fake.head(1).await;
        fake.send(b"\x01x").await;
        fake.error(4012, "Timeout").await;
        fake
    })
    .await;
    assert_eq!(said.unwrap_err().code(), Some(4012));
    session.run("select 2").await.unwrap();
}

#[tokio::test]
async fn a_statement_has_its_deadline() {
    let limit = Duration::from_millis(400);
    let begun = Instant::now();
    let came = log_in_within(limit, "127.0.0.1", &Tls::off(), |mut fake| async move {
        fake.welcome().await;
        std::future::pending::<()>().await;
    })
    .await;
    let mut session = came.session.unwrap();
    let said = session.query("select 1").await;
    assert!(matches!(said, Err(SqlError::Timeout(d)) if d == limit), "{said:?}");
    assert!(matches!(session.query("select 1").await, Err(SqlError::Broken(_))));
    let came = log_in_within(limit, "127.0.0.1", &Tls::off(), |fake| async move {
        let _silent = fake;
        std::future::pending::<()>().await;
    })
    .await;
    assert!(matches!(came.session, Err(SqlError::Timeout(_))));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn the_settings_are_those_that_the_server_knows() {
    for (refused, last, good) in [
        (vec![], "ob_query_timeout = 6666666", true),
        (vec![1193], "max_statement_time = 6.667", true),
        (vec![1193, 1231], "STRICT_ALL_TABLES', SESSION max_execution_time = 6666", true),
        (vec![1193, 1193, 1193], "max_execution_time", false),
        (vec![1064], "ob_query_timeout", false),
    ] {
        let came = log_in(|mut fake| async move {
            fake.greet(super::fake::NATIVE).await;
            fake.read().await;
            fake.ok().await;
            for code in refused {
                fake.statement().await;
                fake.error(code, "no").await;
            }
            while fake.statement().await.is_some() {
                fake.ok().await;
            }
        })
        .await;
        assert_eq!(came.session.is_ok(), good, "{last}");
        let heard = String::from_utf8_lossy(&came.heard.lock().unwrap()).into_owned();
        let (_, after) = heard.rsplit_once("SET SESSION").unwrap();
        assert!(after.contains(last), "{after}");
        for part in
            ["character_set_client = utf8mb4", "time_zone = '+00:00'", "sql_mode = 'STRICT_ALL"]
        {
            assert!(after.contains(part), "{after}");
        }
    }
}

#[tokio::test]
async fn an_error_is_told_without_the_secrets_of_its_statement() {
    let came = log_in(|mut fake| async move {
        fake.welcome().await;
        while fake.statement().await.is_some() {
            fake.error(1064, "near 'IDENTIFIED BY 'hunter2''' at line 1").await;
        }
    })
    .await;
    let secrets = [Secret::new("hunter2'")];
    let said = came.session.unwrap().run_with("ALTER USER x", &secrets).await;
    assert_eq!(
        said.unwrap_err().to_string(),
        "server error 1064: near 'IDENTIFIED BY '***''' at line 1"
    );
}

#[test]
fn loopback_is_on_no_network() {
    for address in ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "::ffff:127.0.0.1"] {
        assert!(stays_on_host(address), "{address}");
    }
    for address in ["10.0.0.1", "localhost.example.org", "fe80::1", "0.0.0.0", "db", ""] {
        assert!(!stays_on_host(address), "{address}");
    }
}

#[tokio::test]
async fn a_password_that_a_policy_refuses_is_named_as_that_with_what_the_policy_asks_for() {
    let Came { session, .. } = log_in(|mut fake| async move {
        fake.welcome().await;
        for shows in [true, false] {
            fake.statement().await;
            fake.error(1819, "Your password hunter22 does not satisfy the policy").await;
            let asked = fake.statement().await.unwrap();
            assert_eq!(asked, "show global variables like 'validate_password%'");
            if shows {
                fake.head(2).await;
                fake.send(b"\x18validate_password_length\x0212").await;
                fake.send(b"\x18validate_password_policy\x06medium").await;
                fake.send(b"\x24validate_password_special_char_count\x010").await;
                fake.end(2).await;
            } else {
                fake.error(1064, "no such thing").await;
            }
        }
        fake.statement().await;
        fake.ok().await;
    })
    .await;
    let mut session = session.unwrap();
    let secrets = [Secret::new("password: hunter22")];
    let shown = session.run_with("ALTER USER", &secrets).await.unwrap_err();
    assert_eq!(
        (shown.code(), session.run("ALTER USER").await.unwrap_err().code()),
        (Some(1819), Some(1819))
    );
    let problem = shown.explain("set it", "here");
    assert_eq!(
        problem.why,
        "the server's password policy refuses it: server error 1819: Your *** does not satisfy the \
         policy; in force is validate_password_length = 12, validate_password_policy = medium"
    );
    assert!(problem.fix.contains("SET GLOBAL"), "{problem}");
    session.run("select 1").await.unwrap();
}

#[test]
fn a_server_without_a_free_session_is_busy_and_says_the_way_out() {
    for code in [FULL, USER_FULL] {
        let problem = SqlError::Server { code, message: "many".into() }.explain("ask it", "here");
        assert_eq!(problem.kind, Kind::Busy, "{problem}");
        assert!(problem.fix.starts_with("its sessions are all taken: end some"), "{problem}");
    }
}
