//! Tables: plans of `ob_access`, from which the single objects differ only in number.
use super::import::everything;
use super::object::believed;
use super::schema::{AccessState, DatabaseEntry, GrantEntry, Unmanaged, UserEntry};
use super::{ObAccess, plan};
use crate::component::mysql::{Account, Catalog, Database, Held, Scope, User};
use crate::resource::sql_object::statements_of;
use crate::resource::sql_object::{Change, Fill, Passwords, SqlObject};
use crate::resource::sql_target::SqlEndpoint;
use crate::resource::{PlanInput, Resource};
use crate::schema::{Diagnostics, Value};
use std::collections::BTreeMap;

fn v(text: &str) -> Value<String> {
    Value::Value(text.to_owned())
}
fn set(all: &[&str]) -> crate::resource::common::Texts {
    Value::Value(all.iter().map(|t| v(t)).collect())
}
fn map<T>(all: Vec<(&str, T)>) -> crate::resource::common::Map<T> {
    Value::Value(all.into_iter().map(|(k, t)| (k.to_owned(), Value::Value(t))).collect())
}
fn user(name: &str, version: i64) -> UserEntry {
    UserEntry {
        name: v(name),
        host: v("%"),
        password_wo: v("p"),
        password_wo_version: Value::Value(version),
        locked: Value::Value(false),
        password_changed: v("1"),
    }
}
fn grant(user: &str, database: &str, privileges: &[&str]) -> GrantEntry {
    GrantEntry {
        user: v(user),
        host: v("%"),
        database: v(database),
        privileges: set(privileges),
        ..GrantEntry::default()
    }
}
fn state() -> AccessState {
    let endpoint = SqlEndpoint {
        address: v("127.0.0.1"),
        port: Value::Value(2881),
        credential: v("c"),
        via: Value::Null,
    };
    let database =
        DatabaseEntry { name: v("shop"), charset: v("utf8mb4"), collation: v("utf8mb4_bin") };
    AccessState {
        endpoint: Value::Value(endpoint),
        databases: map(vec![("shop", database)]),
        users: map(vec![("app", user("app", 1))]),
        grants: map(vec![("app", grant("app", "shop", &["SELECT", "INSERT"]))]),
        exclusive: Value::Value(false),
        deletion_protection: Value::Value(false),
        unmanaged: Value::Value(Unmanaged {
            databases: set(&["other"]),
            users: set(&["'x'@'%'"]),
            grants: set(&["DROP ON `shop`.* FROM 'app'@'%'"]),
            unread: set(&[]),
        }),
        ..AccessState::default()
    }
}
fn shown(prior: Option<&AccessState>, next: Option<&AccessState>) -> Vec<String> {
    statements_of(&ObAccess, prior, next)
        .map_or_else(|p| vec![p.what], |all| all.into_iter().map(|s| s.shown).collect())
}

#[test]
fn a_change_runs_only_the_statements_it_needs() {
    let change = |f: fn(&mut AccessState)| {
        let mut next = state();
        f(&mut next);
        next
    };
    for (name, prior, next, want) in [
        (
            "create",
            None,
            Some(state()),
            vec![
                "CREATE DATABASE IF NOT EXISTS `shop` CHARACTER SET = utf8mb4 COLLATE = \
                 utf8mb4_bin",
                "CREATE USER IF NOT EXISTS 'app'@'%' IDENTIFIED BY <users[\"app\"].password_wo>",
                "GRANT INSERT, SELECT ON `shop`.* TO 'app'@'%'",
            ],
        ),
        ("nothing", Some(state()), Some(state()), vec![]),
        (
            "other keys for the same names",
            Some(state()),
            Some(change(|s| s.users = map(vec![("another key", user("app", 1))]))),
            vec![],
        ),
        (
            "a new password",
            Some(state()),
            Some(change(|s| s.users = map(vec![("app", user("app", 2))]))),
            vec!["ALTER USER 'app'@'%' IDENTIFIED BY <users[\"app\"].password_wo>"],
        ),
        (
            "a user less: its grants end with it",
            Some(state()),
            Some(change(|s| (s.users, s.grants) = (map(vec![]), map(vec![])))),
            vec!["DROP USER IF EXISTS 'app'@'%'"],
        ),
        (
            "a grant less",
            Some(state()),
            Some(change(|s| s.grants = Value::Null)),
            vec!["REVOKE INSERT, SELECT ON `shop`.* FROM 'app'@'%'"],
        ),
        (
            "a database less",
            Some(state()),
            Some(change(|s| s.databases = Value::Null)),
            vec!["dropping \"shop\" would drop rows"],
        ),
        (
            "a database less, by consent",
            Some(state()),
            Some(change(|s| (s.databases, s.allow_data_loss) = (Value::Null, set(&["shop"])))),
            vec!["DROP DATABASE IF EXISTS `shop`"],
        ),
        (
            "exclusive removes what was shown, never a database",
            Some(state()),
            Some(change(|s| s.exclusive = Value::Value(true))),
            vec!["REVOKE DROP ON `shop`.* FROM 'app'@'%'", "DROP USER IF EXISTS 'x'@'%'"],
        ),
        (
            "exclusive at create removes nothing",
            None,
            Some(change(|s| {
                (s.exclusive, s.databases, s.users, s.grants) =
                    (Value::Value(true), Value::Null, Value::Null, Value::Null)
            })),
            vec![],
        ),
        ("destroy without consent", Some(state()), None, vec!["dropping \"shop\" would drop rows"]),
        (
            "destroy",
            Some(change(|s| s.allow_data_loss = set(&["shop"]))),
            None,
            vec!["DROP USER IF EXISTS 'app'@'%'", "DROP DATABASE IF EXISTS `shop`"],
        ),
    ] {
        assert_eq!(shown(prior.as_ref(), next.as_ref()), want, "{name}");
    }
}

