//! Tests every call over the real socket and the real TLS, with values as core sends them.
use crate::client::{Caller, Plugin, plugin_command, stderr};
use crate::values::*;
use crate::{Test, block_on};
use ob::protocol::pb::tf::{self, provider_client::ProviderClient};
use serde_json::{Value as J, json};
use tonic::transport::Channel;

pub const TESTS: &[Test] = &[
    ("schemas are what core accepts", schemas),
    ("validate names every bad value at once", validate),
    ("write-only attributes need a caller that knows them", old_clients),
    ("a plan is made for create, update, replace and destroy", plans),
    ("a bad plan is named as our bug by attribute", bad_plans),
    ("a create that fails has no state", failing_creates),
    ("an update that fails keeps what is true", failing_updates),
    ("a destroy that fails keeps the prior state", destroys),
    ("a read with an error keeps the prior state", reads),
    ("stored states of every version are read", upgrades),
    ("things are imported by id and by identity", imports),
    ("data sources answer or say why", data_sources),
    ("a panic ends one call and nothing else", panics),
    ("secrets leave in no answer", secrets),
];

pub(crate) type Client = ProviderClient<Channel>;

/// A provider that is configured, and its client.
pub(crate) async fn serve() -> (Plugin, Client) {
    serve_with(|_| {}).await
}

pub(crate) async fn serve_with(
    change: impl FnOnce(&mut std::process::Command),
) -> (Plugin, Client) {
    let caller = Caller::new();
    let mut command = plugin_command(Some(&caller));
    change(&mut command);
    let plugin = Plugin::launch(&mut command);
    let mut client = plugin.client(&caller).await;
    let answer = client
        .configure_provider(tf::configure_provider::Request::default())
        .await
        .unwrap()
        .into_inner();
    assert!(answer.diagnostics.is_empty(), "{:?}", answer.diagnostics);
    (plugin, client)
}

fn schemas() {
    block_on(async {
        let (_plugin, mut client) = serve().await;
        let all = client
            .get_provider_schema(tf::get_provider_schema::Request {})
            .await
            .unwrap()
            .into_inner();
        let capabilities = all.server_capabilities.unwrap();
        assert!(capabilities.plan_destroy && capabilities.get_provider_schema_optional);
        let thing = all.resource_schemas["ob_thing"].block.as_ref().unwrap();
        assert_eq!(all.resource_schemas["ob_thing"].version, 2);
        fn check(attributes: &[tf::schema::Attribute]) {
            for a in attributes {
                assert!(
                    a.r#type.is_empty() != a.nested_type.is_none(),
                    "{}: either type or nested_type",
                    a.name
                );
                assert!(
                    !a.description.is_empty() && (a.required || a.optional || a.computed),
                    "{}",
                    a.name
                );
                if let Some(nested) = &a.nested_type {
                    check(&nested.attributes);
                }
            }
        }
        check(&thing.attributes);
        check(&all.provider.unwrap().block.unwrap().attributes);
        assert!(thing.attributes.iter().find(|a| a.name == "secret_wo").unwrap().write_only);
        let identities = client
            .get_resource_identity_schemas(tf::get_resource_identity_schemas::Request {})
            .await
            .unwrap()
            .into_inner()
            .identity_schemas;
        assert_eq!(identities.keys().collect::<Vec<_>>(), ["ob_thing"]);
        assert!(identities["ob_thing"].identity_attributes[0].required_for_import);
        let metadata =
            client.get_metadata(tf::get_metadata::Request {}).await.unwrap().into_inner();
        assert_eq!((metadata.resources.len(), metadata.data_sources.len()), (2, 1));
    });
}

