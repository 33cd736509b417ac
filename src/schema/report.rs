//! Turns a [`Problem`] into a diagnostic.
//!
//! Diagnostics are built as literals: `Diagnostic::new` would append a backtrace under
//! `RUST_BACKTRACE=1`. The steps of [`Problem::attribute`] are plain words; the adapter turns them
//! into attributes, keys and indexes by [`super::Schema::resolve`] when the diagnostic leaves the
//! process.
use super::{AttributePath, AttributePathStep, Diagnostic, Diagnostics};
use crate::base::Problem;

/// Adds problems to diagnostics.
pub trait Report {
    /// Adds `problem` as an error.
    fn problem(&mut self, problem: Problem);
    /// Adds `problem` as a warning.
    fn caution(&mut self, problem: Problem);
    /// Adds `problem` as an error at `path`.
    fn problem_at(&mut self, path: AttributePath, problem: Problem);
}

/// The diagnostic that says what `problem` says.
#[must_use]
pub fn diagnostic(problem: Problem) -> Diagnostic {
    let steps =
        problem.attribute.iter().map(|s| AttributePathStep::Attribute(s.clone().into())).collect();
    Diagnostic {
        summary: headline(&problem.headline()).into(),
        detail: problem.detail().into(),
        attribute: AttributePath { steps },
    }
}

/// The summary with a capital letter, which reads better behind Terraform's "Error: ".
fn headline(what: &str) -> String {
    let mut chars = what.chars();
    match chars.next() {
        // A name such as ob_cluster keeps its spelling.
        Some(c) if what.split(' ').next().is_some_and(|w| w.chars().all(char::is_alphabetic)) => {
            c.to_uppercase().chain(chars).collect()
        }
        _ => what.to_owned(),
    }
}

impl Report for Diagnostics {
    fn problem(&mut self, problem: Problem) {
        self.errors.push(diagnostic(problem));
    }
    fn caution(&mut self, problem: Problem) {
        self.warnings.push(diagnostic(problem));
    }
    fn problem_at(&mut self, path: AttributePath, problem: Problem) {
        self.errors.push(Diagnostic { attribute: path, ..diagnostic(problem) });
    }
}
