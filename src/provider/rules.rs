//! Core's own rules for what a provider may plan and return, checked here first.
//!
//! Core would say "Provider produced invalid plan" or "inconsistent result" and stop. Checking
//! first names the attribute, keeps a failed create untainted, and shows no sensitive value. Both
//! functions are pure and work on trees in normal form ([`crate::schema::tree`]).
use crate::schema::{
    Attribute, AttributeConstraint as C, AttributePath, AttributePathStep as Step,
    AttributeType as T, Schema, Tree, tree,
};
use rmpv::Value as V;
use std::collections::{BTreeSet, HashMap};

/// The place of a broken rule, and the rule.
pub type Broken = (AttributePath, &'static str);

/// What is wrong with planning `planned` from `prior` and `config` (all whole objects; `prior` may
/// be null).
#[must_use]
pub fn plan(schema: &Schema, prior: &Tree, config: &Tree, planned: &Tree) -> Vec<Broken> {
    let mut walk =
        Walk { schema, names: Vec::new(), path: AttributePath::root(), broken: Vec::new() };
    walk.attributes(schema.attributes(), prior, config, planned);
    walk.broken
}

struct Walk<'a> {
    schema: &'a Schema,
    names: Vec<String>,
    path: AttributePath,
    broken: Vec<Broken>,
}

impl Walk<'_> {
    fn attributes(
        &mut self,
        all: &HashMap<String, Attribute>,
        prior: &Tree,
        config: &Tree,
        planned: &Tree,
    ) {
        let names: BTreeSet<_> = all.keys().collect();
        for name in names {
            self.names.push(name.clone());
            let values =
                (tree::get(prior, name), tree::get(config, name), tree::get(planned, name));
            self.at(Step::Attribute(name.clone().into()), |w| w.attribute(&all[name], values));
            self.names.pop();
        }
    }

    fn attribute(&mut self, a: &Attribute, (prior, config, planned): (&Tree, &Tree, &Tree)) {
        let null = |t: &Tree| *t == V::Nil;
        if planned == config || (planned == prior && !null(prior) && !null(config)) {
            return;
        }
        if self.schema.extra(&self.names).is_some_and(|e| e.write_only) {
            if !null(planned) {
                self.say("a write-only attribute is in the plan");
            }
            return;
        }
        let may_compute = matches!(a.constraint, C::Computed | C::OptionalComputed);
        if a.constraint == C::Computed || (null(config) && may_compute) {
            return;
        }
        if null(config) {
            return self.say("it is planned, but neither configured nor computed");
        }
        match &a.attr_type {
            T::AttributeSingle(inner) => self.nested(inner, Nest::Single, prior, config, planned),
            T::AttributeMap(inner) => self.nested(inner, Nest::Map, prior, config, planned),
            T::AttributeList(inner) => self.nested(inner, Nest::List, prior, config, planned),
            T::AttributeSet(inner) => self.nested(inner, Nest::Set, prior, config, planned),
            _ => self.say("the planned value is neither the configured nor the prior one"),
        }
    }

    fn nested(
        &mut self,
        inner: &HashMap<String, Attribute>,
        nest: Nest,
        prior: &Tree,
        config: &Tree,
        planned: &Tree,
    ) {
        if *planned == V::Nil {
            return self.say("it is configured, but planned to be absent");
        }
        if tree::is_unknown(planned) {
            return self.say("it is configured, but planned as unknown");
        }
        if tree::is_unknown(config) {
            return self.say("the configuration is unknown, but the plan is not");
        }
        match (nest, config, planned) {
            (Nest::Single, ..) => self.attributes(inner, prior, config, planned),
            (Nest::Map, V::Map(wanted), V::Map(given)) => {
                for (key, value) in given {
                    let key = key.as_str().unwrap_or_default();
                    let step = Step::Key(key.to_owned().into());
                    match tree::entry(config, key) {
                        Some(config) => self
                            .at(step, |w| w.element(inner, tree::get(prior, key), config, value)),
                        None => self.at(step, |w| w.say("this key is planned, but not configured")),
                    }
                }
                for key in wanted
                    .iter()
                    .filter_map(|(k, _)| k.as_str())
                    .filter(|k| tree::entry(planned, k).is_none())
                {
                    self.at(Step::Key(key.to_owned().into()), |w| {
                        w.say("this key is configured, but not planned")
                    });
                }
            }
            (Nest::List, V::Array(wanted), V::Array(given)) if wanted.len() == given.len() => {
                let before = prior.as_array().map_or(&[][..], Vec::as_slice);
                for (i, (config, planned)) in wanted.iter().zip(given).enumerate() {
                    let prior = before.get(i).unwrap_or(&V::Nil);
                    self.at(Step::Index(i as i64), |w| w.element(inner, prior, config, planned));
                }
            }
            // Elements of sets have no name to match them by. Core compares only their number, and
            // so do we.
            (Nest::Set, V::Array(wanted), V::Array(given)) if wanted.len() == given.len() => {}
            (Nest::List | Nest::Set, ..) => {
                self.say("the plan has another number of elements than the configuration")
            }
            (Nest::Map, ..) => self.say("the plan is no map"),
        }
    }

    fn element(
        &mut self,
        inner: &HashMap<String, Attribute>,
        prior: &Tree,
        config: &Tree,
        planned: &Tree,
    ) {
        if planned == config {
            return;
        }
        match (config, planned) {
            (V::Map(_), V::Map(_)) => self.attributes(inner, prior, config, planned),
            _ => self.say("the planned value is neither the configured nor the prior one"),
        }
    }

    fn at(&mut self, step: Step, inside: impl FnOnce(&mut Self)) {
        self.path.steps.push(step);
        inside(self);
        self.path.steps.pop();
    }

    fn say(&mut self, what: &'static str) {
        self.broken.push((self.path.clone(), what));
    }
}

