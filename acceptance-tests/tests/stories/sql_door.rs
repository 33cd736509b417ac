//! The product's SQL sessions with real servers: MariaDB with TLS, and seekdb, directly and behind
//! a relay that adds TLS. Whatever the server's settings are, a literal stays a literal.
use lab::certificate::Authority;
use lab::mariadb::MariaDb;
use lab::seekdb::Alone;
use lab::sql::{self as outside, Login as Outside};
use lab::terraform::{Source, Terraform};
use lab::tls_relay::Relay;
use ob::base::Secret;
use ob::component::sql::{self, Ca, Login, Session, SqlError, Tls, TlsMode, identifier, literal};
use ob::transport::Endpoint;
use ob::transport::local::Local;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Opens a session as the product does.
async fn enter(at: SocketAddr, user: &str, password: &str, tls: &Tls) -> Result<Session, SqlError> {
    let endpoint = Endpoint {
        name: "this machine".into(),
        address: "local".parse().unwrap(),
        port: 22,
        user: String::new(),
        identity: String::new(),
        host_key: String::new(),
    };
    let here = Local::new(endpoint, BTreeMap::new());
    let login = Login::new(user, &Secret::new(password));
    let address = at.ip().to_string();
    let limit = Duration::from_secs(60);
    sql::open_with(&here, &address, at.port(), &login, tls, limit).await
}

fn mode(mode: TlsMode) -> Tls {
    Tls { mode, ..Tls::off() }
}