fn server() -> Catalog {
    let mut now = believed(Some(&state()));
    now.databases.insert("other".into(), Database::default());
    now.databases.insert("mysql".into(), Database::default());
    now.users.insert(Account::new("x", "%"), User::default());
    now.users.insert(Account::new("root", "%"), User::default());
    now.users.insert(Account::new("ob_service", "%"), User::default());
    now.users.insert(Account::new("role", "%"), User { role: true, ..User::default() });
    now.users.get_mut(&Account::new("app", "%")).unwrap().password_changed = "1".into();
    now.grants
        .get_mut(&(Account::new("app", "%"), Scope::Database("shop".into())))
        .unwrap()
        .privileges
        .insert("DROP".into());
    now.grants.insert(
        (Account::new("ob_service", "%"), Scope::Global),
        Held { privileges: ["SELECT".to_owned()].into(), grant_option: true },
    );
    now
}

#[test]
fn a_read_shows_all_drift_and_others_without_system_and_service_accounts() {
    let read = |now: &Catalog| state().fill(now, Fill::Read).unwrap();
    assert_eq!(read(&server()).unmanaged, state().unmanaged, "others are shown");
    assert_eq!(
        AccessState { unmanaged: Value::Null, id: Value::Null, ..read(&server()) },
        AccessState { unmanaged: Value::Null, ..read_less(state()) }
    );
    let mut now = server();
    now.users.get_mut(&Account::new("app", "%")).unwrap().locked = true;
    now.users.get_mut(&Account::new("app", "%")).unwrap().password_changed = "2".into();
    now.databases.get_mut("shop").unwrap().collation = "utf8mb4_general_ci".into();
    now.grants
        .get_mut(&(Account::new("app", "%"), Scope::Database("shop".into())))
        .unwrap()
        .privileges
        .remove("INSERT");
    let drift = read(&now);
    let Value::Value(users) = &drift.users else { panic!() };
    let Value::Value(app) = &users["app"] else { panic!() };
    assert_eq!((&app.locked, &app.password_wo_version), (&Value::Value(true), &Value::Null));
    assert_eq!(drift.grants, map(vec![("app", grant("app", "shop", &["SELECT"]))]));
    assert!(format!("{:?}", drift.databases).contains("utf8mb4_general_ci"));
    now.databases.clear();
    now.users.clear();
    let gone = read(&now);
    assert_eq!((gone.databases, gone.users), (map(vec![]), map(vec![])));
}

fn read_less(mut state: AccessState) -> AccessState {
    let Value::Value(users) = &mut state.users else { panic!() };
    users.values_mut().for_each(|u| {
        if let Value::Value(u) = u {
            u.password_wo = Value::Null
        }
    });
    state
}

