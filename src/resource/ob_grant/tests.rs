//! Tables: the plan of one grant.
use super::{GrantState, ObGrant};
use crate::component::mysql::{Account, Catalog, Held, Scope, User};
use crate::resource::sql_object::statements_of;
use crate::resource::sql_object::{Fill, SqlObject};
use crate::resource::sql_target::SqlEndpoint;
use crate::resource::{PlanInput, Resource};
use crate::schema::{Diagnostics, Value};

fn v(text: &str) -> Value<String> {
    Value::Value(text.to_owned())
}
fn state(user: &str, database: &str, privileges: &[&str]) -> GrantState {
    let endpoint = Value::Value(SqlEndpoint {
        address: v("h"),
        port: Value::Value(1),
        credential: v("c"),
        via: Value::Null,
    });
    let privileges = Value::Value(privileges.iter().map(|p| v(p)).collect());
    GrantState {
        endpoint,
        user: v(user),
        host: v("%"),
        database: v(database),
        privileges,
        unmanaged: Value::Value([].into()),
        ..GrantState::default()
    }
}

#[test]
fn another_place_is_another_grant_and_another_spelling_is_none() {
    for (name, next, replace, unmanaged_unknown) in [
        ("the same", state("u", "d", &["SELECT"]), vec![], false),
        ("spelled otherwise", state("u", "d", &["select"]), vec![], false),
        ("more", state("u", "d", &["SELECT", "DROP"]), vec![], true),
        ("another user", state("w", "d", &["SELECT"]), vec!["user"], true),
        ("everything", state("u", "*", &["SELECT"]), vec!["database"], true),
        (
            "unknown privileges",
            GrantState { privileges: Value::Unknown, ..state("u", "d", &[]) },
            vec![],
            true,
        ),
    ] {
        let prior = state("u", "d", &["SELECT"]);
        let planned = ObGrant
            .plan(
                PlanInput { prior: Some(&prior), config: &next, proposed: &next },
                &mut Diagnostics::default(),
            )
            .unwrap();
        let found: Vec<_> = planned.replace.iter().map(ToString::to_string).collect();
        assert_eq!(
            (found, planned.state.unmanaged.is_unknown()),
            (replace.into_iter().map(str::to_owned).collect(), unmanaged_unknown),
            "{name}"
        );
        if name == "spelled otherwise" {
            assert_eq!(planned.state.privileges, prior.privileges);
        }
    }
}

#[test]
fn a_read_keeps_the_spelling_and_shows_what_is_lost_and_what_others_added() {
    let account = Account::new("u", "%");
    let mut now = Catalog::default();
    let mut hold = |privileges: &[&str]| {
        now.users.insert(account.clone(), User::default());
        now.grants.insert(
            (account.clone(), Scope::Database("my\\_d".into())),
            Held {
                privileges: privileges.iter().map(|p| (*p).to_owned()).collect(),
                grant_option: true,
            },
        );
        now.clone()
    };
    let declared = state("u", "my_d", &["select", "insert"]);
    let read = declared.clone().fill(&hold(&["SELECT", "INSERT", "DROP"]), Fill::Read).unwrap();
    assert_eq!(
        (&read.privileges, &read.unmanaged),
        (&declared.privileges, &Value::Value([v("DROP"), v("GRANT OPTION")].into()))
    );
    let read = declared.clone().fill(&hold(&["SELECT"]), Fill::Read).unwrap();
    assert_eq!(read.privileges, Value::Value([v("select")].into()));
    assert!(declared.clone().fill(&hold(&["DROP"]), Fill::Read).is_none());
    assert!(declared.fill(&Catalog::default(), Fill::Read).is_none());
}

#[test]
fn the_runbook_has_the_statements_of_the_change() {
    let (a, b) = (state("u", "my_d", &["SELECT"]), state("u", "my_d", &["INSERT"]));
    let lines: Vec<_> =
        statements_of(&ObGrant, Some(&a), Some(&b)).unwrap().into_iter().map(|s| s.shown).collect();
    assert_eq!(
        lines,
        ["GRANT INSERT ON `my\\_d`.* TO 'u'@'%'", "REVOKE SELECT ON `my\\_d`.* FROM 'u'@'%'"]
    );
    let table = GrantState { table: v("t"), ..a };
    let lines: Vec<_> =
        statements_of(&ObGrant, Some(&table), None).unwrap().into_iter().map(|s| s.shown).collect();
    assert_eq!(lines, ["REVOKE SELECT ON `my_d`.`t` FROM 'u'@'%'"]);
}
