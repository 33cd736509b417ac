//! Tests what lies around the calls about one object: stop, unknown values, what is not offered,
//! size, backtraces, the look at plan time, lints.
use crate::values::*;
use crate::wire::{serve, serve_with};
use crate::{Test, block_on};
use ob::protocol::pb::tf;
use serde_json::{Value as J, json};
use std::time::{Duration, Instant};

pub const TESTS: &[Test] = &[
    ("stop cancels what runs and configure starts anew", stop),
    ("unknown values never fail configure or validate", unknown_everything),
    ("what is not offered says so", not_offered),
    ("messages above four megabytes pass", large),
    ("a backtrace variable adds nothing to diagnostics", backtrace),
    ("the look at plan time only warns and never hangs", foresee),
    ("a state type that does not fit its schema is found", lint),
];

fn stop() {
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("m");
    block_on(async {
        let (_plugin, mut client) = serve_with(|c| {
            c.env("OB_TEST_MARKER", &marker);
        })
        .await;
        let mut other = client.clone();
        let apply = tokio::spawn(async move { other.apply_resource_change(create("wait")).await });
        while !std::path::Path::new(&format!("{}.started", marker.display())).exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let stopped =
            client.stop_provider(tf::stop_provider::Request {}).await.unwrap().into_inner();
        assert_eq!(stopped.error, "");
        let answer = tokio::time::timeout(Duration::from_secs(5), apply)
            .await
            .unwrap()
            .unwrap()
            .unwrap()
            .into_inner();
        assert!(
            answer.diagnostics[0].summary.contains("Stopped at a safe point")
                && json_of(answer.new_state.as_ref()).is_null()
        );
        client.configure_provider(tf::configure_provider::Request::default()).await.unwrap();
        let mut other = client.clone();
        let waits = tokio::spawn(async move { other.apply_resource_change(create("wait")).await });
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert!(!waits.is_finished(), "Configure starts a new run: its token is not cancelled");
        client.stop_provider(tf::stop_provider::Request {}).await.unwrap();
        waits.await.unwrap().unwrap();
    });
}

fn unknown_everything() {
    block_on(async {
        let (_plugin, mut client) = serve().await;
        let provider = json!({"owner": "?", "ssh": {"identities": {"a": {"user": "?", "private_key": "?12", "private_key_file": null, "passphrase": "?", "agent": null, "certificate": "?"}, "b": "?"}, "known_hosts_file": "?", "host_key_policy": "?", "bastion": "?", "algorithms": "?"}, "sql": "?", "sudo": "?", "mode": "?", "parallelism": "?", "operation_timeout": "?"});
        let all_unknown: J = provider
            .as_object()
            .unwrap()
            .keys()
            .map(|k| (k.clone(), json!("?")))
            .collect::<serde_json::Map<_, _>>()
            .into();
        for config in [&provider, &all_unknown] {
            let answer = client
                .validate_provider_config(tf::validate_provider_config::Request {
                    config: value(config),
                })
                .await
                .unwrap()
                .into_inner();
            assert_eq!(said(&answer.diagnostics), Vec::<String>::new());
            let answer = client
                .configure_provider(tf::configure_provider::Request {
                    config: value(config),
                    ..Default::default()
                })
                .await
                .unwrap()
                .into_inner();
            assert_eq!(said(&answer.diagnostics), Vec::<String>::new());
        }
        let config: J = thing(json!({}))
            .as_object()
            .unwrap()
            .keys()
            .map(|k| {
                (
                    k.clone(),
                    if ["secret_length", "status"].contains(&k.as_str()) {
                        J::Null
                    } else {
                        json!("?12")
                    },
                )
            })
            .collect::<serde_json::Map<_, _>>()
            .into();
        let answer =
            client.validate_resource_config(validate_request(&config)).await.unwrap().into_inner();
        assert_eq!(said(&answer.diagnostics), Vec::<String>::new());
        let mut proposed = config.clone();
        proposed["secret_wo"] = J::Null;
        let answer = client
            .plan_resource_change(plan(&J::Null, &proposed, &config))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(said(&answer.diagnostics), Vec::<String>::new());
        let bad = client
            .configure_provider(tf::configure_provider::Request {
                config: value(&json!({"owner": 1})),
                ..Default::default()
            })
            .await
            .unwrap()
            .into_inner();
        assert!(
            said(&bad.diagnostics).iter().any(|d| d.starts_with("error .owner")),
            "{:?}",
            bad.diagnostics
        );
    });
}

