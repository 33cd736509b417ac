//! Databases, users and grants on a real seekdb, through the real terraform: hostile names, drift,
//! import, moves between the single objects and `ob_access`. These tests guard the facts that
//! `component::mysql` relies on.
use lab::seekdb;
use lab::sql::{self, Login};
use lab::terraform::{Source, Terraform};

/// A server for this test alone; it ends with the test.
struct Server(seekdb::Alone);

impl Server {
    fn start() -> Self {
        Self::of(seekdb::DEFAULT)
    }

    fn of(version: &str) -> Self {
        Self(seekdb::Alone::of(version).unwrap())
    }

    fn ask(&self, statement: &str) -> Vec<Vec<String>> {
        sql::query(self.0.at, statement).unwrap_or_else(|e| panic!("{statement}: {e:#}"))
    }

    fn login(
        &self,
        user: &str,
        password: &str,
        statement: &str,
    ) -> anyhow::Result<Vec<Vec<String>>> {
        sql::query(
            Login { at: self.0.at, user: user.into(), password: Some(password.into()) },
            statement,
        )
    }

    /// The provider block, and `local.at` for `endpoint`.
    fn head(&self) -> String {
        format!(
            "terraform {{\n required_providers {{\n ob = {{ source = \"oceanbase/ob\" }}\n }}\n\
             }}\nprovider \"ob\" {{\n sql = {{ credentials = {{ db = {{ user = \"root\", password \
             = \"\" }} }} }}\n}}\nlocals {{\n at = {{ address = \"127.0.0.1\", port = {}, \
             credential = \"db\" }}\n}}\n",
            self.0.at.port()
        )
    }

    fn id(&self, object: &str) -> String {
        format!("sql://db@127.0.0.1:{}{object}", self.0.at.port())
    }
}

fn work(server: &Server, config: &str) -> (tempfile::TempDir, Terraform) {
    let dir = tempfile::tempdir().unwrap();
    let tf = Terraform::new(dir.path(), Source::Override).unwrap();
    tf.write("main.tf", &(server.head() + config)).unwrap();
    (dir, tf)
}

const USER: &str = "it's \\ `x` \"y\" ü %_";
const DATABASE: &str = "a_b%`c 'd ü";
const PASSWORD: &str = "p'\"\\`$ ü%";

/// A text as an HCL string.
fn hcl(text: &str) -> String {
    format!("{text:?}").replace("${", "$${").replace("%{", "%%{").replace("\\'", "'")
}

fn singles(extra: &str) -> String {
    let (user, database, password) = (hcl(USER), hcl(DATABASE), hcl(PASSWORD));
    format!(
        r#"
resource "ob_database" "d" {{
  name = {database}
  charset = "utf8mb4"
  collation = "utf8mb4_bin"
  endpoint = local.at
  deletion_protection = false
  allow_data_loss = [{database}]
}}
resource "ob_user" "u" {{
  name = {user}
  host = "127.0.%"
  password_wo = {password}
  password_wo_version = 1
  endpoint = local.at
}}
resource "ob_grant" "g" {{
  user = ob_user.u.name
  host = ob_user.u.host
  database = ob_database.d.name
  privileges = ["select", "INSERT", "CREATE"]
  endpoint = local.at
}}
{extra}"#
    )
}

/// The words of an error, without the line breaks and frames of terraform.
fn flat(error: &anyhow::Error) -> String {
    words(&format!("{error:#}"))
}

