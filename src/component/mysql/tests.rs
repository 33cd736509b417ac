//! Tables: names, statements, what a server says.
use super::grant::{self, Held, Wanted};
use super::link::explain;
use super::parts::Absent;
use super::privilege::{self, normal_set};
use super::scope::{Level, escape, literal_name, matches};
use super::user::Password;
use super::{Account, Catalog, Database, Scope, Statement, User, What, database, parts, user};
use crate::base::Secret;
use crate::component::sql::SqlError;

fn shown(statements: &[Statement]) -> Vec<&str> {
    statements.iter().map(|s| s.shown.as_str()).collect()
}

#[test]
fn a_database_name_becomes_a_pattern_that_matches_only_itself() {
    for (name, pattern) in [
        ("shop", "shop"),
        ("my_app", "my\\_app"),
        ("50%", "50\\%"),
        ("a\\b", "a\\\\b"),
        ("it's `x` ü", "it's `x` ü"),
    ] {
        assert_eq!(escape(name), pattern);
        assert_eq!(literal_name(pattern).as_deref(), Some(name), "{pattern}");
        assert!(matches(pattern, name) && !matches(pattern, &format!("{name}x")), "{pattern}");
    }
    for pattern in ["my_app", "app%", "%", "a\\", "a\\x"] {
        assert_eq!(literal_name(pattern), None, "{pattern}");
    }
    assert!(
        matches("my_app", "myXapp")
            && matches("a%", "abc")
            && matches("%", "")
            && !matches("a_", "a")
    );
}

#[test]
fn names_of_privileges_have_one_spelling_and_a_level() {
    assert_eq!(privilege::normal(" create   view "), "CREATE VIEW");
    assert_eq!(normal_set(["select", "all"]), normal_set(["ALL PRIVILEGES"]));
    for (name, level, fault) in [
        ("select", Level::Table, ""),
        ("ALL", Level::Global, ""),
        ("LOCK TABLES", Level::Database, ""),
        ("LOCK TABLES", Level::Table, "on databases"),
        ("SUPER", Level::Database, "on everything"),
        ("SUPER", Level::Global, ""),
        ("SELCT", Level::Database, "no privilege SELCT"),
        ("USAGE", Level::Database, "no privilege"),
        ("grant option", Level::Database, "with_grant_option"),
        ("SELECT (a)", Level::Table, "columns"),
        ("EXECUTE", Level::Object, "on databases"),
        ("SELECT; DROP USER root", Level::Global, "no privilege"),
    ] {
        match privilege::fault(name, level) {
            None => assert_eq!(fault, "", "{name}"),
            Some(why) => assert!(!fault.is_empty() && why.contains(fault), "{name}: {why}"),
        }
    }
}

fn wanted(privileges: &[&str], grant_option: Option<bool>) -> Wanted {
    Wanted { privileges: normal_set(privileges.iter().copied()), grant_option }
}

fn held(privileges: &[&str], grant_option: bool) -> Held {
    let all = privilege::usual(Level::Database);
    Held {
        privileges: privilege::expand(&normal_set(privileges.iter().copied()), &all),
        grant_option,
    }
}

