//! All schemas as plain data, for `ob schema write` (schemas/*.json and the registry pages) and for
//! tests.
use super::config_schema;
use super::registry::Registry;
use crate::schema::{Attribute, AttributeConstraint as C, AttributeType as T, Schema, Tree};
use rmpv::Value as V;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Everything the provider offers.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    /// The provider block.
    pub provider: Page,
    /// Resources by type.
    pub resources: BTreeMap<String, Page>,
    /// Data sources by type.
    pub data_sources: BTreeMap<String, Page>,
}

/// One schema.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    /// Version of the stored state.
    pub version: i64,
    /// Markdown.
    pub description: String,
    /// Its attributes by name.
    pub attributes: BTreeMap<String, Row>,
    /// The attributes that identify it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identity: Vec<String>,
}

/// One attribute.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Terraform's type in its JSON form; for nested attributes one of `single`, `list`, `set`,
    /// `map`.
    pub r#type: serde_json::Value,
    /// Markdown.
    pub description: String,
    /// The configuration must set it.
    pub required: bool,
    /// The configuration may set it.
    pub optional: bool,
    /// We may set it.
    pub computed: bool,
    /// Hidden in output.
    pub sensitive: bool,
    /// Never in plan or state.
    pub write_only: bool,
    /// What to do instead, if deprecated.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub deprecated: String,
    /// Nested attributes by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Row>,
}

/// All schemas of `registry` as plain data.
#[must_use]
pub fn schema_document(registry: &Registry) -> Document {
    let resources = registry
        .resources
        .iter()
        .map(|(name, r)| ((*name).to_owned(), page(r.schema(), r.identity())))
        .collect();
    let data_sources = registry
        .sources
        .iter()
        .map(|(name, s)| ((*name).to_owned(), page(s.schema(), &[])))
        .collect();
    Document { provider: page(&config_schema::schema(), &[]), resources, data_sources }
}

fn page(schema: &Schema, identity: &[&str]) -> Page {
    Page {
        version: schema.version(),
        description: schema.inner().block.description.content.clone(),
        attributes: rows(schema, schema.attributes(), &mut Vec::new()),
        identity: identity.iter().map(|n| (*n).to_owned()).collect(),
    }
}

fn rows(
    schema: &Schema,
    all: &HashMap<String, Attribute>,
    names: &mut Vec<String>,
) -> BTreeMap<String, Row> {
    let mut out = BTreeMap::new();
    for (name, a) in all {
        names.push(name.clone());
        let extra = schema.extra(names).cloned().unwrap_or_default();
        let (kind, inner) = match &a.attr_type {
            T::AttributeSingle(inner) => ("single".into(), Some(inner)),
            T::AttributeList(inner) => ("list".into(), Some(inner)),
            T::AttributeSet(inner) => ("set".into(), Some(inner)),
            T::AttributeMap(inner) => ("map".into(), Some(inner)),
            plain => (serde_json::to_value(plain).unwrap_or_default(), None),
        };
        let row = Row {
            r#type: kind,
            description: a.description.content.clone(),
            required: a.constraint == C::Required,
            optional: matches!(a.constraint, C::Optional | C::OptionalComputed),
            computed: matches!(a.constraint, C::Computed | C::OptionalComputed),
            sensitive: a.sensitive,
            write_only: extra.write_only,
            deprecated: extra.deprecation,
            attributes: inner.map(|inner| rows(schema, inner, names)).unwrap_or_default(),
        };
        names.pop();
        out.insert(name.clone(), row);
    }
    out
}

/// A sample object of the schema. Every attribute is `value`, or without one something that fits
/// the attribute's type. Nested collections have one element.
pub(super) fn sample(schema: &Schema, value: Option<&Tree>) -> Tree {
    fn object(all: &HashMap<String, Attribute>, value: Option<&Tree>) -> Tree {
        let mut names: Vec<_> = all.keys().collect();
        names.sort();
        V::Map(
            names
                .into_iter()
                .map(|n| (V::from(n.as_str()), attribute(&all[n].attr_type, value)))
                .collect(),
        )
    }
    fn attribute(kind: &T, value: Option<&Tree>) -> Tree {
        match (kind, value) {
            (T::AttributeSingle(inner), _) => object(inner, value),
            (T::AttributeList(inner) | T::AttributeSet(inner), _) => {
                V::Array(vec![object(inner, value)])
            }
            (T::AttributeMap(inner), _) => V::Map(vec![(V::from("k"), object(inner, value))]),
            (_, Some(value)) => value.clone(),
            (T::String, _) => V::from("text"),
            (T::Number, _) => V::from(7),
            (T::Bool, _) => V::from(true),
            (T::List(element) | T::Set(element), _) => V::Array(vec![attribute(element, value)]),
            (T::Map(element), _) => V::Map(vec![(V::from("k"), attribute(element, value))]),
            (T::Object(_) | T::Tuple(_) | T::Any, _) => V::Nil,
        }
    }
    object(schema.attributes(), value)
}
