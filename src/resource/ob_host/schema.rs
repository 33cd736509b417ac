//! The attributes of `ob_host`.
use crate::resource::common::{Connection, Map, Texts, connection};
use crate::resource::ob_cluster::{Timeouts, schema_timeouts};
use crate::schema::build::{
    STRING, address, duration, map, map_of, not_empty, number, object, object_name, set, string,
};
use crate::schema::{Schema, Value};
use serde::{Deserialize, Serialize};

/// State of `ob_host`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostState {
    /// Import id.
    pub id: Value<String>,
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
    /// Region.
    pub region: Value<String>,
    /// Data centre.
    pub idc: Value<String>,
    /// Whatever people want to say about it.
    pub labels: Map<String>,
    /// What servers will use of its network.
    pub network: Value<Network>,
    /// What is made of it.
    pub prepare: Value<Prepare>,
    /// Deadlines.
    pub timeouts: Value<Timeouts>,
    /// For others.
    pub endpoint: Value<Connection>,
    /// Operating system.
    pub os: Value<String>,
    /// Kernel release.
    pub kernel: Value<String>,
    /// Architecture.
    pub arch: Value<String>,
    /// Processors.
    pub cores: Value<i64>,
    /// Memory.
    pub memory_bytes: Value<i64>,
    /// Disks by mount point.
    pub disks: Map<Disk>,
    /// Network devices.
    pub devices: Texts,
    /// Creation id of the preparation's record.
    pub creation_id: Value<String>,
    /// What of the preparation is not as it shall be.
    pub drift: Map<String>,
    /// How it is.
    pub status: Value<String>,
    /// The plan in one line.
    pub runbook: Value<String>,
    /// What the plan does to users.
    pub impact: Texts,
}

/// One disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    /// Device.
    pub device: Value<String>,
    /// Size.
    pub bytes: Value<i64>,
}

/// What servers will use of the network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Device.
    pub device: Value<String>,
    /// Address on it.
    pub service_address: Value<String>,
}

/// What is made of the host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Prepare {
    /// OS user.
    pub user: Value<User>,
    /// Directories by path.
    pub directories: Map<Directory>,
    /// Limits.
    pub limits: Value<Limits>,
    /// Kernel settings.
    pub sysctl: Value<Sysctl>,
    /// Transparent huge pages.
    pub transparent_hugepage: Value<String>,
    /// Clock.
    pub clock: Value<Clock>,
}

/// The OS user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Name.
    pub name: Value<String>,
    /// Number.
    pub uid: Value<i64>,
    /// Home.
    pub home: Value<String>,
}

/// One directory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Directory {
    /// Owner.
    pub owner: Value<String>,
    /// Permission bits.
    pub mode: Value<String>,
}

/// Limits of a login.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Whose.
    pub user: Value<String>,
    /// Open files.
    pub nofile: Value<String>,
    /// Processes.
    pub nproc: Value<String>,
    /// Stack, KiB.
    pub stack: Value<String>,
    /// Core files, KiB.
    pub core: Value<String>,
}

/// Kernel settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sysctl {
    /// A set of known good ones.
    pub profile: Value<String>,
    /// Exact values.
    pub values: Map<String>,
}

/// What is asked of the clock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// Largest difference from the machine that runs Terraform.
    pub max_offset: Value<String>,
}

fn directory(path: &str) -> Result<(), String> {
    let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._@-".contains(c));
    let parts = path.strip_prefix('/').unwrap_or("").split('/');
    if plain
        && parts.clone().count() >= 1
        && parts.clone().all(|p| !p.is_empty() && p != "." && p != "..")
        && path.starts_with('/')
    {
        Ok(())
    } else {
        Err("a directory is an absolute path of letters, digits, / . _ @ - without . or .. parts \
             and without a slash at its end"
            .into())
    }
}