#[test]
fn a_grant_changes_by_the_difference_and_revokes_only_its_own() {
    let account = Account::new("u", "%");
    let scope = Scope::Database("d".into());
    let all = privilege::usual(Level::Database);
    let on = "ON `d`.*";
    for (name, owned, want, now, statements) in [
        (
            "new",
            None,
            Some(wanted(&["SELECT", "INSERT"], None)),
            held(&[], false),
            vec![format!("GRANT INSERT, SELECT {on} TO 'u'@'%'")],
        ),
        (
            "done already",
            None,
            Some(wanted(&["SELECT"], None)),
            held(&["SELECT", "DROP"], true),
            vec![],
        ),
        (
            "only what is missing",
            None,
            Some(wanted(&["SELECT", "INSERT"], None)),
            held(&["SELECT"], false),
            vec![format!("GRANT INSERT {on} TO 'u'@'%'")],
        ),
        (
            "others' privileges stay",
            Some(wanted(&["SELECT"], None)),
            Some(wanted(&["INSERT"], None)),
            held(&["SELECT", "DROP"], false),
            vec![
                format!("GRANT INSERT {on} TO 'u'@'%'"),
                format!("REVOKE SELECT {on} FROM 'u'@'%'"),
            ],
        ),
        (
            "removed",
            Some(wanted(&["SELECT", "INSERT"], None)),
            None,
            held(&["SELECT", "DROP"], true),
            vec![format!("REVOKE SELECT {on} FROM 'u'@'%'")],
        ),
        (
            "removed by others already",
            Some(wanted(&["SELECT"], None)),
            None,
            held(&[], false),
            vec![],
        ),
        (
            "all",
            None,
            Some(wanted(&["all"], Some(true))),
            held(&["SELECT"], false),
            vec![format!("GRANT ALL PRIVILEGES {on} TO 'u'@'%' WITH GRANT OPTION")],
        ),
        (
            "all is all",
            None,
            Some(wanted(&["ALL PRIVILEGES"], None)),
            held(&["ALL"], false),
            vec![],
        ),
        (
            "all to some",
            Some(wanted(&["ALL"], None)),
            Some(wanted(&["SELECT"], None)),
            held(&["SELECT", "DROP"], false),
            vec![format!("REVOKE DROP {on} FROM 'u'@'%'")],
        ),
        (
            "all removed",
            Some(wanted(&["ALL"], Some(true))),
            None,
            held(&["ALL"], true),
            vec![
                format!("REVOKE ALL PRIVILEGES {on} FROM 'u'@'%'"),
                format!("REVOKE GRANT OPTION {on} FROM 'u'@'%'"),
            ],
        ),
        (
            "the option alone",
            Some(wanted(&["SELECT"], None)),
            Some(wanted(&["SELECT"], Some(true))),
            held(&["SELECT"], false),
            vec![format!("GRANT SELECT {on} TO 'u'@'%' WITH GRANT OPTION")],
        ),
        (
            "the option is taken back",
            Some(wanted(&["SELECT"], Some(true))),
            Some(wanted(&["SELECT"], None)),
            held(&["SELECT"], true),
            vec![format!("REVOKE GRANT OPTION {on} FROM 'u'@'%'")],
        ),
        (
            "all removed, but not what others granted on a column",
            Some(wanted(&["ALL"], None)),
            None,
            held(&["SELECT", "SELECT (`a`)"], false),
            vec![format!("REVOKE SELECT {on} FROM 'u'@'%'")],
        ),
        (
            "others' option is refused",
            None,
            Some(wanted(&["SELECT"], Some(false))),
            held(&["SELECT"], true),
            vec![format!("REVOKE GRANT OPTION {on} FROM 'u'@'%'")],
        ),
    ] {
        let found = grant::statements(&account, &scope, owned.as_ref(), want.as_ref(), &now, &all);
        assert_eq!(shown(&found), statements, "{name}");
    }
    let found = grant::statements(
        &account,
        &Scope::Global,
        Some(&wanted(&["ALL"], None)),
        Some(&wanted(&["PROCESS"], None)),
        &Held { privileges: privilege::usual(Level::Global), grant_option: false },
        &privilege::usual(Level::Global),
    );
    assert_eq!(
        shown(&found),
        ["REVOKE ALL PRIVILEGES ON *.* FROM 'u'@'%'", "GRANT PROCESS ON *.* TO 'u'@'%'"],
        "some global privileges have no name that REVOKE takes"
    );
}

