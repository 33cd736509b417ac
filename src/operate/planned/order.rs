//! The order in which apply makes the changes of a plan: what is destroyed goes before what it
//! depends on, what is made comes after it.
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// What depends on what, as numbers: an object's number is higher than those of all that it depends
/// on. All instances of a block have one number.
pub(super) struct Order(BTreeMap<String, i64>);

/// Where a change stands in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(Phase, i64);

/// Terraform removes before it makes, except where a block says `create_before_destroy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Remove,
    Make,
    RemoveReplaced,
}

impl Order {
    /// Reads what the configuration refers to and, for what is only in the state, what the state
    /// notes.
    pub(super) fn of(plan: &Json) -> Self {
        let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        from_state(&plan["prior_state"]["values"]["root_module"], &mut needs);
        from_configuration(&plan["configuration"]["root_module"], "", &BTreeSet::new(), &mut needs);
        let mut numbers = BTreeMap::new();
        let mut met = BTreeSet::new();
        for address in needs.keys() {
            number(address, &needs, &mut met, &mut numbers);
        }
        Self(numbers)
    }

    /// The place of `action` on `address`; `first` is the first action of the same change.
    pub(super) fn place(&self, address: &str, action: &str, first: &str) -> Place {
        let number = self.0.get(&bare(address)).copied().unwrap_or_default();
        match (action, first) {
            ("delete", "create") => Place(Phase::RemoveReplaced, -number),
            ("delete", _) => Place(Phase::Remove, -number),
            _ => Place(Phase::Make, number),
        }
    }
}

/// Numbers an object after all that it needs. A circle is cut where it is met.
fn number(
    address: &str,
    needs: &BTreeMap<String, BTreeSet<String>>,
    met: &mut BTreeSet<String>,
    numbers: &mut BTreeMap<String, i64>,
) {
    if !met.insert(address.to_owned()) {
        return;
    }
    for needed in needs.get(address).into_iter().flatten() {
        // A reference may go on into attributes, and one to a module means all that is in it.
        let within = format!("{needed}.");
        let meant = |other: &&String| {
            *other == needed
                || needed.starts_with(&format!("{other}."))
                || (is_module(needed) && other.starts_with(&within))
        };
        for other in needs.keys().filter(meant) {
            number(other, needs, met, numbers);
        }
    }
    let next = i64::try_from(numbers.len()).unwrap_or(i64::MAX);
    numbers.insert(address.to_owned(), next);
}

/// Whether an address ends with the name of a module.
fn is_module(address: &str) -> bool {
    address.rsplit('.').nth(1).is_some_and(|word| word == "module")
}

/// An address without the keys of `count` and `for_each`.
fn bare(address: &str) -> String {
    let (mut text, mut quoted, mut inside) = (String::new(), false, false);
    for c in address.chars() {
        match c {
            '"' if inside => quoted = !quoted,
            '[' if !inside => inside = true,
            ']' if inside && !quoted => inside = false,
            c if !inside => text.push(c),
            _ => {}
        }
    }
    text
}

fn texts(list: &Json) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Json::as_str)
}

fn from_state(module: &Json, needs: &mut BTreeMap<String, BTreeSet<String>>) {
    for resource in module["resources"].as_array().into_iter().flatten() {
        let address = bare(resource["address"].as_str().unwrap_or_default());
        needs.entry(address).or_default().extend(texts(&resource["depends_on"]).map(bare));
    }
    for child in module["child_modules"].as_array().into_iter().flatten() {
        from_state(child, needs);
    }
}

/// `above` is what the call of this module needs.
fn from_configuration(
    module: &Json,
    prefix: &str,
    above: &BTreeSet<String>,
    needs: &mut BTreeMap<String, BTreeSet<String>>,
) {
    let own = |texts: Vec<&str>| -> BTreeSet<String> {
        let inner = |t: &&str| {
            !["var.", "local.", "each.", "count.", "path."].iter().any(|word| t.starts_with(word))
        };
        texts.into_iter().filter(inner).map(|t| format!("{prefix}{}", bare(t))).collect()
    };
    let found = |block: &Json| {
        let mut all: Vec<&str> = texts(&block["depends_on"]).collect();
        for part in ["expressions", "for_each_expression", "count_expression"] {
            references(&block[part], &mut all);
        }
        own(all)
    };
    for resource in module["resources"].as_array().into_iter().flatten() {
        let address = format!("{prefix}{}", resource["address"].as_str().unwrap_or_default());
        let entry = needs.entry(address).or_default();
        entry.extend(found(resource));
        entry.extend(above.iter().cloned());
    }
    for (name, call) in module["module_calls"].as_object().into_iter().flatten() {
        let mut needed = found(call);
        needed.extend(above.iter().cloned());
        from_configuration(&call["module"], &format!("{prefix}module.{name}."), &needed, needs);
    }
}

