//! The one error type that reaches people: what failed, where, why, how to fix it, what happens
//! then.
//!
//! Modules keep their own precise error enums and turn them into a [`Problem`] at the layer's edge,
//! where the fix is known.
use super::visible;
use std::borrow::Cow;
use std::fmt;

/// What a problem means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// The input or the world must change first; a retry alone will not help.
    User,
    /// Nothing answered in time; a retry may help.
    Unreachable,
    /// The way that is configured leads in nowhere: the host shows another key than the one that is
    /// pinned, or refuses the login. Another configuration may help, a retry will not.
    NoWay,
    /// What is needed to look is not known before apply; nothing was looked at.
    Later,
    /// The server answered that it cannot do so now; a retry may help.
    Busy,
    /// The server answered and refused the login.
    Denied,
    /// Somebody else holds the object.
    Locked,
    /// We will not do it: it would lose data or a guarantee.
    Refused,
    /// The user or a signal asked us to stop.
    Cancelled,
    /// A bug of ours.
    Internal,
}

impl Kind {
    /// The word that JSON gets.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A failure as a person reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind of failure it is.
    pub kind: Kind,
    /// The failed action, one line, lower case, no full stop: `cannot start seekdb on host "ob-2"`.
    pub what: String,
    /// Host, path or object.
    pub place: String,
    /// The cause, with the numbers that matter.
    pub why: String,
    /// What the reader can do.
    pub fix: String,
    /// What the next run will do, if that is worth saying.
    pub then: String,
    /// The attribute that is to blame, as its steps (`servers`, `z2`, …), empty if none.
    pub attribute: Vec<String>,
}

impl Problem {
    /// Starts a problem of `kind`.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            place: String::new(),
            why: String::new(),
            fix: String::new(),
            then: String::new(),
            attribute: Vec::new(),
        }
    }
    /// A [`Kind::User`] problem.
    pub fn user(what: impl Into<String>) -> Self {
        Self::new(Kind::User, what)
    }
    /// A [`Kind::Refused`] problem.
    pub fn refused(what: impl Into<String>) -> Self {
        Self::new(Kind::Refused, what)
    }
    /// A [`Kind::Internal`] problem: a bug of ours, said plainly.
    pub fn internal(why: impl Into<String>) -> Self {
        Self::new(Kind::Internal, "the provider met a case it does not handle")
            .why(why)
            .fix("please report this text; nothing is lost, the next run looks at the hosts afresh")
    }
    /// Sets where: host, path or object.
    #[must_use]
    pub fn place(mut self, place: impl Into<String>) -> Self {
        self.place = place.into();
        self
    }
    /// Sets the cause.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }
    /// Sets what the reader can do.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }
    /// Sets what the next run will do.
    #[must_use]
    pub fn then(mut self, then: impl Into<String>) -> Self {
        self.then = then.into();
        self
    }
    /// Nothing could be looked at: what is known stays, and nothing is planned because of it.
    #[must_use]
    pub fn unseen(&self) -> bool {
        matches!(self.kind, Kind::Unreachable | Kind::NoWay)
    }
    /// Names the attribute to blame.
    #[must_use]
    pub fn attribute<S: Into<String>>(mut self, path: impl IntoIterator<Item = S>) -> Self {
        self.attribute = path.into_iter().map(Into::into).collect();
        self
    }

    /// The first line. Hosts and servers have a part in all texts of a problem, so this line and
    /// [`Self::detail`] are made safe to show.
    #[must_use]
    pub fn headline(&self) -> Cow<'_, str> {
        visible(&self.what)
    }

    /// The lines below the first: `where`, `why`, `fix`, `then`, those that are set.
    #[must_use]
    pub fn detail(&self) -> String {
        let rows =
            [("where", &self.place), ("why", &self.why), ("fix", &self.fix), ("then", &self.then)];
        let lines = rows
            .iter()
            .filter(|(_, v)| !v.is_empty())
            .map(|(k, v)| format!("{k:<7}{}", visible(v).replace('\n', "\n       ")));
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = self.detail();
        f.write_str(&self.headline())?;
        if detail.is_empty() { Ok(()) } else { write!(f, "\n  {}", detail.replace('\n', "\n  ")) }
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_only_what_is_set_and_indents() {
        let p = Problem::user("cannot start seekdb")
            .place("10.0.0.1")
            .why("two\nlines")
            .fix("free the port");
        assert_eq!(
            p.to_string(),
            "cannot start seekdb\n  where  10.0.0.1\n  why    two\n         lines\n  fix    free the port"
        );
    }
}