#[test]
fn an_account_is_made_locked_renamed_and_taken_over() {
    let (a, b) = (Account::new("a", "%"), Account::new("it's \\", "10.%"));
    let now = |locked| User { locked, ..User::default() };
    let password = Password { name: "password_wo".into(), value: Some(Secret::new("p'w\\")) };
    let quoted = "'it''s \\\\'@'10.%'";
    for (name, found, want) in [
        (
            "new",
            user::statements(None, &b, None, None, false, Some(&password)),
            vec![format!("CREATE USER IF NOT EXISTS {quoted} IDENTIFIED BY <password_wo>")],
        ),
        (
            "new and locked is never open",
            user::statements(None, &a, None, None, true, None),
            vec![
                "CREATE USER IF NOT EXISTS 'a'@'%' IDENTIFIED BY <a random password>".into(),
                "ALTER USER 'a'@'%' ACCOUNT LOCK".into(),
            ],
        ),
        (
            "there already",
            user::statements(None, &a, None, Some(&now(true)), false, Some(&password)),
            vec![
                "ALTER USER 'a'@'%' IDENTIFIED BY <password_wo>".into(),
                "ALTER USER 'a'@'%' ACCOUNT UNLOCK".into(),
            ],
        ),
        (
            "nothing to do",
            user::statements(Some(&a), &a, Some(&now(false)), Some(&now(false)), false, None),
            vec![],
        ),
        (
            "renamed",
            user::statements(Some(&a), &b, Some(&now(false)), None, false, None),
            vec![format!("RENAME USER 'a'@'%' TO {quoted}")],
        ),
        (
            "renamed already",
            user::statements(Some(&a), &b, None, Some(&now(false)), false, None),
            vec![],
        ),
        (
            "both names are there",
            user::statements(Some(&a), &b, Some(&now(false)), Some(&now(false)), false, None),
            vec!["DROP USER IF EXISTS 'a'@'%'".into()],
        ),
    ] {
        assert_eq!(shown(&found), want, "{name}");
    }
    let made = user::statements(None, &b, None, None, false, Some(&password));
    assert!(
        made[0].text().ends_with(" IDENTIFIED BY 'p''w\\\\'")
            && !format!("{made:?}").contains("p''w")
    );
}

#[test]
fn a_database_is_made_and_altered_only_where_it_differs() {
    let now = Database { charset: "utf8mb4".into(), collation: "utf8mb4_general_ci".into() };
    for (name, found, want) in [
        (
            "new",
            database::statements("a`b", None, Some("utf8mb4"), None),
            vec!["CREATE DATABASE IF NOT EXISTS `a``b` CHARACTER SET = utf8mb4"],
        ),
        ("as it is", database::statements("a", Some(&now), Some("UTF8MB4"), None), vec![]),
        (
            "another collation",
            database::statements("a", Some(&now), Some("utf8mb4"), Some("utf8mb4_bin")),
            vec!["ALTER DATABASE `a` CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin"],
        ),
    ] {
        assert_eq!(shown(&found), want, "{name}");
    }
    assert!(
        database::pair_fault("utf8mb4", "utf8mb4_bin").is_none()
            && database::pair_fault("binary", "binary").is_none()
            && database::pair_fault("utf8", "utf8mb4_bin").is_some()
    );
    assert!(
        ["", "x ", "a\"b", "a\\b", "oceanbase", "MySQL", "__x"]
            .iter()
            .all(|n| database::fault(n).is_some())
            && database::fault("test ü").is_none()
    );
    assert!(
        ["", "root", "OB_service", "__inner"].iter().all(|n| user::fault(n).is_some())
            && user::fault("app").is_none()
    );
}

fn row(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|v| Some((*v).to_owned())).collect()
}

