//! Carries an adapted resource as messages: decodes by schema, calls, checks, encodes.
//!
//! What holds for every resource is here and nowhere else. A create with an error gives no state,
//! so nothing is ever tainted. A read with an error keeps the prior state. Write-only values never
//! leave. What core would refuse is refused first, with the attribute's name.
use super::adapter::Adapter;
use super::document::sample;
use super::twins::Twins;
use super::{rules, unknowns};
use crate::base::Problem;
use crate::protocol::convert;
use crate::protocol::pb::tf;
use crate::resource::Resource;
use crate::resource::common::bad_state;
use crate::schema::codec::{self, Refused};
use crate::schema::{AttributePath, Diagnostics, Report, Schema, Tree, check, tree};
use async_trait::async_trait;
use rmpv::Value as V;
use std::collections::BTreeSet;
use tf_provider::Resource as _;
use tf_provider::value::Value;

/// The import id in a state; `None` while it is not known, and for a type without one.
fn import_id(state: &Tree) -> Option<String> {
    tree::get(state, "id").as_str().filter(|id| !id.is_empty()).map(str::to_owned)
}

/// What comes first in every refusal of a planned destroy.
fn renamed(kind: &str) -> String {
    format!(
        "if only its block was renamed, say so, and nothing is destroyed: moved {{ from = \
         {kind}.OLD, to = {kind}.NEW }}, each on a line of its own; else\n"
    )
}

/// What a refused destroy says besides its reason, in case nobody asked for a destroy.
const REPLACED: &str = "\nnote   nothing was changed. Terraform destroys an object that it replaces \
                        (-replace, taint, replace_triggered_by, another value of an attribute that \
                        needs a new object) and does not plan that destroy";

/// A resource as the service calls it. [`super::dispatch`] catches panics and says what they
/// answer.
#[async_trait]
pub trait WireResource: Send + Sync {
    /// Its schema.
    fn schema(&self) -> &Schema;
    /// The attributes that identify it.
    fn identity(&self) -> &'static [&'static str];
    /// Everything wrong with the type itself.
    fn lint(&self) -> Vec<String>;
    /// ValidateResourceConfig.
    async fn validate(
        &self,
        request: tf::validate_resource_config::Request,
    ) -> tf::validate_resource_config::Response;
    /// UpgradeResourceState. Core always calls it, for the same version too.
    fn upgrade(
        &self,
        request: tf::upgrade_resource_state::Request,
    ) -> tf::upgrade_resource_state::Response;
    /// ReadResource.
    async fn read(&self, request: tf::read_resource::Request) -> tf::read_resource::Response;
    /// PlanResourceChange.
    async fn plan(
        &self,
        request: tf::plan_resource_change::Request,
    ) -> tf::plan_resource_change::Response;
    /// ApplyResourceChange.
    async fn apply(
        &self,
        request: tf::apply_resource_change::Request,
    ) -> tf::apply_resource_change::Response;
    /// ImportResourceState.
    async fn import(
        &self,
        request: tf::import_resource_state::Request,
    ) -> tf::import_resource_state::Response;
}

/// Carries one adapted resource.
pub struct Wire<R>(Adapter<R>);

impl<R: Resource> Wire<R> {
    /// Carries `adapter`.
    pub fn new(adapter: Adapter<R>) -> Self {
        Self(adapter)
    }

    fn decode(
        &self,
        what: &str,
        value: Option<&tf::DynamicValue>,
        diags: &mut Diagnostics,
    ) -> Result<Option<codec::Decoded<R::State>>, Refused> {
        codec::decode(&self.0.schema, what, convert::bytes(value), diags)
    }

    fn encode(
        &self,
        what: &str,
        state: &R::State,
        diags: &mut Diagnostics,
    ) -> Result<Tree, Refused> {
        let mut tree = codec::encode(&self.0.schema, what, state, diags)?;
        check::clear_write_only(&self.0.schema, &mut tree);
        Ok(tree)
    }

    fn identity_of(&self, state: &Tree) -> Option<tf::ResourceIdentityData> {
        let names = self.0.resource.identity();
        let values: Vec<_> = names
            .iter()
            .map(|n| tree::get(state, n).as_str().map(|v| (V::from(*n), V::from(v))))
            .collect::<Option<_>>()?;
        (!names.is_empty()).then(|| tf::ResourceIdentityData {
            identity_data: Some(convert::value(&V::Map(values))),
        })
    }

