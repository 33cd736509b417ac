//! Converts `tf-provider`'s types and ours into messages of protocol 6.11.
use super::pb::tf;
use crate::schema::{
    Attribute, AttributeConstraint as C, AttributePath, AttributePathStep, AttributeType as T,
    Diagnostic, Diagnostics, Schema, StringKind, Tree, tree,
};
use std::collections::HashMap;

/// A schema as a message.
#[must_use]
pub fn schema(schema: &Schema) -> tf::Schema {
    let block = &schema.inner().block;
    let block = tf::schema::Block {
        version: block.version,
        attributes: attributes(schema, &block.attributes, &mut Vec::new()),
        description: block.description.content.clone(),
        description_kind: kind(&block.description.kind),
        deprecated: block.deprecated,
        ..Default::default()
    };
    tf::Schema { version: schema.version(), block: Some(block) }
}

fn kind(kind: &StringKind) -> i32 {
    match kind {
        StringKind::Plain => tf::StringKind::Plain as i32,
        StringKind::Markdown => tf::StringKind::Markdown as i32,
    }
}

fn attributes(
    schema: &Schema,
    all: &HashMap<String, Attribute>,
    names: &mut Vec<String>,
) -> Vec<tf::schema::Attribute> {
    use tf::schema::object::NestingMode as N;
    let mut out: Vec<_> = all.iter().collect();
    out.sort_by_key(|(name, _)| *name);
    out.into_iter()
        .map(|(name, a)| {
            names.push(name.clone());
            let nested = match &a.attr_type {
                T::AttributeSingle(inner) => Some((N::Single, inner)),
                T::AttributeList(inner) => Some((N::List, inner)),
                T::AttributeSet(inner) => Some((N::Set, inner)),
                T::AttributeMap(inner) => Some((N::Map, inner)),
                _ => None,
            };
            let nested_type = nested.map(|(mode, inner)| tf::schema::Object {
                attributes: attributes(schema, inner, names),
                nesting: mode as i32,
                ..Default::default()
            });
            let extra = schema.extra(names).cloned().unwrap_or_default();
            names.pop();
            tf::schema::Attribute {
                name: name.clone(),
                // tf-provider's own server sends both; core refuses that.
                r#type: if nested_type.is_some() {
                    Vec::new()
                } else {
                    a.attr_type.to_string().into_bytes()
                },
                nested_type,
                description: a.description.content.clone(),
                description_kind: kind(&a.description.kind),
                required: a.constraint == C::Required,
                optional: matches!(a.constraint, C::Optional | C::OptionalComputed),
                computed: matches!(a.constraint, C::Computed | C::OptionalComputed),
                sensitive: a.sensitive,
                deprecated: a.deprecated,
                deprecation_message: extra.deprecation,
                write_only: extra.write_only,
            }
        })
        .collect()
}

/// An attribute path as a message.
#[must_use]
pub fn path(path: &AttributePath) -> tf::AttributePath {
    use tf::attribute_path::step::Selector as S;
    let step = |step: &AttributePathStep| match step {
        AttributePathStep::Attribute(name) => S::AttributeName(name.to_string()),
        AttributePathStep::Key(key) => S::ElementKeyString(key.to_string()),
        AttributePathStep::Index(index) => S::ElementKeyInt(*index),
    };
    tf::AttributePath {
        steps: path
            .steps
            .iter()
            .map(|s| tf::attribute_path::Step { selector: Some(step(s)) })
            .collect(),
    }
}

/// Diagnostics as messages. `schema` resolves the paths in them, which are plain words.
#[must_use]
pub fn diagnostics(schema: Option<&Schema>, diags: Diagnostics) -> Vec<tf::Diagnostic> {
    use tf::diagnostic::Severity;
    let one = |severity: Severity| {
        move |d: Diagnostic| {
            let attribute = schema.map_or_else(|| d.attribute.clone(), |s| s.resolve(&d.attribute));
            let attribute = (!attribute.steps.is_empty()).then(|| path(&attribute));
            tf::Diagnostic {
                severity: severity as i32,
                summary: d.summary.into_owned(),
                detail: d.detail.into_owned(),
                attribute,
            }
        }
    };
    diags
        .errors
        .into_iter()
        .map(one(Severity::Error))
        .chain(diags.warnings.into_iter().map(one(Severity::Warning)))
        .collect()
}

/// A value as a message.
#[must_use]
pub fn value(tree: &Tree) -> tf::DynamicValue {
    tf::DynamicValue { msgpack: tree::write(&decimal(tree)), json: Vec::new() }
}

/// A tree with its numbers as decimal text, one of the three forms that core takes.
///
/// Core compares the states before and after a refresh with Go's `reflect.DeepEqual`. There a
/// number read from an integer has another precision than the same number read from text or JSON.
/// With integers every object that holds a number would count as changed, and `plan -refresh-only
/// -detailed-exitcode` would be 2 forever (seen with Terraform 1.11.4).
fn decimal(tree: &Tree) -> Tree {
    match tree {
        Tree::Integer(n) => Tree::from(n.to_string()),
        Tree::Array(all) => Tree::Array(all.iter().map(decimal).collect()),
        Tree::Map(all) => Tree::Map(all.iter().map(|(k, v)| (k.clone(), decimal(v))).collect()),
        other => other.clone(),
    }
}

/// The msgpack bytes of a value. No value gives no bytes, which stand for null.
#[must_use]
pub fn bytes(value: Option<&tf::DynamicValue>) -> &[u8] {
    value.map_or(&[], |v| &v.msgpack)
}