fn not_offered() {
    block_on(async {
        let (_plugin, mut client) = serve().await;
        let mut all: Vec<(&str, Vec<tf::Diagnostic>)> = Vec::new();
        macro_rules! ask {
            ($($call:ident: $module:ident),+ $(,)?) => { $(all.push((stringify!($call), client.$call(tf::$module::Request::default()).await.unwrap().into_inner().diagnostics));)+ };
        }
        ask!(
            move_resource_state: move_resource_state,
            generate_resource_config: generate_resource_config,
            validate_ephemeral_resource_config: validate_ephemeral_resource_config,
            open_ephemeral_resource: open_ephemeral_resource,
            renew_ephemeral_resource: renew_ephemeral_resource,
            close_ephemeral_resource: close_ephemeral_resource,
            validate_list_resource_config: validate_list_resource_config,
            validate_state_store_config: validate_state_store,
            configure_state_store: configure_state_store,
            lock_state: lock_state,
            unlock_state: unlock_state,
            get_states: get_states,
            delete_state: delete_state,
            plan_action: plan_action,
            validate_action_config: validate_action_config,
        );
        all.push((
            "list",
            client
                .list_resource(tf::list_resource::Request::default())
                .await
                .unwrap()
                .into_inner()
                .message()
                .await
                .unwrap()
                .unwrap()
                .diagnostic,
        ));
        all.push((
            "read_state",
            client
                .read_state_bytes(tf::read_state_bytes::Request::default())
                .await
                .unwrap()
                .into_inner()
                .message()
                .await
                .unwrap()
                .unwrap()
                .diagnostics,
        ));
        all.push((
            "write_state",
            client
                .write_state_bytes(tokio_stream::iter([
                    tf::write_state_bytes::RequestChunk::default(),
                ]))
                .await
                .unwrap()
                .into_inner()
                .diagnostics,
        ));
        let event = client
            .invoke_action(tf::invoke_action::Request::default())
            .await
            .unwrap()
            .into_inner()
            .message()
            .await
            .unwrap()
            .unwrap();
        let Some(tf::invoke_action::event::Type::Completed(completed)) = event.r#type else {
            panic!("{event:?}")
        };
        all.push(("invoke", completed.diagnostics));
        for (call, diagnostics) in all {
            assert_eq!(diagnostics.len(), 1, "{call}");
            assert!(
                diagnostics[0].severity == 1 && diagnostics[0].detail.contains("fix"),
                "{call}: {diagnostics:?}"
            );
        }
        assert!(
            client
                .get_functions(tf::get_functions::Request {})
                .await
                .unwrap()
                .into_inner()
                .functions
                .is_empty()
        );
        assert!(
            client
                .call_function(tf::call_function::Request {
                    name: "f".into(),
                    ..Default::default()
                })
                .await
                .unwrap()
                .into_inner()
                .error
                .is_some()
        );
    });
}

fn large() {
    block_on(async {
        let (_plugin, mut client) = serve().await;
        let tags: Vec<_> = (0..200).map(|i| format!("{i:03}{}", "x".repeat(100_000))).collect();
        let config = thing(json!({"name": "a", "tags": tags}));
        let answer = client
            .plan_resource_change(plan(&J::Null, &config, &config))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(json_of(answer.planned_state.as_ref())["tags"].as_array().unwrap().len(), 200);
    });
}

fn backtrace() {
    block_on(async {
        let (_plugin, mut client) = serve_with(|c| {
            c.env("RUST_BACKTRACE", "1").env("RUST_LIB_BACKTRACE", "1");
        })
        .await;
        for name in ["fail", "panic-apply", "other-apply"] {
            let answer = client.apply_resource_change(create(name)).await.unwrap().into_inner();
            let text = answer
                .diagnostics
                .iter()
                .map(|d| format!("{}\n{}", d.summary, d.detail))
                .collect::<String>();
            assert!(
                !text.contains("rust_begin_unwind")
                    && !text.contains("   0: ")
                    && text.lines().count() < 15,
                "{name}: {text}"
            );
        }
        let answer = client
            .validate_resource_config(validate_request(&thing(json!({"name": 1, "size": 1.5}))))
            .await
            .unwrap()
            .into_inner();
        assert!(answer.diagnostics.iter().all(|d| d.detail.lines().count() < 5), "{answer:?}");
    });
}

fn foresee() {
    block_on(async {
        let (_plugin, mut client) = serve().await;
        let ask = |name: &str, size: J| {
            let config = thing(json!({"name": name, "size": size}));
            plan(&J::Null, &config, &config)
        };
        let answer =
            client.plan_resource_change(ask("resumed", json!(1))).await.unwrap().into_inner();
        assert_eq!(said(&answer.diagnostics), ["warning : Resumes operation 7 at step 3 of 9"]);
        let answer =
            client.plan_resource_change(ask("resumed", json!("?"))).await.unwrap().into_inner();
        assert_eq!(
            said(&answer.diagnostics),
            Vec::<String>::new(),
            "not while something is unknown"
        );
        let asked = Instant::now();
        let answer =
            client.plan_resource_change(ask("slow-look", json!(1))).await.unwrap().into_inner();
        assert!(
            answer.planned_state.is_some() && asked.elapsed() < Duration::from_secs(20),
            "{:?}",
            asked.elapsed()
        );
    });
}

fn lint() {
    let found = crate::registry().lint();
    assert!(!found.is_empty() && found.iter().all(|l| l.starts_with("ob_wrong: ")), "{found:#?}");
}
