//! Tables: the plan of one database.
use super::{DatabaseState, ObDatabase};
use crate::resource::common::Connection;
use crate::resource::ob_cluster::InstanceRef;
use crate::resource::sql_object::statements_of;
use crate::resource::{PlanInput, Resource};
use crate::schema::{Diagnostics, Value};

fn v(text: &str) -> Value<String> {
    Value::Value(text.to_owned())
}
fn instance(package: &str, address: &str) -> Value<InstanceRef> {
    let host = Connection { name: v("h"), address: v(address), ..Connection::default() };
    Value::Value(InstanceRef {
        engine: Value::Value("seekdb".into()),
        name: v("main"),
        host: Value::Value(host),
        base_dir: v("/d"),
        sql_port: Value::Value(2881),
        rpc_port: Value::Value(2882),
        run_as: Value::Null,
        package: v(package),
    })
}
fn state(name: &str) -> DatabaseState {
    DatabaseState {
        instance: instance("p1", "10.0.0.1"),
        name: v(name),
        charset: v("utf8mb4"),
        collation: v("utf8mb4_bin"),
        deletion_protection: Value::Value(true),
        ..DatabaseState::default()
    }
}
fn plan(
    prior: Option<&DatabaseState>,
    config: &DatabaseState,
    proposed: &DatabaseState,
) -> (DatabaseState, Diagnostics) {
    let mut diags = Diagnostics::default();
    let planned = ObDatabase.plan(PlanInput { prior, config, proposed }, &mut diags).unwrap();
    (planned.state, diags)
}

#[test]
fn an_upgrade_of_the_cluster_does_not_show_at_its_databases() {
    let mut prior = state("a");
    prior.id = v("ssh://10.0.0.1:22/d#database=a");
    let next = DatabaseState { instance: instance("p2", "10.0.0.1"), ..prior.clone() };
    assert_eq!(plan(Some(&prior), &next, &next).0, prior);
    let moved = DatabaseState { instance: instance("p1", "10.0.0.2"), ..prior.clone() };
    let (planned, diags) = plan(Some(&prior), &moved, &moved);
    assert!(
        planned.instance == moved.instance && diags.warnings.is_empty(),
        "the same cluster at another address"
    );
    let unknown = DatabaseState { instance: Value::Unknown, ..prior.clone() };
    assert!(plan(Some(&prior), &unknown, &unknown).0.id.is_unknown());
}

#[test]
fn what_is_not_configured_follows_what_is() {
    let config = DatabaseState { charset: v("binary"), collation: Value::Null, ..state("a") };
    let proposed = DatabaseState { charset: v("binary"), ..state("a") };
    let (planned, _) = plan(Some(&state("a")), &config, &proposed);
    assert!(planned.collation.is_unknown());
    assert_eq!(planned.runbook, v("#2 ALTER DATABASE `a` CHARACTER SET = binary"));
    let later = DatabaseState { charset: Value::Unknown, ..config };
    assert!(plan(Some(&state("a")), &later, &later).0.runbook.is_unknown());
    let made = plan(
        None,
        &DatabaseState { charset: Value::Null, ..state("a") },
        &DatabaseState { charset: Value::Unknown, ..state("a") },
    )
    .0;
    assert_eq!(
        made.runbook,
        v("CREATE DATABASE IF NOT EXISTS `a` COLLATE = utf8mb4_bin"),
        "the server's default is no unknown"
    );
    let spelled = DatabaseState { charset: v("UTF8MB4"), ..state("a") };
    assert_eq!(plan(Some(&state("a")), &spelled, &spelled).0.charset, v("utf8mb4"));
}

#[test]
fn rows_are_dropped_only_with_both_consents() {
    for (protection, allowed, errors, want) in [
        (true, &["a"][..], 1, "database \"a\" is not dropped"),
        (false, &[][..], 1, "database \"a\" is not dropped"),
        (true, &["b"][..], 2, "database \"a\" is not dropped"),
        (false, &["a"][..], 0, "DROP DATABASE IF EXISTS `a`"),
    ] {
        let prior = DatabaseState {
            deletion_protection: Value::Value(protection),
            allow_data_loss: Value::Value(allowed.iter().map(|a| v(a)).collect()),
            ..state("a")
        };
        let mut diags = Diagnostics::default();
        ObDatabase.plan_destroy(&prior, &mut diags);
        let said = statements_of(&ObDatabase, Some(&prior), None)
            .map_or_else(|p| p.what, |s| s[0].shown.clone());
        assert_eq!((diags.errors.len(), said.as_str()), (errors, want), "{protection} {allowed:?}");
    }
    let (_, diags) = plan(Some(&state("a")), &state("b"), &state("b"));
    assert!(diags.errors[0].summary.contains("name of a database cannot change"));
}
