//! The provider block: its attributes and their documentation.
use crate::component::sql::TlsMode;
use crate::schema::build::{
    Named, STRING, address, boolean, duration, list, map_of, not_empty, number, object,
    object_name, string,
};
use crate::schema::{Schema, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The schema of `provider "ob"`.
#[must_use]
pub fn schema() -> Schema {
    Schema::new(
        0,
        "OceanBase as code: hosts, clusters, tenants, standbys and their SQL objects, deployed and \
         changed over SSH.\n\n\
         Every argument can also be given as an environment variable (named in its text); the \
         configuration wins.\n\
         The provider never connects before a resource needs it.",
    )
    .attr(
        "owner",
        string(
            "Stable name of this configuration. It is written into marks on the hosts, and nothing \
             is changed or destroyed that another owner created. Required by whatever deploys. \
             `OB_OWNER`.",
        )
        .optional()
        .check(object_name),
    )
    .attr("ssh", object("How to reach hosts.", ssh()).optional())
    .attr(
        "sql",
        object(
            "Logins for SQL endpoints that this provider did not deploy.",
            [("credentials", map_of("Logins by name.", credential()).optional().keys(object_name))],
        )
        .optional(),
    )
    .attr(
        "sudo",
        boolean(
            "Whether the login user may use `sudo -n` for what another user must do (`ob sudoers` \
             prints the exact commands, which amount to root; `ob sudoers --narrow` those that do \
             not, for servers on prepared hosts). `OB_SUDO`.",
        )
        .optional()
        .default_is("true"),
    )
    .attr(
        "mode",
        string(
            "`apply` does what is planned; `observe` plans everything and refuses every effect. \
             `OB_MODE`.",
        )
        .optional()
        .one_of(&["apply", "observe"])
        .default_is("apply"),
    )
    .attr(
        "parallelism",
        number("Steps at once over all hosts. `OB_PARALLELISM`.")
            .optional()
            .range(1..=256)
            .default_is("16"),
    )
    .attr(
        "operation_timeout",
        string(
            "Deadline of one operation unless the resource says otherwise, like `30m` or `2h`. \
             `OB_OPERATION_TIMEOUT`.",
        )
        .optional()
        .check(duration)
        .default_is("2h"),
    )
}

fn ssh() -> Vec<Named> {
    vec![
        (
            "identities",
            map_of(
                "Ways to log in, by name. A host without `identity` uses the only one. \
                 `OB_SSH_PRIVATE_KEY`, `OB_SSH_PRIVATE_KEY_FILE` or `OB_SSH_AGENT` (with \
                 `OB_SSH_USER`, `OB_SSH_PASSPHRASE`, `OB_SSH_CERTIFICATE`) make one named \
                 `default` unless the configuration has one of that name.",
                identity(),
            )
            .optional()
            .keys(object_name),
        ),
        (
            "known_hosts_file",
            string("File of known host keys. `OB_SSH_KNOWN_HOSTS_FILE`.")
                .optional()
                .check(not_empty)
                .default_is("~/.ssh/known_hosts"),
        ),
        (
            "host_key_policy",
            string(
                "What to do with a host key that neither `host_key` nor the file knows. \
                 `OB_SSH_HOST_KEY_POLICY`.",
            )
            .optional()
            .one_of(&["strict", "accept-new"])
            .default_is("strict"),
        ),
        (
            "bastion",
            object(
                "A host to jump through. `OB_SSH_BASTION_ADDRESS`, `OB_SSH_BASTION_PORT`, \
                 `OB_SSH_BASTION_USER`, `OB_SSH_BASTION_IDENTITY`, `OB_SSH_BASTION_HOST_KEY`.",
                bastion(),
            )
            .optional(),
        ),
        (
            "algorithms",
            list(
                "Algorithms to allow, by preference, in OpenSSH's names. `OB_SSH_ALGORITHMS`, \
                 separated by commas.",
                STRING,
            )
            .optional()
            .check(not_empty),
        ),
    ]
}

fn identity() -> Vec<Named> {
    vec![
        ("user", string("Login user where the host names none.").optional().check(not_empty)),
        ("private_key", string("The private key itself.").optional().sensitive().check(not_empty)),
        (
            "private_key_file",
            string("File with the private key on the machine that runs Terraform.")
                .optional()
                .check(not_empty),
        ),
        ("passphrase", string("Passphrase of the key.").optional().sensitive()),
        ("agent", boolean("Use the agent at `SSH_AUTH_SOCK` instead of a key.").optional()),
        (
            "certificate",
            string("OpenSSH certificate for the key (the text of its `-cert.pub` file).")
                .optional()
                .check(not_empty),
        ),
    ]
}

fn bastion() -> Vec<Named> {
    vec![
        ("address", string("Host name or address.").required().check(address)),
        ("port", number("SSH port.").optional().range(1..=65535).default_is("22")),
        ("user", string("Login user.").optional()),
        ("identity", string("Name of the identity.").optional()),
        ("host_key", string("Its public key, like `ssh-ed25519 AAAA…`.").optional()),
    ]
}

fn credential() -> Vec<Named> {
    vec![
        ("user", string("User name.").required().check(not_empty)),
        (
            "password",
            string(
                "Password. It is proved to the server and never told to it, unless the server's \
                 certificate was verified: only `mysql_native_password` and \
                 `caching_sha2_password` are answered, the latter's full authentication only with \
                 `tls = \"verify\"`.",
            )
            .required()
            .sensitive(),
        ),
        (
            "tls",
            string(
                "`verify`: TLS to a server whose certificate is signed by `ca` and names it. \
                 `required`: TLS with any certificate, which stops who listens, not who stands in \
                 the middle. `preferred`: TLS if the server offers it; who stands in the middle \
                 can take the offer away. `off`: none. On a plain link that leaves the host it \
                 starts on, statements that set passwords are refused unless `off` says on purpose \
                 that the network may be trusted.",
            )
            .optional()
            .one_of(<TlsMode as strum::VariantNames>::VARIANTS)
            .default_is("preferred"),
        ),
        (
            "ca",
            string(
                "Certificates of the authorities that may sign the server's, as PEM; with `tls = \
                 \"verify\"`.",
            )
            .optional()
            .check(not_empty),
        ),
        (
            "ca_file",
            string(
                "File with the same on the machine that runs Terraform, such as the system's own \
                 bundle. Exactly one of `ca` and `ca_file` goes with `tls = \"verify\"`.",
            )
            .optional()
            .check(not_empty),
        ),
        (
            "server_name",
            string(
                "Name in the server's certificate, where it is not the endpoint's address; with \
                 `tls = \"verify\"`.",
            )
            .optional()
            .check(not_empty),
        ),
    ]
}

/// The provider block as written. No `Debug`: it holds secrets.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Block {
    pub owner: Value<String>,
    pub ssh: Value<SshBlock>,
    pub sql: Value<SqlBlock>,
    pub sudo: Value<bool>,
    pub mode: Value<String>,
    pub parallelism: Value<i64>,
    pub operation_timeout: Value<String>,
}

/// Its `ssh`.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SshBlock {
    pub identities: Value<BTreeMap<String, Value<IdentityBlock>>>,
    pub known_hosts_file: Value<String>,
    pub host_key_policy: Value<String>,
    pub bastion: Value<BastionBlock>,
    pub algorithms: Value<Vec<Value<String>>>,
}

/// One of `ssh.identities`.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct IdentityBlock {
    pub user: Value<String>,
    pub private_key: Value<String>,
    pub private_key_file: Value<String>,
    pub passphrase: Value<String>,
    pub agent: Value<bool>,
    pub certificate: Value<String>,
}

/// `ssh.bastion`.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct BastionBlock {
    pub address: Value<String>,
    pub port: Value<i64>,
    pub user: Value<String>,
    pub identity: Value<String>,
    pub host_key: Value<String>,
}

/// `sql`.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SqlBlock {
    pub credentials: Value<BTreeMap<String, Value<CredentialBlock>>>,
}

/// One of `sql.credentials`.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct CredentialBlock {
    pub user: Value<String>,
    pub password: Value<String>,
    pub tls: Value<String>,
    pub ca: Value<String>,
    pub ca_file: Value<String>,
    pub server_name: Value<String>,
}