fn validate() {
    let servers = |port: J| json!({"s1": {"port": port, "address": null}});
    block_on(async {
        let (_plugin, mut client) = serve().await;
        for (name, config, want) in [
            ("all is well", json!({"name": "a"}), &[][..]),
            ("wrong types", json!({"name": 1, "size": 1.5}), &["error .name: ", "error .size: "]),
            (
                "out of range, inside",
                json!({"name": "a", "size": 0, "zones": {"z 1": {"region": null, "id": null, "servers": servers(json!(70000))}}}),
                &["error .size: ", "error .zones[z 1].servers[s1].port: ", "error .zones[z 1]: "],
            ),
            (
                "the resource's own checks come with the schema's",
                json!({"name": "forbidden", "kind": "c", "zones": {"z": {"region": null, "id": null, "servers": servers(json!(22))}}}),
                &[
                    "error .kind: ",
                    "error .name: This name is taken",
                    "error .zones[z].servers[s1].port: Port 22",
                ],
            ),
        ] {
            let answer = client
                .validate_resource_config(validate_request(&thing(config)))
                .await
                .unwrap()
                .into_inner();
            let mut found = said(&answer.diagnostics);
            found.sort();
            assert_eq!(found.len(), want.len(), "{name}: {found:?}");
            assert!(found.iter().zip(want).all(|(f, w)| f.starts_with(w)), "{name}: {found:?}");
        }
        let mut request = validate_request(&thing(json!({"name": "a"})));
        request.type_name = "ob_nothing".into();
        let answer = client.validate_resource_config(request).await.unwrap().into_inner();
        assert!(answer.diagnostics[0].summary.contains("ob_nothing"), "{:?}", answer.diagnostics);
    });
}

fn old_clients() {
    block_on(async {
        let (_plugin, mut client) = serve().await;
        let config = thing(
            json!({"name": "a", "secret_wo": "hunter2", "login": {"user": "u", "password_wo": "hunter2"}}),
        );
        for (capabilities, want) in
            [(Some(NEW), 0), (Some(tf::ClientCapabilities::default()), 2), (None, 2)]
        {
            let request = tf::validate_resource_config::Request {
                client_capabilities: capabilities,
                ..validate_request(&config)
            };
            let answer = client.validate_resource_config(request).await.unwrap().into_inner();
            assert_eq!(answer.diagnostics.len(), want, "{:?}", said(&answer.diagnostics));
            assert!(!format!("{answer:?}").contains("hunter2"));
        }
    });
}

fn plans() {
    block_on(async {
        let (_plugin, mut client) = serve().await;
        let zone = |id: J, address: J| json!({"z": {"region": "r", "id": id, "servers": {"s": {"port": 1, "address": address}}}});
        let config = thing(
            json!({"name": "a", "tags": ["y", "x"], "zones": zone(J::Null, J::Null), "secret_wo": "hunter2"}),
        );
        let mut proposed = config.clone();
        proposed["secret_wo"] = J::Null;
        let created = client
            .plan_resource_change(plan(&J::Null, &proposed, &config))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(said(&created.diagnostics), Vec::<String>::new());
        assert_eq!(
            json_of(created.planned_state.as_ref()),
            planned(
                json!({"name": "a", "tags": ["x", "y"], "zones": zone(json!("?"), json!("?"))})
            )
        );
        assert!(created.requires_replace.is_empty() && !created.legacy_type_system);
        let again = client
            .plan_resource_change(plan(&J::Null, &proposed, &config))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(created, again, "core plans twice");

        let prior = thing(
            json!({"name": "a", "kind": "a", "size": 1, "status": "running", "secret_wo_version": 1}),
        );
        let config = thing(
            json!({"name": "a", "kind": "b", "secret_wo": "hunter2", "secret_wo_version": 2}),
        );
        let mut proposed = prior.clone();
        (proposed["kind"], proposed["secret_wo_version"]) = (json!("b"), json!(2));
        let updated = client
            .plan_resource_change(plan(&prior, &proposed, &config))
            .await
            .unwrap()
            .into_inner();
        let state = json_of(updated.planned_state.as_ref());
        assert_eq!(
            (&state["secret_length"], &state["size"], &state["status"], &state["secret_wo"]),
            (&json!("?"), &json!(1), &json!("running"), &J::Null)
        );
        assert_eq!(updated.requires_replace.iter().map(show_path).collect::<Vec<_>>(), [".kind"]);
        assert_eq!(updated.planned_private, b"p");

        let same = client
            .plan_resource_change(plan(
                &prior,
                &prior,
                &thing(json!({"name": "a", "kind": "a", "secret_wo_version": 1})),
            ))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(json_of(same.planned_state.as_ref()), prior, "nothing to do");

        for (name, want) in [("a", 0), ("protected", 1)] {
            let destroyed = client
                .plan_resource_change(plan(&running(name), &J::Null, &J::Null))
                .await
                .unwrap()
                .into_inner();
            assert_eq!(
                (json_of(destroyed.planned_state.as_ref()), destroyed.diagnostics.len()),
                (J::Null, want),
                "{name}"
            );
        }
        let refused = client
            .plan_resource_change(plan(
                &J::Null,
                &thing(json!({"name": "refuse-plan"})),
                &thing(json!({"name": "refuse-plan"})),
            ))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(
            (said(&refused.diagnostics), refused.planned_state),
            (vec!["error .name: Refused to plan it".to_owned()], None)
        );
    });
}

