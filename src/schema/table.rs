//! The schema of one type: `tf-provider`'s, with a side table of what that lacks.
use super::build::Attr;
use super::check::Check;
use std::collections::{BTreeMap, HashMap};
use tf_provider::schema::{Attribute, AttributeConstraint, AttributeType, Block, Description};
use tf_provider::{AttributePath, AttributePathStep as Step};

/// What `tf-provider`'s attribute cannot say.
#[derive(Clone, Debug, Default)]
pub struct Extra {
    /// Never in plan or state.
    pub write_only: bool,
    /// What to do instead; empty unless deprecated.
    pub deprecation: String,
    /// Validators of a configured value.
    pub checks: Vec<Check>,
    /// Another resource gives the value.
    pub reference: bool,
    pub(super) decided: bool,
    pub(super) twice: bool,
}

/// A schema: `tf-provider`'s own and, by attribute path (names only), what it lacks.
#[derive(Clone, Debug)]
pub struct Schema {
    inner: tf_provider::schema::Schema,
    extras: BTreeMap<Vec<String>, Extra>,
}

impl Schema {
    /// An empty schema of `version` with its documentation in Markdown.
    #[must_use]
    pub fn new(version: i64, doc: &str) -> Self {
        let block = Block {
            version,
            attributes: HashMap::new(),
            blocks: HashMap::new(),
            description: Description::markdown(doc),
            deprecated: false,
        };
        Self { inner: tf_provider::schema::Schema { version, block }, extras: BTreeMap::new() }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attr(mut self, name: &str, attr: Attr) -> Self {
        let twice = self.inner.block.attributes.insert(name.to_owned(), attr.attribute).is_some();
        for (path, mut extra) in attr.extras {
            extra.twice |= twice && path.is_empty();
            let path = std::iter::once(name.to_owned()).chain(path).collect();
            self.extras.insert(path, extra);
        }
        self
    }

    /// The schema as `tf-provider` knows it.
    #[must_use]
    pub fn inner(&self) -> &tf_provider::schema::Schema {
        &self.inner
    }
    /// The version of the stored state.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.inner.version
    }
    /// The attributes of the root object.
    #[must_use]
    pub fn attributes(&self) -> &HashMap<String, Attribute> {
        &self.inner.block.attributes
    }
    /// What the side table says about the attribute at this path of names (keys and indexes left
    /// out).
    #[must_use]
    pub fn extra(&self, names: &[String]) -> Option<&Extra> {
        self.extras.get(names)
    }
    /// True when some attribute is write-only.
    #[must_use]
    pub fn has_write_only(&self) -> bool {
        self.extras.values().any(|e| e.write_only)
    }

    /// Makes a path that is right on the wire from one whose steps are all given as names.
    ///
    /// The schema tells whether a step is an attribute, a key or an index. The path stops where it
    /// leaves the schema, and at a set: core has no way to name an element of one.
    #[must_use]
    pub fn resolve(&self, path: &AttributePath) -> AttributePath {
        let mut here = Some(Place::Attributes(self.attributes()));
        let mut out = AttributePath::root();
        for step in &path.steps {
            let text = match step {
                Step::Attribute(t) | Step::Key(t) => t.to_string(),
                Step::Index(i) => i.to_string(),
            };
            let Some((step, next)) = here.take().and_then(|p| p.enter(text)) else { break };
            out.steps.push(step);
            here = next;
        }
        out
    }

    /// [`Schema::resolve`] for plain words.
    #[must_use]
    pub fn path<S: AsRef<str>>(&self, steps: &[S]) -> AttributePath {
        self.resolve(&AttributePath {
            steps: steps.iter().map(|s| Step::Attribute(s.as_ref().to_owned().into())).collect(),
        })
    }

    /// Everything that is wrong with the schema itself; a test keeps this empty for every
    /// registered type.
    #[must_use]
    pub fn lint(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.inner.block.description.content.trim().is_empty() {
            found.push("the schema has no documentation".to_owned());
        }
        self.lint_attributes(self.attributes(), &mut Vec::new(), false, &mut found);
        found.sort();
        found
    }

