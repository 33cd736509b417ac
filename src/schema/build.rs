//! The words in which a resource writes its schema.
//!
//! ```
//! use ob::schema::{Schema, build::*};
//! let schema = Schema::new(1, "A cluster.")
//!     .attr("name", string("Its name.").required())
//!     .attr(
//!         "zones",
//!         map_of("Its zones, by name.", [("region", string("Region.").optional())]).required(),
//!     )
//!     .attr("status", string("What it does right now.").computed())
//!     .attr("root_password_wo", string("Password of root.").optional().write_only());
//! assert!(schema.lint().is_empty());
//! ```
use super::check::Check;
use super::table::Extra;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use tf_provider::schema::{Attribute, AttributeConstraint, AttributeType, Description};

/// One attribute under construction.
#[derive(Clone)]
pub struct Attr {
    pub(super) attribute: Attribute,
    /// What the side table gets: the attribute's own extra under the empty path, then those of its
    /// nested attributes.
    pub(super) extras: Vec<(Vec<String>, Extra)>,
}

/// Element types of plain lists, sets and maps.
pub const STRING: AttributeType = AttributeType::String;
/// As [`STRING`], for whole numbers.
pub const NUMBER: AttributeType = AttributeType::Number;

fn attr(attr_type: AttributeType, doc: &str) -> Attr {
    let attribute = Attribute {
        attr_type,
        description: Description::markdown(doc),
        constraint: AttributeConstraint::Optional,
        sensitive: false,
        deprecated: false,
    };
    Attr { attribute, extras: vec![(Vec::new(), Extra::default())] }
}

/// Text.
#[must_use]
pub fn string(doc: &str) -> Attr {
    attr(AttributeType::String, doc)
}
/// A whole number.
#[must_use]
pub fn number(doc: &str) -> Attr {
    attr(AttributeType::Number, doc)
}
/// `true` or `false`.
#[must_use]
pub fn boolean(doc: &str) -> Attr {
    attr(AttributeType::Bool, doc)
}
/// A list of plain values.
#[must_use]
pub fn list(doc: &str, element: AttributeType) -> Attr {
    attr(AttributeType::List(Box::new(element)), doc)
}
/// A set of plain values.
#[must_use]
pub fn set(doc: &str, element: AttributeType) -> Attr {
    attr(AttributeType::Set(Box::new(element)), doc)
}
/// A map of plain values.
#[must_use]
pub fn map(doc: &str, element: AttributeType) -> Attr {
    attr(AttributeType::Map(Box::new(element)), doc)
}