fn bad_plans() {
    block_on(async {
        let (_plugin, mut client) = serve().await;
        let config = thing(json!({"name": "bad-plan", "kind": "a"}));
        let answer = client
            .plan_resource_change(plan(&J::Null, &config, &config))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(show_path(answer.diagnostics[0].attribute.as_ref().unwrap()), ".kind");
        assert!(
            answer.diagnostics[0].detail.contains("please report")
                && answer.planned_state.is_none(),
            "{:?}",
            answer.diagnostics
        );
    });
}

fn failing_creates() {
    block_on(async {
        let (_plugin, mut client) = serve().await;
        for (name, errors, says) in [
            ("fail", 1, "Cannot create it"),
            ("fail-blind", 1, "Cannot do it"),
            ("vague-apply", 1, "status"),
            ("other-apply", 1, "name"),
            ("nothing", 1, "without a state and without an error"),
            ("panic-apply", 1, "traps.rs"),
        ] {
            let answer = client.apply_resource_change(create(name)).await.unwrap().into_inner();
            let found: Vec<_> = answer.diagnostics.iter().filter(|d| d.severity == 1).collect();
            assert_eq!(found.len(), errors, "{name}: {found:?}");
            assert!(
                found[0].summary.contains(says) || found[0].detail.contains(says),
                "{name}: {found:?}"
            );
            assert_eq!(json_of(answer.new_state.as_ref()), J::Null, "{name} would be tainted");
            assert_eq!(answer.new_identity, None, "{name}");
            assert!(!format!("{answer:?}").contains("hunter2"), "{name}");
        }
        let answer = client.apply_resource_change(create("good")).await.unwrap().into_inner();
        assert_eq!(
            (json_of(answer.new_state.as_ref()), said(&answer.diagnostics)),
            (running("good"), vec![])
        );
        assert_eq!(
            json_of(answer.new_identity.unwrap().identity_data.as_ref()),
            json!({"name": "good"})
        );
        assert_eq!(answer.private, b"p");
    });
}

fn failing_updates() {
    block_on(async {
        let (_plugin, mut client) = serve().await;
        for (name, want) in [
            ("fail", "failed"),
            ("fail-blind", "running"),
            ("nothing", "running"),
            ("panic-apply", "running"),
            ("good", "running"),
        ] {
            let mut planned = running(name);
            planned["kind"] = json!("a");
            let config = thing(json!({"name": name, "kind": "a"}));
            let answer = client
                .apply_resource_change(apply(&running(name), &planned, &config))
                .await
                .unwrap()
                .into_inner();
            assert_eq!(json_of(answer.new_state.as_ref())["status"], want, "{name}");
            assert_eq!(
                answer.diagnostics.iter().any(|d| d.severity == 1),
                name != "good",
                "{name}"
            );
        }
    });
}

fn destroys() {
    block_on(async {
        let (_plugin, mut client) = serve().await;
        // The last one is refused by the plan of a destroy; core plans none when it replaces.
        for (name, want) in
            [("good", J::Null), ("stuck", running("stuck")), ("protected", running("protected"))]
        {
            let answer = client
                .apply_resource_change(apply(&running(name), &J::Null, &J::Null))
                .await
                .unwrap()
                .into_inner();
            assert_eq!(json_of(answer.new_state.as_ref()), want, "{name}");
            assert_eq!(answer.diagnostics.is_empty(), want.is_null(), "{name}");
        }
    });
}

