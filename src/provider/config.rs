//! Makes a [`Session`] from the provider block and the `OB_*` variables.
//!
//! An unknown value (at plan time) counts as absent. Whoever needs it is told so, looks at nothing,
//! and gets an answer at apply, when the value is known.
use super::config_schema::{BastionBlock, Block, CredentialBlock, IdentityBlock};
use super::registry::Connect;
use crate::base::units::parse_duration;
use crate::base::{Address, Problem, Secret};
use crate::component::package::{Archives, store};
use crate::component::sql::{Ca, Tls, TlsMode};
use crate::engine::Limits;
use crate::resource::Session;
use crate::resource::session::SqlCredential;
use crate::schema::{Diagnostics, Report, Value};
use crate::transport::Endpoint;
use crate::transport::config::{HostKeyPolicy, Identity, KeySource, SshConfig};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Reads one variable of the environment.
pub type Env<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// Reports what is wrong with the block beyond its schema. An unknown value is never wrong.
pub(super) fn validate(block: &Block, diags: &mut Diagnostics) {
    let logins = block.sql.as_ref_option().and_then(|s| s.credentials.as_ref_option());
    for (name, login) in logins.into_iter().flatten() {
        if let Some(login) = login.as_ref_option() {
            validate_tls(name, login, diags);
        }
    }
    let identities = block.ssh.as_ref_option().and_then(|s| s.identities.as_ref_option());
    for (name, identity) in identities.into_iter().flatten() {
        let Some(identity) = identity.as_ref_option() else { continue };
        let given = [
            !identity.private_key.is_null(),
            !identity.private_key_file.is_null(),
            !matches!(identity.agent, Value::Null | Value::Value(false)),
        ];
        let count = given.iter().filter(|g| **g).count();
        if count != 1 {
            let why = if count == 0 { "it names no key" } else { "it names more than one key" };
            let fix = "set exactly one of private_key, private_key_file or agent = true";
            diags.problem(
                Problem::user(format!("identity \"{name}\" cannot be used"))
                    .why(why)
                    .fix(fix)
                    .attribute(["ssh", "identities", name.as_str()]),
            );
        }
        if given[2] && !identity.passphrase.is_null() {
            let problem = Problem::user(format!("identity \"{name}\" cannot be used"))
                .why("an agent has no passphrase")
                .fix("remove passphrase, or agent");
            diags.problem(problem.attribute(["ssh", "identities", name.as_str(), "passphrase"]));
        }
    }
}

/// Builds the session without connecting. A problem with a variable names the variable.
pub(super) fn session(
    block: &Block,
    env: Env<'_>,
    connect: &Connect,
    cancel: CancellationToken,
    diags: &mut Diagnostics,
) -> Option<Session> {
    let env = |name: &str| env(name).filter(|v| !v.is_empty());
    let text = |value: &Value<String>, name: &str| value.clone().as_option().or_else(|| env(name));
    let errors = diags.errors.len();

    let owner = text(&block.owner, "OB_OWNER").filter(|owner| {
        let good = crate::base::ids::is_object_name(owner);
        if !good {
            diags.problem(bad_variable(
                "OB_OWNER",
                "an owner has 1 to 64 of the characters a-z, A-Z, 0-9, - _ .",
            ));
        }
        good
    });
    let mode = text(&block.mode, "OB_MODE").unwrap_or_else(|| "apply".to_owned());
    if !["apply", "observe"].contains(&mode.as_str()) {
        diags.problem(bad_variable("OB_MODE", "it is neither apply nor observe"));
    }
    let parallelism = block.parallelism.as_option().map_or_else(
        || number("OB_PARALLELISM", &env, 16, 1..=256, diags),
        |n| u64::try_from(n).unwrap_or(1),
    );
    let timeout = text(&block.operation_timeout, "OB_OPERATION_TIMEOUT")
        .map_or(Some(Duration::from_secs(7200)), |t| parse_duration(&t));
    if timeout.is_none() {
        diags.problem(bad_variable(
            "OB_OPERATION_TIMEOUT",
            "a duration is written like 30m, 2h or 1h30m",
        ));
    }
    let sudo = block.sudo.as_option().or_else(|| flag("OB_SUDO", &env, diags)).unwrap_or(true);
    let observe = mode == "observe";
    let ssh = ssh(block, &env, observe, diags);
    if diags.errors.len() > errors {
        return None;
    }
    let sql_credentials = credentials(block, &env);
    Some(Session {
        owner_later: owner.is_none() && block.owner.is_unknown(),
        owner,
        who: who(&env),
        sql_later: block.sql.is_unknown()
            || block.sql.as_ref_option().is_some_and(|s| {
                let missing = |c: &BTreeMap<_, _>| c.len() > sql_credentials.len();
                s.credentials.is_unknown() || s.credentials.as_ref_option().is_some_and(missing)
            }),
        connector: connect(ssh, cancel),
        archives: Archives::new(store::folder(env)),
        sql_credentials,
        observe,
        sudo,
        limits: Limits::of(usize::try_from(parallelism).unwrap_or(16)),
        operation_timeout: timeout?,
        looks: crate::resource::Looks::default(),
    })
}