/// A nested attribute: its name and what it is.
pub type Named = (&'static str, Attr);

fn nested(
    doc: &str,
    inner: impl IntoIterator<Item = Named>,
    wrap: fn(HashMap<String, Attribute>) -> AttributeType,
) -> Attr {
    let (mut attributes, mut extras) = (HashMap::new(), Vec::new());
    for (name, a) in inner {
        for (path, mut extra) in a.extras {
            let path: Vec<_> = std::iter::once(name.to_owned()).chain(path).collect();
            extra.twice |= path.len() == 1 && attributes.contains_key(name);
            extras.push((path, extra));
        }
        attributes.insert(name.to_owned(), a.attribute);
    }
    let mut out = attr(wrap(attributes), doc);
    out.extras.extend(extras);
    out
}

/// One nested object, `ssh = { … }`.
#[must_use]
pub fn object(doc: &str, inner: impl IntoIterator<Item = Named>) -> Attr {
    nested(doc, inner, AttributeType::AttributeSingle)
}
/// Nested objects by key, `zones = { z1 = { … } }`.
#[must_use]
pub fn map_of(doc: &str, inner: impl IntoIterator<Item = Named>) -> Attr {
    nested(doc, inner, AttributeType::AttributeMap)
}
/// Nested objects in order.
#[must_use]
pub fn list_of(doc: &str, inner: impl IntoIterator<Item = Named>) -> Attr {
    nested(doc, inner, AttributeType::AttributeList)
}
/// Nested objects without order. Write-only attributes cannot be inside.
#[must_use]
pub fn set_of(doc: &str, inner: impl IntoIterator<Item = Named>) -> Attr {
    nested(doc, inner, AttributeType::AttributeSet)
}

impl Attr {
    fn constraint(mut self, constraint: AttributeConstraint) -> Self {
        self.attribute.constraint = constraint;
        self.extra().decided = true;
        self
    }
    fn extra(&mut self) -> &mut Extra {
        if self.extras.is_empty() {
            self.extras.push((Vec::new(), Extra::default()));
        }
        &mut self.extras[0].1
    }
    fn document(&mut self, sentence: &str) {
        let text = &mut self.attribute.description.content;
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(sentence);
    }
    fn checked(mut self, check: Check) -> Self {
        self.extra().checks.push(check);
        self
    }

    /// The configuration must set it.
    #[must_use]
    pub fn required(self) -> Self {
        self.constraint(AttributeConstraint::Required)
    }
    /// The configuration may set it; else it stays null.
    #[must_use]
    pub fn optional(self) -> Self {
        self.constraint(AttributeConstraint::Optional)
    }
    /// Only we set it.
    #[must_use]
    pub fn computed(mut self) -> Self {
        // A value that we set ourselves needs no validators. Shared lists of attributes bring
        // theirs along, so they are removed.
        self.extra().checks.clear();
        self.constraint(AttributeConstraint::Computed)
    }
    /// The configuration may set it; else we do.
    #[must_use]
    pub fn optional_computed(self) -> Self {
        self.constraint(AttributeConstraint::OptionalComputed)
    }
    /// Hidden in plans and output (but kept in the state: prefer [`Attr::write_only`]).
    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.attribute.sensitive = true;
        self
    }
    /// Never kept in plan or state; only the configuration has it. Implies that our own messages do
    /// not show it.
    #[must_use]
    pub fn write_only(mut self) -> Self {
        self.extra().write_only = true;
        self
    }
    /// Another resource gives the value, so it is checked at the plan and not before: in
    /// `terraform test` a mocked provider gives anything.
    #[must_use]
    pub fn reference(mut self) -> Self {
        self.extra().reference = true;
        self
    }
    /// Warns whoever still sets it.
    #[must_use]
    pub fn deprecated(mut self, message: &str) -> Self {
        self.attribute.deprecated = true;
        self.extra().deprecation = message.to_owned();
        self
    }
    /// Documents the value that holds when it is not set (the plan sets it, not the schema).
    #[must_use]
    pub fn default_is(mut self, value: &str) -> Self {
        self.document(&format!("Default: `{value}`."));
        self
    }
    /// The text (or each text inside a list, set or map) is one of these; documented by itself.
    #[must_use]
    pub fn one_of(mut self, values: &[&'static str]) -> Self {
        let shown: Vec<_> = values.iter().map(|v| format!("`{v}`")).collect();
        self.document(&format!("One of {}.", shown.join(", ")));
        self.checked(Check::OneOf(values.to_vec()))
    }
    /// The text (or each text inside a list, set or map) passes `check`, which says in one line
    /// what is wrong.
    #[must_use]
    pub fn check(self, check: fn(&str) -> Result<(), String>) -> Self {
        self.checked(Check::Text(check))
    }
    /// The number lies within `range`; documented by itself.
    #[must_use]
    pub fn range(mut self, range: RangeInclusive<i64>) -> Self {
        let text = if *range.end() == i64::MAX {
            format!("At least {}.", range.start())
        } else {
            format!("Between {} and {}.", range.start(), range.end())
        };
        self.document(&text);
        self.checked(Check::Range(*range.start(), *range.end()))
    }
    /// Every key of the map passes `check`.
    #[must_use]
    pub fn keys(self, check: fn(&str) -> Result<(), String>) -> Self {
        self.checked(Check::Keys(check))
    }
    /// The list, set or map holds at least `count` elements.
    #[must_use]
    pub fn at_least(self, count: usize) -> Self {
        self.checked(Check::AtLeast(count))
    }
}

/// A [`Attr::check`] and [`Attr::keys`]: the text can name one of our objects.
///
/// # Errors
/// The text cannot: a name becomes part of file names on hosts.
pub fn object_name(text: &str) -> Result<(), String> {
    if crate::base::ids::is_object_name(text) {
        Ok(())
    } else {
        Err("a name has 1 to 64 of the characters a-z, A-Z, 0-9, - _ . and does not start with - \
             or ."
            .to_owned())
    }
}

/// A [`Attr::check`]: the text is a duration such as `30s`, `10m`, `1h30m`.
///
/// # Errors
/// The text is no duration.
pub fn duration(text: &str) -> Result<(), String> {
    crate::base::units::parse_duration(text)
        .map(|_| ())
        .ok_or_else(|| "a duration is written like 500ms, 30s, 10m, 2h or 1h30m".to_owned())
}

/// A [`Attr::check`]: the text is a size such as `64G` or `512M`.
///
/// # Errors
/// The text is no size.
pub fn size(text: &str) -> Result<(), String> {
    crate::base::units::Bytes::parse(text)
        .map(|_| ())
        .ok_or_else(|| "a size is a whole number with K, M, G, T or P, like 512M or 64G".to_owned())
}

/// A [`Attr::check`]: the text is an address of a host.
///
/// # Errors
/// The text is no address.
pub fn address(text: &str) -> Result<(), String> {
    crate::base::Address::parse(text).map(drop)
}

/// A [`Attr::check`]: the text can name a user of the operating system, also one of a directory
/// service.
///
/// # Errors
/// The text cannot.
pub fn os_user(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-@\\$+".contains(c);
    if !text.is_empty() && text.len() <= 256 && !text.starts_with('-') && text.chars().all(plain) {
        Ok(())
    } else {
        Err("a user of the host is named by letters, digits and . _ - @ \\ $ +, and does not begin \
             with -"
            .to_owned())
    }
}

/// A [`Attr::check`]: the text is not empty.
///
/// # Errors
/// The text is empty.
pub fn not_empty(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err("it must not be empty".to_owned()) } else { Ok(()) }
}
