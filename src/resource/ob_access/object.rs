//! Statements and facts of all objects of one `ob_access` at once.
use super::schema::{AccessState, DatabaseEntry, GrantEntry, Unmanaged, UserEntry};
use crate::base::Problem;
use crate::base::units::count;
use crate::component::mysql::{
    Account, Catalog, Database, Held, Scope, Statement, User, Wanted, What, database, grant,
    is_system_database, is_system_user, privilege, user,
};
use crate::resource::common::{Map, known, set_text, settle, text, texts};
use crate::resource::ob_grant::view::written_left;
use crate::resource::ob_user::shown_version;
use crate::resource::sql_import;
use crate::resource::sql_object::{self, Change, Fill, SqlObject};
use crate::resource::sql_target::target;
use crate::schema::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The known entries of a map.
pub(super) fn entries<T>(map: &Map<T>) -> impl Iterator<Item = (&str, &T)> {
    let all = if let Value::Value(all) = map { Some(all) } else { None };
    all.into_iter()
        .flatten()
        .filter_map(|(key, v)| if let Value::Value(v) = v { Some((key.as_str(), v)) } else { None })
}

/// One known entry of a map.
pub(super) fn entry<'a, T>(map: &'a Map<T>, key: &str) -> Option<&'a T> {
    known(known(map)??.get(key)?)?
}

/// The name of an entry: its `name`, or else its key.
pub(super) fn name(key: &str, name: &Value<String>) -> Option<String> {
    Some(known(name)?.map_or(key, String::as_str).to_owned())
}

/// The account of an entry.
pub(super) fn account(key: &str, entry: &UserEntry) -> Option<Account> {
    Some(Account::new(name(key, &entry.name)?, known(&entry.host)?.map_or("%", String::as_str)))
}

/// What a state declares, by names on the server instead of keys.
#[derive(Debug, Default)]
pub struct Declared<'a> {
    /// Databases by name in lower case, each with the name as written.
    pub databases: BTreeMap<String, (String, &'a DatabaseEntry)>,
    /// Accounts, each with its key.
    pub users: BTreeMap<Account, (&'a str, &'a UserEntry)>,
    /// Grants.
    pub grants: BTreeMap<(Account, Scope), Wanted>,
}

impl<'a> Declared<'a> {
    /// The declarations of a state; `None` while a name or a map is unknown.
    #[must_use]
    pub fn of(state: &'a AccessState) -> Option<Self> {
        let mut out = Self::default();
        for (key, entry) in known(&state.databases)?.into_iter().flatten() {
            let entry = known(entry)??;
            let name = name(key, &entry.name)?;
            out.databases.insert(name.to_lowercase(), (name, entry));
        }
        for (key, entry) in known(&state.users)?.into_iter().flatten() {
            let entry = known(entry)??;
            out.users.insert(account(key, entry)?, (key, entry));
        }
        for entry in known(&state.grants)?.into_iter().flat_map(BTreeMap::values) {
            let view = known(entry)??.view();
            out.grants.insert((view.account()?, view.scope()?.folded(true)), view.wanted()?);
        }
        Some(out)
    }
}

impl SqlObject for AccessState {
    fn what(&self) -> Option<What> {
        Some(What::Everything)
    }

    fn headline(statements: &[Statement]) -> String {
        let kinds = [
            ("CREATE DATABASE", "create", "database"),
            ("ALTER DATABASE", "alter", "database"),
            ("DROP DATABASE", "DROP", "database"),
            ("CREATE USER", "create", "user"),
            ("ALTER USER", "alter", "user"),
            ("RENAME USER", "rename", "user"),
            ("DROP USER", "drop", "user"),
            ("GRANT", "grant", ""),
            ("REVOKE", "revoke", ""),
        ];
        let of = |start: &str| statements.iter().filter(|s| s.shown.starts_with(start)).count();
        let parts: Vec<_> = kinds
            .iter()
            .map(|(start, verb, noun)| (of(start), verb, noun))
            .filter(|(n, ..)| *n > 0)
            .map(|(n, verb, noun)| {
                if noun.is_empty() { count(n, verb) } else { format!("{verb} {}", count(n, noun)) }
            })
            .collect();
        format!("{}: {}", parts.join(", "), count(statements.len(), "statement"))
    }

