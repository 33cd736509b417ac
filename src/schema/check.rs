//! Validates a configuration against the validators of its schema. All functions are pure, report
//! all problems at once, and never call an unknown value wrong.
use super::table::{Schema, nested_of, sorted};
use super::tree::{self, Tree};
use super::{Diagnostics, Report};
use crate::base::Problem;
use rmpv::Value as V;
use std::collections::HashMap;
use tf_provider::schema::{Attribute, AttributeType};
use tf_provider::{AttributePath, AttributePathStep as Step};

/// One validator. It looks at known values only.
#[derive(Clone, Debug)]
pub enum Check {
    /// The text is one of these.
    OneOf(Vec<&'static str>),
    /// The text passes.
    Text(fn(&str) -> Result<(), String>),
    /// The number lies between these, both included.
    Range(i64, i64),
    /// Every key of the map passes.
    Keys(fn(&str) -> Result<(), String>),
    /// The list, set or map has at least so many elements.
    AtLeast(usize),
}

/// Runs every validator of `schema` on `config`, a tree in its normal form, except on what other
/// resources give.
pub fn validate(schema: &Schema, config: &Tree, diags: &mut Diagnostics) {
    walk(schema, config, diags, Visit::Checks);
}

/// Runs the validators of what other resources give.
pub fn references(schema: &Schema, config: &Tree, diags: &mut Diagnostics) {
    walk(schema, config, diags, Visit::References);
}

/// Refuses write-only attributes that are set. It is for a caller that does not know write-only
/// attributes: such a caller would store them.
pub fn refuse_write_only(schema: &Schema, config: &Tree, diags: &mut Diagnostics) {
    walk(schema, config, diags, Visit::WriteOnly);
}

fn walk(schema: &Schema, config: &Tree, diags: &mut Diagnostics, visit: Visit) {
    let (names, path) = (Vec::new(), AttributePath::root());
    Walk { schema, names, path, diags, visit, reference: false }
        .object(schema.attributes(), config);
}

/// Sets every write-only attribute to null: no plan and no state may hold one.
pub fn clear_write_only(schema: &Schema, tree: &mut Tree) {
    if schema.has_write_only() {
        clear(schema, schema.attributes(), &mut Vec::new(), tree);
    }
}

fn clear(
    schema: &Schema,
    attributes: &HashMap<String, Attribute>,
    names: &mut Vec<String>,
    object: &mut Tree,
) {
    for (name, a) in attributes {
        let Some(value) = tree::get_mut(object, name) else { continue };
        names.push(name.clone());
        if schema.extra(names).is_some_and(|e| e.write_only) {
            *value = V::Nil;
        } else if let Some(inner) = nested_of(&a.attr_type) {
            match value {
                V::Array(all) => all.iter_mut().for_each(|v| clear(schema, inner, names, v)),
                V::Map(all) if matches!(a.attr_type, AttributeType::AttributeMap(_)) => {
                    all.iter_mut().for_each(|(_, v)| clear(schema, inner, names, v))
                }
                other => clear(schema, inner, names, other),
            }
        }
        names.pop();
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Visit {
    Checks,
    References,
    WriteOnly,
}

struct Walk<'a> {
    schema: &'a Schema,
    names: Vec<String>,
    path: AttributePath,
    diags: &'a mut Diagnostics,
    visit: Visit,
    /// What is looked at is given by another resource.
    reference: bool,
}

impl Walk<'_> {
    fn object(&mut self, attributes: &HashMap<String, Attribute>, object: &Tree) {
        if !matches!(object, V::Map(_)) {
            return;
        }
        for (name, a) in sorted(attributes) {
            self.names.push(name.clone());
            self.path.steps.push(Step::Attribute(name.clone().into()));
            self.attribute(a, tree::get(object, name));
            self.path.steps.pop();
            self.names.pop();
        }
    }

    fn attribute(&mut self, a: &Attribute, value: &Tree) {
        if matches!(value, V::Nil | V::Ext(..)) {
            return;
        }
        let extra = self.schema.extra(&self.names).cloned().unwrap_or_default();
        let outside = self.reference;
        self.reference |= extra.reference;
        match self.visit {
            Visit::WriteOnly if extra.write_only => {
                let fix = "use Terraform 1.11 or OpenTofu 1.11 or newer: older ones would keep \
                           this secret in their state";
                self.diags.problem_at(
                    self.path.clone(),
                    Problem::user(format!(
                        "{} is write-only, which this version does not support",
                        self.path
                    ))
                    .fix(fix),
                );
            }
            Visit::WriteOnly => {}
            Visit::Checks | Visit::References
                if self.reference == (self.visit == Visit::References) =>
            {
                let hidden = a.sensitive || extra.write_only;
                for check in &extra.checks {
                    self.run(check, value, hidden);
                }
            }
            Visit::Checks | Visit::References => {}
        }
        self.inside(a, value);
        self.reference = outside;
    }

    fn inside(&mut self, a: &Attribute, value: &Tree) {
        use AttributeType as T;
        match (&a.attr_type, value) {
            (T::AttributeSingle(inner), object) => self.object(inner, object),
            (T::AttributeMap(inner), V::Map(all)) => {
                for (key, object) in all {
                    let key = key.as_str().unwrap_or_default().to_owned();
                    self.at(Step::Key(key.into()), |w| w.object(inner, object));
                }
            }
            (T::AttributeList(inner), V::Array(all)) => {
                for (i, object) in (0..).zip(all) {
                    self.at(Step::Index(i), |w| w.object(inner, object));
                }
            }
            (T::AttributeSet(inner), V::Array(all)) => {
                all.iter().for_each(|object| self.object(inner, object))
            }
            _ => {}
        }
    }

    fn at(&mut self, step: Step, inside: impl FnOnce(&mut Self)) {
        self.path.steps.push(step);
        inside(self);
        self.path.steps.pop();
    }

    fn run(&mut self, check: &Check, value: &Tree, hidden: bool) {
        match (check, value) {
            (Check::Keys(check), V::Map(all)) => {
                for key in all.iter().filter_map(|(k, _)| k.as_str()) {
                    if let Err(why) = check(key) {
                        self.at(Step::Key(key.to_owned().into()), |w| {
                            w.refuse(&format!("{key:?}: {why}"), "")
                        });
                    }
                }
            }
            (Check::AtLeast(n), V::Map(all)) if all.len() < *n => self.too_few(*n, all.len()),
            (Check::AtLeast(n), V::Array(all)) if all.len() < *n => self.too_few(*n, all.len()),
            (Check::Range(min, max), V::Integer(n))
                if n.as_i64().is_none_or(|n| n < *min || n > *max) =>
            {
                let bounds = if *max == i64::MAX {
                    format!("at least {min}")
                } else {
                    format!("between {min} and {max}")
                };
                let why = if hidden {
                    "the value is out of range".to_owned()
                } else {
                    format!("{n} is out of range")
                };
                self.refuse(&why, &format!("set a whole number of {bounds}"));
            }
            (Check::OneOf(_) | Check::Text(_), V::Map(all)) => {
                for (key, v) in all {
                    let key = key.as_str().unwrap_or_default().to_owned();
                    self.at(Step::Key(key.into()), |w| w.text(check, v, hidden));
                }
            }
            (Check::OneOf(_) | Check::Text(_), V::Array(all)) => {
                all.iter().for_each(|v| self.text(check, v, hidden))
            }
            (check, value) => self.text(check, value, hidden),
        }
    }

    fn text(&mut self, check: &Check, value: &Tree, hidden: bool) {
        let Some(text) = value.as_str() else { return };
        let shown = if hidden { "the value".to_owned() } else { format!("{text:?}") };
        match check {
            Check::OneOf(all) if !all.contains(&text) => self.refuse(
                &format!("{shown} is not one of them"),
                &format!("use one of {}", all.join(", ")),
            ),
            Check::Text(check) => {
                if let Err(why) = check(text) {
                    self.refuse(&format!("{shown}: {why}"), "");
                }
            }
            _ => {}
        }
    }

    fn too_few(&mut self, want: usize, have: usize) {
        self.refuse(&format!("it has {have} of at least {want} elements"), "add the missing ones");
    }

    fn refuse(&mut self, why: &str, fix: &str) {
        self.diags.problem_at(
            self.path.clone(),
            Problem::user(format!("the value of {} cannot be used", self.path)).why(why).fix(fix),
        );
    }
}
