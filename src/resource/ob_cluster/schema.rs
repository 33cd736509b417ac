//! The attributes of `ob_cluster`.
use crate::component::database;
use crate::component::package::{File, Package};
use crate::resource::common::{Connection, Map, Texts, connection, known, text};
use crate::schema::build::{
    STRING, boolean, duration, map, map_of, number, object, object_name, os_user, set, string,
};
use crate::schema::{Schema, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// State of `ob_cluster`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// Import id.
    pub id: Value<String>,
    /// Name.
    pub name: Value<String>,
    /// Engine.
    pub engine: Value<String>,
    /// Package.
    pub package: Value<PackageRef>,
    /// Zones by name.
    pub zones: Map<Zone>,
    /// Parameters by name.
    pub parameters: Map<String>,
    /// Make a database.
    pub initialize: Value<bool>,
    /// Refuse destroy.
    pub deletion_protection: Value<bool>,
    /// Names of objects whose data may be lost.
    pub allow_data_loss: Texts,
    /// root's password.
    pub root_password_wo: Value<String>,
    /// Its version.
    pub root_password_wo_version: Value<i64>,
    /// Deadlines.
    pub timeouts: Value<Timeouts>,
    /// Creation id of the mark.
    pub creation_id: Value<String>,
    /// What it does right now.
    pub status: Value<String>,
    /// Build that runs.
    pub build: Value<String>,
    /// Reference for groups and SQL objects.
    pub instance: Value<InstanceRef>,
    /// What others changed.
    pub unmanaged: Map<String>,
    /// The plan in one line.
    pub runbook: Value<String>,
    /// What the plan does to users.
    pub impact: Texts,
}

/// One zone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Zone {
    /// Servers by name.
    pub servers: Map<Server>,
}

/// One server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// Where.
    pub host: Value<Connection>,
    /// Directory.
    pub base_dir: Value<String>,
    /// SQL port.
    pub sql_port: Value<i64>,
    /// RPC port.
    pub rpc_port: Value<i64>,
    /// OS user.
    pub run_as: Value<String>,
}

/// What others need to know about the running instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InstanceRef {
    /// Database engine.
    pub engine: Value<String>,
    /// Cluster name.
    pub name: Value<String>,
    /// Host.
    pub host: Value<Connection>,
    /// Directory.
    pub base_dir: Value<String>,
    /// SQL port.
    pub sql_port: Value<i64>,
    /// RPC port.
    pub rpc_port: Value<i64>,
    /// OS user.
    pub run_as: Value<String>,
    /// Package directory name.
    pub package: Value<String>,
}

/// Deadlines of operations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeouts {
    /// Of create.
    pub create: Value<String>,
    /// Of update.
    pub update: Value<String>,
    /// Of delete.
    pub delete: Value<String>,
}

/// A package as `data.ob_package` hands it out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PackageRef {
    /// Directory name on hosts.
    pub id: Value<String>,
    /// Software.
    pub name: Value<String>,
    /// Version.
    pub version: Value<String>,
    /// Architecture.
    pub arch: Value<String>,
    /// Archives by sha256.
    pub sources: Map<String>,
    /// Files by name.
    pub files: Map<FileRef>,
}

/// A file of a package.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FileRef {
    /// sha256 of the archive.
    pub source: Value<String>,
    /// Name in the archive.
    pub member: Value<String>,
    /// Bytes.
    pub size: Value<i64>,
    /// Digest.
    pub sha256: Value<String>,
    /// Permission bits, octal.
    pub mode: Value<String>,
}

impl PackageRef {
    /// The package; `None` while something is unknown or malformed.
    #[must_use]
    pub fn package(&self) -> Option<Package> {
        let mut files = BTreeMap::new();
        for (name, file) in known(&self.files)?.into_iter().flatten() {
            let file = known(file)??;
            files.insert(
                name.clone(),
                File {
                    source: text(&file.source)?,
                    member: text(&file.member)?,
                    size: u64::try_from(*known(&file.size)??).ok()?,
                    sha256: text(&file.sha256)?,
                    mode: u32::from_str_radix(&text(&file.mode)?, 8).ok()?,
                },
            );
        }
        Some(Package {
            id: text(&self.id)?,
            name: text(&self.name)?,
            version: text(&self.version)?,
            arch: text(&self.arch)?,
            sources: crate::resource::common::plain_map(&self.sources)?,
            files,
        })
    }