    fn statements(change: Change<'_, Self>, now: &Catalog) -> Result<Vec<Statement>, Problem> {
        let unknown = || Problem::internal("a value that must be known at apply is not");
        let before = change
            .prior
            .map(|p| Declared::of(p).ok_or_else(unknown))
            .transpose()?
            .unwrap_or_default();
        let after = change
            .next
            .map(|n| Declared::of(n).ok_or_else(unknown))
            .transpose()?
            .unwrap_or_default();
        let mut out = Vec::new();
        for (name, entry) in after.databases.values() {
            out.extend(database::statements(
                name,
                now.database(name),
                set_text(&entry.charset),
                set_text(&entry.collation),
            ));
        }
        for (account, (key, next)) in &after.users {
            let config = change.config.and_then(|c| entry(&c.users, key));
            let prior = before.users.get(account).map(|(_, p)| *p);
            let attribute = format!("users[{key:?}].password_wo");
            let password = change.password(
                &attribute,
                config.map(|c| &c.password_wo),
                prior.map(|p| &p.password_wo_version),
                &next.password_wo_version,
            );
            out.extend(user::statements(
                None,
                account,
                None,
                now.users.get(account),
                next.locked == Value::Value(true),
                password.as_ref(),
            ));
        }
        let scopes: BTreeSet<_> = before.grants.keys().chain(after.grants.keys()).collect();
        for key @ (account, scope) in scopes {
            let (owned, wanted) = (before.grants.get(key), after.grants.get(key));
            // The server removes a user's grants together with the user.
            let ends = wanted.is_none()
                && (!now.users.contains_key(account)
                    || (before.users.contains_key(account) && !after.users.contains_key(account)));
            if !ends {
                out.extend(grant::statements(
                    account,
                    scope,
                    owned,
                    wanted,
                    &now.held(account, scope),
                    &now.all(scope.level()),
                ));
            }
        }
        for account in before
            .users
            .keys()
            .filter(|a| !after.users.contains_key(*a) && now.users.contains_key(*a))
        {
            out.push(user::drop(account));
        }
        out.extend(exclusive(change, now, &after));
        let allowed =
            change.next.or(change.prior).map(|s| texts(&s.allow_data_loss)).unwrap_or_default();
        let gone: Vec<_> = before
            .databases
            .iter()
            .filter(|(folded, (name, _))| {
                !after.databases.contains_key(*folded) && now.database(name).is_some()
            })
            .map(|(_, (name, _))| name)
            .collect();
        let refused: Vec<_> =
            gone.iter().filter(|n| !allowed.contains(**n)).map(|n| format!("\"{n}\"")).collect();
        if !refused.is_empty() {
            return Err(Problem::refused(format!(
                "dropping {} would drop rows",
                refused.join(", ")
            ))
            .why(
                "a database that is no longer declared is dropped, and its name is not in \
                 allow_data_loss",
            )
            .fix("declare it again, or name it in allow_data_loss")
            .attribute(["allow_data_loss"]));
        }
        out.extend(gone.into_iter().map(|n| database::drop(n)));
        Ok(out)
    }

    fn fill(mut self, now: &Catalog, how: Fill) -> Option<Self> {
        if let Value::Value(all) = &mut self.databases {
            all.retain(|key, v| fill_database(key, v, now));
        }
        if let Value::Value(all) = &mut self.users {
            all.retain(|key, v| fill_user(key, v, now, how));
        }
        if let Value::Value(all) = &mut self.grants {
            all.retain(|_, v| fill_grant(v, now, how));
        }
        if how == Fill::Read || !self.unmanaged.is_value() {
            let others = others(&Declared::of(&self)?, now);
            self.unmanaged = Value::Value(others);
        }
        if let Some(at) = target(&self) {
            self.id = Value::Value(sql_import::id(&at, &[]));
        }
        settle(&mut self.id);
        Some(self)
    }