fn mode(text: &str) -> Result<(), String> {
    if text.len() == 4 && text.starts_with('0') && text.bytes().all(|b| (b'0'..=b'7').contains(&b))
    {
        Ok(())
    } else {
        Err("a mode is written as four octal digits that begin with 0, like 0750".into())
    }
}

fn user_name(text: &str) -> Result<(), String> {
    let first = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if first
        && text.len() <= 32
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c))
    {
        Ok(())
    } else {
        Err("a user name has 1 to 32 of the characters a-z, 0-9, _ - and begins with a letter or _"
            .into())
    }
}

fn limit(text: &str) -> Result<(), String> {
    if text == "unlimited" || text.parse::<u64>().is_ok() {
        Ok(())
    } else {
        Err("a limit is a whole number or `unlimited`".into())
    }
}

fn sysctl_key(text: &str) -> Result<(), String> {
    let good = text.contains('.')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        && text.split('.').all(|p| !p.is_empty());
    if good { Ok(()) } else { Err("a kernel setting is named like vm.swappiness".into()) }
}

fn sysctl_value(text: &str) -> Result<(), String> {
    if !text.is_empty() && text.trim() == text && text.chars().all(|c| !c.is_control()) {
        Ok(())
    } else {
        Err("a value is one line without blanks at its ends".into())
    }
}

