//! Terraform's core in miniature: it refreshes, proposes, plans and applies over the provider's own
//! calls, and keeps the states.
use super::config;
use crate::Lab;
use crate::story::Config;
use anyhow::{Context, Result, bail};
use ob::cli::steps::{self, Line};
use ob::protocol::convert;
use ob::protocol::pb::tf::{self, provider_server::Provider as _};
use ob::provider::dispatch::Provider;
use ob::resource::ob_cluster::ObCluster;
use ob::resource::ob_standby::ObStandby;
use ob::resource::{Resource, Work};
use ob::schema::{
    Attribute, AttributeConstraint as C, AttributeType as T, Diagnostics, Schema, Tree, codec, tree,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tonic::Request;

/// Address of the group.
pub const GROUP: &str = "ob_standby.g";

/// What Terraform keeps on disk: it outlives every provider.
#[derive(Clone, Debug, Default)]
pub struct States {
    /// Objects by address.
    pub objects: BTreeMap<String, Tree>,
    /// Addresses of objects that were stored although their creation failed.
    pub tainted: Vec<String>,
    /// The runbook of each change that was begun.
    pub runbooks: Vec<Vec<Line>>,
}

/// One command with one provider.
#[derive(Clone)]
pub struct Core {
    provider: Provider,
    states: Arc<Mutex<States>>,
    packages: Arc<config::Packages>,
    hosts: Arc<Vec<crate::Host>>,
}

struct Planned {
    prior: Tree,
    config: Tree,
    state: Tree,
}

impl Core {
    /// A command that keeps its states in `states`.
    #[must_use]
    pub fn new(
        provider: Provider,
        states: Arc<Mutex<States>>,
        packages: Arc<config::Packages>,
        lab: &Lab,
    ) -> Self {
        Self { provider, states, packages, hosts: Arc::new(lab.hosts()) }
    }

    /// `apply`: leads everything to what `wanted` says; `None` means `destroy`.
    ///
    /// # Errors
    /// A diagnostic of the provider; what was done until then is kept.
    pub async fn apply(self, wanted: Option<Config>) -> Result<()> {
        self.configure().await?;
        self.refresh().await?;
        let addresses = wanted.as_ref().map(config::addresses).unwrap_or_default();
        let mut ahead = BTreeMap::new();
        for (address, config) in addresses.iter().zip(wanted.iter().cycle()) {
            let planned = self.plan(address, config, &ahead).await?;
            ahead.insert(address.clone(), planned.state);
        }
        let gone: Vec<String> =
            self.kept().objects.into_keys().rev().filter(|a| !addresses.contains(a)).collect();
        for address in &gone {
            self.plan_destroy(address).await?;
        }
        // Core plans in one process of the provider and applies in another one.
        self.configure().await?;
        let mut failed = Vec::new();
        for (address, config) in addresses.iter().zip(wanted.iter().cycle()) {
            // The group waits for the clusters; the clusters do not wait for each other.
            if address == GROUP && !failed.is_empty() {
                break;
            }
            let planned = self.plan(address, config, &self.kept().objects).await?;
            if planned.state != planned.prior {
                failed.extend(self.change(address, planned).await.err());
            }
        }
        for address in gone.iter().filter(|_| failed.is_empty()) {
            let prior = self.kept().objects.get(address).cloned().unwrap_or(Tree::Nil);
            self.change(address, Planned { prior, config: Tree::Nil, state: Tree::Nil }).await?;
        }
        failed.into_iter().next().map_or(Ok(()), Err)
    }

    /// The addresses whose plan is not empty, with the differences.
    ///
    /// # Errors
    /// A diagnostic of the provider.
    pub async fn differences(self, wanted: Config) -> Result<Vec<String>> {
        self.configure().await?;
        self.refresh().await?;
        let mut found = Vec::new();
        for address in config::addresses(&wanted) {
            let planned = self.plan(&address, &wanted, &self.kept().objects).await?;
            if planned.state != planned.prior {
                found.push(format!("{address}: {}", differing(&planned.prior, &planned.state)));
            }
        }
        Ok(found)
    }

    /// `import`: adds an object to the states.
    ///
    /// # Errors
    /// A diagnostic of the provider.
    pub async fn import(self, address: &'static str, id: String) -> Result<()> {
        self.configure().await?;
        let request = tf::import_resource_state::Request {
            type_name: kind(address),
            id,
            ..Default::default()
        };
        let imported =
            self.provider.import_resource_state(Request::new(request)).await?.into_inner();
        good(&imported.diagnostics)?;
        let state = imported.imported_resources.first().context("nothing was imported")?;
        self.keep(address, normal(&schema(address), state.state.as_ref())?);
        Ok(())
    }

    fn kept(&self) -> States {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, address: &str, state: Tree) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if state == Tree::Nil {
            states.objects.remove(address);
        } else {
            states.objects.insert(address.to_owned(), state);
        }
    }

    async fn configure(&self) -> Result<()> {
        let schema = ob::provider::config_schema::schema();
        let block = from_json(&schema, &serde_json::json!({ "owner": "sim" }))?;
        let request = tf::configure_provider::Request {
            config: Some(convert::value(&block)),
            ..Default::default()
        };
        good(
            &self
                .provider
                .configure_provider(Request::new(request))
                .await?
                .into_inner()
                .diagnostics,
        )
    }

    async fn refresh(&self) -> Result<()> {
        for (address, state) in self.kept().objects {
            let request = tf::read_resource::Request {
                type_name: kind(&address),
                current_state: Some(convert::value(&state)),
                ..Default::default()
            };
            let read = self.provider.read_resource(Request::new(request)).await?.into_inner();
            good(&read.diagnostics)?;
            self.keep(&address, normal(&schema(&address), read.new_state.as_ref())?);
        }
        Ok(())
    }

    async fn plan(
        &self,
        address: &str,
        wanted: &Config,
        others: &BTreeMap<String, Tree>,
    ) -> Result<Planned> {
        let schema = schema(address);
        let json = config::json(address, wanted, &self.hosts, &self.packages)?;
        let mut config = from_json(&schema, &json)?;
        let prior = self.kept().objects.get(address).cloned().unwrap_or(Tree::Nil);
        if address == GROUP {
            config::refer(&mut config, wanted, others, &prior);
        }
        let proposed = propose(schema.attributes(), &prior, &config);
        let request = tf::plan_resource_change::Request {
            type_name: kind(address),
            prior_state: Some(convert::value(&prior)),
            proposed_new_state: Some(convert::value(&proposed)),
            config: Some(convert::value(&config)),
            ..Default::default()
        };
        let planned = self.provider.plan_resource_change(Request::new(request)).await?.into_inner();
        good(&planned.diagnostics).with_context(|| format!("plan of {address}"))?;
        if !planned.requires_replace.is_empty() {
            bail!("the plan would replace {address}");
        }
        Ok(Planned { prior, config, state: normal(&schema, planned.planned_state.as_ref())? })
    }

    async fn plan_destroy(&self, address: &str) -> Result<()> {
        let prior = self.kept().objects.get(address).cloned().unwrap_or(Tree::Nil);
        let (prior_state, nothing) =
            (Some(convert::value(&prior)), Some(convert::value(&Tree::Nil)));
        let request = tf::plan_resource_change::Request {
            type_name: kind(address),
            prior_state,
            proposed_new_state: nothing.clone(),
            config: nothing,
            ..Default::default()
        };
        good(
            &self
                .provider
                .plan_resource_change(Request::new(request))
                .await?
                .into_inner()
                .diagnostics,
        )
        .with_context(|| format!("plan to destroy {address}"))
    }

    async fn change(&self, address: &str, planned: Planned) -> Result<()> {
        let steps = runbook(address, &planned)?;
        self.states.lock().unwrap_or_else(PoisonError::into_inner).runbooks.push(steps);
        let request = tf::apply_resource_change::Request {
            type_name: kind(address),
            prior_state: Some(convert::value(&planned.prior)),
            planned_state: Some(convert::value(&planned.state)),
            config: Some(convert::value(&planned.config)),
            ..Default::default()
        };
        let applied =
            self.provider.apply_resource_change(Request::new(request)).await?.into_inner();
        let new = normal(&schema(address), applied.new_state.as_ref())?;
        let result = good(&applied.diagnostics).with_context(|| address.to_owned());
        if result.is_err() && planned.prior == Tree::Nil && new != Tree::Nil {
            self.states
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .tainted
                .push(address.to_owned());
        }
        self.keep(address, new);
        result
    }
}

