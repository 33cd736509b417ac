//! Tests of the logins for SQL endpoints: their TLS.
use super::tests::configure;
use crate::component::sql::{Ca, TlsMode};

fn block(login: &str) -> String {
    format!(r#"{{"sql":{{"credentials":{{"db":{{"user":"u","password":"p"{login}}}}}}}}}"#)
}

#[test]
fn tls_is_as_written_and_preferred_by_default() {
    for (login, mode, ca, name) in [
        ("", TlsMode::Preferred, None, None),
        (r#","tls":"off""#, TlsMode::Off, None, None),
        (r#","tls":"required""#, TlsMode::Required, None, None),
        (
            r#","tls":"verify","ca_file":"~/ca.pem","server_name":"db.example""#,
            TlsMode::Verify,
            Some(Ca::File("/h/ca.pem".into())),
            Some("db.example"),
        ),
    ] {
        let c = configure(&block(login), &[("HOME", "/h")]);
        assert_eq!(c.errors, Vec::<String>::new(), "{login}");
        let session = c.session.unwrap();
        let tls = &session.sql_credentials["db"].tls;
        assert_eq!((tls.mode, &tls.ca, tls.server_name.as_deref()), (mode, &ca, name), "{login}");
    }
}

#[test]
fn tls_that_would_not_do_what_it_seems_to_is_refused() {
    for (login, attribute, why) in [
        (r#","tls":"verify""#, "tls", "exactly one of ca and ca_file"),
        (r#","tls":"verify","ca":"x","ca_file":"/y""#, "tls", "exactly one of ca and ca_file"),
        (r#","tls":"verify","ca":"no PEM""#, "ca", "it holds no certificate"),
        (r#","ca_file":"/y""#, "ca_file", "no effect without verification"),
        (r#","tls":"required","server_name":"x""#, "server_name", "no effect"),
        (r#","tls":"maybe""#, "tls", "verify"),
    ] {
        let errors = configure(&block(login), &[]).errors;
        let start = format!("sql.credentials[\"db\"].{attribute} | ");
        assert!(errors.iter().any(|e| e.starts_with(&start) && e.contains(why)), "{errors:?}");
    }
}