    fn spare(&self, login: &str) -> Result<(), Problem> {
        let declared = Declared::of(self).unwrap_or_default();
        let named = declared
            .users
            .keys()
            .chain(declared.grants.keys().map(|(a, _)| a))
            .find(|a| a.user == login || is_system_user(&a.user));
        match named {
            Some(account) => {
                Err(Problem::refused(format!("user {} is not managed", account.quoted()))
                    .why("it is the login in use, or belongs to the server")
                    .fix("remove it from users and grants")
                    .attribute(["users"]))
            }
            None => Ok(()),
        }
    }

    fn login(&mut self, login: &str) {
        if let Value::Value(Unmanaged { users, grants, .. }) = &mut self.unmanaged {
            let mark = format!("'{login}'@");
            if let Value::Value(users) = users {
                users.retain(|u| !set_text(u).is_some_and(|u| u.starts_with(&mark)));
            }
            if let Value::Value(grants) = grants {
                grants
                    .retain(|g| !set_text(g).is_some_and(|g| g.contains(&format!(" FROM {mark}"))));
            }
        }
    }

    fn adopted(&self, now: &Catalog) -> Option<Problem> {
        let declared = Declared::of(self)?;
        let databases = declared
            .databases
            .values()
            .filter(|(n, _)| now.database(n).is_some())
            .map(|(n, _)| n.clone());
        let all: Vec<_> = databases
            .chain(
                declared.users.keys().filter(|a| now.users.contains_key(*a)).map(Account::quoted),
            )
            .collect();
        if all.is_empty() {
            return None;
        }
        Some(
            Problem::user(format!("{} databases and users were there already", all.len()))
                .why(format!("they are managed from now on: {}", all.join(", ")))
                .fix("nothing, if that is what you want"),
        )
    }
}

/// The statements of `exclusive`. They remove only what the prior state has shown and what is still
/// there.
fn exclusive(
    change: Change<'_, AccessState>,
    now: &Catalog,
    after: &Declared<'_>,
) -> Vec<Statement> {
    let (Some(prior), Some(next)) = (change.prior, change.next) else { return Vec::new() };
    if next.exclusive != Value::Value(true) {
        return Vec::new();
    }
    let Value::Value(shown) = &prior.unmanaged else { return Vec::new() };
    let mut still = others(after, now);
    if change.passwords == sql_object::Passwords::Named {
        // The runbook has only the prior state to go by.
        still = shown.clone();
    }
    let declared: BTreeSet<_> = after.users.keys().map(Account::quoted).collect();
    let users = texts(&shown.users)
        .into_iter()
        .filter(|u| texts(&still.users).contains(u) && !declared.contains(u));
    let grants = texts(&shown.grants).into_iter().filter(|g| texts(&still.grants).contains(g));
    let grants = grants.filter(|g| declared.iter().any(|u| g.ends_with(&format!(" FROM {u}"))));
    grants
        .map(|g| Statement::new(format!("REVOKE {g}")))
        .chain(users.map(|u| Statement::new(format!("DROP USER IF EXISTS {u}"))))
        .collect()
}