    /// As the state holds it.
    #[must_use]
    pub fn of(package: &Package) -> Self {
        let v = |s: &str| Value::Value(s.to_owned());
        let file = |f: &File| {
            Value::Value(FileRef {
                source: v(&f.source),
                member: v(&f.member),
                size: Value::Value(i64::try_from(f.size).unwrap_or(i64::MAX)),
                sha256: v(&f.sha256),
                mode: v(&format!("{:04o}", f.mode)),
            })
        };
        Self {
            id: v(&package.id),
            name: v(&package.name),
            version: v(&package.version),
            arch: v(&package.arch),
            sources: Value::Value(package.sources.iter().map(|(k, p)| (k.clone(), v(p))).collect()),
            files: Value::Value(package.files.iter().map(|(k, f)| (k.clone(), file(f))).collect()),
        }
    }
}

/// Attributes of a [`PackageRef`].
#[must_use]
pub fn package_attributes() -> Vec<crate::schema::build::Named> {
    vec![
        (
            "id",
            string("Directory name on hosts: name, version and a digest over all files.")
                .required(),
        ),
        ("name", string("Software, for instance `seekdb`.").required()),
        ("version", string("Version as the archive says.").required()),
        ("arch", string("Architecture: `x86_64`, `aarch64`, `noarch`.").required()),
        (
            "sources",
            map("Archives: path on the machine that runs Terraform, or URL, by sha256.", STRING)
                .required(),
        ),
        (
            "files",
            map_of(
                "Files by the name they get on hosts.",
                [
                    ("source", string("sha256 of the archive it comes from.").required()),
                    ("member", string("Name in the archive.").required()),
                    ("size", number("Size in bytes.").required()),
                    ("sha256", string("Digest of the file.").required()),
                    ("mode", string("Permission bits, octal.").required()),
                ],
            )
            .required(),
        ),
    ]
}

/// The `timeouts` attribute.
#[must_use]
pub fn timeouts() -> crate::schema::build::Attr {
    let of = |verb: &str| string(&format!("Of {verb}.")).optional().check(duration);
    object(
        "Deadlines, such as `10m`.",
        [("create", of("create")), ("update", of("an update")), ("delete", of("destroy"))],
    )
    .optional()
}

fn absolute(path: &str) -> Result<(), String> {
    let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    if path.starts_with('/')
        && path.len() > 1
        && plain
        && !path.split('/').any(|p| p == ".." || p == ".")
        && !path.ends_with('/')
    {
        Ok(())
    } else {
        Err("a directory is an absolute path of letters, digits, / . _ - without . or .. parts \
             and without a slash at its end"
            .into())
    }
}

fn parameter_name(name: &str) -> Result<(), String> {
    if !name.is_empty()
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    {
        Ok(())
    } else {
        Err("a parameter name has lower-case letters, digits and _".into())
    }
}