    /// Asks whether the object of a state has one address only in this run. An object whose import
    /// id is not known cannot be asked about.
    fn alone(
        &self,
        state: &Tree,
        ask: fn(&Twins, &'static str, &str) -> Result<(), Problem>,
        diags: &mut Diagnostics,
    ) -> Result<(), Refused> {
        let Some(id) = import_id(state) else { return Ok(()) };
        ask(&self.0.shared.twins, R::TYPE, &id).map_err(|problem| {
            diags.problem(problem);
            Refused
        })
    }

    fn broken(&self, what: &str, broken: Vec<rules::Broken>, diags: &mut Diagnostics) {
        for (path, rule) in broken {
            let place =
                if path.steps.is_empty() { "the object".to_owned() } else { path.to_string() };
            let problem = Problem::internal(format!("{} of {}: {place}: {rule}", what, R::TYPE));
            diags.problem_at(path, problem);
        }
    }

    async fn plan_change(
        &self,
        r: &tf::plan_resource_change::Request,
        diags: &mut Diagnostics,
    ) -> Result<(Tree, Vec<AttributePath>), Refused> {
        let prior = self.decode("prior state", r.prior_state.as_ref(), diags);
        let proposed = self.decode("proposed state", r.proposed_new_state.as_ref(), diags);
        let config = self.decode("configuration", r.config.as_ref(), diags);
        let (prior, proposed, config) = (prior?, proposed?, config?);
        let Some(proposed) = proposed else {
            if let Some(prior) = prior {
                // Where it is known that the block was renamed, that alone is told.
                self.alone(&prior.tree, Twins::destroys, diags)?;
                let before = diags.errors.len();
                self.0.plan_destroy(diags, prior.state, (), Value::Null).await;
                for error in &mut diags.errors[before..] {
                    error.detail = (renamed(R::TYPE) + &error.detail).into();
                }
            }
            return Ok((V::Nil, Vec::new()));
        };
        let Some(config) = config else {
            diags.problem(Problem::internal("a change was proposed without a configuration"));
            return Err(Refused);
        };
        check::references(&self.0.schema, &config.tree, diags);
        if !diags.errors.is_empty() {
            return Err(Refused);
        }
        let prior_tree = prior.as_ref().map_or(V::Nil, |p| p.tree.clone());
        let mut tree = proposed.tree;
        check::clear_write_only(&self.0.schema, &mut tree);
        unknowns::mark(&self.0.schema, &prior_tree, &config.tree, &mut tree);
        let proposed = codec::typed::<R::State>("proposed state", tree, diags)?;
        let planned = match prior {
            None => self
                .0
                .plan_create(diags, proposed.state, config.state, Value::Null)
                .await
                .map(|(s, ())| (s, Vec::new())),
            Some(prior) => self
                .0
                .plan_update(diags, prior.state, proposed.state, config.state, (), Value::Null)
                .await
                .map(|(s, (), paths)| (s, paths)),
        };
        let (state, replace) = planned.ok_or(Refused)?;
        if !replace.is_empty() {
            let prior = codec::typed::<R::State>("prior state", prior_tree.clone(), diags)?;
            self.may_go(&prior.state, diags)?;
        }
        let tree = self.encode("planned state", &state, diags)?;
        let broken = rules::plan(&self.0.schema, &prior_tree, &config.tree, &tree);
        let refused = !broken.is_empty();
        self.broken("the plan", broken, diags);
        let new = prior_tree == V::Nil;
        if let Some(id) = import_id(&tree) {
            let claims = self.0.resource.claims(&state);
            let asked = self.0.shared.twins.claims(R::TYPE, &id, new, claims);
            asked.err().into_iter().for_each(|problem| diags.problem(problem));
        }
        if new {
            let _ = self.alone(&tree, Twins::creates, diags);
        }
        if refused { Err(Refused) } else { Ok((tree, replace)) }
    }

    /// Refuses a destroy that a plan would have refused. Core plans no destroy of what it replaces
    /// (`-replace`, taint, `replace_triggered_by`), so the destroy itself has to ask.
    fn may_go(&self, prior: &R::State, diags: &mut Diagnostics) -> Result<(), Refused> {
        let mut own = Diagnostics::default();
        self.0.resource.plan_destroy(prior, &mut own);
        if own.errors.is_empty() {
            return Ok(());
        }
        for mut error in own.errors {
            error.detail += REPLACED;
            diags.errors.push(error);
        }
        Err(Refused)
    }

    /// Applies a change. `Ok` holds the new state; if `diags` has errors, it is what is true now.
    /// `Err`: nothing is known beyond the prior state.
    async fn apply_change(
        &self,
        r: &tf::apply_resource_change::Request,
        diags: &mut Diagnostics,
    ) -> Result<Tree, Refused> {
        let prior = self.decode("prior state", r.prior_state.as_ref(), diags);
        let planned = self.decode("planned state", r.planned_state.as_ref(), diags);
        let config = self.decode("configuration", r.config.as_ref(), diags);
        let (prior, planned, config) = (prior?, planned?, config?);
        let (planned, config) = match (planned, config) {
            (Some(planned), Some(config)) => (planned, config),
            (None, _) => {
                let Some(prior) = prior else { return Ok(V::Nil) };
                self.may_go(&prior.state, diags)?;
                self.alone(&prior.tree, Twins::unmakes, diags)?;
                return self
                    .0
                    .destroy(diags, prior.state, (), Value::Null)
                    .await
                    .map(|()| V::Nil)
                    .ok_or(Refused);
            }
            (Some(_), None) => {
                diags.problem(Problem::internal(
                    "a change was to be applied without a configuration",
                ));
                return Err(Refused);
            }
        };
        let creates = prior.is_none();
        let state = match prior {
            None => self.0.create(diags, planned.state, config.state, (), Value::Null).await,
            Some(prior) => {
                self.0
                    .update(diags, prior.state, planned.state, config.state, (), Value::Null)
                    .await
            }
        };
        let Some((state, ())) = state else {
            if diags.errors.is_empty() {
                diags.problem(Problem::internal(format!(
                    "the apply of {} ended without a state and without an error",
                    R::TYPE
                )));
            }
            return Err(Refused);
        };
        let tree = self.encode("new state", &state, diags)?;
        if creates && let Some(id) = import_id(&tree) {
            self.0.shared.twins.made(R::TYPE, &id);
        }
        if diags.errors.is_empty() {
            self.broken("the apply", rules::applied(&self.0.schema, &planned.tree, &tree), diags);
        }
        Ok(tree)
    }

    fn import_id(
        &self,
        r: &tf::import_resource_state::Request,
        diags: &mut Diagnostics,
    ) -> Result<String, Refused> {
        let Some(identity) = r.identity.as_ref().filter(|_| r.id.is_empty()) else {
            return Ok(r.id.clone());
        };
        let data = tree::read(convert::bytes(identity.identity_data.as_ref())).map_err(|why| {
            diags.problem(Problem::internal(format!("the identity cannot be read: {why}")))
        })?;
        let names = self.0.resource.identity();
        let missing: Vec<_> =
            names.iter().filter(|n| tree::get(&data, n).as_str().is_none()).copied().collect();
        if names.is_empty() || !missing.is_empty() {
            let why = if names.is_empty() {
                "it has no identity".to_owned()
            } else {
                format!("the identity lacks {}", missing.join(", "))
            };
            diags.problem(
                Problem::user(format!("cannot import {} by this identity", R::TYPE)).why(why).fix(
                    if names.is_empty() {
                        "import it by its id"
                    } else {
                        "give every attribute of the identity"
                    },
                ),
            );
            return Err(Refused);
        }
        let values: Vec<_> = names
            .iter()
            .map(|n| tree::get(&data, n).as_str().unwrap_or_default().to_owned())
            .collect();
        Ok(self.0.resource.identity_to_id(&values))
    }

    fn upgraded(
        &self,
        r: &tf::upgrade_resource_state::Request,
        diags: &mut Diagnostics,
    ) -> Result<Tree, Refused> {
        let now = self.0.schema.version();
        let what = "stored state";
        let stored = r.raw_state.as_ref().map_or(&[][..], |s| &s.json);
        if stored.is_empty() {
            diags.problem(
                Problem::user(format!("the {what} of {} cannot be read", R::TYPE))
                    .why("it has no JSON form")
                    .fix(
                        "it was not written by this provider: remove it from the state and import \
                         the object",
                    ),
            );
            return Err(Refused);
        }
        if r.version > now {
            let why =
                format!("it has schema version {}, this provider knows {now} and older", r.version);
            diags.problem(
                Problem::user(format!("the {what} of {} is of a newer provider", R::TYPE))
                    .why(why)
                    .fix("use the newer provider that wrote it (terraform init -upgrade)"),
            );
            return Err(Refused);
        }
        let json: serde_json::Value = serde_json::from_slice(stored).map_err(|e| {
            diags.problem(
                Problem::user(format!("the {what} of {} cannot be read", R::TYPE))
                    .why(e.to_string())
                    .fix(
                        "restore the state from a backup, or remove the object from it and import \
                         it",
                    ),
            )
        })?;
        let json = if r.version < now {
            self.0.resource.upgrade(r.version, json).map_err(|p| diags.problem(p))?
        } else {
            json
        };
        let lacks = "what the errors beside this one name";
        let tree = codec::from_json(&self.0.schema, what, &json, diags)
            .inspect_err(|_| diags.problem(bad_state(&format!("an {}", R::TYPE), lacks)))?;
        if tree != V::Nil {
            codec::typed::<R::State>(what, tree.clone(), diags)?;
        }
        Ok(tree)
    }
}

#[async_trait]
impl<R: Resource> WireResource for Wire<R> {
    fn schema(&self) -> &Schema {
        &self.0.schema
    }

