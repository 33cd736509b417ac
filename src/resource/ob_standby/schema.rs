//! The attributes of `ob_standby`.
use crate::base::{Directory, ObjectName};
use crate::component::database::{self, Consent, Rebuild};
use crate::engine::{Engine, Node, Port};
use crate::resource::common::{Connection, Map, Texts, connection, known, set_text, text};
use crate::resource::ob_cluster::{InstanceRef, Timeouts, schema_timeouts};
use crate::schema::build::{
    Named, STRING, boolean, duration, map, map_of, number, object, object_name, os_user, set,
    string,
};
use crate::schema::{Schema, Value};
use serde::{Deserialize, Serialize};

/// State of `ob_standby`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Standby {
    /// Same as the name.
    pub id: Value<String>,
    /// Name of the group.
    pub name: Value<String>,
    /// Members by name.
    pub members: Map<MemberRef>,
    /// Who shall take writes: what was asked last.
    pub primary: Value<String>,
    /// Consent to a failover.
    pub failover: Value<Failover>,
    /// Consent to give up what a member that takes writes has of its own.
    pub rebuild: Value<RebuildConsent>,
    /// Root's password.
    pub root_password_wo: Value<String>,
    /// Tells that it changed.
    pub root_password_wo_version: Value<i64>,
    /// Refuse destroy.
    pub deletion_protection: Value<bool>,
    /// Deadlines.
    pub timeouts: Value<Timeouts>,
    /// Names this creation of the group.
    pub creation: Value<String>,
    /// Grows with each move of the role.
    pub epoch: Value<i64>,
    /// Who takes writes now.
    pub current_primary: Value<String>,
    /// Who the newest note says is primary.
    pub noted_primary: Value<String>,
    /// What each member is.
    pub member_status: Map<String>,
    /// Where the group takes writes.
    pub endpoint: Value<InstanceRef>,
    /// What the last failover may have lost.
    pub last_failover: Value<String>,
    /// Stores that were set aside, by member.
    pub set_aside: Map<String>,
    /// The plan in one line.
    pub runbook: Value<String>,
    /// What the plan does to users.
    pub impact: Texts,
}

/// A member.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MemberRef {
    /// `ob_cluster.x.instance`.
    pub instance: Value<InstanceRef>,
}

/// A failover consent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Failover {
    /// The epoch it is for.
    pub epoch: Value<i64>,
    /// The group's creation it is for.
    pub creation: Value<String>,
    /// Member to open.
    pub to: Value<String>,
    /// Most that may be lost.
    pub max_loss: Value<String>,
    /// Although the old primary's host answers.
    pub accept_unfenced: Value<bool>,
}

/// A consent to rebuild a member that takes writes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RebuildConsent {
    /// The member.
    pub member: Value<String>,
    /// The epoch it is for.
    pub epoch: Value<i64>,
    /// The group's creation it is for.
    pub creation: Value<String>,
}

impl RebuildConsent {
    /// The consent; `None` while something is unknown.
    #[must_use]
    pub fn consent(&self) -> Option<Rebuild> {
        Some(Rebuild {
            member: text(&self.member)?,
            epoch: u64::try_from(*known(&self.epoch)??).ok()?,
            creation: text(&self.creation)?,
        })
    }
}