/// Everything that an expression refers to.
fn references<'a>(expression: &'a Json, all: &mut Vec<&'a str>) {
    match expression {
        Json::Object(parts) => {
            for (name, part) in parts {
                if name == "references" {
                    all.extend(texts(part));
                } else {
                    references(part, all);
                }
            }
        }
        Json::Array(parts) => parts.iter().for_each(|part| references(part, all)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_run_removes_users_first_and_makes_them_last() {
        let plan = json!({
            "prior_state": { "values": { "root_module": {
                "resources": [
                    { "address": "ob_cluster.db[\"a.b]\"]", "depends_on": ["ob_host.h"] },
                    { "address": "ob_standby.a", "depends_on": ["ob_cluster.db", "ob_host.h"] },
                    { "address": "ob_host.h" },
                ],
                "child_modules": [{ "resources": [
                    { "address": "module.m.ob_grant.z", "depends_on": ["module.m.ob_user.y"] },
                    { "address": "module.m.ob_user.y", "depends_on": ["ob_standby.a"] },
                ] }],
            } } },
            "configuration": { "root_module": {
                "resources": [
                    { "address": "ob_access.early", "expressions": { "target": { "on": {
                        "references": ["ob_cluster.late.endpoint", "ob_cluster.late", "var.x"] } } } },
                    { "address": "ob_cluster.late", "for_each_expression": {
                        "references": ["ob_host.zz"] } },
                    { "address": "ob_host.zz" },
                    { "address": "ob_user.after", "depends_on": ["module.n"] },
                ],
                "module_calls": { "n": {
                    "expressions": { "at": { "references": ["ob_access.early"] } },
                    "module": { "resources": [{ "address": "ob_grant.g" }] },
                } },
            } },
        });
        let order = Order::of(&plan);
        let sorted = |changes: &[(&'static str, &'static str, &'static str)]| {
            let mut all: Vec<_> = changes.to_vec();
            all.sort_by_key(|(address, action, first)| order.place(address, action, first));
            all.into_iter().map(|(address, _, _)| address).collect::<Vec<_>>()
        };
        let gone = |address| (address, "delete", "delete");
        assert_eq!(
            sorted(&[
                gone("module.m.ob_grant.z"),
                gone("module.m.ob_user.y"),
                gone("ob_cluster.db[\"a.b]\"]"),
                gone("ob_host.h"),
                gone("ob_standby.a"),
            ]),
            [
                "module.m.ob_grant.z",
                "module.m.ob_user.y",
                "ob_standby.a",
                "ob_cluster.db[\"a.b]\"]",
                "ob_host.h",
            ]
        );
        let new = |address| (address, "create", "create");
        assert_eq!(
            sorted(&[
                new("module.n.ob_grant.g"),
                new("ob_access.early"),
                new("ob_cluster.late[0]"),
                new("ob_host.zz"),
                new("ob_user.after"),
                gone("ob_host.h"),
                ("ob_cluster.late[1]", "delete", "create"),
            ]),
            [
                "ob_host.h",
                "ob_host.zz",
                "ob_cluster.late[0]",
                "ob_access.early",
                "module.n.ob_grant.g",
                "ob_user.after",
                "ob_cluster.late[1]",
            ]
        );
    }

    #[test]
    fn a_circle_ends() {
        let plan = json!({ "configuration": { "root_module": { "resources": [
            { "address": "ob_a.x", "depends_on": ["ob_b.y"] },
            { "address": "ob_b.y", "depends_on": ["ob_a.x"] },
        ] } } });
        assert_eq!(Order::of(&plan).0.len(), 2);
    }
}