/// The SQL logins by name. A login with a value that is not known yet is left out.
fn credentials(
    block: &Block,
    env: &impl Fn(&str) -> Option<String>,
) -> BTreeMap<String, SqlCredential> {
    let all = block.sql.as_ref_option().and_then(|s| s.credentials.as_ref_option());
    let one = |(name, credential): (&String, &Value<CredentialBlock>)| {
        let credential = credential.as_ref_option()?;
        let password = Secret::new(credential.password.clone().as_option()?);
        let user = credential.user.clone().as_option()?;
        Some((name.clone(), SqlCredential { user, password, tls: tls(credential, env)? }))
    };
    all.into_iter().flatten().filter_map(one).collect()
}

fn tls(block: &CredentialBlock, env: &impl Fn(&str) -> Option<String>) -> Option<Tls> {
    let all = [&block.tls, &block.ca, &block.ca_file, &block.server_name];
    if all.iter().any(|v| v.is_unknown()) {
        return None;
    }
    let mode = match &block.tls {
        Value::Value(name) => TlsMode::named(name)?,
        _ => TlsMode::default(),
    };
    let ca = block.ca.clone().as_option().map(Ca::Text);
    let file = || block.ca_file.clone().as_option().map(|path| Ca::File(home(&path, env)));
    Some(Tls { mode, ca: ca.or_else(file), server_name: block.server_name.clone().as_option() })
}

/// Reports what is wrong with the TLS of an SQL login.
fn validate_tls(name: &str, block: &CredentialBlock, diags: &mut Diagnostics) {
    let given =
        [("ca", &block.ca), ("ca_file", &block.ca_file), ("server_name", &block.server_name)]
            .into_iter()
            .filter(|(_, value)| !value.is_null());
    let given: Vec<_> = given.map(|(attribute, _)| attribute).collect();
    let verify = match &block.tls {
        Value::Unknown => return,
        Value::Value(mode) => TlsMode::named(mode) == Some(TlsMode::Verify),
        Value::Null => false,
    };
    let authorities = given.iter().filter(|a| a.starts_with("ca")).count();
    let (why, attribute) = match given.first() {
        Some(first) if !verify => (format!("{first} has no effect without verification"), *first),
        _ if verify && authorities != 1 => {
            let why = "to verify a server, exactly one of ca and ca_file says who may sign";
            (why.to_owned(), "tls")
        }
        _ => {
            let text = block.ca.clone().as_option().map(Ca::Text);
            let tls = Tls { ca: text, ..Tls::off() };
            match tls.ca.is_some().then(|| tls.authorities()) {
                Some(Err(error)) => (error.to_string(), "ca"),
                _ => return,
            }
        }
    };
    diags.problem(
        Problem::user(format!("the SQL login \"{name}\" cannot be used"))
            .why(why)
            .fix("set tls = \"verify\" together with ca (PEM) or ca_file, or neither of them")
            .attribute(["sql", "credentials", name, attribute]),
    );
}

