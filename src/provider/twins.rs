//! One object under two addresses in one run, and two objects that need the same.
//!
//! Core knows addresses only. For a block that was renamed without `moved` it plans a create for
//! the new one and a destroy for the old one, and the two would make and remove the same object, in
//! whatever order they run.
use crate::base::Problem;
use crate::resource::Claim;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// An object: its type and its import id.
type Object = (&'static str, String);

/// What one run has planned and made so far. A plan and an apply are runs of their own.
#[derive(Debug, Default)]
pub struct Twins(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    creates: BTreeSet<Object>,
    destroys: BTreeSet<Object>,
    made: BTreeSet<Object>,
    claims: BTreeMap<Claim, Object>,
}

impl Twins {
    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A run begins: what an earlier one of this process has seen does not count.
    pub fn begin(&self) {
        self.seen(|s| *s = Seen::default());
    }

    /// A create is planned.
    ///
    /// # Errors
    /// The destroy of the same object is planned, too.
    pub fn creates(&self, kind: &'static str, id: &str) -> Result<(), Problem> {
        let object = (kind, id.to_owned());
        self.seen(|s| {
            s.creates.insert(object.clone());
            alone(&s.destroys, &object)
        })
    }

    /// An object is planned that needs `claims` for itself; `new`: it does not exist yet. Core plans
    /// a create once.
    ///
    /// # Errors
    /// Another object of this run needs one of them, or another block makes this object.
    pub fn claims(
        &self,
        kind: &'static str,
        id: &str,
        new: bool,
        claims: Vec<Claim>,
    ) -> Result<(), Problem> {
        let object = (kind, id.to_owned());
        self.seen(|s| {
            for claim in claims {
                let other = s.claims.get(&claim).filter(|o| **o != object);
                if let Some((kind, other)) = other {
                    return Err(taken(&claim, &format!("{kind} {other}")));
                }
                if s.claims.insert(claim.clone(), object.clone()).is_some()
                    && new
                    && s.creates.contains(&object)
                {
                    return Err(taken(&claim, &format!("another block about {kind} {id}")));
                }
            }
            Ok(())
        })
    }

    /// A destroy is planned.
    ///
    /// # Errors
    /// The create of the same object is planned, too.
    pub fn destroys(&self, kind: &'static str, id: &str) -> Result<(), Problem> {
        let object = (kind, id.to_owned());
        self.seen(|s| {
            s.destroys.insert(object.clone());
            alone(&s.creates, &object)
        })
    }

    /// A create has been carried out.
    pub fn made(&self, kind: &'static str, id: &str) {
        self.seen(|s| _ = s.made.insert((kind, id.to_owned())));
    }

    /// A destroy is about to be carried out.
    ///
    /// # Errors
    /// This run has made the same object.
    pub fn unmakes(&self, kind: &'static str, id: &str) -> Result<(), Problem> {
        self.seen(|s| alone(&s.made, &(kind, id.to_owned())))
    }
}

/// Refuses an object that is among those for which the opposite was asked.
fn alone(opposite: &BTreeSet<Object>, object: &Object) -> Result<(), Problem> {
    if opposite.contains(object) { Err(renamed(object)) } else { Ok(()) }
}

fn taken(claim: &Claim, other: &str) -> Problem {
    Problem::refused(format!("{} is asked for twice", claim.what))
        .place(&claim.machine)
        .why(format!("{other} of this configuration needs it, too"))
        .fix("give each object its own; if both blocks are about one object, keep one of them")
}

fn renamed((kind, id): &Object) -> Problem {
    Problem::refused(format!("{kind} {id} would be created and destroyed in one run"))
        .why(
            "two blocks are about one object: one of them is new, the other one is gone. Most \
             often a block was renamed, or count became for_each",
        )
        .fix(format!(
            "say that it is the same object: moved {{ from = {kind}.OLD, to = {kind}.NEW }}, each \
             on a line of its own; if it is to be another object, remove the old one in an apply \
             of its own"
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whichever_comes_second_is_refused() {
        let twins = Twins::default();
        assert!(twins.creates("ob_user", "a").is_ok() && twins.destroys("ob_user", "b").is_ok());
        let problem = twins.destroys("ob_user", "a").unwrap_err();
        assert!(problem.fix.contains("from = ob_user.OLD"), "{problem}");
        assert!(twins.creates("ob_user", "b").is_err());
        assert!(twins.creates("ob_grant", "b").is_ok(), "another type");
    }

    #[test]
    fn two_objects_of_one_run_never_need_the_same() {
        let claim =
            |machine: &str, what: &str| vec![Claim { machine: machine.into(), what: what.into() }];
        let twins = Twins::default();
        let kind = "ob_cluster";
        let ask = |id: &str, new, claims| twins.claims(kind, id, new, claims);
        assert!(ask("a", false, claim("h1:22", "port 2881")).is_ok());
        assert!(ask("a", false, claim("h1:22", "port 2881")).is_ok(), "planned again");
        assert!(ask("b", true, claim("h2:22", "port 2881")).is_ok(), "another machine");
        let problem = ask("b", true, claim("h1:22", "port 2881")).unwrap_err();
        assert!(problem.what.contains("port 2881") && problem.why.contains("ob_cluster a"));
        // A replacement: the block is planned with its prior state, then without.
        assert!(ask("a", true, claim("h1:22", "port 2881")).is_ok());
        twins.creates(kind, "a").unwrap();
        assert!(ask("a", true, claim("h1:22", "port 2881")).is_err(), "two blocks make it");
        twins.begin();
        assert!(ask("b", true, claim("h1:22", "port 2881")).is_ok(), "another run");
    }

    #[test]
    fn an_apply_destroys_nothing_that_it_has_made() {
        let twins = Twins::default();
        // A replacement: first the old one goes, then the new one comes.
        assert!(twins.unmakes("ob_user", "a").is_ok());
        twins.made("ob_user", "a");
        assert!(twins.unmakes("ob_user", "a").is_err());
        twins.begin();
        assert!(twins.unmakes("ob_user", "a").is_ok(), "another run");
    }
}