/// What the server has and the state does not declare.
fn others(declared: &Declared<'_>, now: &Catalog) -> Unmanaged {
    let set = |all: BTreeSet<String>| Value::Value(all.into_iter().map(Value::Value).collect());
    let databases = now
        .databases
        .keys()
        .filter(|n| !is_system_database(n) && !declared.databases.contains_key(&n.to_lowercase()))
        .cloned()
        .collect();
    let ours = |a: &Account| is_system_user(&a.user) || now.users.get(a).is_some_and(|u| u.role);
    let users = now
        .users
        .keys()
        .filter(|a| !ours(a) && !declared.users.contains_key(*a))
        .map(Account::quoted)
        .collect();
    let mut grants = BTreeSet::new();
    for (key @ (account, scope), held) in now.grants.iter().filter(|((a, _), _)| !ours(a)) {
        grants.extend(grant::surplus(
            account,
            scope,
            declared.grants.get(key),
            held,
            &now.all(scope.level()),
        ));
    }
    let roles = now.roles.iter().filter(|(a, _)| !ours(a));
    grants.extend(roles.map(|(account, role)| grant::role_label(role, account)));
    Unmanaged {
        databases: set(databases),
        users: set(users),
        grants: set(grants),
        unread: set(now.unread.clone()),
    }
}

fn fill_database(key: &str, value: &mut Value<DatabaseEntry>, now: &Catalog) -> bool {
    let Value::Value(entry) = value else { return true };
    let Some(name) = name(key, &entry.name) else { return true };
    let Some(found) = now.database(&name) else { return false };
    for (value, found) in
        [(&mut entry.charset, &found.charset), (&mut entry.collation, &found.collation)]
    {
        if !set_text(value).is_some_and(|v| v.eq_ignore_ascii_case(found)) {
            *value = Value::Value(found.clone());
        }
    }
    entry.name = Value::Value(name);
    true
}

fn fill_user(key: &str, value: &mut Value<UserEntry>, now: &Catalog, how: Fill) -> bool {
    let Value::Value(entry) = value else { return true };
    let Some(account) = account(key, entry) else { return true };
    let Some(found) = now.users.get(&account).filter(|u| !u.role) else { return false };
    entry.locked = Value::Value(found.locked);
    entry.password_wo_version =
        shown_version(&entry.password_wo_version, &entry.password_changed, found, how);
    if how == Fill::Read || !entry.password_changed.is_value() {
        entry.password_changed = Value::Value(found.password_changed.clone());
    }
    entry.password_wo = Value::Null;
    (entry.name, entry.host) = (Value::Value(account.user), Value::Value(account.host));
    true
}

fn fill_grant(value: &mut Value<GrantEntry>, now: &Catalog, how: Fill) -> bool {
    let Value::Value(entry) = value else { return true };
    let (Some(account), Some(scope), Some(wanted)) =
        (entry.view().account(), entry.view().scope(), entry.view().wanted())
    else {
        return true;
    };
    let left = grant::left_of(&wanted, &now.held(&account, &scope), &now.all(scope.level()));
    if let Some(left) = left.filter(|_| how == Fill::Read) {
        if left.privileges.is_empty() {
            return false;
        }
        if left.privileges != wanted.privileges {
            entry.privileges = written_left(&entry.privileges, &left.privileges);
        }
        entry.with_grant_option = left.grant_option.map_or(Value::Null, Value::Value);
    }
    entry.host = Value::Value(account.host);
    true
}

/// The catalog that the server has if the prior state is true.
pub(super) fn believed(prior: Option<&AccessState>) -> Catalog {
    let mut now = Catalog::default();
    let Some(declared) = prior.and_then(Declared::of) else { return now };
    for (folded, (_, entry)) in declared.databases {
        now.databases.insert(
            folded,
            Database {
                charset: text(&entry.charset).unwrap_or_default(),
                collation: text(&entry.collation).unwrap_or_default(),
            },
        );
    }
    for (account, (_, entry)) in declared.users {
        now.users.insert(
            account,
            User { locked: entry.locked == Value::Value(true), ..User::default() },
        );
    }
    for ((account, scope), wanted) in declared.grants {
        let privileges = privilege::expand(&wanted.privileges, &now.all(scope.level()));
        now.users.entry(account.clone()).or_default();
        now.grants.insert(
            (account, scope),
            Held { privileges, grant_option: wanted.grant_option == Some(true) },
        );
    }
    now
}
