//! `ob_host` as Terraform drives it, on lab hosts: create, read, import, move, destroy.
use crate::host_prepare::{OWNER, snapshot, ssh};
use lab::{Lab, may_make_hosts};
use ob::base::Problem;
use ob::resource::ob_host::{HostState, ObHost};
use ob::resource::{ApplyInput, Context, PlanInput, Resource, Session};
use ob::schema::{Diagnostics, Value};
use ob::transport::Pool;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A provider that reaches the lab's hosts.
fn configured(lab: &Lab) -> Context {
    let cancel = CancellationToken::new();
    let session = Session {
        owner: Some(OWNER.into()),
        who: "test".into(),
        connector: Pool::new(ssh(lab), cancel.clone()),
        archives: ob::component::package::Archives::new(None),
        sql_credentials: BTreeMap::new(),
        sql_later: false,
        observe: false,
        sudo: true,
        limits: ob::engine::Limits::of(4),
        owner_later: false,
        operation_timeout: Duration::from_secs(120),
        looks: ob::resource::Looks::default(),
    };
    Context { session: Arc::new(session), cancel }
}

fn say(text: &str) -> Value<String> {
    Value::Value(text.to_owned())
}

/// Plans and applies as Terraform does, and holds the apply to what the plan said it knew.
async fn terraform(
    cx: &Context,
    prior: Option<&HostState>,
    config: &HostState,
) -> Result<HostState, Problem> {
    let mut proposed = config.clone();
    if let Some(p) = prior {
        (proposed.id, proposed.os, proposed.kernel, proposed.arch) =
            (p.id.clone(), p.os.clone(), p.kernel.clone(), p.arch.clone());
        (proposed.cores, proposed.memory_bytes, proposed.disks, proposed.devices) =
            (p.cores, p.memory_bytes, p.disks.clone(), p.devices.clone());
        (
            proposed.creation_id,
            proposed.drift,
            proposed.status,
            proposed.runbook,
            proposed.impact,
            proposed.endpoint,
        ) = (
            p.creation_id.clone(),
            p.drift.clone(),
            p.status.clone(),
            p.runbook.clone(),
            p.impact.clone(),
            p.endpoint.clone(),
        );
    }
    let mut diags = Diagnostics::default();
    let planned = ObHost
        .plan(PlanInput { prior, config, proposed: &proposed }, &mut diags)
        .unwrap_or_else(|| panic!("{diags:?}"))
        .state;
    let applied =
        ObHost.apply(cx, ApplyInput { prior, planned: Some(&planned), config: Some(config) }).await;
    if let Some(problem) = applied.problem {
        return Err(problem);
    }
    let state = applied.state.unwrap();
    let (p, s) = (format!("{planned:#?}"), format!("{state:#?}"));
    assert!(!s.contains("Unknown"), "nothing unknown may be left: {s}");
    let known = |v: &HostState| {
        (v.id.clone(), v.endpoint.clone(), v.drift.clone(), v.prepare.clone(), v.labels.clone())
    };
    assert_eq!(known(&state), known(&planned), "{p}");
    for (name, a, b) in [
        ("runbook", &planned.runbook, &state.runbook),
        ("status", &planned.status, &state.status),
        ("creation_id", &planned.creation_id, &state.creation_id),
        ("os", &planned.os, &state.os),
    ] {
        assert!(a.is_unknown() || a == b, "{name}: planned {a:?}, applied {b:?}");
    }
    Ok(state)
}

