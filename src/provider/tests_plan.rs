//! What every plan says, whatever its type: that an owner is missing, that service is interrupted.
use super::adapter::Adapter;
use super::registry::Shared;
use super::tests::configure;
use crate::base::{Directory, ImportId, ObjectName};
use crate::component::seekdb::steps::SetBoot;
use crate::engine::{Graph, Node};
use crate::resource::common;
use crate::resource::execute::ownerless;
use crate::resource::ob_access::ObAccess;
use crate::resource::ob_cluster::ObCluster;
use crate::resource::ob_grant::ObGrant;
use crate::resource::ob_user::ObUser;
use crate::resource::{Resource, Work, place};
use crate::schema::{Diagnostics, codec};
use serde_json::{Value as Json, json};

#[test]
fn work_that_needs_an_owner_is_refused_where_the_block_names_none() {
    let one = || {
        let place = ImportId::parse("ssh://u@10.0.0.1:22/d").and_then(place::whole).unwrap();
        let host = common::host(place::endpoint(place).unwrap(), "");
        let (name, directory) = (ObjectName::parse("a").unwrap(), Directory::parse("/d").unwrap());
        let mut graph = Graph::new();
        graph.then(SetBoot::new(&Node::new(name, host, directory, []), true));
        Work::Steps(graph)
    };
    for (block, env, work, refused) in [
        ("{}", &[][..], one(), true),
        ("{}", &[], Work::Steps(Graph::new()), false),
        ("{}", &[], ObCluster.planned(None, None).unwrap(), false),
        ("{}", &[], Work::Sql(Vec::new()), false),
        (r#"{"owner":"a"}"#, &[], one(), false),
        ("{}", &[("OB_OWNER", "a")], one(), false),
        (r#"{"owner":"?"}"#, &[], one(), false),
        (r#"{"mode":"observe"}"#, &[], one(), false),
    ] {
        let session = configure(block, env).session.unwrap();
        let said = ownerless(&session, &work);
        assert_eq!(said.is_some(), refused, "{block} {work:?}");
        assert!(said.is_none_or(|p| p.what == "the provider needs an owner"));
    }
}

/// The warning about a change of this type, by its two states as JSON.
fn warning<R: Resource>(resource: R, prior: &Json, next: &Json) -> String {
    let adapter = Adapter::new(resource, Shared::default());
    let state = |json: &Json| -> R::State {
        let mut diags = Diagnostics::default();
        let tree = codec::from_json(&adapter.schema, "test", json, &mut diags);
        let bytes = crate::schema::tree::write(&tree.unwrap_or_else(|_| panic!("{diags:?}")));
        codec::decode(&adapter.schema, "test", &bytes, &mut diags).ok().flatten().unwrap().state
    };
    let said = adapter.disruptive(&state(prior), &state(next));
    said.map(|p| p.what).unwrap_or_default()
}

#[test]
fn every_impact_that_clients_notice_is_warned_of_whatever_the_type() {
    let at = json!({"address": "h", "port": 1, "credential": "c"});
    let with = |more: Json| {
        let mut all = json!({"endpoint": at});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let user = |name: &str, locked: bool| {
        with(json!({"name": name, "host": "%", "locked": locked, "password_wo_version": 1}))
    };
    let users = |names: &[&str]| {
        let one = |n: &&str| ((*n).to_owned(), json!({"name": n, "host": "%", "locked": false}));
        with(json!({"users": names.iter().map(one).collect::<serde_json::Map<_, _>>()}))
    };
    let grant = |privileges: Json| {
        with(json!({"user": "u", "host": "%", "database": "d", "privileges": privileges}))
    };
    let cut = "this change interrupts service: clients cut";
    for (name, said, want) in [
        ("locked", warning(ObUser, &user("a", false), &user("a", true)), cut),
        ("renamed", warning(ObUser, &user("a", false), &user("b", false)), cut),
        ("unlocked", warning(ObUser, &user("a", true), &user("a", false)), ""),
        ("dropped", warning(ObAccess, &users(&["a", "b"]), &users(&["a"])), cut),
        ("made", warning(ObAccess, &users(&["a"]), &users(&["a", "b"])), ""),
        (
            "revoked",
            warning(ObGrant, &grant(json!(["SELECT", "INSERT"])), &grant(json!(["SELECT"]))),
            cut,
        ),
        ("granted", warning(ObGrant, &grant(json!([])), &grant(json!(["SELECT"]))), ""),
    ] {
        assert_eq!(said, want, "{name}");
    }
}