#[test]
fn exclusive_never_touches_what_no_plan_has_shown() {
    let mut now = server();
    now.users.insert(Account::new("new", "%"), User::default());
    let mut next = state();
    next.exclusive = Value::Value(true);
    let prior = state();
    let found = AccessState::statements(
        Change { prior: Some(&prior), next: Some(&next), config: None, passwords: Passwords::Set },
        &now,
    )
    .unwrap();
    let found: Vec<_> = found.iter().map(|s| s.shown.as_str()).collect();
    assert_eq!(found, ["REVOKE DROP ON `shop`.* FROM 'app'@'%'", "DROP USER IF EXISTS 'x'@'%'"]);
}

/// A server on which `app` holds something of each kind that cannot be declared.
fn furnished() -> Catalog {
    let (app, d) = (Account::new("app", "%"), || "shop".to_owned());
    let mut now = server();
    for (scope, privilege) in [
        (Scope::Table(d(), "t".into()), "SELECT (`a`)"),
        (Scope::Procedure(d(), "p".into()), "EXECUTE"),
        (Scope::Function(d(), "f".into()), "EXECUTE"),
        (Scope::Catalog("c".into()), "USE CATALOG"),
        (Scope::Location("l".into()), "READ"),
    ] {
        let held = Held { privileges: [privilege.to_owned()].into(), grant_option: false };
        now.grants.insert((app.clone(), scope), held);
    }
    now.users.insert(Account::new("app", "localhost"), User::default());
    for (account, role) in [
        (&app, Account::new("role", "%")),
        (&app, Account::new("root", "%")),
        (&Account::new("ob_service", "%"), Account::new("role", "%")),
        (&Account::new("role", "%"), Account::new("x", "%")),
        (&Account::new("login", "%"), Account::new("role", "%")),
    ] {
        now.users.entry(account.clone()).or_default();
        now.roles.insert((account.clone(), role));
    }
    now
}

#[test]
fn roles_and_privileges_on_columns_routines_catalogs_and_locations_are_shown_and_removed() {
    let mut prior = state().fill(&furnished(), Fill::Read).unwrap();
    prior.login("login");
    let Value::Value(others) = &prior.unmanaged else { panic!() };
    assert_eq!(
        others.grants,
        set(&[
            "'role'@'%' FROM 'app'@'%'",
            "'root'@'%' FROM 'app'@'%'",
            "DROP ON `shop`.* FROM 'app'@'%'",
            "EXECUTE ON FUNCTION `shop`.`f` FROM 'app'@'%'",
            "EXECUTE ON PROCEDURE `shop`.`p` FROM 'app'@'%'",
            "READ ON LOCATION `mysql`.`l` FROM 'app'@'%'",
            "SELECT (`a`) ON `shop`.`t` FROM 'app'@'%'",
            "USE CATALOG ON CATALOG `c` FROM 'app'@'%'",
        ])
    );
    assert_eq!(others.users, set(&["'app'@'localhost'", "'x'@'%'"]), "no locked role");
    let next = AccessState { exclusive: Value::Value(true), ..prior.clone() };
    let change =
        Change { prior: Some(&prior), next: Some(&next), config: None, passwords: Passwords::Set };
    let left = |now: &Catalog| AccessState::statements(change, now).unwrap().len();
    assert_eq!(left(&furnished()), 10, "all that was shown");
    // Whatever is left of it, the verification finds it.
    let mut done = server();
    done.users.remove(&Account::new("x", "%"));
    done.grants = believed(Some(&state())).grants;
    assert_eq!(left(&done), 0);
    for (account, role) in furnished().roles.iter().filter(|(a, _)| a.user == "app") {
        let mut now = done.clone();
        now.roles.insert((account.clone(), role.clone()));
        assert_eq!(left(&now), 1, "{role:?}");
    }
    for (key, held) in furnished().grants.iter().filter(|(k, _)| !done.grants.contains_key(k)) {
        let mut now = done.clone();
        now.grants.insert(key.clone(), held.clone());
        assert_eq!(left(&now), usize::from(key.0.user == "app"), "{key:?}");
    }
}

#[test]
fn exclusive_says_what_it_cannot_see() {
    let mut now = server();
    now.unread.insert("roles".into());
    let mut prior = state().fill(&now, Fill::Read).unwrap();
    for exclusive in [false, true] {
        prior.exclusive = Value::Value(exclusive);
        let mut diags = Diagnostics::default();
        plan::plan(PlanInput { prior: Some(&prior), config: &prior, proposed: &prior }, &mut diags);
        let said = diags.warnings.iter().any(|w| w.summary.contains("does not cover"));
        assert_eq!(said, exclusive, "{diags:?}");
    }
}