/// The schema.
#[must_use]
pub fn schema() -> Schema {
    let user = [
        ("name", string("Its name.").required().check(user_name)),
        (
            "uid",
            number(
                "Its number, the same on every host if you like; the system's choice when not \
                 set.",
            )
            .optional()
            .range(1000..=59999),
        ),
        (
            "home",
            string(
                "Its home; `/home/NAME` when not set. With a login user other than root it can be \
                 directly below `/data` only. As for `directories`, what is above it must be root's.",
            )
            .optional()
            .check(directory),
        ),
    ];
    let directories = [
        (
            "owner",
            string("Its owner; the user of `prepare` when not set, else the login user.")
                .optional()
                .check(user_name),
        ),
        ("mode", string("Permission bits. Default: `0755`.").optional().check(mode)),
    ];
    let limits = [
        (
            "user",
            string("Whose; the user of `prepare` when not set, else the login user.")
                .optional()
                .check(user_name),
        ),
        ("nofile", string("Open files. Default: `655350`.").optional().check(limit)),
        ("nproc", string("Processes. Default: `655360`.").optional().check(limit)),
        ("stack", string("Stack in KiB. Default: `unlimited`.").optional().check(limit)),
        ("core", string("Core files in KiB. Default: `unlimited`.").optional().check(limit)),
    ];
    let sysctl = [
        (
            "profile",
            string(
                "Known good values: `seekdb` is what its start check asks for, `oceanbase` adds \
                 the network. A value that is already good (larger, or within its range) is left \
                 alone.",
            )
            .optional()
            .one_of(&["seekdb", "oceanbase"]),
        ),
        (
            "values",
            map("Exact values by name; they win over the profile.", STRING)
                .optional()
                .keys(sysctl_key)
                .check(sysctl_value),
        ),
    ];
    let prepare = [
        (
            "user",
            object(
                "The OS user that will own the files and run the servers. One that exists is used \
                 as it is.",
                user,
            )
            .optional(),
        ),
        (
            "directories",
            map_of(
                "Directories by absolute path. One that exists is taken only if it already has \
                 that owner, or belongs to root and is empty; with a login user other than root \
                 they can be directly below `/data` only. What is above them must be root's, no \
                 link, and writable by nobody else: whoever may write there could swap a \
                 directory while root acts on it.",
                directories,
            )
            .optional()
            .keys(directory),
        ),
        (
            "limits",
            object(
                "Limits of that user's logins, in `/etc/security/limits.d/99-ob.conf`; `{}` for \
                 the defaults.",
                limits,
            )
            .optional(),
        ),
        (
            "sysctl",
            object(
                "Kernel settings, in `/etc/sysctl.d/99-ob.conf`; only what differs is written.",
                sysctl,
            )
            .optional(),
        ),
        (
            "transparent_hugepage",
            string("Transparent huge pages.").optional().one_of(&["never", "madvise", "always"]),
        ),
        (
            "clock",
            object(
                "Refuses to go on when the host's clock is off. Nothing is set.",
                [(
                    "max_offset",
                    string(
                        "Largest difference from the clock of the machine that runs Terraform, \
                         such as `500ms`.",
                    )
                    .required()
                    .check(duration),
                )],
            )
            .optional(),
        ),
    ];
    let network = [
        (
            "device",
            string("Network device the servers will use, such as `eth0`.")
                .required()
                .check(not_empty),
        ),
        (
            "service_address",
            string(
                "IP address on that device under which they will be reached. The standbys of a \
                 primary follow a new one with the next apply.",
            )
            .optional()
            .check(not_empty),
        ),
    ];
    let disk =
        [("device", string("Its device.").computed()), ("bytes", number("Its size.").computed())];
    Schema::new(
        0,
        "A host that is reached over SSH: what it is, and, when asked for with `prepare`, what \
         databases need of it.\n\nWithout `prepare` nothing is ever changed on the host. With it \
         only what differs is written, into files of its own; what was made is noted on the host, \
         and destroy undoes exactly that: it never removes a directory that is not empty or a \
         user it did not make.",
    )
    .attr(
        "id",
        string(
            "Import id, `ssh://user@address:port/name?identity=name`; the name may be left out.",
        )
        .computed(),
    )
    .attr(
        "name",
        string("Name of the host in messages, plans and journals.").required().check(object_name),
    )
    .attr(
        "address",
        string("Host name or IP address; `local` is this machine without SSH.")
            .required()
            .check(address),
    )
    .attr("port", number("SSH port. Default: `22`.").optional_computed().range(1..=65535))
    .attr("user", string("Login user; the identity's when not set.").optional().check(not_empty))
    .attr(
        "identity",
        string(
            "Name of an identity in the provider's `ssh.identities`; the only one when not set.",
        )
        .optional()
        .check(not_empty),
    )
    .attr(
        "host_key",
        string("The host's public key (`ssh-ed25519 AAAA…`); when not set, `known_hosts` decides.")
            .optional()
            .check(not_empty),
    )
    .attr("region", string("Region, for placement.").optional())
    .attr("idc", string("Data centre within the region, for placement.").optional())
    .attr(
        "labels",
        map("Whatever you want to say about it; nothing is done with them.", STRING).optional(),
    )
    .attr(
        "network",
        object("What servers will use of its network; checked, never changed.", network).optional(),
    )
    .attr("prepare", object("What is made of the host.", prepare).optional())
    .attr("timeouts", schema_timeouts())
    .attr(
        "endpoint",
        object(
            "What other resources refer to as their host.",
            connection().map(|(n, a)| (n, a.computed())),
        )
        .computed(),
    )
    .attr("os", string("Operating system.").computed())
    .attr("kernel", string("Kernel release.").computed())
    .attr("arch", string("Architecture, such as `x86_64`.").computed())
    .attr("cores", number("Processors.").computed())
    .attr("memory_bytes", number("Memory in bytes.").computed())
    .attr("disks", map_of("Disks by mount point.", disk).computed())
    .attr(
        "devices",
        set("Network devices, without those that containers bring and take.", STRING).computed(),
    )
    .attr(
        "creation_id",
        string(
            "Names this preparation in its record on the host; destroy needs the same one there. \
             Null without `prepare`.",
        )
        .computed(),
    )
    .attr(
        "drift",
        map(
            "What of `prepare` is not as declared, with what it is; the next apply corrects it.",
            STRING,
        )
        .computed(),
    )
    .attr(
        "status",
        string(
            "`ready`, `drifted`, `building` (a preparation did not end), `destroying`, \
             `unreachable`.",
        )
        .computed(),
    )
    .attr("runbook", string("What the last planned change does, in one line.").computed())
    .attr("impact", set("What the last planned change does to users.", STRING).computed())
}