fn ssh(
    block: &Block,
    env: &impl Fn(&str) -> Option<String>,
    observe: bool,
    diags: &mut Diagnostics,
) -> SshConfig {
    let ssh = block.ssh.as_ref_option();
    let text = |pick: fn(&super::config_schema::SshBlock) -> &Value<String>, name: &str| {
        ssh.and_then(|s| pick(s).clone().as_option()).or_else(|| env(name))
    };
    let configured = ssh.and_then(|s| s.identities.as_ref_option());
    let mut later = block.ssh.is_unknown() || ssh.is_some_and(|s| s.identities.is_unknown());
    let mut identities: BTreeMap<_, _> = configured
        .into_iter()
        .flatten()
        .filter_map(|(name, i)| Some((name.clone(), identity(i.as_ref_option()?, env)?)))
        .collect();
    later |= configured.is_some_and(|c| c.len() > identities.len());
    // Nobody is reached on another way than the one that apply goes.
    if ssh.is_some_and(|s| bastion_is_unknown(&s.bastion)) {
        identities.clear();
        later = true;
    } else if !configured.is_some_and(|c| c.contains_key("default"))
        && let Some(identity) = identity_of_environment(env, diags)
    {
        identities.insert("default".to_owned(), identity);
    }
    let policy = match text(|s| &s.host_key_policy, "OB_SSH_HOST_KEY_POLICY").as_deref() {
        None | Some("strict") => HostKeyPolicy::Strict,
        Some("accept-new") => HostKeyPolicy::AcceptNew,
        Some(_) => {
            diags.problem(bad_variable(
                "OB_SSH_HOST_KEY_POLICY",
                "it is neither strict nor accept-new",
            ));
            HostKeyPolicy::Strict
        }
    };
    let algorithms = ssh
        .and_then(|s| s.algorithms.clone().as_option())
        .map(|all| all.into_iter().filter_map(Value::as_option).collect::<Vec<_>>());
    let algorithms = algorithms.or_else(|| {
        env("OB_SSH_ALGORITHMS").map(|v| v.split(',').map(|a| a.trim().to_owned()).collect())
    });
    SshConfig {
        known_hosts_lines: Vec::new(),
        identities,
        known_hosts_files: vec![home(
            &text(|s| &s.known_hosts_file, "OB_SSH_KNOWN_HOSTS_FILE")
                .unwrap_or_else(|| "~/.ssh/known_hosts".to_owned()),
            env,
        )],
        policy,
        bastion: bastion(ssh.and_then(|s| s.bastion.as_ref_option()), env, diags)
            .into_iter()
            .collect(),
        algorithms: algorithms.filter(|a| !a.is_empty()),
        observe,
        later,
    }
}

fn bastion_is_unknown(block: &Value<BastionBlock>) -> bool {
    let parts = |b: &BastionBlock| {
        let texts = [&b.address, &b.user, &b.identity, &b.host_key];
        b.port.is_unknown() || texts.iter().any(|t| t.is_unknown())
    };
    block.is_unknown() || block.as_ref_option().is_some_and(parts)
}

/// An identity of the block; `None` while something of it is not known.
fn identity(block: &IdentityBlock, env: &impl Fn(&str) -> Option<String>) -> Option<Identity> {
    let texts = [
        &block.user,
        &block.private_key,
        &block.private_key_file,
        &block.passphrase,
        &block.certificate,
    ];
    if block.agent.is_unknown() || texts.iter().any(|t| t.is_unknown()) {
        return None;
    }
    let passphrase =
        block.passphrase.clone().as_option().filter(|p| !p.is_empty()).map(Secret::new);
    let key = match (&block.private_key, &block.private_key_file, &block.agent) {
        (Value::Value(key), ..) => KeySource::Value { key: Secret::new(key.clone()), passphrase },
        (_, Value::Value(path), _) => KeySource::File { path: home(path, env), passphrase },
        (.., Value::Value(true)) => KeySource::Agent,
        _ => return None,
    };
    Some(Identity {
        user: block.user.clone().as_option(),
        key,
        certificate: block.certificate.clone().as_option(),
    })
}