impl InstanceRef {
    /// The instance; `None` while something is unknown.
    #[must_use]
    pub fn instance(&self) -> Option<Node> {
        let connection = known(&self.host)??;
        let endpoint = connection.endpoint()?;
        let port = |value| u16::try_from(*known(value)??).ok();
        let node = Node::new(
            ObjectName::parse(&text(&self.name)?).ok()?,
            crate::resource::common::host(endpoint, &text(&self.run_as)?),
            Directory::parse(&text(&self.base_dir)?).ok()?,
            [(Port::Sql, port(&self.sql_port)?), (Port::Rpc, port(&self.rpc_port)?)],
        );
        Some(Node { service_address: connection.service()?, ..node })
    }
    /// What it is; `None` while unknown.
    #[must_use]
    pub fn engine(&self) -> Option<Engine> {
        Engine::parse(&text(&self.engine)?)
    }
    /// The reference to a node.
    #[must_use]
    pub fn of(engine: Engine, node: &Node, package: &str) -> Self {
        let text = |s: &str| Value::Value(s.to_owned());
        let port = |port| Value::Value(i64::from(node.port(port)));
        let run_as = &node.host.run_as;
        Self {
            engine: text(engine.as_str()),
            name: text(&node.name),
            host: Value::Value(Connection {
                service_address: node.service_address.as_deref().map_or(Value::Null, text),
                ..Connection::of(&node.host.endpoint)
            }),
            base_dir: text(&node.directory),
            sql_port: port(Port::Sql),
            rpc_port: port(Port::Rpc),
            run_as: if run_as.is_empty() { Value::Null } else { text(run_as) },
            package: text(package),
        }
    }
}

impl Failover {
    /// The consent; `None` while something is unknown.
    #[must_use]
    pub fn consent(&self) -> Option<Consent> {
        Some(Consent {
            epoch: u64::try_from(*known(&self.epoch)??).ok()?,
            creation: text(&self.creation)?,
            to: text(&self.to)?,
            accept_unfenced: known(&self.accept_unfenced)?.copied().unwrap_or(false),
            max_loss: set_text(&self.max_loss).and_then(crate::base::units::parse_duration),
        })
    }
}

/// The attributes of an [`InstanceRef`] that the configuration gives.
#[must_use]
pub fn instance_attributes() -> Vec<Named> {
    vec![
        ("engine", string("Its database engine.").required().one_of(&database::names())),
        ("name", string("Name of the cluster.").required().check(object_name)),
        ("host", object("Where it is.", connection()).required()),
        ("base_dir", string("Its directory.").required().check(directory)),
        ("sql_port", number("Port of the MySQL protocol.").required().range(0..=65535)),
        ("rpc_port", number("Port on which standbys follow.").required().range(0..=65535)),
        ("run_as", string("OS user that runs it.").optional().check(os_user)),
        ("package", string("Package it starts from.").required().check(package)),
    ]
}

fn directory(text: &str) -> Result<(), String> {
    Directory::parse(text).map(drop)
}

/// An import while the host was off knows no package.
fn package(text: &str) -> Result<(), String> {
    if text.chars().all(|c| c.is_ascii_alphanumeric() || "._+~-".contains(c)) {
        Ok(())
    } else {
        Err("a package is named by letters, digits and . _ + ~ -".to_owned())
    }
}

fn epoch_of_consent() -> Named {
    let epoch = number("The group's `epoch` for which this is meant.");
    ("epoch", epoch.required().range(1..=i64::MAX))
}

fn creation_of_consent() -> Named {
    ("creation", string("The group's `creation` for which this is meant.").required())
}