fn words(text: &str) -> String {
    text.replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn account() -> String {
    format!("'{}'@'127.0.%'", USER.replace('\\', "\\\\").replace('\'', "''"))
}
fn pattern() -> String {
    DATABASE.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%").replace('`', "``")
}

#[test]
fn a_block_that_is_renamed_without_moved_destroys_nothing() {
    let server = Server::start();
    let (_dir, tf) = work(&server, &singles(""));
    tf.apply().unwrap();
    let names = [("ob_database", "d"), ("ob_user", "u"), ("ob_grant", "g")];
    let renamed = |text: &str| {
        names.iter().fold(text.to_owned(), |text, (kind, name)| {
            text.replace(&format!("\"{kind}\" \"{name}\""), &format!("\"{kind}\" \"new\""))
                .replace(&format!("{kind}.{name}."), &format!("{kind}.new."))
        })
    };
    let text = renamed(&singles(""));
    tf.write("main.tf", &(server.head() + &text)).unwrap();
    let refused = flat(&tf.plan().unwrap_err());
    // The grant is not planned once its user is refused.
    for kind in ["ob_database", "ob_user"] {
        for word in ["would be created and destroyed in one run", &format!("from = {kind}.OLD")] {
            assert!(refused.contains(word), "{kind}: {word}: {refused}");
        }
    }
    assert!(tf.apply().is_err());
    let table = format!("`{}`.t", DATABASE.replace('`', "``"));
    server.login(USER, PASSWORD, &format!("create table {table} (a int)")).unwrap();
    // As the message says.
    let moved: String = names
        .iter()
        .map(|(kind, name)| format!("moved {{\n  from = {kind}.{name}\n  to   = {kind}.new\n}}\n"))
        .collect();
    tf.write("main.tf", &(server.head() + &text + &moved)).unwrap();
    tf.apply().unwrap();
    tf.settled().unwrap();
    server.login(USER, PASSWORD, &format!("select * from {table}")).unwrap();
    tf.destroy().unwrap();
}

#[test]
fn hostile_names_live_and_every_drift_is_shown_and_corrected() {
    let server = Server::start();
    let (_dir, tf) = work(&server, &singles(""));
    tf.apply().unwrap();
    tf.settled().unwrap();
    let state = std::fs::read_to_string(tf.work().join("terraform.tfstate")).unwrap();
    assert!(!state.contains("ü%\"") && !state.contains("p'\\\""), "no password in the state");

    // The user can log in and has that database, but not another one that the name would match if
    // it were a pattern.
    let table = format!("`{}`.t", DATABASE.replace('`', "``"));
    server.login(USER, PASSWORD, &format!("create table {table} (a int)")).unwrap();
    server.ask("create database `aXbY``c 'd ü`");
    assert!(server.login(USER, PASSWORD, "create table `aXbY``c 'd ü`.t (a int)").is_err());

    // What others grant is shown, and stays.
    server.ask(&format!("grant delete on `{}`.* to {}", pattern(), account()));
    let plan = tf.run(&["plan", "-refresh-only", "-no-color"]).unwrap().ok().unwrap();
    assert!(plan.contains("unmanaged") && plan.contains("DELETE"), "{plan}");
    tf.settled().unwrap();

    for (name, statement, sign) in [
        (
            "a privilege",
            format!("revoke insert on `{}`.* from {}", pattern(), account()),
            "+ \"INSERT\"",
        ),
        ("a lock", format!("alter user {} account lock", account()), "locked"),
        (
            "a password",
            format!("alter user {} identified by 'other'", account()),
            "+ password_wo_version = 1",
        ),
        (
            "a collation",
            format!("alter database `{}` collate utf8mb4_general_ci", DATABASE.replace('`', "``")),
            "\"utf8mb4_general_ci\" -> \"utf8mb4_bin\"",
        ),
        (
            "a grant",
            format!("revoke select, insert, create on `{}`.* from {}", pattern(), account()),
            "ob_grant.g will be created",
        ),
        ("a user", format!("drop user {}", account()), "ob_user.u will be created"),
    ] {
        server.ask(&statement);
        let plan = tf.plan().unwrap().unwrap_or_else(|| panic!("{name}: no drift seen"));
        assert!(plan.contains(sign), "{name}: {plan}");
        tf.apply().unwrap();
        tf.settled().unwrap();
        server
            .login(USER, PASSWORD, &format!("insert into {table} values (1)"))
            .unwrap_or_else(|e| panic!("{name}: {e:#}"));
    }
    assert_eq!(server.ask(&format!("select count(*) from {table}")), [["6"]]);

    // A rename keeps the grants; a database is not dropped by accident.
    tf.write("main.tf", &(server.head() + &singles("").replace(&hcl(USER), "\"renamed\"")))
        .unwrap();
    tf.apply().unwrap();
    tf.settled().unwrap();
    server.login("renamed", PASSWORD, &format!("select * from {table}")).unwrap();
    tf.write(
        "main.tf",
        &(server.head()
            + &singles("")
                .replace("deletion_protection = false", "")
                .replace(&hcl(USER), "\"renamed\"")),
    )
    .unwrap();
    tf.apply().unwrap();
    let refused = flat(&tf.destroy().unwrap_err());
    assert!(refused.contains("is protected from destroy"), "{refused}");
    tf.write("main.tf", &(server.head() + &singles(""))).unwrap();
    let refused = flat(&tf.plan().unwrap_err());
    assert!(refused.contains("cannot get a name with a quote"), "{refused}");
    tf.write("main.tf", &(server.head() + &singles("").replace(&hcl(USER), "\"renamed\"")))
        .unwrap();
    tf.apply().unwrap();
    tf.destroy().unwrap();
    assert_eq!(server.ask("select count(*) from mysql.user where user <> 'root'"), [["0"]]);
    assert_eq!(
        server.ask(
            "select count(*) from information_schema.schemata where schema_name like 'a\\_b%'"
        ),
        [["0"]]
    );
}

#[test]
fn imports_are_empty_plans_and_the_set_and_the_single_ones_change_places_losing_nothing() {
    let server = Server::start();
    server.ask("create database my_app collate utf8mb4_bin");
    server.ask("create table my_app.t (a int)");
    server.ask("insert into my_app.t values (1)");
    server.ask("create user app identified by 'pw'");
    server.ask("grant select, insert on my_app.* to app");
    server.ask("grant all privileges on `my\\_app`.* to app with grant option");
    server.ask("grant select on my_app.t to app");
    server.ask("grant process on *.* to app");

    let single = r#"
resource "ob_database" "d" {
  name = "my_app"
  endpoint = local.at
}
resource "ob_user" "u" {
  name = "app"
  endpoint = local.at
}
resource "ob_grant" "pattern" {
  user = "app"
  database_pattern = "my_app"
  privileges = ["SELECT", "INSERT"]
  endpoint = local.at
}
resource "ob_grant" "all" {
  user = "app"
  database = "my_app"
  privileges = ["ALL"]
  with_grant_option = true
  endpoint = local.at
}
resource "ob_grant" "table" {
  user = "app"
  database = "my_app"
  table = "t"
  privileges = ["SELECT"]
  endpoint = local.at
}
resource "ob_grant" "global" {
  user = "app"
  database = "*"
  privileges = ["PROCESS"]
  endpoint = local.at
}
"#;
    let imports = [
        ("ob_database.d", "#database=my_app"),
        ("ob_user.u", "#user=app"),
        ("ob_grant.pattern", "#user=app&pattern=my_app"),
        ("ob_grant.all", "#user=app&database=my_app"),
        ("ob_grant.table", "#user=app&database=my_app&table=t"),
        ("ob_grant.global", "#user=app&database=*"),
    ];
    let before = grants(&server);
    let import = |to: &str, object: &str| {
        format!("import {{\n to = {to}\n id = {:?}\n}}\n", server.id(object))
    };
    let (_dir, tf) = work(&server, single);
    let blocks: String = imports.iter().map(|(to, object)| import(to, object)).collect();
    tf.write("import.tf", &blocks).unwrap();
    let plan = tf.plan().unwrap().unwrap();
    assert!(plan.contains("6 to import, 0 to add, 0 to change, 0 to destroy"), "{plan}");
    tf.apply().unwrap();
    tf.settled().unwrap();

    // To the set: forget the single objects and import them all.
    let removed: String = imports
        .iter()
        .map(|(from, _)| {
            format!("removed {{\n from = {from}\n lifecycle {{\n destroy = false\n }}\n}}\n")
        })
        .collect();
    let set = r#"
resource "ob_access" "all" {
  endpoint = local.at
  databases = { my_app = {}, test = {} }
  users = { app = {} }
  grants = {
    "app my_app" = { user = "app", database_pattern = "my_app", privileges = ["INSERT", "SELECT"] }
    "app my\\_app" = { user = "app", database = "my_app", privileges = ["ALL PRIVILEGES"], with_grant_option = true }
    "app my_app.t" = { user = "app", database = "my_app", table = "t", privileges = ["SELECT"] }
    "app *" = { user = "app", database = "*", privileges = ["PROCESS"] }
  }
}
"#;
    tf.write("main.tf", &(server.head() + set + &removed)).unwrap();
    tf.write("import.tf", &import("ob_access.all", "")).unwrap();
    let plan = tf.plan().unwrap().unwrap();
    assert!(plan.contains("1 to import, 0 to add, 0 to change, 0 to destroy"), "{plan}");
    tf.apply().unwrap();
    tf.settled().unwrap();
    assert_eq!(grants(&server), before);

    // And back to single objects.
    tf.write(
        "main.tf",
        &(server.head()
            + single
            + "removed {\n from = ob_access.all\n lifecycle {\n destroy = false\n }\n}\n"),
    )
    .unwrap();
    tf.write("import.tf", &blocks).unwrap();
    tf.apply().unwrap();
    tf.settled().unwrap();
    assert_eq!(grants(&server), before);
    assert_eq!(server.ask("select a from my_app.t"), [["1"]]);
}

fn grants(server: &Server) -> Vec<Vec<Vec<String>>> {
    [
        "select * from mysql.db where user = 'app' order by db",
        "select * from information_schema.user_privileges where grantee like '%app%' order by 3",
        "select * from information_schema.table_privileges where grantee like '%app%' order by 5",
        "select user, host, account_locked, password from mysql.user where user = 'app'",
    ]
    .iter()
    .map(|q| server.ask(q))
    .collect()
}

#[test]
fn the_set_changes_by_what_differs_and_exclusive_removes_only_what_was_shown() {
    let server = Server::start();
    server.ask("create user stranger identified by 'x'");
    server.ask("create role a_role");
    server.ask("create database theirs");
    let config = |n: usize, exclusive: bool, consent: &str| {
        format!(
            r#"
resource "ob_access" "x" {{
  endpoint = local.at
  exclusive = {exclusive}
  deletion_protection = false
  allow_data_loss = [{consent}]
  databases = {{ for i in range({n}) : "db_${{i}}" => {{}} }}
  users = {{ for i in range({n}) : "u${{i}}" => {{ password_wo = "pw${{i}}", password_wo_version = 1 }} }}
  grants = {{ for i in range({n}) : "g${{i}}" => {{ user = "u${{i}}", database = "db_${{i}}", privileges = ["SELECT", "CREATE"] }} }}
}}
"#
        )
    };
    let (_dir, tf) = work(&server, &config(20, true, ""));
    let said = tf.apply().unwrap();
    assert!(
        said.contains("create 20 databases, create 20 users, 20 grants: 60 statements"),
        "{said}"
    );
    assert_eq!(
        server.ask("select count(*) from mysql.user where user = 'stranger'"),
        [["1"]],
        "no plan has shown it yet"
    );
    server.login("u7", "pw7", "create table db_7.t (a int)").unwrap();

    let plan = tf.plan().unwrap().unwrap();
    assert!(plan.contains("drop 1 user: 1 statement") && plan.contains("'stranger'@'%'"), "{plan}");
    server.ask("create user late identified by 'x'");
    server.ask("grant drop on `db\\_3`.* to u3");
    tf.run(&["apply", "-auto-approve", "-no-color", "-refresh=false"]).unwrap().ok().unwrap();
    assert_eq!(
        server.ask(
            "select user from mysql.user where user in ('stranger', 'late', 'a_role') order by 1"
        ),
        [["a_role"], ["late"]]
    );
    tf.apply().unwrap();
    tf.settled().unwrap();
    assert_eq!(
        server.ask("select user from mysql.user where user in ('late', 'a_role')"),
        [["a_role"]],
        "roles are not users"
    );
    assert_eq!(server.ask("select drop_priv from mysql.db where user = 'u3'"), [["N"]]);
    assert_eq!(
        server.ask("select count(*) from information_schema.schemata where schema_name = 'theirs'"),
        [["1"]],
        "never a database"
    );

    // Fewer objects: dropping databases needs consent by name.
    tf.write("main.tf", &(server.head() + &config(18, false, "\"db_18\""))).unwrap();
    let refused = flat(&tf.plan().unwrap_err());
    assert!(refused.contains("db_19") && !refused.contains("\"db_18\" would"), "{refused}");
    tf.write("main.tf", &(server.head() + &config(18, false, "\"db_18\", \"db_19\""))).unwrap();
    let said = tf.apply().unwrap();
    assert!(said.contains("DROP 2 databases") && said.contains("drop 2 users"), "{said}");
    tf.settled().unwrap();
    server.login("u7", "pw7", "select * from db_7.t").unwrap();
}

/// What `app` holds beyond its declared grant, as the statements that gave it and as `unmanaged`
/// shows it.
const GIVEN: [(&str, &str); 9] = [
    ("grant via to app", "'via'@'%' FROM 'app'@'%'"),
    ("grant peer to app with admin option", "'peer'@'%' FROM 'app'@'%'"),
    ("grant root to app", "'root'@'%' FROM 'app'@'%'"),
    (
        "grant select(a), update(a, `B c`) on d.t to app",
        "SELECT (`a`), UPDATE (`B c`), UPDATE (`a`) ON `d`.`t`",
    ),
    ("grant grant option on d.t to app", "GRANT OPTION ON `d`.`t`"),
    ("grant grant option on d.bare to app", "GRANT OPTION ON `d`.`bare`"),
    ("grant execute on procedure d.p to app", "EXECUTE ON PROCEDURE `d`.`p`"),
    (
        "grant alter routine on function d.f to app with grant option",
        "ALTER ROUTINE ON FUNCTION `d`.`f`",
    ),
    ("grant process on *.* to app", "PROCESS ON *.*"),
];

/// The same for kinds that only 1.3 has.
const GIVEN_1_3: [(&str, &str); 3] = [
    ("grant event on d.* to app", "EVENT ON `d`.*"),
    ("grant use catalog on catalog internal to app", "USE CATALOG ON CATALOG `internal`"),
    ("grant read on location mysql.l to app", "READ ON LOCATION `mysql`.`l`"),
];

/// A user kept everything through a role, a column or a routine.
fn exclusive_leaves_only_what_is_declared(version: &str, more: &[(&str, &str)]) {
    let server = Server::of(version);
    for statement in [
        "create database d",
        "create table d.t (a int, `B c` int)",
        "create table d.u (a int)",
        "create table d.bare (a int)",
        "create procedure d.p() select 7",
        "create function d.f() returns int return 1",
        "create role inner_role, via",
        "grant select on d.u to inner_role",
        "grant inner_role to via",
    ] {
        server.ask(statement);
    }
    if version == seekdb::OTHER {
        server.ask("create location l url = 'file:///tmp/l'");
    }
    let config = |exclusive: bool| {
        format!(
            r#"
resource "ob_access" "x" {{
  endpoint = local.at
  exclusive = {exclusive}
  databases = {{ d = {{}}, test = {{}} }}
  users = {{
    app  = {{ password_wo = "pw", password_wo_version = 1 }}
    peer = {{ password_wo = "pw", password_wo_version = 1 }}
  }}
  grants = {{ app = {{ user = "app", database = "d", privileges = ["INSERT"] }} }}
}}
"#
        )
    };
    let (_dir, tf) = work(&server, &config(false));
    tf.apply().unwrap();
    for (statement, _) in GIVEN.iter().chain(more) {
        server.ask(statement);
    }
    server.ask("set default role via to app");
    // A role that was unlocked is one more login.
    for statement in ["identified by 'pw'", "account unlock"] {
        server.ask(&format!("alter user via {statement}"));
    }
    server.login("via", "pw", "select 1").unwrap();
    let reads = ["select a from d.u", "select a from d.t", "call d.p()"];
    let at = Login { at: server.0.at, user: "app".into(), password: Some("pw".into()) };
    server.ask("revoke root from app");
    for read in reads {
        sql::query_with(at.clone(), "set role all", read).unwrap();
    }
    server.ask("grant root to app");

    // All is shown, and stays without consent.
    tf.apply().unwrap();
    tf.settled().unwrap();
    let state = tf.state_json().unwrap();
    let others = &state["values"]["root_module"]["resources"][0]["values"]["unmanaged"];
    assert_eq!(others["unread"], serde_json::json!([]), "{others}");
    assert_eq!(others["users"], serde_json::json!(["'via'@'%'"]), "{others}");
    let shown = others["grants"].to_string();
    for (statement, label) in GIVEN.iter().chain(more) {
        assert!(shown.contains(label), "{statement}: {label}: {shown}");
    }

    tf.write("main.tf", &(server.head() + &config(true))).unwrap();
    let plan = words(&tf.plan().unwrap().unwrap());
    for (_, label) in GIVEN.iter().chain(more) {
        assert!(plan.contains(&format!("REVOKE {label}")), "{label}: {plan}");
    }
    tf.apply().unwrap();
    tf.settled().unwrap();
    // The server's own word, which knows of all kinds.
    let mut held: Vec<_> = server.ask("show grants for app").concat();
    held.sort();
    assert_eq!(held, ["GRANT INSERT ON `d`.* TO 'app'", "GRANT USAGE ON *.* TO 'app'"]);
    for read in reads {
        sql::query_with(at.clone(), "set role all", read).unwrap_err();
    }
    server.login("via", "pw", "select 1").unwrap_err();
    server.login("app", "pw", "insert into d.t values (1, 1)").unwrap();
    // Others' roles are as they were, and so is root.
    assert_eq!(
        server.ask("select user_name from oceanbase.DBA_OB_USERS where type = 'ROLE'"),
        [["inner_role"]]
    );
}

#[test]
fn exclusive_leaves_only_what_is_declared_on_1_4() {
    exclusive_leaves_only_what_is_declared(seekdb::DEFAULT, &[]);
}

#[test]
fn exclusive_leaves_only_what_is_declared_on_1_3() {
    exclusive_leaves_only_what_is_declared(seekdb::OTHER, &GIVEN_1_3);
}

#[test]
fn failures_name_the_way_out_and_leave_nothing_tainted() {
    let server = Server::start();
    let (_dir, tf) = work(
        &server,
        r#"
resource "ob_grant" "nobody" {
  user = "nobody"
  database = "test"
  privileges = ["SELECT"]
  endpoint = local.at
}
resource "ob_grant" "no_table" {
  user = "covered"
  database = "test"
  table = "absent"
  privileges = ["SELECT"]
  endpoint = local.at
}
resource "ob_grant" "covered" {
  user = "covered"
  database = "my_db"
  privileges = ["SELECT"]
  endpoint = local.at
}
resource "ob_database" "charset" {
  name = "x"
  charset = "gbk"
  endpoint = local.at
}
resource "ob_user" "login" {
  name = "covered"
  locked = true
  endpoint = { address = "127.0.0.1", port = local.at.port, credential = "absent" }
}
"#,
    );
    server.ask("create user covered identified by 'x'");
    server.ask("grant select on `my%`.* to covered");
    let text = flat(&tf.apply().unwrap_err());
    for want in [
        "the user does not exist",
        "make the table first",
        "wider pattern",
        "SHOW COLLATION lists them",
        "no login named \"absent\"",
    ] {
        assert!(text.contains(want), "{want}: {text}");
    }
    assert!(tf.state_json().unwrap()["values"].is_null(), "nothing in the state");

    // A server that does not answer is a warning, and nothing is planned because of it.
    let user =
        "resource \"ob_user\" \"u\" {\n name = \"u\"\n locked = true\n endpoint = local.at\n}\n";
    tf.write("main.tf", &(server.head() + user)).unwrap();
    tf.apply().unwrap();
    let status = || {
        tf.state_json().unwrap()["values"]["root_module"]["resources"][0]["values"]["status"]
            .clone()
    };
    assert_eq!(status(), "present");
    let head = server.head();
    drop(server);
    let out = tf.run(&["plan", "-detailed-exitcode", "-no-color"]).unwrap();
    assert_eq!(out.status, 0, "{}{}", out.stdout, out.stderr);
    let said = (out.stdout + &out.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("could not be looked at"), "{said}");
    tf.run(&["apply", "-refresh-only", "-auto-approve", "-no-color"]).unwrap();
    assert_eq!(status(), "unreachable");
    tf.write("main.tf", &(head + &user.replace("true", "false"))).unwrap();
    let refused = flat(&tf.apply().unwrap_err());
    assert!(refused.contains("Cannot log in") && refused.contains("fix "), "{refused}");
}
