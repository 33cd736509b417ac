//! What several resources share: the connection object, functions that read values, the plan's
//! one-line runbook.
use crate::base::units::count;
use crate::base::{Address, Kind, Problem, Secret};
use crate::engine::{Graph, Host};
use crate::schema::build::{Named, address, number, string};
use crate::schema::{Diagnostics, Report, Value};
use crate::transport::Endpoint;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A map whose elements may be unknown.
pub type Map<T> = Value<BTreeMap<String, Value<T>>>;
/// A set of texts.
pub type Texts = Value<BTreeSet<Value<String>>>;

/// How a resource reaches a host: what `ob_host.x.endpoint` holds. No secret is in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// Name for people.
    pub name: Value<String>,
    /// Address.
    pub address: Value<String>,
    /// SSH port.
    pub port: Value<i64>,
    /// Login user.
    pub user: Value<String>,
    /// Identity of the provider configuration.
    pub identity: Value<String>,
    /// Expected host key.
    pub host_key: Value<String>,
    /// Address at which others reach what runs there.
    pub service_address: Value<String>,
}

/// The attributes of a [`Connection`].
#[must_use]
pub fn connection() -> [Named; 7] {
    [
        ("name", string("Name of the host in messages, plans and journals.").required()),
        (
            "address",
            string("Host name or IP address; `local` is this machine without SSH.")
                .required()
                .check(address),
        ),
        ("port", number("SSH port; 22 when not set, or 0.").optional().range(0..=65535)),
        ("user", string("Login user; the identity's when not set.").optional()),
        (
            "identity",
            string(
                "Name of an identity in the provider's `ssh.identities`; the only one when not \
                 set.",
            )
            .optional(),
        ),
        (
            "host_key",
            string(
                "The host's public key (`ssh-ed25519 AAAA…`); when not set, `known_hosts` \
                 decides.",
            )
            .optional(),
        ),
        (
            "service_address",
            string(
                "Address at which other members and clients reach what runs on the host; `address` \
                 when not set. For a member of a group it is an IP address.",
            )
            .optional()
            .check(service_address),
        ),
    ]
}

fn service_address(text: &str) -> Result<(), String> {
    let address = Address::parse(text)?;
    if address.is_local() { Err("it is this machine's own word for itself".into()) } else { Ok(()) }
}

impl Connection {
    /// The address at which others reach what runs there, where it is another one than for SSH;
    /// `None` while it is unknown.
    #[must_use]
    #[allow(clippy::option_option)]
    pub fn service(&self) -> Option<Option<Address>> {
        Some(known(&self.service_address)?.and_then(|a| Address::parse(a).ok()))
    }

    /// The endpoint; `None` while something is unknown.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        Some(Endpoint {
            name: text(&self.name)?,
            address: Address::parse(&text(&self.address)?).ok()?,
            port: u16::try_from(known(&self.port)?.copied().filter(|p| *p != 0).unwrap_or(22))
                .ok()?,
            user: text(&self.user)?,
            identity: text(&self.identity)?,
            host_key: text(&self.host_key)?,
        })
    }

    /// From an endpoint, empty fields as null.
    #[must_use]
    pub fn of(endpoint: &Endpoint) -> Self {
        let some = |s: &String| if s.is_empty() { Value::Null } else { Value::Value(s.clone()) };
        Self {
            name: Value::Value(endpoint.name.clone()),
            address: Value::Value(endpoint.address.to_string()),
            port: Value::Value(i64::from(endpoint.port)),
            user: some(&endpoint.user),
            identity: some(&endpoint.identity),
            host_key: some(&endpoint.host_key),
            service_address: Value::Null,
        }
    }
}

/// The value; `None` while it is unknown, `Some(None)` when it is null.
#[must_use]
#[allow(clippy::option_option)]
pub fn known<T>(value: &Value<T>) -> Option<Option<&T>> {
    match value {
        Value::Value(v) => Some(Some(v)),
        Value::Null => Some(None),
        Value::Unknown => None,
    }
}

/// A text; `None` while unknown, empty when null.
#[must_use]
pub fn text(value: &Value<String>) -> Option<String> {
    known(value).map(|v| v.cloned().unwrap_or_default())
}

/// A text when it is known and not null.
#[must_use]
pub fn set_text(value: &Value<String>) -> Option<&str> {
    if let Value::Value(v) = value { Some(v) } else { None }
}

/// Replaces unknown by null: nothing may be unknown after an apply.
pub fn settle<T>(value: &mut Value<T>) {
    if value.is_unknown() {
        *value = Value::Null;
    }
}

/// Fills in what a plan could not know. A value that it knew stays, whatever was found: Terraform
/// takes no other, and the next refresh shows it.
pub fn fill<T>(planned: &mut Value<T>, found: Value<T>) {
    if planned.is_unknown() {
        *planned = found;
        settle(planned);
    }
}

/// The texts of a set, without unknown and null ones.
#[must_use]
pub fn texts(set: &Texts) -> BTreeSet<String> {
    if let Value::Value(set) = set {
        set.iter().filter_map(|v| set_text(v).map(str::to_owned)).collect()
    } else {
        BTreeSet::new()
    }
}