/// The runbook of a planned change, as `ob runbook` computes it.
fn runbook(address: &str, planned: &Planned) -> Result<Vec<Line>> {
    fn typed<T: serde::de::DeserializeOwned>(tree: &Tree) -> Result<Option<T>> {
        let mut diags = Diagnostics::default();
        let typed = (*tree != Tree::Nil)
            .then(|| codec::typed("state", tree.clone(), &mut diags))
            .transpose();
        typed.map(|d| d.map(|d| d.state)).map_err(|_| {
            anyhow::anyhow!(
                "a planned state does not fit its type: {:?}",
                diags.errors.first().map(|d| d.detail.clone())
            )
        })
    }
    fn work<R: Resource>(resource: &R, planned: &Planned) -> Result<Work> {
        resource
            .planned(typed(&planned.prior)?.as_ref(), typed(&planned.state)?.as_ref())
            .map_err(|p| anyhow::anyhow!("{p}"))
    }
    let work =
        if address == GROUP { work(&ObStandby, planned)? } else { work(&ObCluster, planned)? };
    let Work::Steps(graph) = work else { bail!("the steps of a change are not known") };
    Ok(steps::lines(&graph))
}

fn kind(address: &str) -> String {
    address.split('.').next().unwrap_or_default().to_owned()
}