#[test]
fn a_catalog_is_read_from_rows_as_the_server_prints_them() {
    let mut now = Catalog::default();
    now.take_databases(vec![row(&["shop", "utf8mb4", "utf8mb4_bin", "1"])]);
    now.take_users(vec![
        row(&["root", "%", "NO", "USER", "1.0", "YES"]),
        row(&["it's", "%", "YES", "USER", "2.5", "NO"]),
        row(&["it's", "10.%", "NO", "USER", "3", "NO"]),
        row(&["r", "%", "YES", "ROLE", "3", "NO"]),
    ]);
    now.take_global(vec![
        row(&["'root'@'%'", "SELECT"]),
        row(&["'root'@'%'", "SUPER"]),
        row(&["'it's'@'%'", "USAGE"]),
        row(&["'it's'@'10.%'", "SELECT"]),
    ]);
    let mut flags = vec!["N"; 16];
    flags[0] = "Y";
    now.take_database(vec![
        row(&[&["it's", "%", "SHOP\\_x", "Y"][..], &flags].concat()),
        row(&[&["root", "%", "mysql", "N"][..], &["Y"; 16]].concat()),
    ]);
    now.take_table(vec![
        row(&["'it's'@'%'", "shop", "T", "SELECT", "NO"]),
        row(&["'it's'@'%'", "shop", "T", "INSERT", "YES"]),
        row(&["'gone'@'%'", "shop", "t", "INSERT", "YES"]),
    ]);

    now.take_database_more(vec![
        row(&["'it's'@'10.%'", "SHOP", "EVENT"]),
        row(&["'root'@'%'", "mysql", "EVENT"]),
    ]);

    let (any, some) = (Account::new("it's", "%"), Account::new("it's", "10.%"));
    assert_eq!(now.held(&some, &Scope::Database("shop".into())), held(&["EVENT"], false));
    assert!(
        now.database("SHOP").is_some()
            && now.users[&any].locked
            && !now.users[&some].locked
            && now.users[&Account::new("r", "%")].role
    );
    assert_eq!(now.held(&any, &Scope::Global), Held::default());
    assert_eq!(now.held(&some, &Scope::Global), held(&["SELECT"], false));
    assert_eq!(now.held(&any, &Scope::Database("shop\\_x".into())), held(&["SELECT"], true));
    assert_eq!(
        now.held(&any, &Scope::Table("shop".into(), "t".into())),
        held(&["SELECT", "INSERT"], true)
    );
    assert_eq!(
        (now.all(Level::Global), now.all(Level::Database).len(), now.all(Level::Table).len()),
        (normal_set(["SELECT", "SUPER"]), 17, 12)
    );
}

#[test]
fn whatever_an_account_holds_is_read_and_can_be_taken_away() {
    let mut now = Catalog::default();
    now.take_users(vec![
        row(&["u", "%", "NO", "USER", "1", "NO"]),
        row(&["r", "%", "YES", "ROLE", "1", "NO"]),
        row(&["open", "%", "NO", "ROLE", "1", "NO"]),
    ]);
    let role = |name| now.users[&Account::new(name, "%")].role;
    assert!(role("r") && !role("open"), "a role that was unlocked can log in");
    now.take_columns(vec![
        row(&["u", "%", "d", "T", "A", "Select,Insert"]),
        row(&["u", "%", "d", "T", "b`c", "References"]),
    ]);
    now.take_table_options(vec![row(&["u", "%", "d", "t"]), row(&["u", "%", "d", "only"])]);
    now.take_routines(vec![
        row(&["u", "%", "d", "P", "1", "3"]),
        row(&["u", "%", "d", "f`", "2", "5"]),
    ]);
    now.take_catalogs(vec![row(&["u", "%", "c", "2251799813685312"])]);
    now.take_objects(vec![row(&["u", "%", "l", "19", "3"])]);
    now.take_roles(vec![row(&["u", "%", "it's", "10.%"])]);
    assert!(now.unread.is_empty(), "{:?}", now.unread);
    let label = |((account, scope), held): (&(Account, Scope), &Held)| {
        grant::surplus(account, scope, None, held, &now.all(scope.level()))
    };
    let mut found: Vec<_> = now.grants.iter().flat_map(label).collect();
    found.extend(now.roles.iter().map(|(account, role)| grant::role_label(role, account)));
    assert_eq!(
        found,
        [
            "GRANT OPTION ON `d`.`only` FROM 'u'@'%'",
            "INSERT (`A`), REFERENCES (`b``c`), SELECT (`A`) ON `d`.`t` FROM 'u'@'%'",
            "GRANT OPTION ON `d`.`t` FROM 'u'@'%'",
            "ALTER ROUTINE, EXECUTE ON PROCEDURE `d`.`P` FROM 'u'@'%'",
            "EXECUTE ON FUNCTION `d`.`f``` FROM 'u'@'%'",
            "GRANT OPTION ON FUNCTION `d`.`f``` FROM 'u'@'%'",
            "USE CATALOG ON CATALOG `c` FROM 'u'@'%'",
            "GRANT OPTION ON CATALOG `c` FROM 'u'@'%'",
            "READ, WRITE ON LOCATION `mysql`.`l` FROM 'u'@'%'",
            "'it''s'@'10.%' FROM 'u'@'%'",
        ]
    );
}

