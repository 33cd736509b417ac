//! What a plan can say of a change before it is made, as host, server and group are now.
use super::group::Group;
use super::{ACCOUNT, ACCOUNT_FROM, Facts, flow, server, steps};
use crate::base::Problem;
use crate::component::database::Desired;
use crate::engine::{Cx, Port};
use std::collections::BTreeMap;

/// What a change will meet. What apply would refuse for sure comes alone.
pub async fn foresee(
    cx: &Cx,
    prior: Option<&Desired>,
    next: &Desired,
    facts: &Facts,
) -> Vec<Problem> {
    if let Some(prior) = prior {
        let group = facts.group.as_ref().filter(|_| facts.pid.is_some());
        if let Some(group) = group
            && let Some(problem) = of_group(cx, prior, next, group).await
        {
            return vec![problem];
        }
        let wrong = parameters(cx, prior, next, facts).await;
        if !wrong.is_empty() {
            return wrong;
        }
    }
    let mut found: Vec<_> = prior.and_then(|prior| older(prior, next)).into_iter().collect();
    if let Some(room) = flow::room(prior, next) {
        found.extend(room.problems(cx, facts).await.unwrap_or_default());
    }
    found
}

/// What the steps of an adoption ([`flow::adopt`]) change, each in words.
pub fn adoption(next: &Desired, facts: &Facts) -> Problem {
    let node = &next.node;
    let mut changes = vec![
        format!("{} gets our mark, start script and passwords", node.own("")),
        format!("the home of its user gets the package {} (~/.ob/packages)", next.package.id),
        format!(
            "root makes the account {ACCOUNT}@{ACCOUNT_FROM} with all privileges and WITH GRANT \
             OPTION; if one of that name is there, it gets these and another password"
        ),
        "it starts with its host, by a unit or a crontab line of ours; one of yours stays beside \
         it: take that away"
            .into(),
    ];
    if facts.exposed {
        changes.push(
            "store, etc, log and run are closed to other users of the host; whoever ships its log \
             as another user stops"
                .into(),
        );
    }
    if facts.pid.is_none() {
        changes.push("it is down, and is started".into());
    }
    changes.extend(next_start(next, &facts.command));
    Problem::user(format!("{} is adopted: more changes than the configuration says", node.show()))
        .place(node.place())
        .why(changes.join("; "))
        .fix(
            "nothing, if you agree: adopting restarts nothing, and `ob runbook` shows each step; else \
             take the change back",
        )
}

/// What the start script does otherwise than the command line by which a server runs.
fn next_start(next: &Desired, command: &str) -> Vec<String> {
    let runs: BTreeMap<_, _> = command
        .split([' ', ','])
        .map(|word| word.strip_prefix("--parameter=").unwrap_or(word))
        .filter(|word| !word.starts_with('-'))
        .filter_map(|word| word.split_once('='))
        .collect();
    let (rpc, port) = ("enable_rpc_service", next.node.port(Port::Rpc));
    let mut changes = Vec::new();
    if runs.get(rpc).is_none_or(|on| steps::truth(on) != Some(true)) {
        changes.push(format!(
            "from its next start on it listens on port {port} of every address, for standbys \
             ({rpc} = True)"
        ));
    }
    let other = |(name, value): &(&&str, &&str)| {
        ![rpc, "rpc_port"].contains(*name)
            && !next.parameters.get(**name).is_some_and(|v| steps::same_value(v, value))
    };
    let lost: Vec<_> =
        runs.iter().filter(other).map(|(name, value)| format!("{name}={value}")).collect();
    if !lost.is_empty() {
        changes.push(format!(
            "its next start does not repeat {}, as parameters does not say so: the store keeps most \
             values, some hold for one run",
            lost.join(", ")
        ));
    }
    changes
}

/// Why a member of a group must not be changed by itself.
async fn of_group(cx: &Cx, prior: &Desired, next: &Desired, group: &Group) -> Option<Problem> {
    if prior.root_password_version != next.root_password_version {
        return Some(
            Problem::refused(format!(
                "root's password of {} belongs to its group \"{}\"",
                next.node.show(),
                group.name
            ))
            .place(next.node.place())
            .why("it is set in whichever member has the role, and every member keeps it")
            .fix(
                "set root_password_wo and root_password_wo_version of the ob_standby, and leave \
                 those of the ob_cluster as they are",
            )
            .attribute(["root_password_wo_version"]),
        );
    }
    if prior.package.same(&next.package) {
        return None;
    }
    steps::primary_stays(cx, &next.node, group).await
}

/// Parameters that a running server does not have, or to which it gives other kinds of values.
/// Another version may have others, and hidden ones are not listed; neither is judged.
async fn parameters(cx: &Cx, prior: &Desired, next: &Desired, facts: &Facts) -> Vec<Problem> {
    let new = |(name, value): &(&String, &String)| {
        !name.starts_with('_') && prior.parameters.get(*name) != Some(*value)
    };
    let new: BTreeMap<_, _> = next.parameters.iter().filter(new).collect();
    if new.is_empty() || facts.pid.is_none() || !prior.package.same(&next.package) {
        return Vec::new();
    }
    let Ok(said) = server::ask_running(cx, &next.node, facts).await else { return Vec::new() };
    let wrong = |name: &str, value: &str| match said.parameters.get(name) {
        None => Some("it does not exist on the server".to_owned()),
        Some(now) => {
            unlike(now, value).map(|kind| format!("\"{value}\" is no {kind}; it is {now} now"))
        }
    };
    new.into_iter()
        .filter_map(|(name, value)| {
            Some(
                Problem::refused(format!("parameter {name} of {} cannot be set", next.node.show()))
                    .place(next.node.place())
                    .why(wrong(name, value)?)
                    .fix("correct it; SHOW PARAMETERS lists names and values")
                    .attribute(["parameters", name]),
            )
        })
        .collect()
}

/// The kind of the values of a parameter, when `value` is surely none of that kind.
fn unlike(now: &str, value: &str) -> Option<&'static str> {
    let truth = steps::truth(now).filter(|_| now.chars().all(|c| c.is_ascii_alphabetic()));
    if truth.is_some() {
        return steps::truth(value).is_none().then_some("truth value");
    }
    let number = |text: &str| text.parse::<f64>().is_ok();
    (number(now) && !value.starts_with(|c: char| c.is_ascii_digit() || c == '-'))
        .then_some("number")
}

/// Warns of a package of an older version.
fn older(prior: &Desired, next: &Desired) -> Option<Problem> {
    let (from, to) = (&prior.package.version, &next.package.version);
    (numbers(to) < numbers(from)).then(|| {
        Problem::user(format!("{} gets an older version", next.node.show()))
            .why(format!(
                "it goes from {from} back to {to}; what the newer one wrote may not be read"
            ))
            .fix("go on only if the release notes of both versions allow it")
            .attribute(["package"])
    })
}

/// The numbers in a version, which order versions: `1.4.0.post1` comes after `1.4.0`.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let sorted = ["1.3.0", "1.3.0.post5", "1.4.0", "1.4.0.post1", "1.10.0"];
        for pair in sorted.windows(2) {
            assert!(numbers(pair[0]) < numbers(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn a_value_of_another_kind_is_named() {
        for (now, value, want) in [
            ("True", "yes", None),
            ("True", "12", Some("truth value")),
            ("False", "maybe", Some("truth value")),
            ("50", "70", None),
            ("50", "many", Some("number")),
            ("1", "2G", None),
            ("2G", "many", None),
            ("", "x", None),
        ] {
            assert_eq!(unlike(now, value), want, "{now} {value}");
        }
    }
}