    fn identity(&self) -> &'static [&'static str] {
        self.0.resource.identity()
    }

    fn lint(&self) -> Vec<String> {
        let schema = &self.0.schema;
        let strange = self.identity().iter().filter(|n| {
            !schema
                .attributes()
                .get(**n)
                .is_some_and(|a| a.attr_type == crate::schema::AttributeType::String)
        });
        let mut found: Vec<_> = schema
            .lint()
            .into_iter()
            .chain(strange.map(|n| format!("identity attribute {n} is no string attribute")))
            .collect();
        found.extend(lint_state::<R::State>(schema));
        found.into_iter().map(|l| format!("{}: {l}", R::TYPE)).collect()
    }

    async fn validate(
        &self,
        r: tf::validate_resource_config::Request,
    ) -> tf::validate_resource_config::Response {
        let mut diags = Diagnostics::default();
        if let Ok(Some(config)) = self.decode("configuration", r.config.as_ref(), &mut diags) {
            // A caller that sends no capabilities is from before they existed.
            if !r.client_capabilities.unwrap_or_default().write_only_attributes_allowed {
                check::refuse_write_only(&self.0.schema, &config.tree, &mut diags);
            }
            check::validate(&self.0.schema, &config.tree, &mut diags);
            tf_provider::Resource::validate(&self.0, &mut diags, config.state).await;
        }
        tf::validate_resource_config::Response {
            diagnostics: convert::diagnostics(Some(&self.0.schema), diags),
        }
    }