/// The schema.
#[must_use]
pub fn schema() -> Schema {
    let instance = [
        ("engine", string("Its database engine.").computed()),
        ("name", string("Name of the cluster.").computed()),
        ("host", object("Where it is.", connection().map(|(n, a)| (n, a.computed()))).computed()),
        ("base_dir", string("Its directory.").computed()),
        ("sql_port", number("Port of the MySQL protocol.").computed()),
        ("rpc_port", number("Port on which standbys follow.").computed()),
        ("run_as", string("OS user that runs it.").computed()),
        ("package", string("Package it starts from.").computed()),
    ];
    Schema::new(
        0,
        "A database cluster, installed, started, changed and removed over SSH.\n\nToday \
         `engine = \"seekdb\"`: exactly one zone with one server. Two of them become a primary \
         and its standby with `ob_standby`.\n\nAn interrupted create leaves nothing in the state \
         and is never tainted: the next apply goes on where it stopped. Destroying a cluster that \
         holds data needs `deletion_protection = false` **and** its name in `allow_data_loss`.",
    )
    .attr(
        "id",
        string(
            "Import id, `ssh://user@address:port/base-dir?identity=name&run_as=user`; the last \
             two only where they are needed.",
        )
        .computed(),
    )
    .attr(
        "name",
        string(
            "Name of the cluster; part of marks, gates and journals on its hosts. Changing it \
             needs a new cluster.",
        )
        .required()
        .check(object_name),
    )
    .attr("engine", string("Database engine.").required().one_of(&database::names()))
    .attr(
        "package",
        object(
            "Which software, from `data.ob_package`. A change restarts the server from the new \
             package; when it does not come up, the old one is started again.",
            package_attributes(),
        )
        .required(),
    )
    .attr(
        "zones",
        map_of(
            "Zones by name.",
            [(
                "servers",
                map_of(
                    "Servers by name.",
                    [
                        (
                            "host",
                            object(
                                "Where it runs: `ob_host.x.endpoint`, or the same attributes \
                                 written out.",
                                connection(),
                            )
                            .required(),
                        ),
                        (
                            "base_dir",
                            string(
                                "Directory of the server; it must be empty or absent, and be on a \
                                 disk with room for the data.",
                            )
                            .required()
                            .check(absolute),
                        ),
                        (
                            "sql_port",
                            number("Port of the MySQL protocol. Default: `2881`.")
                                .optional_computed()
                                .range(1025..=65535),
                        ),
                        (
                            "rpc_port",
                            number("Port on which standbys follow. Default: `2882`.")
                                .optional_computed()
                                .range(1025..=65535),
                        ),
                        (
                            "run_as",
                            string(
                                "OS user that owns the files and runs the server; the login user \
                                 when not set.",
                            )
                            .optional()
                            .check(os_user),
                        ),
                    ],
                )
                .required(),
            )],
        )
        .required(),
    )
    .attr(
        "parameters",
        map(
            "Parameters by name. Only the ones named here are managed; dropping one stops \
             managing it. `stack_size`, `net_thread_count`, `use_ipv6`, `enable_rpc_tls`, \
             `strict_check_os_params` need a restart, which the plan says.",
            STRING,
        )
        .optional()
        .keys(parameter_name),
    )
    .attr(
        "initialize",
        boolean(
            "`false` only installs, for a member that `ob_standby` will build as a standby. \
             Default: `true`.",
        )
        .optional_computed(),
    )
    .attr(
        "deletion_protection",
        boolean("Refuses to destroy the cluster. Default: `true`.").optional_computed(),
    )
    .attr(
        "allow_data_loss",
        set(
            "Names of objects whose rows may be dropped; destroying needs the cluster's own name \
             here.",
            STRING,
        )
        .optional(),
    )
    .attr(
        "root_password_wo",
        string(
            "Password of `root`. Never kept in plan or state. It is kept in a file of mode 0600 \
             on the server's host, because only root can change root's password.",
        )
        .optional()
        .write_only(),
    )
    .attr(
        "root_password_wo_version",
        number(
            "Raise it to set `root_password_wo` again. Without it a new server gets a random \
             password of root's, which stays on its host (`BASE/.ob/root`, base64, 0600). A refresh \
             warns when somebody else has set another one.",
        )
        .optional(),
    )
    .attr("timeouts", timeouts())
    .attr(
        "creation_id",
        string("Names this creation in the mark on the host; destroy needs the same one there.")
            .computed(),
    )
    .attr(
        "status",
        string(
            "`running`, `stopped` (the next apply starts it), `stopped by hand` (somebody stopped \
             its unit: it stays so until it is started by that), `adopting`, `installed` \
             (`initialize = false`), `unreachable`, `missing` (its directory is not there and nobody \
             removed it; every plan is refused), \
             `vanished` (the host knows nothing of it; every plan is refused), `foreign` (its mark \
             names another creation; every plan is refused), `unreadable` (so is its mark; every \
             plan is refused), `package lost`, `exposed` (every user of the host can read its \
             files) or `locked out` (it refuses the provider's account; the next apply mends each \
             of the three), \
             `building`, `being destroyed`; `restarting` or `restarted` after a restart that was \
             cut. A member of a group stays `running`, or `installed`, whatever its server does: \
             `member_status` of its `ob_standby` says that.",
        )
        .computed(),
    )
    .attr("build", string("Build that runs, as the server says.").computed())
    .attr(
        "instance",
        object("What `ob_standby`, `ob_user` and others refer to.", instance).computed(),
    )
    .attr(
        "unmanaged",
        map("Parameters that others changed. Shown, never changed.", STRING).computed(),
    )
    .attr("runbook", string("What the last planned change does, in one line.").computed())
    .attr(
        "impact",
        set(
            "What the last planned change does to users: `clients cut`, `outage`, `data loss`, …",
            STRING,
        )
        .computed(),
    )
}
