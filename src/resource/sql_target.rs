//! Where an SQL object lives: on one of our instances, on the current primary of a group, or on a
//! server that is not ours.
//!
//! All three give one [`Link`]. A group is asked each time for its primary, because an address in
//! the state would be stale after the next switchover.
use super::common::{Connection, Map, Texts, connection, known, text};
use super::ob_cluster::{InstanceRef, Timeouts, schema_timeouts};
use super::ob_standby::instance_attributes;
use crate::base::{Address, Problem};
use crate::engine::{Engine, Node, Port};
use crate::schema::build::{
    Named, STRING, address, map_of, not_empty, number, object, set, string,
};
use crate::schema::{Diagnostics, Report, Value};
use crate::transport::Endpoint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A server that is not ours.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SqlEndpoint {
    /// Address.
    pub address: Value<String>,
    /// Port of the MySQL protocol.
    pub port: Value<i64>,
    /// Name of a login in the provider configuration.
    pub credential: Value<String>,
    /// A host to go through.
    pub via: Value<Connection>,
}

/// The three attributes that name the server.
pub struct Fields<'a> {
    /// The attribute `instance`.
    pub instance: &'a Value<InstanceRef>,
    /// The attribute `group`.
    pub group: &'a Map<InstanceRef>,
    /// The attribute `endpoint`.
    pub endpoint: &'a Value<SqlEndpoint>,
}

/// A state with the attributes that all SQL objects share.
pub trait Targeted {
    /// Reads these attributes.
    fn fields(&self) -> Fields<'_>;
    /// Sets these attributes.
    fn set_fields(
        &mut self,
        instance: Value<InstanceRef>,
        group: Map<InstanceRef>,
        endpoint: Value<SqlEndpoint>,
    );
    /// The deadlines of the object.
    fn timeouts(&self) -> &Value<Timeouts>;
    /// `runbook` and `impact`, so that they can be set.
    fn outlook(&mut self) -> (&mut Value<String>, &mut Texts);
    /// `status`, so that it can be set.
    fn status(&mut self) -> &mut Value<String>;
}

/// Implements [`Targeted`] for a state with fields of these names.
macro_rules! targeted {
    ($state:ty) => {
        impl $crate::resource::sql_target::Targeted for $state {
            fn fields(&self) -> $crate::resource::sql_target::Fields<'_> {
                $crate::resource::sql_target::Fields {
                    instance: &self.instance,
                    group: &self.group,
                    endpoint: &self.endpoint,
                }
            }
            fn set_fields(
                &mut self,
                instance: $crate::schema::Value<$crate::resource::ob_cluster::InstanceRef>,
                group: $crate::resource::common::Map<$crate::resource::ob_cluster::InstanceRef>,
                endpoint: $crate::schema::Value<$crate::resource::sql_target::SqlEndpoint>,
            ) {
                (self.instance, self.group, self.endpoint) = (instance, group, endpoint);
            }
            fn timeouts(&self) -> &$crate::schema::Value<$crate::resource::ob_cluster::Timeouts> {
                &self.timeouts
            }
            fn outlook(
                &mut self,
            ) -> (&mut $crate::schema::Value<String>, &mut $crate::resource::common::Texts) {
                (&mut self.runbook, &mut self.impact)
            }
            fn status(&mut self) -> &mut $crate::schema::Value<String> {
                &mut self.status
            }
        }
    };
}
pub(crate) use targeted;

/// The resolved place of an SQL object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One of our instances.
    Instance(Engine, Box<Node>),
    /// Whichever of these members takes writes.
    Group(Engine, BTreeMap<String, Node>),
    /// A server that is not ours.
    Endpoint {
        /// Address of the server as seen from `via`.
        address: Address,
        /// Port.
        port: u16,
        /// Name of the login.
        credential: String,
        /// The host to go through; `None` means directly from this machine.
        via: Option<Endpoint>,
    },
}

/// The shared attributes of SQL objects, for a schema.
#[must_use]
pub fn attributes() -> [Named; 7] {
    let endpoint = [
        (
            "address",
            string("Host name or IP address of the server, as seen from `via` or from the runner.")
                .required()
                .check(address),
        ),
        ("port", number("Port of the MySQL protocol.").required().range(1..=65535)),
        (
            "credential",
            string("Name of a login in the provider's `sql.credentials`.")
                .required()
                .check(not_empty),
        ),
        (
            "via",
            object(
                "SSH host to go through, `ob_host.x.endpoint`; directly from the runner when not \
                 set.",
                connection(),
            )
            .optional(),
        ),
    ];
    [
        (
            "instance",
            object(
                "A server that this provider deployed: `ob_cluster.x.instance`. The login is the \
                 provider's own account, read from the host. Exactly one of `instance`, `group` \
                 and `endpoint` is set.",
                instance_attributes(),
            )
            .optional()
            .reference(),
        ),
        (
            "group",
            map_of(
                "A replication group: \
                 `{ for name, m in ob_standby.x.members : name => m.instance }`. Its members are \
                 asked each time which of them takes writes.",
                instance_attributes(),
            )
            .optional()
            .reference(),
        ),
        (
            "endpoint",
            object("A MySQL-mode server that this provider did not deploy.", endpoint).optional(),
        ),
        ("timeouts", schema_timeouts()),
        (
            "status",
            string(
                "`present`; `unreachable` when its server could not be asked: all else is as last \
                 known then.",
            )
            .computed(),
        ),
        (
            "runbook",
            string(
                "What the last planned change does, in one line: its statements, or their number.",
            )
            .computed(),
        ),
        (
            "impact",
            set("What the last planned change does to users: `data loss`, `clients cut`.", STRING)
                .computed(),
        ),
    ]
}

