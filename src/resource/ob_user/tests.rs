//! Tables: the plan of one account.
use super::{ObUser, UserState};
use crate::base::Secret;
use crate::component::mysql::{Account, Catalog, User};
use crate::resource::sql_object::statements_of;
use crate::resource::sql_object::{Change, Fill, Passwords, SqlObject};
use crate::resource::sql_target::SqlEndpoint;
use crate::resource::{PlanInput, Resource};
use crate::schema::{Diagnostics, Value};

fn v(text: &str) -> Value<String> {
    Value::Value(text.to_owned())
}
fn state(name: &str, version: Option<i64>) -> UserState {
    let endpoint = Value::Value(SqlEndpoint {
        address: v("h"),
        port: Value::Value(1),
        credential: v("c"),
        via: Value::Null,
    });
    UserState {
        endpoint,
        name: v(name),
        host: v("%"),
        password_wo_version: version.map_or(Value::Null, Value::Value),
        locked: Value::Value(false),
        password_changed: v("1"),
        ..UserState::default()
    }
}

#[test]
fn the_statements_follow_from_the_change() {
    for (name, prior, next, want) in [
        (
            "new",
            None,
            Some(state("a", Some(1))),
            vec!["CREATE USER IF NOT EXISTS 'a'@'%' IDENTIFIED BY <password_wo>"],
        ),
        ("same version", Some(state("a", Some(1))), Some(state("a", Some(1))), vec![]),
        (
            "new version",
            Some(state("a", Some(1))),
            Some(state("a", Some(2))),
            vec!["ALTER USER 'a'@'%' IDENTIFIED BY <password_wo>"],
        ),
        (
            "somebody else changed it",
            Some(state("a", None)),
            Some(state("a", Some(1))),
            vec!["ALTER USER 'a'@'%' IDENTIFIED BY <password_wo>"],
        ),
        (
            "renamed",
            Some(state("a", Some(1))),
            Some(state("b", Some(1))),
            vec!["RENAME USER 'a'@'%' TO 'b'@'%'"],
        ),
        ("removed", Some(state("a", Some(1))), None, vec!["DROP USER IF EXISTS 'a'@'%'"]),
    ] {
        let lines: Vec<_> = statements_of(&ObUser, prior.as_ref(), next.as_ref())
            .unwrap()
            .into_iter()
            .map(|s| s.shown)
            .collect();
        assert_eq!(lines, want, "{name}");
    }
    let config = UserState { password_wo: v("hunter2"), ..state("a", Some(1)) };
    let made = UserState::statements(
        Change {
            prior: None,
            next: Some(&config),
            config: Some(&config),
            passwords: Passwords::Given,
        },
        &Catalog::default(),
    )
    .unwrap();
    assert!(made[0].text().contains("hunter2") && !format!("{made:?}").contains("hunter2"));
    assert_eq!(Secret::new("x"), Secret::new("x"));
}

#[test]
fn a_user_without_a_password_is_refused_unless_it_is_locked_or_imported() {
    let plan = |prior: Option<&UserState>, config: &UserState| {
        let mut diags = Diagnostics::default();
        ObUser.plan(PlanInput { prior, config, proposed: config }, &mut diags);
        diags.errors.len()
    };
    let without = state("a", None);
    assert_eq!(plan(None, &without), 1);
    assert_eq!(plan(None, &UserState { locked: Value::Value(true), ..without.clone() }), 0);
    assert_eq!(plan(None, &UserState { locked: Value::Unknown, ..without.clone() }), 0);
    assert_eq!(plan(None, &UserState { password_wo: Value::Unknown, ..without.clone() }), 0);
    assert_eq!(plan(Some(&without), &without), 0);
    assert_eq!(plan(Some(&without), &state("it's", None)), 1, "the server cannot rename to that");
    assert_eq!(plan(Some(&without), &state("b", None)), 0);
}

#[test]
fn system_accounts_and_the_login_in_use_are_spared() {
    assert!(
        state("root", None).spare("x").is_err()
            && state("ob_service", None).spare("x").is_err()
            && state("x", None).spare("x").is_err()
            && state("y", None).spare("x").is_ok()
    );
}

#[test]
fn a_password_that_somebody_else_set_drops_the_version_at_read_only() {
    let mut now = Catalog::default();
    now.users.insert(
        Account::new("a", "%"),
        User { password_changed: "2".into(), locked: true, ..User::default() },
    );
    let read = state("a", Some(1)).fill(&now, Fill::Read).unwrap();
    assert_eq!(
        (read.password_wo_version, read.locked, read.password_changed),
        (Value::Null, Value::Value(true), v("2"))
    );
    let applied = state("a", Some(1)).fill(&now, Fill::Applied).unwrap();
    assert_eq!(applied.password_wo_version, Value::Value(1));
    now.users.get_mut(&Account::new("a", "%")).unwrap().role = true;
    assert!(state("a", Some(1)).fill(&now, Fill::Read).is_none(), "a role is no user");
}

#[test]
fn a_plan_says_which_statements_it_runs_and_whom_they_hit() {
    let before = UserState {
        runbook: v("as before"),
        impact: Value::Value([].into()),
        ..state("a", Some(1))
    };
    let named = |name: &str, version: i64, locked: bool| UserState {
        password_wo_version: Value::Value(version),
        locked: Value::Value(locked),
        ..UserState { name: v(name), ..before.clone() }
    };
    let unknown = UserState { name: Value::Unknown, ..before.clone() };
    for (name, prior, next, line, cut) in [
        (
            "new",
            None,
            named("a", 1, false),
            Some("CREATE USER IF NOT EXISTS 'a'@'%' IDENTIFIED BY <password_wo>"),
            false,
        ),
        ("nothing to run", Some(&before), named("a", 1, false), Some("as before"), false),
        (
            "new password",
            Some(&before),
            named("a", 2, false),
            Some("ALTER USER 'a'@'%' IDENTIFIED BY <password_wo>"),
            false,
        ),
        (
            "renamed",
            Some(&before),
            named("b", 1, false),
            Some("RENAME USER 'a'@'%' TO 'b'@'%'"),
            true,
        ),
        (
            "locked",
            Some(&before),
            named("a", 1, true),
            Some("ALTER USER 'a'@'%' ACCOUNT LOCK"),
            true,
        ),
        ("not known yet", Some(&before), unknown, None, false),
    ] {
        let config = UserState { password_wo: v("p"), ..next.clone() };
        let planned = ObUser
            .plan(
                PlanInput { prior, config: &config, proposed: &next },
                &mut Diagnostics::default(),
            )
            .unwrap()
            .state;
        let number = if prior.is_some() && line != Some("as before") { "#2 " } else { "" };
        let wanted = line.map_or(Value::Unknown, |l| v(&format!("{number}{l}")));
        assert_eq!(planned.runbook, wanted, "{name}");
        let impact =
            if cut { Value::Value([v("clients cut")].into()) } else { Value::Value([].into()) };
        assert_eq!(planned.impact, line.map_or(Value::Unknown, |_| impact), "{name}");
    }
}