#[test]
fn an_import_takes_everything_but_system_objects() {
    let state = everything(AccessState::default(), &furnished(), "login");
    let keys = |text: String| text;
    assert_eq!(keys(format!("{:?}", state.databases)).matches("name:").count(), 2);
    let Value::Value(users) = &state.users else { panic!() };
    assert_eq!(users.keys().collect::<Vec<_>>(), ["app", "app@localhost", "x"]);
    let Value::Value(grants) = &state.grants else { panic!() };
    assert_eq!(grants.keys().collect::<Vec<_>>(), ["app shop"]);
}

#[test]
fn a_plan_keeps_what_did_not_change_and_says_what_does() {
    let input = |prior: Option<&AccessState>, next: &AccessState| {
        let mut diags = Diagnostics::default();
        let planned = plan::plan(PlanInput { prior, config: next, proposed: next }, &mut diags);
        (planned.map(|p| p.state), diags)
    };
    let mut prior = state();
    prior.id = v("sql://c@127.0.0.1:2881");
    let (same, _) = input(Some(&prior), &prior);
    assert_eq!(same.unwrap(), prior);
    let (created, _) = input(None, &state());
    let created = created.unwrap();
    assert_eq!(created.runbook, v("create 1 database, create 1 user, 1 grant: 3 statements"));
    let mut unknown = state();
    unknown.grants = Value::Unknown;
    let (planned, diags) = input(Some(&prior), &unknown);
    assert!(diags.errors.is_empty() && planned.unwrap().runbook.is_unknown());
    let mut open = state();
    open.users = map(vec![(
        "b",
        UserEntry { password_wo: Value::Null, password_wo_version: Value::Null, ..user("b", 1) },
    )]);
    assert!(input(Some(&prior), &open).1.errors[0].summary.contains("no password"));
}

#[test]
fn all_that_is_wrong_is_said_at_once_and_unknown_is_never_wrong() {
    let mut bad = state();
    bad.endpoint = Value::Null;
    bad.databases = map(vec![
        (
            "a",
            DatabaseEntry {
                charset: v("utf8"),
                collation: v("utf8mb4_bin"),
                ..DatabaseEntry::default()
            },
        ),
        ("mysql", DatabaseEntry::default()),
    ]);
    bad.users = map(vec![
        ("root", UserEntry::default()),
        ("u", UserEntry { password_wo: v(""), ..UserEntry::default() }),
        ("v", UserEntry { name: v("u"), host: v("%"), ..UserEntry::default() }),
    ]);
    bad.grants = map(vec![
        ("g", grant("u", "d", &["SELCT", "SUPER"])),
        ("h", GrantEntry { table: v("t"), ..grant("u", "*", &["SELECT"]) }),
        ("i", GrantEntry { database_pattern: v("d"), ..grant("u", "d", &["SELECT"]) }),
    ]);
    let mut diags = Diagnostics::default();
    ObAccess.validate(&bad, &mut diags);
    let schema = ObAccess.schema();
    let mut found: Vec<_> =
        diags.errors.iter().map(|d| schema.resolve(&d.attribute).to_string()).collect();
    found.sort();
    let want = [
        "databases[\"a\"].collation",
        "databases[\"mysql\"]",
        "grants[\"g\"].privileges",
        "grants[\"g\"].privileges",
        "grants[\"h\"].table",
        "grants[\"i\"]",
        "grants[\"i\"].database_pattern",
        "instance",
        "users[\"root\"]",
        "users[\"u\"].password_wo",
        "users[\"u\"].password_wo_version",
        "users[\"v\"]",
    ];
    assert_eq!(found, want);

    let entry = BTreeMap::from([("k".to_owned(), Value::Unknown)]);
    let unknown = AccessState {
        instance: Value::Unknown,
        group: Value::Unknown,
        endpoint: Value::Unknown,
        databases: Value::Unknown,
        users: Value::Value(entry),
        grants: map(vec![(
            "g",
            GrantEntry {
                user: Value::Unknown,
                host: Value::Unknown,
                database: Value::Unknown,
                database_pattern: Value::Unknown,
                table: Value::Unknown,
                privileges: Value::Unknown,
                with_grant_option: Value::Unknown,
            },
        )]),
        ..AccessState::default()
    };
    let mut diags = Diagnostics::default();
    ObAccess.validate(&unknown, &mut diags);
    assert!(diags.errors.is_empty(), "{diags:?}");
}