    fn upgrade(
        &self,
        r: tf::upgrade_resource_state::Request,
    ) -> tf::upgrade_resource_state::Response {
        let mut diags = Diagnostics::default();
        let upgraded_state = self.upgraded(&r, &mut diags).ok().map(|t| convert::value(&t));
        tf::upgrade_resource_state::Response {
            upgraded_state,
            diagnostics: convert::diagnostics(Some(&self.0.schema), diags),
        }
    }

    async fn read(&self, r: tf::read_resource::Request) -> tf::read_resource::Response {
        let mut diags = Diagnostics::default();
        let mut out = tf::read_resource::Response {
            new_state: r.current_state.clone(),
            private: r.private,
            new_identity: r.current_identity,
            ..Default::default()
        };
        if let Ok(Some(prior)) = self.decode("stored state", r.current_state.as_ref(), &mut diags) {
            match tf_provider::Resource::read(&self.0, &mut diags, prior.state, (), Value::Null)
                .await
            {
                None => out.new_state = Some(convert::value(&V::Nil)),
                Some((state, ())) => {
                    // A state that does not fit its schema is reported, and the prior one stays.
                    if let Ok(tree) = self.encode("state that was read", &state, &mut diags) {
                        if !tree::wholly_known(&tree) {
                            diags.problem(Problem::internal(format!(
                                "the read of {} answered with unknown values",
                                R::TYPE
                            )));
                        } else {
                            out.new_identity = self.identity_of(&tree).or(out.new_identity);
                            out.new_state = Some(convert::value(&tree));
                        }
                    }
                }
            }
        }
        out.diagnostics = convert::diagnostics(Some(&self.0.schema), diags);
        out
    }