fn schema(address: &str) -> Schema {
    if address == GROUP { ObStandby.schema() } else { ObCluster.schema() }
}

fn good(diagnostics: &[tf::Diagnostic]) -> Result<()> {
    match diagnostics.iter().find(|d| d.severity == tf::diagnostic::Severity::Error as i32) {
        Some(d) => bail!("{}: {}", d.summary, d.detail.replace('\n', "; ")),
        None => Ok(()),
    }
}

fn from_json(schema: &Schema, json: &serde_json::Value) -> Result<Tree> {
    let mut diags = Diagnostics::default();
    codec::from_json(schema, "configuration", json, &mut diags).map_err(|_| {
        anyhow::anyhow!(
            "the configuration does not fit the schema: {:?}",
            diags.errors.first().map(|d| d.detail.clone())
        )
    })
}

fn normal(schema: &Schema, value: Option<&tf::DynamicValue>) -> Result<Tree> {
    let mut diags = Diagnostics::default();
    codec::decode_tree(schema, "answer", convert::bytes(value), &mut diags).map_err(|_| {
        anyhow::anyhow!(
            "an answer does not fit the schema: {:?}",
            diags.errors.first().map(|d| d.detail.clone())
        )
    })
}

/// Core's merge: takes what is configured, and the prior value of what is computed and not
/// configured.
fn propose(all: &HashMap<String, Attribute>, prior: &Tree, config: &Tree) -> Tree {
    let Tree::Map(given) = config else { return config.clone() };
    let one = |(key, value): &(Tree, Tree)| {
        let name = key.as_str().unwrap_or_default();
        let before = tree::get(prior, name);
        let Some(a) = all.get(name) else { return (key.clone(), value.clone()) };
        let proposed = match (&a.attr_type, value) {
            (_, Tree::Nil) if matches!(a.constraint, C::Computed | C::OptionalComputed) => {
                before.clone()
            }
            (T::AttributeSingle(inner), Tree::Map(_)) => propose(inner, before, value),
            (T::AttributeMap(inner), Tree::Map(entries)) => Tree::Map(
                entries
                    .iter()
                    .map(|(k, v)| {
                        (
                            k.clone(),
                            propose(inner, tree::get(before, k.as_str().unwrap_or_default()), v),
                        )
                    })
                    .collect(),
            ),
            _ => value.clone(),
        };
        (key.clone(), proposed)
    };
    Tree::Map(given.iter().map(one).collect())
}

fn differing(prior: &Tree, next: &Tree) -> String {
    let (Tree::Map(_), Tree::Map(all)) = (prior, next) else { return "it is to be made".into() };
    let names = all
        .iter()
        .filter_map(|(k, v)| k.as_str().filter(|n| tree::get(prior, n) != v))
        .map(|n| format!("{n}: {} -> {}", tree::get(prior, n), tree::get(next, n)));
    names.collect::<Vec<_>>().join(", ")
}