/// The schema.
#[must_use]
pub fn schema() -> Schema {
    let endpoint = instance_attributes().into_iter().map(|(n, a)| {
        (
            n,
            if n == "host" {
                object("Where it is.", connection().map(|(n, a)| (n, a.computed()))).computed()
            } else {
                a.computed()
            },
        )
    });
    Schema::new(
        0,
        "A replication group: one member takes writes, the others follow it.\n\nMembers are \
         `ob_cluster` objects of one engine: the first primary with `initialize = true`, the \
         others with `initialize = false`. Changing `primary` is a planned switchover in which no \
         acknowledged row is lost. When the primary's host is gone, a **failover** needs a \
         consent that names the epoch and the group's creation.\n\n`primary` is what was asked last, `current_primary` is \
         what is. When they differ without a change of the configuration, nothing is planned and \
         a warning names both ways out. Members do not start with their hosts: a former primary \
         that boots would take writes next to the new one; the next apply (or `ob start`) starts \
         them after it has asked the others.",
    )
    .attr("id", string("The name.").computed())
    .attr("name", string("Name of the group.").required().check(object_name))
    .attr(
        "members",
        map_of(
            "Members by name.",
            [(
                "instance",
                object("`ob_cluster.x.instance`.", instance_attributes()).required().reference(),
            )],
        )
        .required()
        .keys(object_name),
    )
    .attr(
        "primary",
        string("The member that shall take writes. A change is a planned switchover.").required(),
    )
    .attr(
        "failover",
        object(
            "Consent to open a standby although the primary does not answer. Void at any other \
             epoch and for any other creation of the group, so it can stay in the configuration.",
            [
                epoch_of_consent(),
                creation_of_consent(),
                ("to", string("The member to open; `primary` must name it as well.").required()),
                (
                    "max_loss",
                    string(
                        "Refuses when the standby's log ends longer ago than this, such as `30s`.",
                    )
                    .optional()
                    .check(duration),
                ),
                (
                    "accept_unfenced",
                    boolean(
                        "Goes on although the old primary's host answers. Both sides may then \
                         take writes: only when it is certain that no client reaches the old one.",
                    )
                    .optional(),
                ),
            ],
        )
        .optional(),
    )
    .attr(
        "rebuild",
        object(
            "Consent to give up what a member has of its own that takes writes beside the primary \
             (after a failover whose old primary lived on, or when its note was forged): it is \
             stopped, its store is set aside, and it is built again as a standby. Void at any \
             other epoch and for any other creation of the group. No note alone stops a member \
             that takes writes.",
            [
                ("member", string("The member.").required()),
                epoch_of_consent(),
                creation_of_consent(),
            ],
        )
        .optional(),
    )
    .attr(
        "root_password_wo",
        string(
            "Password of `root` of the group, set in whichever member has the role. Never kept in \
             plan or state; each member's host keeps it in a file of mode 0600.",
        )
        .optional()
        .write_only(),
    )
    .attr(
        "root_password_wo_version",
        number(
            "Raise it to set `root_password_wo` again. Without it the password of the member that \
             made the database stays in force; the `ob_cluster` of a member cannot change it.",
        )
        .optional(),
    )
    .attr(
        "deletion_protection",
        boolean("Refuses to destroy the group. Default: `true`.").optional_computed(),
    )
    .attr("timeouts", schema_timeouts())
    .attr(
        "creation",
        string("Names this creation of the group; a consent names it, beside the epoch.")
            .computed(),
    )
    .attr("epoch", number("Grows with each move of the role.").computed())
    .attr(
        "current_primary",
        string("The member that takes writes now; empty when none does or it cannot be told.")
            .computed(),
    )
    .attr(
        "noted_primary",
        string("The member that was opened for writes last, as noted with the members.").computed(),
    )
    .attr(
        "member_status",
        map(
            "What each member is: `primary`, `standby`, `behind` (a standby that \
             missed a move of the role, or reads its log from elsewhere), `fenced`, `stopped`, `stale` (a former primary that missed a move of the \
             role), `rival` (takes writes, and a newer note names another member), `empty`, \
             `building`, `unreachable`; or `no_member`: the notes name it, and the next apply takes \
             it out of them.",
            STRING,
        )
        .computed(),
    )
    .attr(
        "endpoint",
        object("The member that takes writes, for `ob_user` and others.", endpoint).computed(),
    )
    .attr(
        "last_failover",
        string(
            "What the last failover may have lost: the SCN and time at which the promoted log \
             ended.",
        )
        .computed(),
    )
    .attr(
        "set_aside",
        map(
            "Stores that were set aside, by member; they stay until they are removed on the host.",
            STRING,
        )
        .computed(),
    )
    .attr("runbook", string("What the last planned change does, in one line.").computed())
    .attr("impact", set("What the last planned change does to users.", STRING).computed())
}