fn verify(authority: &Authority, name: Option<&str>) -> Tls {
    let ca = Some(Ca::Text(authority.pem.clone()));
    Tls { mode: TlsMode::Verify, ca, server_name: name.map(str::to_owned) }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn each_mode_of_tls_is_what_it_says_on_a_real_server() {
    let (good, other) = (Authority::new("good").unwrap(), Authority::new("other").unwrap());
    let (certificate, key) = good.server(&["db.example", "127.0.0.1"]).unwrap();
    let server = MariaDb::start(&certificate, &key, &[]).unwrap();
    server.run("CREATE USER plain@'127.0.0.1' IDENTIFIED BY 'p w'").unwrap();
    server.run("CREATE USER strict@'127.0.0.1' IDENTIFIED BY 'p w' REQUIRE SSL").unwrap();
    let wanted = runtime();
    let try_all = |table: Vec<(&str, &str, Tls, Result<bool, &str>)>| {
        for (user, password, tls, want) in table {
            let got = wanted.block_on(async {
                let mut session = enter(server.at, user, password, &tls).await?;
                let rows = session.query("SHOW STATUS LIKE 'Ssl_version'").await?;
                session.close().await;
                Ok::<_, SqlError>(rows[0][1].as_deref() == Some("TLSv1.3"))
            });
            match (&got, want) {
                (Ok(encrypted), Ok(wanted)) if *encrypted == wanted => {}
                (Err(error), Err(part)) if error.to_string().contains(part) => {}
                _ => panic!("{user} {tls:?}: got {got:?}, want {want:?}"),
            }
        }
    };
    let hint = "may require it of this user";
    try_all(vec![
        ("plain", "p w", Tls::off(), Ok(false)),
        ("plain", "p w", mode(TlsMode::Preferred), Ok(true)),
        ("plain", "p w", mode(TlsMode::Required), Ok(true)),
        ("plain", "p w", verify(&good, None), Ok(true)),
        ("plain", "p w", verify(&good, Some("db.example")), Ok(true)),
        ("plain", "p w", verify(&good, Some("elsewhere")), Err("not valid for name")),
        ("plain", "p w", verify(&other, None), Err("UnknownIssuer")),
        ("plain", "wrong", mode(TlsMode::Required), Err("1045")),
        ("strict", "p w", Tls::off(), Err(hint)),
        ("strict", "p w", mode(TlsMode::Preferred), Ok(true)),
        ("strict", "p w", verify(&good, None), Ok(true)),
    ]);
    server.run("SET GLOBAL require_secure_transport = ON").unwrap();
    try_all(vec![
        ("plain", "p w", Tls::off(), Err(hint)),
        ("plain", "p w", verify(&good, None), Ok(true)),
    ]);
}

/// Texts that end a literal early when the server reads it by other rules than it was quoted by.
const HOSTILE: [&str; 8] = [
    "plain",
    "it's",
    "a\\",
    "\\' OR 1 = 1 -- ",
    "\"; DROP USER x; -- ",
    "€\\",
    "€\\' UNION SELECT 2 -- ",
    "'\\\"`\n\t%_",
];

/// What a session of the product reads of each text, and how many texts break a client without its
/// settings.
fn read_back(at: SocketAddr, login: &Outside) -> (Vec<Option<String>>, usize) {
    let password = login.password.clone().unwrap_or_default();
    let inside = runtime().block_on(async {
        let mut session = enter(at, &login.user, &password, &Tls::off()).await.unwrap();
        let mut all = Vec::new();
        for text in HOSTILE {
            let value = session.value(&format!("SELECT {}", literal(text))).await.unwrap();
            all.push(value);
            let name = identifier(text);
            let value = session.value(&format!("SELECT {name} FROM (SELECT 1 AS {name}) t")).await;
            assert_eq!(value.unwrap().as_deref(), Some("1"), "{text}");
        }
        session.close().await;
        all
    });
    let read = |text: &&&str| {
        let rows = outside::query(login.clone(), &format!("SELECT {}", literal(text)));
        !rows.is_ok_and(|rows| rows == [[(**text).to_owned()]])
    };
    (inside, HOSTILE.iter().filter(read).count())
}

#[test]
fn a_literal_stays_one_whatever_the_server_is_set_to() {
    let whole = HOSTILE.map(|t| Some(t.to_owned())).to_vec();
    let authority = Authority::new("one").unwrap();
    let (certificate, key) = authority.server(&["127.0.0.1"]).unwrap();
    let mut maria = MariaDb::start(&certificate, &key, &[]).unwrap();
    for hostile in ["NO_BACKSLASH_ESCAPES,ANSI_QUOTES", "ORACLE", "MSSQL"] {
        maria.run(&format!("SET GLOBAL sql_mode = '{hostile}'")).unwrap();
        let (inside, broken) = read_back(maria.at, &maria.admin());
        assert_eq!(inside, whole, "{hostile}");
        assert_eq!(broken > 0, hostile.starts_with("NO_"), "{hostile}: {broken} break elsewhere");
    }
    // In this character set a backslash can be the second byte of a character, and the server does
    // not ask the client for its set.
    maria.restart(&["--character-set-server=gbk", "--character-set-client-handshake=0"]).unwrap();
    let (inside, broken) = read_back(maria.at, &maria.admin());
    assert_eq!(inside, whole);
    assert!(broken > 0, "a client without settings is broken into");

    let seekdb = Alone::start().unwrap();
    outside::query(seekdb.at, "SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'").unwrap();
    let (inside, broken) = read_back(seekdb.at, &seekdb.at.into());
    assert_eq!(inside, whole);
    assert!(broken > 0, "a client without settings is broken into");
}

#[test]
fn databases_users_and_grants_are_made_through_tls() {
    let authority = Authority::new("one").unwrap();
    let (certificate, key) = authority.server(&["db.example"]).unwrap();
    let seekdb = Alone::start().unwrap();
    outside::query(seekdb.at, "SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'").unwrap();
    let relay = Relay::start(seekdb.at, &certificate, &key).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, &authority.pem).unwrap();
    let tf = Terraform::new(dir.path(), Source::Override).unwrap();
    let config = |name: &str| {
        format!(
            r#"
terraform {{
  required_providers {{
    ob = {{ source = "oceanbase/ob" }}
  }}
}}
provider "ob" {{
  sql = {{
    credentials = {{
      db = {{ user = "root", password = "", tls = "verify", ca_file = {ca:?}, server_name = "{name}" }}
    }}
  }}
}}
locals {{
  at = {{ address = "127.0.0.1", port = {port}, credential = "db" }}
}}
resource "ob_database" "d" {{
  name                = "shop it's"
  endpoint            = local.at
  deletion_protection = false
  allow_data_loss     = ["shop it's"]
}}
resource "ob_user" "u" {{
  name                = "it's \\ ü"
  password_wo         = "p'\\ ü"
  password_wo_version = 1
  endpoint            = local.at
}}
resource "ob_grant" "g" {{
  user       = ob_user.u.name
  database   = ob_database.d.name
  privileges = ["SELECT"]
  endpoint   = local.at
}}
"#,
            port = relay.at.port()
        )
    };
    tf.write("main.tf", &config("db.example")).unwrap();
    tf.apply().unwrap();
    tf.settled().unwrap();
    assert!(relay.logins() > 2, "{} logins", relay.logins());
    let login =
        Outside { at: seekdb.at, user: "it's \\ ü".into(), password: Some("p'\\ ü".into()) };
    outside::query(login, "select 1").unwrap();
    let before = relay.logins();
    tf.write("main.tf", &config("elsewhere.example")).unwrap();
    let error = format!("{:#}", tf.plan().unwrap_err());
    assert!(error.contains("not valid for") && relay.logins() == before, "{error}");
    tf.write("main.tf", &config("db.example")).unwrap();
    tf.destroy().unwrap();
}