/// The one identity that variables of the environment describe (`OB_SSH_PRIVATE_KEY`, …); `None`
/// where they name no key. The same for the provider and for `ob`.
pub fn identity_of_environment(
    env: &impl Fn(&str) -> Option<String>,
    diags: &mut Diagnostics,
) -> Option<Identity> {
    let passphrase = env("OB_SSH_PASSPHRASE").map(Secret::new);
    let key = match (
        env("OB_SSH_PRIVATE_KEY"),
        env("OB_SSH_PRIVATE_KEY_FILE"),
        flag("OB_SSH_AGENT", env, diags),
    ) {
        (Some(key), ..) => KeySource::Value { key: Secret::new(key), passphrase },
        (_, Some(path), _) => KeySource::File { path: home(&path, env), passphrase },
        (.., Some(true)) => KeySource::Agent,
        _ => return None,
    };
    Some(Identity { user: env("OB_SSH_USER"), key, certificate: env("OB_SSH_CERTIFICATE") })
}

fn bastion(
    block: Option<&BastionBlock>,
    env: &impl Fn(&str) -> Option<String>,
    diags: &mut Diagnostics,
) -> Option<Endpoint> {
    let text = |pick: fn(&BastionBlock) -> &Value<String>, name: &str| {
        block.and_then(|b| pick(b).clone().as_option()).or_else(|| env(name))
    };
    let address = match Address::parse(&text(|b| &b.address, "OB_SSH_BASTION_ADDRESS")?) {
        Ok(address) => address,
        Err(why) => {
            diags.problem(bad_variable("OB_SSH_BASTION_ADDRESS", &why));
            return None;
        }
    };
    let port = block.and_then(|b| b.port.as_option()).map_or_else(
        || number("OB_SSH_BASTION_PORT", env, 22, 1..=65535, diags),
        |p| u64::try_from(p).unwrap_or(22),
    );
    Some(Endpoint {
        name: "bastion".to_owned(),
        address,
        port: u16::try_from(port).unwrap_or(22),
        user: text(|b| &b.user, "OB_SSH_BASTION_USER").unwrap_or_default(),
        identity: text(|b| &b.identity, "OB_SSH_BASTION_IDENTITY").unwrap_or_default(),
        host_key: text(|b| &b.host_key, "OB_SSH_BASTION_HOST_KEY").unwrap_or_default(),
    })
}

fn home(path: &str, env: &impl Fn(&str) -> Option<String>) -> PathBuf {
    match (path.strip_prefix("~/"), env("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(path),
    }
}

fn number(
    name: &str,
    env: &impl Fn(&str) -> Option<String>,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
    diags: &mut Diagnostics,
) -> u64 {
    let Some(text) = env(name) else { return default };
    match text.trim().parse() {
        Ok(n) if range.contains(&n) => n,
        _ => {
            diags.problem(bad_variable(
                name,
                &format!("it is no whole number between {} and {}", range.start(), range.end()),
            ));
            default
        }
    }
}

fn flag(
    name: &str,
    env: &impl Fn(&str) -> Option<String>,
    diags: &mut Diagnostics,
) -> Option<bool> {
    match env(name)?.as_str() {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => {
            diags.problem(bad_variable(name, "it is neither true nor false"));
            None
        }
    }
}

fn bad_variable(name: &str, why: &str) -> Problem {
    Problem::user(format!("the environment variable {name} cannot be used"))
        .why(why)
        .fix(format!("correct {name}, or unset it and use the provider block"))
}

/// Who runs this, for the journal on the hosts.
fn who(env: &impl Fn(&str) -> Option<String>) -> String {
    if let Some(run) = env("TFC_RUN_ID") {
        return env("TFC_WORKSPACE_NAME")
            .map_or_else(|| format!("hcp {run}"), |w| format!("hcp {w} {run}"));
    }
    if let Some(run) = env("GITHUB_RUN_ID") {
        return env("GITHUB_REPOSITORY")
            .map_or_else(|| format!("github {run}"), |r| format!("github {r} {run}"));
    }
    if let Some(job) = env("CI_JOB_ID") {
        return format!("ci job {job}");
    }
    let user = env("USER")
        .or_else(|| env("LOGNAME"))
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    format!("{user}@{}", rustix::system::uname().nodename().to_string_lossy())
}
