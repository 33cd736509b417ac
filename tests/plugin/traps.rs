//! Types that exercise every trap of the protocol; `name` decides what goes wrong.
use async_trait::async_trait;
use ob::base::Problem;
use ob::resource::{
    Applied, ApplyInput, Context, DataSource, Found, PlanInput, Planned, Resource, Work,
};
use ob::schema::build::*;
use ob::schema::{Diagnostics, Report, Schema, Value};
use ob::transport::{Connector, Endpoint, Transport, TransportError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub struct Nowhere;

#[async_trait]
impl Connector for Nowhere {
    async fn connect(&self, _: &Endpoint) -> Result<Arc<dyn Transport>, TransportError> {
        Err(TransportError::Unreachable("no hosts here".into()))
    }
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Zone {
    pub region: Value<String>,
    pub servers: Value<BTreeMap<String, Value<Server>>>,
    pub id: Value<String>,
}
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Server {
    pub port: Value<i64>,
    pub address: Value<String>,
}
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Login {
    pub user: Value<String>,
    pub password_wo: Value<String>,
}
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct State {
    pub name: Value<String>,
    pub size: Value<i64>,
    pub kind: Value<String>,
    pub tags: Value<Vec<Value<String>>>,
    pub zones: Value<BTreeMap<String, Value<Zone>>>,
    pub login: Value<Login>,
    pub secret_wo: Value<String>,
    pub secret_wo_version: Value<i64>,
    pub secret_length: Value<i64>,
    pub status: Value<String>,
}

/// `ob_thing`: well behaved, unless its name asks for trouble.
pub struct Thing;

fn known(v: &Value<String>) -> &str {
    v.as_ref_option().map_or("", String::as_str)
}

/// What apply finds out about everything that was planned as unknown.
fn complete(planned: &State, config: &State) -> State {
    let mut out = planned.clone();
    out.status = Value::Value("running".into());
    if out.size.is_unknown() {
        out.size = Value::Value(1);
    }
    if out.secret_length.is_unknown() {
        out.secret_length = config.secret_wo.as_ref_option().map(|s| s.len() as i64).into();
    }
    for (name, zone) in out.zones.as_mut_option().into_iter().flatten() {
        let Value::Value(zone) = zone else { continue };
        if zone.id.is_unknown() {
            zone.id = Value::Value(format!("id-{name}"));
        }
        for (i, server) in zone.servers.as_mut_option().into_iter().flatten().enumerate() {
            let Value::Value(server) = server.1 else { continue };
            if server.address.is_unknown() {
                server.address = Value::Value(format!("10.0.0.{i}"));
            }
        }
    }
    out
}

#[async_trait]
impl Resource for Thing {
    type State = State;
    const TYPE: &'static str = "ob_thing";

    fn schema(&self) -> Schema {
        let server = [
            ("port", number("Port.").required().range(1..=65535)),
            ("address", string("Address.").computed()),
        ];
        let zone = [
            ("region", string("Region.").optional()),
            ("servers", map_of("Servers.", server).required()),
            ("id", string("Id.").computed()),
        ];
        let login = [
            ("user", string("User.").required()),
            ("password_wo", string("Password.").optional().write_only()),
        ];
        Schema::new(2, "A **thing** to try.")
            .attr("name", string("Name.").required().check(object_name))
            .attr("size", number("Size.").optional_computed().range(1..=100))
            .attr(
                "kind",
                string("Kind; another one is another thing.").optional().one_of(&["a", "b"]),
            )
            .attr("tags", set("Tags.", STRING).optional())
            .attr("zones", map_of("Zones.", zone).optional().keys(object_name))
            .attr("login", object("Login.", login).optional())
            .attr("secret_wo", string("Secret.").optional().write_only())
            .attr("secret_wo_version", number("Raise it to send the secret again.").optional())
            .attr("secret_length", number("Length of the secret.").computed())
            .attr("status", string("Status.").computed())
    }

    fn validate(&self, config: &State, diags: &mut Diagnostics) {
        if known(&config.name) == "forbidden" {
            diags.problem(
                Problem::user("this name is taken")
                    .why("it is")
                    .fix("choose another")
                    .attribute(["name"]),
            );
        }
        for (zone, z) in config.zones.as_ref_option().into_iter().flatten() {
            for (server, s) in
                z.as_ref_option().and_then(|z| z.servers.as_ref_option()).into_iter().flatten()
            {
                if s.as_ref_option().is_some_and(|s| s.port == Value::Value(22)) {
                    diags.problem(
                        Problem::user("port 22 is sshd's")
                            .fix("another")
                            .attribute(["zones", zone, "servers", server, "port"]),
                    );
                }
            }
        }
    }

    fn plan(&self, input: PlanInput<'_, State>, diags: &mut Diagnostics) -> Option<Planned<State>> {
        let (mut state, mut replace) = (input.proposed.clone(), Vec::new());
        match known(&input.config.name) {
            "panic-plan" => panic!("hunter2"),
            "bad-plan" => state.kind = Value::Value("b".into()),
            "leak-plan" => state = input.config.clone(),
            "refuse-plan" => {
                diags.problem(Problem::refused("refused to plan it").attribute(["name"]));
                return None;
            }
            _ => {}
        }
        if let Some(prior) = input.prior {
            if prior.kind != state.kind {
                replace.push(self.schema().path(&["kind"]));
            }
            if prior.secret_wo_version != state.secret_wo_version {
                state.secret_length = Value::Unknown;
            }
            if known(&prior.status) != "running" {
                state.status = Value::Unknown;
            }
        }
        if known(&input.config.name) == "leak-plan" {
            (state.size, state.secret_length, state.status) =
                (Value::Unknown, Value::Unknown, Value::Unknown);
        }
        Some(Planned { state, replace })
    }

    fn plan_destroy(&self, prior: &State, diags: &mut Diagnostics) {
        if known(&prior.name) == "protected" {
            diags.problem(
                Problem::refused("refused to destroy it")
                    .why("deletion_protection is on")
                    .attribute(["name"]),
            );
        }
    }

    async fn foresee(&self, _: &Context, _: Option<&State>, planned: &State) -> Vec<Problem> {
        if known(&planned.name) == "slow-look" {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        if known(&planned.name) == "resumed" {
            vec![Problem::user("resumes operation 7 at step 3 of 9")]
        } else {
            Vec::new()
        }
    }

    fn planned(&self, _: Option<&State>, _: Option<&State>) -> Result<Work, Problem> {
        Ok(Work::Unknown)
    }
    async fn read(&self, _: &Context, mut state: State) -> Result<Found<State>, Problem> {
        let mut warnings = Vec::new();
        match known(&state.name) {
            "panic-read" => panic!("hunter2"),
            "gone" => return Ok(Found { state: None, warnings }),
            "broken" => {
                return Err(Problem::user("cannot read it")
                    .why("it is broken")
                    .fix("mend it")
                    .attribute(["name"]));
            }
            "off" => {
                state.status = Value::Value("unreachable".into());
                warnings.push(Problem::user("the host does not answer"));
            }
            "vague" => state.status = Value::Unknown,
            _ => {}
        }
        Ok(Found { state: Some(state), warnings })
    }

    async fn apply(&self, cx: &Context, input: ApplyInput<'_, State>) -> Applied<State> {
        let fail = |state: Option<State>, what: &str| Applied {
            state,
            problem: Some(Problem::user(what).why("asked to").fix("nothing")),
            warnings: vec![Problem::user("three steps are done")],
        };
        let (Some(planned), Some(config)) = (input.planned, input.config) else {
            let stuck = input.prior.is_some_and(|p| known(&p.name) == "stuck");
            return if stuck {
                fail(None, "cannot destroy it")
            } else {
                Applied { state: None, problem: None, warnings: Vec::new() }
            };
        };
        let mut done = complete(planned, config);
        match known(&planned.name) {
            "panic-apply" => panic!("hunter2"),
            "fail" => {
                done.status = Value::Value("failed".into());
                return fail(Some(done), "cannot create it");
            }
            "fail-blind" => return fail(None, "cannot do it"),
            "vague-apply" => done.status = Value::Unknown,
            "other-apply" => done.name = Value::Value("other".into()),
            "leak-apply" => done.secret_wo = config.secret_wo.clone(),
            "nothing" => return Applied { state: None, problem: None, warnings: Vec::new() },
            "wait" => {
                let marker = std::env::var("OB_TEST_MARKER").unwrap_or_default();
                let _ = std::fs::write(format!("{marker}.started"), "");
                cx.cancel.cancelled().await;
                tokio::time::sleep(Duration::from_millis(300)).await;
                let _ = std::fs::write(format!("{marker}.safe"), "");
                return fail(None, "stopped at a safe point");
            }
            _ => {}
        }
        Applied { state: Some(done), problem: None, warnings: Vec::new() }
    }

    async fn import(&self, _: &Context, id: &str) -> Result<State, Problem> {
        if id == "absent" {
            return Err(Problem::user("there is no such thing").place(id));
        }
        Ok(State {
            name: Value::Value(id.into()),
            size: Value::Value(7),
            kind: Value::Null,
            tags: Value::Null,
            zones: Value::Null,
            login: Value::Null,
            secret_wo: Value::Value("hunter2".into()),
            secret_wo_version: Value::Null,
            secret_length: Value::Null,
            status: Value::Value("running".into()),
        })
    }

    fn identity(&self) -> &'static [&'static str] {
        &["name"]
    }

    fn upgrade(
        &self,
        version: i64,
        mut state: serde_json::Value,
    ) -> Result<serde_json::Value, Problem> {
        // Version 1 called `name` `title`; version 0 cannot be read.
        match (version, state.as_object_mut()) {
            (1, Some(all)) => {
                if let Some(title) = all.remove("title") {
                    all.insert("name".into(), title);
                }
                Ok(state)
            }
            _ => Err(Problem::user("a state of version 0 cannot be read").fix("import it")),
        }
    }
}

/// `ob_wrong`: its state type does not fit its schema.
pub struct Wrong;

#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct WrongState {
    pub name: Value<i64>,
}

#[async_trait]
impl Resource for Wrong {
    type State = WrongState;
    const TYPE: &'static str = "ob_wrong";
    fn schema(&self) -> Schema {
        Schema::new(1, "Wrong.").attr("name", string("Name.").required())
    }
    fn plan(
        &self,
        input: PlanInput<'_, WrongState>,
        _: &mut Diagnostics,
    ) -> Option<Planned<WrongState>> {
        Some(Planned { state: input.proposed.clone(), replace: Vec::new() })
    }
    fn planned(&self, _: Option<&WrongState>, _: Option<&WrongState>) -> Result<Work, Problem> {
        Ok(Work::Unknown)
    }
    async fn read(&self, _: &Context, state: WrongState) -> Result<Found<WrongState>, Problem> {
        Ok(Found { state: Some(state), warnings: Vec::new() })
    }
    async fn apply(&self, _: &Context, _: ApplyInput<'_, WrongState>) -> Applied<WrongState> {
        Applied { state: None, problem: None, warnings: Vec::new() }
    }
}

/// `data.ob_look`.
pub struct Look;

#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct LookState {
    pub name: Value<String>,
    pub size: Value<i64>,
}

#[async_trait]
impl DataSource for Look {
    type State = LookState;
    const TYPE: &'static str = "ob_look";
    fn schema(&self) -> Schema {
        Schema::new(1, "Looks.")
            .attr("name", string("Name.").required().check(object_name))
            .attr("size", number("Size.").computed())
    }
    async fn read(&self, cx: &Context, config: LookState) -> Result<Found<LookState>, Problem> {
        match known(&config.name) {
            "none" => Ok(Found { state: None, warnings: Vec::new() }),
            "broken" => Err(Problem::user("cannot look").attribute(["name"])),
            _ => Ok(Found {
                state: Some(LookState {
                    size: Value::Value(cx.session.limits.overall() as i64),
                    ..config
                }),
                warnings: vec![Problem::user("looked")],
            }),
        }
    }
}
