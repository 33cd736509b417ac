//! Text with named values. A runbook shows each value as `<name>`; the engine fills the values in
//! when the step runs. Both use one template, so what is shown is what runs.
use crate::base::sql::literal;
use crate::base::{Problem, Secret};
use serde::Serialize;
use std::collections::BTreeMap;

/// The name of a value that only a run knows. A runbook shows it as `<name>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(pub &'static str);

/// The running operation's id.
pub const OPERATION: Name = Name("operation");
/// Owner of the configuration that runs the operation and has the authority over the object.
pub const OWNER: Name = Name("owner");
/// Epoch of that authority.
pub const EPOCH: Name = Name("epoch");
/// A creation id, new for each effect.
pub const CREATION: Name = Name("creation");

/// A value that a run knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A number.
    Number(u64),
    /// Text that nobody may see.
    Secret(Secret),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}
impl From<Secret> for Value {
    fn from(secret: Secret) -> Self {
        Self::Secret(secret)
    }
}

impl Value {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Secret(secret) => secret.expose().to_owned(),
        }
    }
}

/// Values by name.
#[derive(Clone, Debug, Default)]
pub struct Values(BTreeMap<String, Value>);

impl Values {
    /// Adds a value.
    #[must_use]
    pub fn with(mut self, name: Name, value: impl Into<Value>) -> Self {
        self.0.insert(name.0.to_owned(), value.into());
        self
    }
    /// Adds a secret of the configuration, unless the step has given a value of that name.
    pub(super) fn secret(&mut self, name: &str, secret: &Secret) {
        self.0.entry(name.to_owned()).or_insert_with(|| Value::Secret(secret.clone()));
    }
    /// Replaces every secret in the texts of a problem by `***`, in case a host repeated it. A
    /// secret of less than three bytes stays: replacing it would garble the text.
    #[must_use]
    pub fn hide(&self, mut problem: Problem) -> Problem {
        for value in self.0.values() {
            if let Value::Secret(secret) = value
                && secret.expose().len() >= 3
            {
                let Problem { what, place, why, fix, then, .. } = &mut problem;
                for text in [what, place, why, fix, then] {
                    *text = text.replace(secret.expose(), "***");
                }
            }
        }
        problem
    }
}

/// How a value is written into the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is: a whole argument of a program, or part of one.
    Plain,
    /// A value of SQL: a quoted literal, or a number.
    Sql,
    /// A value of JSON.
    Json,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Name, Form),
}

/// Text with named values in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

impl<T: AsRef<str>> From<T> for Template {
    fn from(text: T) -> Self {
        Self(vec![Piece::Text(text.as_ref().to_owned())])
    }
}

impl Template {
    /// A template of one value, written as it is.
    #[must_use]
    pub fn value(name: Name) -> Self {
        Self::default().and(name, Form::Plain)
    }
    /// Adds a value.
    #[must_use]
    pub fn and(mut self, name: Name, form: Form) -> Self {
        self.0.push(Piece::Value(name, form));
        self
    }
    /// Adds text.
    #[must_use]
    pub fn then(mut self, text: impl Into<String>) -> Self {
        self.0.push(Piece::Text(text.into()));
        self
    }
    /// `object` as JSON, with a named value in place of each member that `named` lists.
    #[must_use]
    pub fn json(object: &impl Serialize, named: &[(&str, Name)]) -> Self {
        let Ok(serde_json::Value::Object(members)) = serde_json::to_value(object) else {
            return Self::default();
        };
        let mut template = Self::from("{");
        for (i, (key, value)) in members.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            template = template.then(format!("{comma}{}:", serde_json::Value::from(key.as_str())));
            template = match named.iter().find(|(k, _)| k == key) {
                Some((_, name)) => template.and(*name, Form::Json),
                None => template.then(value.to_string()),
            };
        }
        template.then("}")
    }

    /// The text with `<name>` in place of each value.
    #[must_use]
    pub fn show(&self) -> String {
        let piece = |p: &Piece| match p {
            Piece::Text(text) => text.clone(),
            Piece::Value(Name(name), _) => format!("<{name}>"),
        };
        self.0.iter().map(piece).collect()
    }

    /// The text with the values of a run.
    ///
    /// # Errors
    /// A value is missing: the template names one that the step does not give.
    pub fn fill(&self, values: &Values) -> Result<String, Problem> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Value(Name(name), form) => {
                    let Some(value) = values.0.get(*name) else {
                        return Err(Problem::internal(format!("the value <{name}> is not known")));
                    };
                    text.push_str(&written(value, *form));
                }
            }
        }
        Ok(text)
    }
}

fn written(value: &Value, form: Form) -> String {
    match (form, value) {
        (Form::Sql, Value::Number(n)) | (Form::Json, Value::Number(n)) => n.to_string(),
        (Form::Sql, value) => literal(&value.text()),
        (Form::Json, value) => serde_json::Value::from(value.text()).to_string(),
        (Form::Plain, value) => value.text(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_names_what_is_filled_in() {
        let password = Name("password");
        let template =
            Template::from("SET ").and(password, Form::Sql).then("; ").and(EPOCH, Form::Sql);
        assert_eq!(template.show(), "SET <password>; <epoch>");
        let values =
            Values::default().with(password, Secret::new("a'\\")).with(EPOCH, 7).with(OWNER, "x");
        assert_eq!(template.fill(&values).unwrap(), "SET 'a''\\\\'; 7");
        let problem = template.fill(&Values::default()).unwrap_err();
        assert!(problem.to_string().contains("<password>"), "{problem}");
        let hidden = values.hide(Problem::user("x a'\\").why("near a'\\ of it").fix("not a'\\"));
        assert!(!hidden.to_string().contains("a'\\"), "{hidden}");
    }

    #[test]
    fn json_holds_values_where_members_were() {
        #[derive(Serialize)]
        struct Note {
            epoch: u64,
            owner: &'static str,
            name: &'static str,
        }
        let note = Note { epoch: 0, owner: "", name: "a\"b" };
        let template = Template::json(&note, &[("epoch", EPOCH), ("owner", OWNER)]);
        assert_eq!(template.show(), r#"{"epoch":<epoch>,"name":"a\"b","owner":<owner>}"#);
        let filled =
            template.fill(&Values::default().with(EPOCH, 3).with(OWNER, "o\"$(x)")).unwrap();
        let read: serde_json::Value = serde_json::from_str(&filled).unwrap();
        assert_eq!((read["epoch"].as_u64(), read["owner"].as_str()), (Some(3), Some("o\"$(x)")));
    }
}