#[derive(Clone, Copy)]
enum Nest {
    Single,
    Map,
    List,
    Set,
}

/// What is wrong with returning `actual` after `planned` was planned: a known value changed, or
/// something is unknown.
#[must_use]
pub fn applied(schema: &Schema, planned: &Tree, actual: &Tree) -> Vec<Broken> {
    let mut out = Vec::new();
    let mut path = AttributePath::root();
    if *actual == V::Nil {
        out.push((path, "it ended well, but with no state"));
        return out;
    }
    compare_attributes(schema.attributes(), planned, actual, &mut path, &mut out);
    out
}

fn compare_attributes(
    all: &HashMap<String, Attribute>,
    planned: &Tree,
    actual: &Tree,
    path: &mut AttributePath,
    out: &mut Vec<Broken>,
) {
    let names: BTreeSet<_> = all.keys().collect();
    for name in names {
        path.steps.push(Step::Attribute(name.clone().into()));
        compare(&all[name].attr_type, tree::get(planned, name), tree::get(actual, name), path, out);
        path.steps.pop();
    }
}

fn compare(
    kind: &T,
    planned: &Tree,
    actual: &Tree,
    path: &mut AttributePath,
    out: &mut Vec<Broken>,
) {
    if !tree::wholly_known(actual)
        && (tree::is_unknown(planned) || tree::is_unknown(actual) || planned == actual)
    {
        out.push((path.clone(), "it is still unknown after the apply"));
        return;
    }
    if tree::is_unknown(planned) || planned == actual {
        return;
    }
    let mut at = |step: Step, kind: &Inner<'_>, planned: &Tree, actual: &Tree| {
        path.steps.push(step);
        match kind {
            Inner::Type(kind) => compare(kind, planned, actual, path, out),
            Inner::Object(all) => match (planned, actual) {
                (V::Map(_), V::Map(_)) => compare_attributes(all, planned, actual, path, out),
                (V::Ext(..), actual) if tree::wholly_known(actual) => {}
                (planned, actual) if planned == actual => {}
                _ => out.push((path.clone(), "it is not what was planned")),
            },
        }
        path.steps.pop();
    };
    let inner = match kind {
        T::AttributeSingle(all) if matches!((planned, actual), (V::Map(_), V::Map(_))) => {
            return compare_attributes(all, planned, actual, path, out);
        }
        T::AttributeMap(all) | T::AttributeList(all) => Inner::Object(all),
        T::Map(kind) | T::List(kind) => Inner::Type(kind),
        T::Set(_) | T::AttributeSet(_) => {
            // When the plan has unknown elements, only their number can be compared: it must not
            // grow.
            let (Some(before), Some(after)) = (planned.as_array(), actual.as_array()) else {
                return out.push((path.clone(), "it is not what was planned"));
            };
            if !tree::wholly_known(actual) {
                return out.push((path.clone(), "it is still unknown after the apply"));
            }
            if tree::wholly_known(planned) || after.len() > before.len() {
                out.push((path.clone(), "it is not the set that was planned"));
            }
            return;
        }
        _ => return out.push((path.clone(), "it is not the value that was planned")),
    };
    match (planned, actual) {
        (V::Map(before), V::Map(after))
            if before.len() == after.len() && before.iter().zip(after).all(|(a, b)| a.0 == b.0) =>
        {
            for ((key, planned), (_, actual)) in before.iter().zip(after) {
                at(
                    Step::Key(key.as_str().unwrap_or_default().to_owned().into()),
                    &inner,
                    planned,
                    actual,
                );
            }
        }
        (V::Array(before), V::Array(after)) if before.len() == after.len() => {
            for (i, (planned, actual)) in (0..).zip(before.iter().zip(after)) {
                at(Step::Index(i), &inner, planned, actual);
            }
        }
        _ => out.push((path.clone(), "it has other elements than were planned")),
    }
}

enum Inner<'a> {
    Type(&'a T),
    Object(&'a HashMap<String, Attribute>),
}