    fn lint_attributes(
        &self,
        attributes: &HashMap<String, Attribute>,
        names: &mut Vec<String>,
        in_set: bool,
        found: &mut Vec<String>,
    ) {
        for (name, a) in attributes {
            names.push(name.clone());
            let here = names.join(".");
            let extra = self.extra(names).cloned().unwrap_or_default();
            let computed = matches!(
                a.constraint,
                AttributeConstraint::Computed | AttributeConstraint::OptionalComputed
            );
            let name_ok = name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            let rules = [
                (a.description.content.trim().is_empty(), "has no documentation"),
                (!extra.decided, "is neither required, optional nor computed"),
                (extra.twice, "is declared twice"),
                (extra.write_only && computed, "is write-only and computed"),
                (extra.write_only && in_set, "is write-only inside a set"),
                (
                    !extra.checks.is_empty() && a.constraint == AttributeConstraint::Computed,
                    "is computed and has validators",
                ),
                (!name_ok, "is not a name Terraform takes: a-z first, then a-z, 0-9, _"),
            ];
            found.extend(
                rules
                    .iter()
                    .filter(|(broken, _)| *broken)
                    .map(|(_, what)| format!("{here} {what}")),
            );
            if let Some(inner) = nested_of(&a.attr_type) {
                let in_set = in_set || matches!(a.attr_type, AttributeType::AttributeSet(_));
                self.lint_attributes(inner, names, in_set, found);
            }
            names.pop();
        }
    }
}

/// The attributes inside a nested type.
#[must_use]
pub(crate) fn nested_of(kind: &AttributeType) -> Option<&HashMap<String, Attribute>> {
    use AttributeType as T;
    match kind {
        T::AttributeSingle(a) | T::AttributeList(a) | T::AttributeSet(a) | T::AttributeMap(a) => {
            Some(a)
        }
        _ => None,
    }
}

/// The attributes of an object in the order of their names, so that all walks report in one order.
pub(crate) fn sorted(attributes: &HashMap<String, Attribute>) -> Vec<(&String, &Attribute)> {
    let mut all: Vec<_> = attributes.iter().collect();
    all.sort_by_key(|(name, _)| *name);
    all
}

enum Place<'a> {
    Attributes(&'a HashMap<String, Attribute>),
    Keys(&'a HashMap<String, Attribute>),
    Indexes(&'a HashMap<String, Attribute>),
    Type(&'a AttributeType),
}

impl<'a> Place<'a> {
    fn enter(self, text: String) -> Option<(Step, Option<Self>)> {
        use AttributeType as T;
        let index = |text: &str| text.parse().ok().map(Step::Index);
        match self {
            Self::Attributes(all) => {
                all.get(&text).map(|a| (Step::Attribute(text.into()), Self::of(&a.attr_type)))
            }
            Self::Keys(inner) => Some((Step::Key(text.into()), Some(Self::Attributes(inner)))),
            Self::Indexes(inner) => index(&text).map(|s| (s, Some(Self::Attributes(inner)))),
            Self::Type(T::Map(element)) => Some((Step::Key(text.into()), Self::of(element))),
            Self::Type(T::List(element)) => index(&text).map(|s| (s, Self::of(element))),
            Self::Type(T::Object(all)) => {
                all.get(&text).map(|t| (Step::Attribute(text.into()), Self::of(t)))
            }
            Self::Type(_) => None,
        }
    }

    fn of(kind: &'a AttributeType) -> Option<Self> {
        use AttributeType as T;
        match kind {
            T::AttributeSingle(a) => Some(Self::Attributes(a)),
            T::AttributeMap(a) => Some(Self::Keys(a)),
            T::AttributeList(a) => Some(Self::Indexes(a)),
            T::Map(_) | T::List(_) | T::Object(_) => Some(Self::Type(kind)),
            _ => None,
        }
    }
}