/// A plain map, without null values; `None` while a value is unknown.
#[must_use]
pub fn plain_map(map: &Map<String>) -> Option<BTreeMap<String, String>> {
    let mut out = BTreeMap::new();
    for (key, value) in known(map)?.into_iter().flatten() {
        if let Some(value) = known(value)? {
            out.insert(key.clone(), value.clone());
        }
    }
    Some(out)
}

/// The host of the engine that a connection and a user name.
#[must_use]
pub fn host(endpoint: Endpoint, run_as: &str) -> Host {
    // Running as the login user needs no change of user.
    let run_as = if run_as == endpoint.user { String::new() } else { run_as.to_owned() };
    Host { endpoint, run_as }
}

/// The plan's one line, such as "restart seekdb main: 4 steps, clients cut".
#[must_use]
pub fn runbook(what: &str, graph: &Graph) -> Value<String> {
    let impact: Vec<_> = graph.impact().into_iter().map(crate::engine::Impact::as_str).collect();
    let impact = if impact.is_empty() { String::new() } else { format!(", {}", impact.join(", ")) };
    Value::Value(format!("{what}: {}{impact}", count(graph.nodes().len(), "step")))
}

/// The line of the change that follows the one of which `prior` tells. It begins with a number of
/// its own, as Terraform hides a computed attribute that equals the last one: `#4 restart …`. The
/// making of an object has no number and counts as the first change.
#[must_use]
pub fn numbered(prior: &Value<String>, line: Value<String>) -> Value<String> {
    let last = set_text(prior).and_then(|p| p.strip_prefix('#')?.split_once(' '));
    let last: u64 = last.and_then(|(n, _)| n.parse().ok()).unwrap_or(1);
    match line {
        Value::Value(line) => Value::Value(format!("#{} {line}", last.saturating_add(1))),
        other => other,
    }
}

/// The plan's impact set.
#[must_use]
pub fn impact(graph: &Graph) -> Texts {
    Value::Value(graph.impact().into_iter().map(|i| Value::Value(i.as_str().to_owned())).collect())
}

/// Reports a password of root's without its version, or the other way round.
pub fn root_password_pair(password: &Value<String>, version: &Value<i64>, diags: &mut Diagnostics) {
    if password.is_null() != version.is_null() && !password.is_unknown() && !version.is_unknown() {
        diags.problem(
            Problem::user("root_password_wo and root_password_wo_version belong together")
                .why("a write-only value is in no state: only its version tells that it changed")
                .fix("set both, or none")
                .attribute(["root_password_wo_version"]),
        );
    }
}

/// The secret of a run that sets root's password, by the name under which steps ask for it.
#[must_use]
pub fn root_password(password: Option<&Value<String>>) -> BTreeMap<String, Secret> {
    let password = password.and_then(set_text);
    password.map(|p| ("root_password_wo".to_owned(), Secret::new(p))).into_iter().collect()
}

/// The problem of a state that says too little to find an object: somebody edited it, or a tool did.
#[must_use]
pub fn bad_state(of: &str, lacks: &str) -> Problem {
    Problem::user(format!("the state of {of} cannot be used"))
        .why(format!(
            "it does not say {lacks}, or not as this provider writes it: it is damaged, or somebody \
             edited it"
        ))
        .fix(
            "take back the last good state (terraform state push), or remove the object from it \
             (terraform state rm) and import it; nothing was done",
        )
}

/// The warning of a plan that could not look at the host of an object that it creates.
#[must_use]
pub fn not_seen(problem: Problem) -> Problem {
    // Only what is known of a change fails its plan.
    let kind = if problem.kind == Kind::Refused { Kind::User } else { problem.kind };
    let problem =
        problem.then("this is planned as if nothing of it were there; apply needs the host");
    Problem { kind, ..problem }
}

/// Refuses an apply that would do more than was planned.
///
/// # Errors
/// The fresh graph has steps that no plan has shown.
pub fn within_plan(planned: &Graph, fresh: &Graph, object: &str) -> Result<(), Problem> {
    let more = fresh.beyond(planned);
    if more.is_empty() {
        return Ok(());
    }
    Err(Problem::refused(format!("{object} has changed since the plan"))
        .why(format!("these steps were not planned: {}", more.join("; ")))
        .fix("plan again and look at the new plan; nothing was done"))
}

/// The deadline of an operation, if the configuration sets one.
#[must_use]
pub fn timeout(
    timeouts: &Value<super::ob_cluster::Timeouts>,
    verb: &str,
) -> Option<std::time::Duration> {
    let Value::Value(timeouts) = timeouts else { return None };
    let value = match verb {
        "create" => &timeouts.create,
        "update" => &timeouts.update,
        _ => &timeouts.delete,
    };
    set_text(value).and_then(crate::base::units::parse_duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_has_a_line_of_its_own() {
        let next = |prior: Value<String>| {
            set_text(&numbered(&prior, Value::Value("restart a".into()))).map(str::to_owned)
        };
        for (prior, want) in [
            (Value::Value("deploy a".into()), "#2 restart a"),
            (Value::Value("#2 restart a".into()), "#3 restart a"),
            (Value::Null, "#2 restart a"),
            (Value::Value("#x restart a".into()), "#2 restart a"),
            (Value::Value(format!("#{} x", u64::MAX)), "#18446744073709551615 restart a"),
        ] {
            assert_eq!(next(prior.clone()).as_deref(), Some(want), "{prior:?}");
        }
        assert_eq!(numbered(&Value::Null, Value::Unknown), Value::Unknown);
    }
}