#[test]
fn what_is_not_understood_is_named_as_not_read() {
    let mut now = Catalog::default();
    now.take_routines(vec![
        row(&["u", "%", "d", "p", "1", "9"]),
        row(&["root", "%", "d", "q", "1", "8"]),
        row(&["u", "%", "d", "r", "1", "odd"]),
    ]);
    now.take_objects(vec![row(&["u", "%", "x", "7", "1"])]);
    now.take_unknown(vec![row(&["__all_rule_privilege"])]);
    let unread: Vec<_> = now.unread.iter().map(String::as_str).collect();
    assert_eq!(
        unread,
        [
            "a privilege on PROCEDURE `d`.`p`",
            "a privilege on PROCEDURE `d`.`r`",
            "privileges in oceanbase.__all_rule_privilege",
            "privileges on objects of the kind 7",
        ]
    );
}

#[test]
fn queries_ask_for_no_more_than_is_needed_and_quote_names() {
    let one = What::Grants(Account::new("it's", "%"), vec![Scope::Table("d".into(), "t".into())]);
    assert!(
        parts::databases_query(&one).is_none()
            && parts::global_query(&one).is_none()
            && parts::database_query(&one).is_none()
    );
    assert!(parts::table_query(&one).unwrap().ends_with("where grantee = '''it''s''@''%'''"));
    assert!(parts::columns_query(&one).unwrap().ends_with("where user = 'it''s'"));
    assert!(parts::table_options_query(&one).unwrap().ends_with("and u.user_name = 'it''s'"));
    assert!(parts::roles_query(&one).is_none() && parts::unknown_query(&one).is_none());
    assert!(parts::users_query(&one).unwrap().ends_with("where user_name in ('it''s', 'root')"));
    let all = parts::parts(&What::Everything);
    let asked =
        |word: &str| all.iter().filter(|part| part.query.contains(word)).collect::<Vec<_>>();
    for (table, absent) in [
        ("information_schema.schemata", Absent::Error),
        ("DBA_OB_USERS", Absent::Error),
        ("user_privileges", Absent::Error),
        ("mysql.db", Absent::Error),
        ("schema_privileges", Absent::Error),
        ("table_privileges", Absent::Error),
        ("columns_priv", Absent::Unread),
        ("__all_table_privilege p", Absent::Unread),
        ("role_edges", Absent::Unread),
        ("__all_routine_privilege p", Absent::Unread),
        ("__all_catalog_privilege p", Absent::Nothing),
        ("__all_tenant_objauth_mysql p", Absent::Nothing),
        ("__all_objauth_mysql p", Absent::Nothing),
        ("information_schema.tables", Absent::Unread),
    ] {
        let parts = asked(table);
        assert!(parts.len() == 1 && parts[0].absent == absent, "{table}");
        assert!(!parts[0].query.contains("'u'"), "{table}: of all accounts");
    }
    assert_eq!(all.len(), 14);
}

#[test]
fn errors_say_what_to_do_and_never_repeat_a_password() {
    let server = |code| SqlError::Server { code, message: "near 'hunter2' at line 1".into() };
    let secret = Statement::secret(
        "ALTER USER 'a'@'%' IDENTIFIED BY <password_wo>",
        Secret::new("ALTER USER 'a'@'%' IDENTIFIED BY 'hunter2'"),
        vec![Secret::new("hunter2")],
    );
    let told = explain(&server(1064).masked(secret.secrets()), &secret, "here");
    assert_eq!(told.why, "server error 1064: near '***' at line 1");
    for (code, text, want) in [
        (1045, "GRANT SELECT ON `d`.* TO 'a'@'%'", "does not exist"),
        (1146, "GRANT SELECT ON `d`.`t` TO 'a'@'%'", "make the table"),
        (1115, "CREATE DATABASE `d` CHARACTER SET = gbk", "SHOW COLLATION"),
        (4688, "DROP USER IF EXISTS 'a'@'%'", "target the group"),
    ] {
        let problem = explain(&server(code), &Statement::new(text), "here");
        assert!(problem.fix.contains(want) && problem.what.contains(text), "{problem}");
    }
}