fn reads() {
    block_on(async {
        let (_plugin, mut client) = serve().await;
        let mut off = running("off");
        off["status"] = json!("unreachable");
        for (name, want, says) in [
            ("good", running("good"), &[][..]),
            ("gone", J::Null, &[]),
            ("broken", running("broken"), &["error .name: Cannot read it"]),
            ("off", off, &["warning : The host does not answer"]),
            ("vague", running("vague"), &["error : The provider met a case it does not handle"]),
            (
                "panic-read",
                running("panic-read"),
                &["error : The provider met a case it does not handle"],
            ),
        ] {
            let answer =
                client.read_resource(read_request(&running(name))).await.unwrap().into_inner();
            assert_eq!(
                (json_of(answer.new_state.as_ref()), said(&answer.diagnostics)),
                (want.clone(), says.iter().map(|s| (*s).to_owned()).collect()),
                "{name}"
            );
            assert_eq!(answer.private, b"p", "{name}");
            if says.is_empty() && !want.is_null() {
                assert!(answer.new_identity.is_some(), "{name}");
            }
        }
    });
}

fn upgrades() {
    block_on(async {
        let (_plugin, mut client) = serve().await;
        for (name, version, json, want) in [
            (
                "the same version",
                2,
                r#"{"name":"a","size":3}"#,
                Ok(thing(json!({"name": "a", "size": 3}))),
            ),
            (
                "with what is gone",
                2,
                r#"{"name":"a","colour":"red","zones":{"z":{"region":"r"}}}"#,
                Ok(thing(
                    json!({"name": "a", "zones": {"z": {"region": "r", "servers": null, "id": null}}}),
                )),
            ),
            ("version 1", 1, r#"{"title":"a"}"#, Ok(thing(json!({"name": "a"})))),
            ("version 0", 0, r#"{"title":"a"}"#, Err("version 0")),
            ("a newer one", 3, r#"{"name":"a"}"#, Err("newer provider")),
            ("wrong inside", 2, r#"{"name":["a"]}"#, Err("name")),
            ("text for a number", 2, r#"{"name":"a","size":"many"}"#, Err("a number is needed")),
            ("the way out", 2, r#"{"name":"a","size":"many"}"#, Err("terraform state rm")),
            ("no JSON", 2, "{", Err("cannot be read")),
            ("nothing", 2, "", Err("no JSON form")),
        ] {
            let request = tf::upgrade_resource_state::Request {
                type_name: "ob_thing".into(),
                version,
                raw_state: Some(tf::RawState { json: json.into(), ..Default::default() }),
            };
            let answer = client.upgrade_resource_state(request).await.unwrap().into_inner();
            match want {
                Ok(want) => assert_eq!(json_of(answer.upgraded_state.as_ref()), want, "{name}"),
                Err(says) => {
                    let all = answer.diagnostics.iter();
                    let all: String =
                        all.map(|d| format!("{} {}\n", d.summary, d.detail)).collect();
                    assert!(answer.upgraded_state.is_none() && all.contains(says), "{name}: {all}");
                }
            }
        }
        let identity = tf::upgrade_resource_identity::Request {
            type_name: "ob_thing".into(),
            version: 0,
            raw_identity: Some(tf::RawState {
                json: br#"{"name":"a"}"#.to_vec(),
                ..Default::default()
            }),
        };
        let answer = client.upgrade_resource_identity(identity).await.unwrap().into_inner();
        assert_eq!(
            json_of(answer.upgraded_identity.unwrap().identity_data.as_ref()),
            json!({"name": "a"})
        );
    });
}

fn imports() {
    block_on(async {
        let (_plugin, mut client) = serve().await;
        let by = |id: &str, identity: Option<J>| tf::import_resource_state::Request {
            type_name: "ob_thing".into(),
            id: id.into(),
            identity: identity.map(|i| tf::ResourceIdentityData { identity_data: value(&i) }),
            ..Default::default()
        };
        for (name, request, want) in [
            ("by id", by("a", None), Ok("a")),
            ("by identity", by("", Some(json!({"name": "b"}))), Ok("b")),
            ("by half an identity", by("", Some(json!({"name": null}))), Err("lacks name")),
            ("what is not there", by("absent", None), Err("absent")),
        ] {
            let answer = client.import_resource_state(request).await.unwrap().into_inner();
            assert!(!format!("{answer:?}").contains("hunter2"), "{name}");
            match want {
                Ok(want) => {
                    assert_eq!(
                        json_of(answer.imported_resources[0].state.as_ref())["name"],
                        want,
                        "{name}"
                    );
                    assert!(answer.imported_resources[0].identity.is_some());
                }
                Err(says) => assert!(
                    answer.imported_resources.is_empty()
                        && answer.diagnostics[0].detail.contains(says),
                    "{name}: {answer:?}"
                ),
            }
        }
    });
}

fn data_sources() {
    block_on(async {
        let (_plugin, mut client) = serve().await;
        let config = |name: J| value(&json!({"name": name, "size": null}));
        for (name, want, says) in [
            ("a", Some(json!({"name": "a", "size": 16})), &["warning : Looked"][..]),
            ("none", None, &["error : ob_look found nothing"]),
            ("broken", None, &["error .name: Cannot look"]),
        ] {
            let request = tf::read_data_source::Request {
                type_name: "ob_look".into(),
                config: config(json!(name)),
                ..Default::default()
            };
            let answer = client.read_data_source(request).await.unwrap().into_inner();
            assert_eq!(
                (answer.state.as_ref().map(|s| json_of(Some(s))), said(&answer.diagnostics)),
                (want, says.iter().map(|s| (*s).to_owned()).collect()),
                "{name}"
            );
        }
        let request = tf::validate_data_resource_config::Request {
            type_name: "ob_look".into(),
            config: config(json!("a/b")),
        };
        assert_eq!(
            client
                .validate_data_resource_config(request)
                .await
                .unwrap()
                .into_inner()
                .diagnostics
                .len(),
            1
        );
    });
}

fn panics() {
    block_on(async {
        let (mut plugin, mut client) = serve().await;
        let config = thing(json!({"name": "panic-plan"}));
        let answer = client
            .plan_resource_change(plan(&J::Null, &config, &config))
            .await
            .unwrap()
            .into_inner();
        assert!(
            answer.planned_state.is_none() && answer.diagnostics[0].detail.contains("traps.rs"),
            "{answer:?}"
        );
        let good = client.apply_resource_change(create("good")).await.unwrap().into_inner();
        assert!(good.diagnostics.is_empty(), "the process lives on");
        let log = stderr(&mut plugin.child);
        assert!(
            log.contains("panicked")
                && log.contains("\"@level\":\"error\"")
                && !log.contains("hunter2"),
            "{log}"
        );
    });
}

fn secrets() {
    block_on(async {
        let (mut plugin, mut client) = serve().await;
        let mut answers = String::new();
        for name in ["leak-plan", "good"] {
            let config = thing(
                json!({"name": name, "secret_wo": "hunter2", "login": {"user": "u", "password_wo": "hunter2"}}),
            );
            let proposed =
                thing(json!({"name": name, "login": {"user": "u", "password_wo": null}}));
            let answer = client
                .plan_resource_change(plan(&J::Null, &proposed, &config))
                .await
                .unwrap()
                .into_inner();
            assert!(answer.planned_state.is_some(), "{name}: {:?}", said(&answer.diagnostics));
            answers += &format!("{:?}", answer.planned_state.as_ref().map(|s| json_of(Some(s))));
        }
        let config = thing(json!({"name": "leak-apply", "secret_wo": "hunter2"}));
        let answer = client
            .apply_resource_change(apply(
                &J::Null,
                &planned(json!({"name": "leak-apply"})),
                &config,
            ))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(json_of(answer.new_state.as_ref())["secret_length"], 7);
        answers += &json_of(answer.new_state.as_ref()).to_string();
        assert!(!answers.contains("hunter2"), "{answers}");
        assert!(!stderr(&mut plugin.child).contains("hunter2"));
    });
}