    async fn plan(
        &self,
        r: tf::plan_resource_change::Request,
    ) -> tf::plan_resource_change::Response {
        let mut diags = Diagnostics::default();
        let mut out = tf::plan_resource_change::Response {
            planned_private: r.prior_private.clone(),
            ..Default::default()
        };
        if let Ok((tree, replace)) = self.plan_change(&r, &mut diags).await {
            // The identity may change only with a replacement, and a replacement is planned anew
            // without a prior state.
            out.planned_identity = r.prior_identity.or_else(|| self.identity_of(&tree));
            let schema = &self.0.schema;
            let paths: BTreeSet<_> = replace
                .iter()
                .map(|p| schema.resolve(p))
                .filter(|p| !p.steps.is_empty())
                .map(|p| (p.to_string(), convert::path(&p)))
                .map(Ordered)
                .collect();
            out.requires_replace = paths.into_iter().map(|p| p.0.1).collect();
            out.planned_state = Some(convert::value(&tree));
        }
        out.diagnostics = convert::diagnostics(Some(&self.0.schema), diags);
        out
    }

    async fn apply(
        &self,
        r: tf::apply_resource_change::Request,
    ) -> tf::apply_resource_change::Response {
        let mut diags = Diagnostics::default();
        let create = convert::bytes(r.prior_state.as_ref()).is_empty()
            || tree::read(convert::bytes(r.prior_state.as_ref())) == Ok(V::Nil);
        let mut out = tf::apply_resource_change::Response {
            new_state: r.prior_state.clone(),
            private: r.planned_private.clone(),
            new_identity: r.planned_identity.clone(),
            ..Default::default()
        };
        let new = self.apply_change(&r, &mut diags).await;
        if let Ok(tree) = &new {
            out.new_identity = self.identity_of(tree).or(out.new_identity);
            out.new_state = Some(convert::value(tree));
        }
        if create && (!diags.errors.is_empty() || new.is_err()) {
            // Core would store a state here as tainted. With null it stores nothing, and the next
            // plan creates again.
            out.new_state = Some(convert::value(&V::Nil));
            out.new_identity = None;
        }
        out.diagnostics = convert::diagnostics(Some(&self.0.schema), diags);
        out
    }

    async fn import(
        &self,
        r: tf::import_resource_state::Request,
    ) -> tf::import_resource_state::Response {
        let mut diags = Diagnostics::default();
        let mut out = tf::import_resource_state::Response::default();
        if let Ok(id) = self.import_id(&r, &mut diags)
            && let Some((state, ())) = self.0.import(&mut diags, id).await
            && let Ok(tree) = self.encode("imported state", &state, &mut diags)
        {
            let identity = self.identity_of(&tree);
            out.imported_resources.push(tf::import_resource_state::ImportedResource {
                type_name: r.type_name,
                state: Some(convert::value(&tree)),
                private: Vec::new(),
                identity,
            });
        }
        out.diagnostics = convert::diagnostics(Some(&self.0.schema), diags);
        out
    }
}

/// A path in the order of its text, so that a set of them has no doubles.
struct Ordered((String, tf::AttributePath));
impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.0.0 == other.0.0
    }
}
impl Eq for Ordered {}
impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.0.cmp(&other.0.0)
    }
}

/// Proves that a state type holds what its schema promises. Objects of nulls, of unknowns and of
/// fitting values, and one that is unknown at the top, must come through it unchanged.
pub(super) fn lint_state<T: serde::Serialize + serde::de::DeserializeOwned>(
    schema: &Schema,
) -> Vec<String> {
    let unknown = tree::unknown();
    let flat = schema
        .attributes()
        .keys()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(|n| (V::from(n.as_str()), unknown.clone()))
        .collect();
    let samples = [
        ("null", sample(schema, Some(&V::Nil))),
        ("unknown", sample(schema, Some(&unknown))),
        ("known", sample(schema, None)),
        ("wholly unknown", V::Map(flat)),
    ];
    let mut found = Vec::new();
    for (name, tree) in samples {
        let mut diags = Diagnostics::default();
        let back = codec::typed::<T>("test", tree.clone(), &mut diags)
            .and_then(|d| codec::encode(schema, "test", &d.state, &mut diags));
        match back {
            Ok(back) if back == tree => {}
            Ok(back) => found.push(format!(
                "the state type changes an object of {name} values: {tree} became {back}"
            )),
            Err(Refused) => found.extend(diags.errors.iter().map(|d| {
                format!(
                    "the state type does not fit the schema ({name} values): {} {}",
                    d.attribute, d.detail
                )
            })),
        }
    }
    found
}
