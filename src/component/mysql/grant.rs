//! One grant: what one account may do in one scope.
use super::privilege::{ALL, Privileges, expand, list};
use super::{Account, Scope, Statement};

/// What a server says an account holds in a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Its privileges.
    pub privileges: Privileges,
    /// It may grant them on.
    pub grant_option: bool,
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The privileges, [`ALL`] as such.
    pub privileges: Privileges,
    /// Whether it may grant them on; `None` leaves that alone.
    pub grant_option: Option<bool>,
}

impl Held {
    /// True when there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.privileges.is_empty() && !self.grant_option
    }
}

/// The statements from `held` to `wanted`. Only what `owned` (the last known grant of ours) names
/// is ever revoked.
///
/// Granting comes before revoking, so that no connection loses what it keeps.
#[must_use]
pub fn statements(
    account: &Account,
    scope: &Scope,
    owned: Option<&Wanted>,
    wanted: Option<&Wanted>,
    held: &Held,
    all: &Privileges,
) -> Vec<Statement> {
    let mut out = Vec::new();
    let target = wanted.map(|w| expand(&w.privileges, all)).unwrap_or_default();
    let had = owned.map(|o| expand(&o.privileges, all)).unwrap_or_default();
    let surplus: Privileges =
        had.intersection(&held.privileges).filter(|p| !target.contains(*p)).cloned().collect();
    // Some of the privileges in ALL on everything have no name that REVOKE takes (CREATE TABLESPACE
    // on seekdb 1.4.0).
    let whole = *scope == Scope::Global
        && !surplus.is_empty()
        && owned.is_some_and(|o| o.privileges.contains(ALL));
    if whole {
        out.push(revoke(ALL, account, scope));
    }
    if let Some(wanted) = wanted {
        let missing: Privileges =
            target.iter().filter(|p| whole || !held.privileges.contains(*p)).cloned().collect();
        let option = wanted.grant_option == Some(true) && !held.grant_option;
        if !missing.is_empty() || option {
            let names = if wanted.privileges.contains(ALL) {
                ALL.to_owned()
            } else {
                list(if missing.is_empty() { &target } else { &missing })
            };
            let with = if option { " WITH GRANT OPTION" } else { "" };
            out.push(Statement::new(format!(
                "GRANT {names} ON {} TO {}{with}",
                scope.on(),
                account.quoted()
            )));
        }
    }
    if !whole && !surplus.is_empty() {
        let names = if owned.is_some_and(|o| o.privileges.contains(ALL)) && wanted.is_none() {
            ALL.to_owned()
        } else {
            list(&surplus)
        };
        out.push(revoke(&names, account, scope));
    }
    let ours = owned.is_some_and(|o| o.grant_option == Some(true));
    let unwanted = match wanted {
        Some(wanted) => {
            wanted.grant_option == Some(false) || (ours && wanted.grant_option.is_none())
        }
        None => ours,
    };
    if held.grant_option && unwanted {
        out.push(revoke("GRANT OPTION", account, scope));
    }
    out
}

fn revoke(names: &str, account: &Account, scope: &Scope) -> Statement {
    Statement::new(format!("REVOKE {}", surplus_label(names, account, scope)))
}

/// What follows `REVOKE`; also the name of a surplus grant in `unmanaged`.
#[must_use]
pub fn surplus_label(names: &str, account: &Account, scope: &Scope) -> String {
    format!("{names} ON {} FROM {}", scope.on(), account.quoted())
}

/// What `held` has beyond `wanted`, as [`surplus_label`]s: at most one for privileges and one for
/// the grant option.
#[must_use]
pub fn surplus(
    account: &Account,
    scope: &Scope,
    wanted: Option<&Wanted>,
    held: &Held,
    all: &Privileges,
) -> Vec<String> {
    let target = wanted.map(|w| expand(&w.privileges, all)).unwrap_or_default();
    let more: Privileges = held.privileges.difference(&target).cloned().collect();
    let mut out = Vec::new();
    if !more.is_empty() {
        out.push(surplus_label(
            &if more == *all { ALL.to_owned() } else { list(&more) },
            account,
            scope,
        ));
    }
    if held.grant_option && wanted.is_none_or(|w| w.grant_option.is_none()) {
        out.push(surplus_label("GRANT OPTION", account, scope));
    }
    out
}

/// What a read shows of `wanted`: `None` when it holds as written, else what is left of it.
#[must_use]
pub fn left_of(wanted: &Wanted, held: &Held, all: &Privileges) -> Option<Wanted> {
    let target = expand(&wanted.privileges, all);
    let there: Privileges = target.intersection(&held.privileges).cloned().collect();
    let option = wanted.grant_option.map(|_| held.grant_option);
    (there != target || option != wanted.grant_option).then_some(Wanted {
        privileges: if there == target { wanted.privileges.clone() } else { there },
        grant_option: option,
    })
}