/// The place that a state names; `None` while unknown, or when the state names none.
#[must_use]
pub fn target(state: &impl Targeted) -> Option<Target> {
    let Fields { instance, group, endpoint } = state.fields();
    if let Some(instance) = known(instance)? {
        return Some(Target::Instance(instance.engine()?, Box::new(instance.instance()?)));
    }
    if let Some(members) = known(group)? {
        let first = members.values().next()?;
        let engine = known(first)??.engine()?;
        let members = members
            .iter()
            .map(|(name, m)| Some((name.clone(), known(m)??.instance()?)))
            .collect::<Option<_>>();
        return Some(Target::Group(engine, members?));
    }
    let endpoint = known(endpoint)??;
    let via = match known(&endpoint.via)? {
        Some(via) => Some(via.endpoint()?),
        None => None,
    };
    Some(Target::Endpoint {
        address: Address::parse(&text(&endpoint.address)?).ok()?,
        port: u16::try_from(*known(&endpoint.port)??).ok()?,
        credential: text(&endpoint.credential)?,
        via,
    })
}

/// Reports a configuration that does not name exactly one server.
pub fn validate(config: &impl Targeted, diags: &mut Diagnostics) {
    let Fields { instance, group, endpoint } = config.fields();
    if instance.is_unknown() || group.is_unknown() || endpoint.is_unknown() {
        return;
    }
    let given: Vec<_> = [
        ("instance", instance.is_null()),
        ("group", group.is_null()),
        ("endpoint", endpoint.is_null()),
    ]
    .into_iter()
    .filter(|(_, null)| !null)
    .map(|(n, _)| n)
    .collect();
    let fix = "set instance = ob_cluster.x.instance, or group, or endpoint";
    match given[..] {
        [] => diags.problem(
            Problem::user("the object has no server to be on")
                .why("none of instance, group and endpoint is set")
                .fix(fix)
                .attribute(["instance"]),
        ),
        [_] => {}
        [.., last] => diags.problem(
            Problem::user("the object has more than one server to be on")
                .why(format!("{} are set", given.join(" and ")))
                .fix("keep one of them")
                .attribute([last]),
        ),
    }
    if let Value::Value(members) = group
        && members.is_empty()
    {
        diags.problem(
            Problem::user("the group has no members")
                .fix("refer to the members of an ob_standby")
                .attribute(["group"]),
        );
    }
}

/// Whether two references lead to the same server, though other attributes differ (another package,
/// another name of the host).
fn same(a: &InstanceRef, b: &InstanceRef) -> bool {
    let place = |r: &InstanceRef| {
        let i = r.instance()?;
        let sql_port = i.port(Port::Sql);
        let Endpoint { address, port, user, identity, host_key, .. } = i.host.endpoint;
        let way = (address, port, user, identity, host_key, i.host.run_as);
        Some((way, i.directory, sql_port))
    };
    place(a).is_some_and(|p| Some(p) == place(b))
}

/// Keeps the prior spelling of a server that did not move, so that the upgrade of a cluster does
/// not show at each of its SQL objects. Warns when the server is another one.
pub fn plan<S: Targeted>(prior: &S, next: &mut S, diags: &mut Diagnostics) {
    let (before, after) = (prior.fields(), next.fields());
    let unmoved_instance = matches!(
        (before.instance, after.instance),
        (Value::Value(a), Value::Value(b)) if same(a, b)
    );
    let unmoved_group = matches!(
        (before.group, after.group),
        (Value::Value(a), Value::Value(b))
            if a.len() == b.len()
                && a.iter().all(|(k, a)| {
                    matches!(
                        (a, b.get(k)),
                        (Value::Value(a), Some(Value::Value(b))) if same(a, b)
                    )
                })
    );
    let instance = if unmoved_instance { before.instance } else { after.instance }.clone();
    let group = if unmoved_group { before.group } else { after.group }.clone();
    let endpoint = after.endpoint.clone();
    next.set_fields(instance, group, endpoint);
    let (Some(before), Some(after)) = (target(prior), target(next)) else { return };
    if !may_be_one(&before, &after) {
        diags.caution(
            Problem::user("the object gets another server")
                .why(format!("{} before, {} now", show(&before), show(&after)))
                .fix(
                    "nothing, if the servers are one and the same; else: what is on the former \
                     one stays there as it is",
                )
                .attribute(["instance"]),
        );
    }
}

/// Whether two places may be the same server: an instance and the group that it is in are one
/// place. Endpoints are compared by address.
fn may_be_one(a: &Target, b: &Target) -> bool {
    let all = |t: &Target| match t {
        Target::Instance(_, i) => vec![i.name.to_string()],
        Target::Group(_, m) => m.values().map(|i| i.name.to_string()).collect(),
        Target::Endpoint { address, port, .. } => vec![format!("{address}:{port}")],
    };
    all(a).iter().any(|x| all(b).contains(x))
}

/// A key for the server, or the group of servers, and the login.
#[must_use]
pub fn key(target: &Target) -> String {
    format!("{target:?}")
}

/// The place for messages.
#[must_use]
pub fn show(target: &Target) -> String {
    match target {
        Target::Instance(_, i) => i.show(),
        Target::Group(_, members) => {
            format!("the group of {}", members.keys().cloned().collect::<Vec<_>>().join(", "))
        }
        Target::Endpoint { address, port, .. } => format!("{address}:{port}"),
    }
}
