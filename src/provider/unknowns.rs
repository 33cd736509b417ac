//! Marks as unknown in core's proposal what only apply can tell, so that a resource's plan may
//! start from `proposed` as it is.
//!
//! Core proposes null for a computed attribute of a new object. Null would be a promise; unknown is
//! the truth. So every computed attribute that the configuration leaves out becomes unknown if its
//! object was not there before. The object is the resource itself, a key of a map or an index of a
//! list. In an object that was there, core's proposal (the prior value) stays.
use crate::schema::{Attribute, AttributeConstraint as C, AttributeType as T, Schema, Tree, tree};
use rmpv::Value as V;
use std::collections::HashMap;

/// Marks the unknown values in `proposed`. All three are trees in normal form; `prior` may be null.
pub fn mark(schema: &Schema, prior: &Tree, config: &Tree, proposed: &mut Tree) {
    attributes(schema.attributes(), prior, config, proposed);
}

fn attributes(all: &HashMap<String, Attribute>, prior: &Tree, config: &Tree, proposed: &mut Tree) {
    for (name, a) in all {
        let configured = tree::get(config, name);
        let Some(value) = tree::get_mut(proposed, name) else { continue };
        let may_compute = matches!(a.constraint, C::Computed | C::OptionalComputed);
        if may_compute && *configured == V::Nil {
            if *prior == V::Nil && *value == V::Nil {
                *value = tree::unknown();
            }
            continue;
        }
        let before = tree::get(prior, name);
        match (&a.attr_type, value) {
            (T::AttributeSingle(inner), object @ V::Map(_)) => {
                attributes(inner, before, configured, object)
            }
            (T::AttributeMap(inner), V::Map(entries)) => {
                for (key, object) in entries {
                    let key = key.as_str().unwrap_or_default();
                    attributes(inner, tree::get(before, key), tree::get(configured, key), object);
                }
            }
            (T::AttributeList(inner), V::Array(elements)) => {
                let nth = |t: &Tree, i: usize| {
                    t.as_array().and_then(|a| a.get(i)).cloned().unwrap_or(V::Nil)
                };
                for (i, object) in elements.iter_mut().enumerate() {
                    attributes(inner, &nth(before, i), &nth(configured, i), object);
                }
            }
            // Elements of a set cannot be matched with those from before. In a new object all
            // elements are new.
            (T::AttributeSet(inner), V::Array(elements)) if *prior == V::Nil => {
                elements
                    .iter_mut()
                    .for_each(|object| attributes(inner, &V::Nil, &object.clone(), object));
            }
            _ => {}
        }
    }
}