/// An empty plan: every attribute keeps its value.
fn plan_is_empty(prior: &HostState, config: &HostState) {
    let mut diags = Diagnostics::default();
    let proposed = HostState {
        region: config.region.clone(),
        labels: config.labels.clone(),
        prepare: config.prepare.clone(),
        network: config.network.clone(),
        host_key: config.host_key.clone(),
        ..prior.clone()
    };
    let planned = ObHost
        .plan(PlanInput { prior: Some(prior), config, proposed: &proposed }, &mut diags)
        .unwrap()
        .state;
    assert_eq!(format!("{planned:#?}"), format!("{prior:#?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_resource_creates_reads_imports_moves_and_destroys() {
    if !may_make_hosts("the host resource") {
        return;
    }
    let lab = Lab::up(2).unwrap();
    let (a, b) = (lab.host(0), lab.host(1));
    let cx = configured(&lab);
    let plain = HostState {
        name: say("h1"),
        address: say(&a.address().to_string()),
        user: say("root"),
        identity: say("lab"),
        region: say("north"),
        ..HostState::default()
    };
    let before = snapshot(&a);

    // Without prepare nothing is changed, and facts are there.
    let state = terraform(&cx, None, &plain).await.unwrap();
    assert_eq!(snapshot(&a), before);
    assert!(
        matches!(&state.cores, Value::Value(n) if *n >= 1)
            && matches!(&state.devices, Value::Value(d) if d.contains(&say("eth0"))),
        "{state:#?}"
    );
    assert_eq!(
        (state.status.clone(), state.creation_id.clone(), state.runbook.clone()),
        (say("ready"), Value::Null, Value::Null)
    );
    let read = ObHost.read(&cx, state.clone()).await.unwrap();
    assert_eq!(
        (format!("{:#?}", read.state.unwrap()), read.warnings),
        (format!("{state:#?}"), Vec::new()),
        "a read changes nothing"
    );
    plan_is_empty(&state, &plain);
    let imported =
        ObHost.import(&cx, &format!("ssh://root@{}:22?identity=lab", a.address())).await.unwrap();
    plan_is_empty(&imported, &HostState { region: Value::Null, ..plain.clone() });

    // Asked to, it prepares; the same record gives the preparation back to an import.
    let prepare: ob::resource::ob_host::Prepare = serde_json::from_value(serde_json::json!({
        "user": {"name": "obsvc", "uid": null, "home": null}, "directories": {"/data/1": {"owner": null, "mode": "0700"}},
        "limits": null, "sysctl": {"profile": null, "values": {"vm.swappiness": "1"}}, "transparent_hugepage": null, "clock": null
    }))
    .unwrap();
    let config = HostState { prepare: Value::Value(prepare), ..plain.clone() };
    let state = terraform(&cx, Some(&state), &config).await.unwrap();
    assert_eq!(a.exec("stat -c '%U %a' /data/1").unwrap().stdout, "obsvc 700\n");
    assert!(
        matches!(&state.runbook, Value::Value(r) if r.starts_with("#2 prepare host \"h1\": 5 steps")),
        "{:?}",
        state.runbook
    );
    plan_is_empty(&state, &config);
    let imported = ObHost
        .import(&cx, &format!("ssh://root@{}:22/h1?identity=lab", a.address()))
        .await
        .unwrap();
    plan_is_empty(&imported, &HostState { region: Value::Null, ..config.clone() });

    // A value changed by hand is shown, then corrected by the next apply.
    a.exec("sysctl -q -w vm.swappiness=44").unwrap().ok().unwrap();
    let drifted = ObHost.read(&cx, state.clone()).await.unwrap().state.unwrap();
    assert_eq!(
        drifted.drift,
        Value::Value([("sysctl".to_owned(), say("vm.swappiness is 44, not 1"))].into())
    );
    let state = terraform(&cx, Some(&drifted), &config).await.unwrap();
    assert_eq!(a.exec("sysctl -n vm.swappiness").unwrap().stdout, "1\n");
    assert_eq!(state.status, say("ready"));

    // Another machine at the new address is refused; the same one under another address is taken.
    let moved = HostState { address: say(&b.address().to_string()), ..config.clone() };
    let problem = terraform(&cx, Some(&state), &moved).await.unwrap_err();
    assert!(problem.what.contains("not the one that was prepared"), "{problem}");
    assert_eq!(b.exec("ls -d /data /home/obsvc 2>/dev/null; id obsvc 2>/dev/null; ls /root/.ob/objects/host/made 2>/dev/null; :").unwrap().stdout, "");
    let second = std::net::Ipv4Addr::from(u32::from(a.address()) | 0xc0).to_string();
    let add = format!(
        "p=$(ip -o -4 addr show dev eth0 | sed -n 's|.*inet [^/]*/\\([0-9]*\\) .*|\\1|p;q'); ip addr add {second}/$p dev eth0"
    );
    a.exec(&add).unwrap().ok().unwrap();
    let known = std::fs::read_to_string(&lab.info().known_hosts).unwrap();
    let line = known.lines().find(|l| l.contains(&a.address().to_string())).unwrap().replacen(
        &a.address().to_string(),
        &second,
        1,
    );
    std::fs::write(&lab.info().known_hosts, format!("{known}{line}\n")).unwrap();
    let cx = configured(&lab);
    let moved = HostState { address: say(&second), ..config.clone() };
    let state = terraform(&cx, Some(&state), &moved).await.unwrap();
    assert_eq!(
        state.endpoint.as_ref_option().and_then(|c| c.endpoint()).unwrap().address,
        second.as_str()
    );

    // Off: the prior state, a status and a warning; the plan stays empty.
    a.kill().unwrap();
    let found = ObHost.read(&cx, state.clone()).await.unwrap();
    let off = found.state.unwrap();
    assert_eq!((off.status.clone(), found.warnings.len()), (say("unreachable"), 1));
    plan_is_empty(&off, &moved);
    a.boot().unwrap();
    a.exec(&add).unwrap().ok().unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;

    // Without prepare again: undone; then forgotten.
    let bare = HostState { address: say(&second), ..plain.clone() };
    let back = ObHost.read(&cx, off).await.unwrap().state.unwrap();
    assert_eq!(back.status, say("ready"));
    let state = terraform(&cx, Some(&back), &bare).await.unwrap();
    assert_eq!(snapshot(&a), before);
    assert_eq!(state.creation_id, Value::Null);
    let gone =
        ObHost.apply(&cx, ApplyInput { prior: Some(&state), planned: None, config: None }).await;
    assert!(gone.problem.is_none() && gone.state.is_none(), "{gone:?}");
}
