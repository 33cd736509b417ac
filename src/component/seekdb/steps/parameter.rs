//! Setting one dynamic parameter.
use super::super::server::{self, On};
use super::id;
use crate::base::Problem;
use crate::base::sql::literal;
use crate::base::units::{Bytes, parse_duration};
use crate::engine::{Check, Cx, Effect, Host, Node, Sql, Step, StepId};
use async_trait::async_trait;

/// Sets one parameter of a running server with `ALTER SYSTEM SET`.
#[derive(Clone, Debug)]
pub struct SetParameter {
    /// The instance.
    pub node: Node,
    /// Parameter name.
    pub name: String,
    /// Wanted value.
    pub value: String,
}

/// Whether two spellings mean one value: `64G` and `65536M`, `True` and `on`, `60s` and `1m`. Quotes
/// do not matter.
#[must_use]
pub fn same_value(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim().trim_matches('\''), b.trim().trim_matches('\''));
    a.eq_ignore_ascii_case(b)
        || sized(a).is_some() && sized(a) == sized(b)
        || truth(a).is_some() && truth(a) == truth(b)
        || parse_duration(a).is_some() && parse_duration(a) == parse_duration(b)
}

/// The truth value that a text means to the server; `None` when it means none.
#[must_use]
pub fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// A size with a unit. A bare number is compared as text, because OceanBase reads it in the
/// parameter's own unit.
fn sized(text: &str) -> Option<Bytes> {
    text.ends_with(|c: char| c.is_ascii_alphabetic()).then(|| Bytes::parse(text)).flatten()
}

#[async_trait]
impl Step for SetParameter {
    fn id(&self) -> StepId {
        id("set_parameter", &self.node).about(format!("{}={}", self.name, self.value))
    }
    fn title(&self) -> String {
        format!("set {} = {} on {}", self.name, self.value, self.node.show())
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        let statement = format!("ALTER SYSTEM SET {} = {}", self.name, literal(&self.value));
        Effect::Sql(Sql::new(On::service(&self.node), [statement]))
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        if super::facts_of(cx, &self.node).await?.pid.is_none() {
            // The start script carries the value.
            return Ok(Check::Done);
        }
        let said = server::ask(cx, &self.node).await?;
        Ok(match said.parameters.get(&self.name) {
            None => Check::Refused(
                Problem::user(format!("parameter {} does not exist", self.name))
                    .place(self.node.place())
                    .why(format!("SHOW PARAMETERS of {} does not list it", said.build))
                    .fix("correct its name in parameters")
                    .attribute(["parameters", self.name.as_str()]),
            ),
            Some(now) if same_value(now, &self.value) => Check::Done,
            Some(now) => Check::Needed(format!("it is {now}")),
        })
    }
    fn attribute(&self) -> Vec<String> {
        vec!["parameters".into(), self.name.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::same_value;

    #[test]
    fn spellings_of_one_value_are_no_drift() {
        for (a, b, want) in [
            ("64G", "65536M", true),
            ("True", "true", true),
            ("2G", "2048M", true),
            ("2G", "3G", false),
            ("1", "1", true),
            ("1", "1M", false),
            ("a", "b", false),
            ("'x'", "x", true),
            ("30s", "30S", true),
            ("1", "True", true),
            ("off", "False", true),
            ("0", "True", false),
            ("60s", "1m", true),
            ("1500ms", "1500s", false),
        ] {
            assert_eq!(same_value(a, b), want, "{a} {b}");
        }
    }
}
