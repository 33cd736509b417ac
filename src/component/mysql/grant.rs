//! One grant: what one account may do in one scope.
use super::privilege::{ALL, Privileges, expand, list};
use super::{Account, Scope, Statement};

/// What a server says an account holds in a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The account's privileges.
    pub privileges: Privileges,
    /// The account may grant its privileges to others.
    pub grant_option: bool,
}

/// What a configuration asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The privileges; [`ALL`] stays unexpanded.
    pub privileges: Privileges,
    /// Whether the account may grant its privileges to others; `None` leaves that alone.
    pub grant_option: Option<bool>,
}

impl Held {
    /// True when the account holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.privileges.is_empty() && !self.grant_option
    }
}

/// The statements that lead from `held` to `wanted`. They revoke only what `owned`, the last known
/// grant of ours, names.
///
/// Granting usually comes before revoking, so that no connection loses a privilege that it keeps.
/// The exception is a global grant of [`ALL`], which is revoked whole and granted anew.
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
    // REVOKE has no name for some of the privileges that ALL gives globally (CREATE TABLESPACE on
    // seekdb 1.4.0). So ALL is revoked whole, and what stays is granted again.
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
        // ALL would take privileges on columns too, which are others'.
        let alone = wanted.is_none() && surplus == held.privileges;
        let names = if owned.is_some_and(|o| o.privileges.contains(ALL)) && alone {
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

/// The text that follows `REVOKE`. `unmanaged` names a surplus grant in the same words.
#[must_use]
pub fn surplus_label(names: &str, account: &Account, scope: &Scope) -> String {
    format!("{names} ON {} FROM {}", scope.on(), account.quoted())
}

/// The text that follows `REVOKE` for a role.
#[must_use]
pub fn role_label(role: &Account, account: &Account) -> String {
    format!("{} FROM {}", role.quoted(), account.quoted())
}

/// What `held` has beyond `wanted`, each as a [`surplus_label`]: at most one entry for privileges
/// and one for the grant option.
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

/// What a read shows of `wanted`: `None` when all of it is held, else the part that is held.
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
