//! Pure: finds what is wrong, and computes the planned state.
use super::object::{self, Declared};
use super::schema::{AccessState, DatabaseEntry, Unmanaged, UserEntry};
use crate::base::Problem;
use crate::component::mysql::database::pair_fault;
use crate::component::mysql::{database, user};
use crate::resource::common::{known, set_text, texts};
use crate::resource::sql_import;
use crate::resource::sql_object;
use crate::resource::sql_target::{self, target};
use crate::resource::{PlanInput, Planned};
use crate::schema::{Diagnostics, Report, Value};
use std::collections::BTreeMap;

/// Finds everything that is wrong with a configuration by itself.
pub fn validate(config: &AccessState, diags: &mut Diagnostics) {
    sql_target::validate(config, diags);
    for (key, entry) in object::entries(&config.databases) {
        if entry.name.is_null()
            && let Some(why) = database::fault(key)
        {
            diags.problem(
                Problem::user(format!("\"{key}\" cannot be the name of a database"))
                    .why(why)
                    .fix("set name inside")
                    .attribute(["databases", key]),
            );
        }
        if let (Some(charset), Some(collation)) =
            (set_text(&entry.charset), set_text(&entry.collation))
            && let Some(why) = pair_fault(charset, collation)
        {
            diags.problem(
                Problem::user("charset and collation do not fit")
                    .why(why)
                    .fix("set only the collation, or one of that character set")
                    .attribute(["databases", key, "collation"]),
            );
        }
    }
    for (key, entry) in object::entries(&config.users) {
        if entry.name.is_null()
            && let Some(why) = user::fault(key)
        {
            diags.problem(
                Problem::user(format!("\"{key}\" cannot be the name of a user"))
                    .why(why)
                    .fix("set name inside")
                    .attribute(["users", key]),
            );
        }
        let (password, version) = (&entry.password_wo, &entry.password_wo_version);
        if !password.is_unknown()
            && !version.is_unknown()
            && password.is_null() != version.is_null()
        {
            diags.problem(
                Problem::user("password_wo and password_wo_version belong together")
                    .why(
                        "a write-only value is in no state: only its version tells that it changed",
                    )
                    .fix("set both, or none")
                    .attribute(["users", key, "password_wo_version"]),
            );
        }
        if *password == Value::Value(String::new()) {
            diags.problem(
                Problem::user("the password is empty")
                    .why("anybody could log in")
                    .fix("set one, or locked = true without one")
                    .attribute(["users", key, "password_wo"]),
            );
        }
    }
    for (key, entry) in object::entries(&config.grants) {
        entry.view().validate(&["grants", key], diags);
    }
    twice(config, diags);
}

/// Reports two keys for one object: they would undo each other.
fn twice(config: &AccessState, diags: &mut Diagnostics) {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut check =
        |what: &str, map: &'static str, name: String, key: &str, diags: &mut Diagnostics| {
            if let Some(other) = seen.insert(format!("{map} {name}"), key.to_owned()) {
                diags.problem(
                    Problem::user(format!("{what} {name} is declared twice"))
                        .why(format!("by the keys \"{other}\" and \"{key}\""))
                        .fix("keep one of them")
                        .attribute([map, key]),
                );
            }
        };
    for (key, entry) in object::entries(&config.databases) {
        if let Some(name) = object::name(key, &entry.name) {
            check("database", "databases", name, key, diags);
        }
    }
    for (key, entry) in object::entries(&config.users) {
        if let Some(account) = object::account(key, entry) {
            check("user", "users", account.quoted(), key, diags);
        }
    }
    for (key, entry) in object::entries(&config.grants) {
        if let (Some(account), Some(scope)) = (entry.view().account(), entry.view().scope()) {
            check(
                "the grant",
                "grants",
                format!("of {} on {}", account.quoted(), scope.on()),
                key,
                diags,
            );
        }
    }
}

/// Computes the planned state.
pub fn plan(
    input: PlanInput<'_, AccessState>,
    diags: &mut Diagnostics,
) -> Option<Planned<AccessState>> {
    let mut next = input.proposed.clone();
    defaults(input, &mut next);
    if let Some(prior) = input.prior {
        sql_target::plan(prior, &mut next, diags);
    }
    next.id = target(&next).map_or(Value::Unknown, |t| Value::Value(sql_import::id(&t, &[])));
    new_users(input, &next, diags);
    let (before, shaped) = (input.prior, Declared::of(&next).is_some());
    match sql_object::foretell(before, &mut next, shaped, &object::believed(before)) {
        Err(problem) => {
            diags.problem(problem);
            return None;
        }
        Ok(None) => next.unmanaged = Value::Unknown,
        Ok(Some(statements)) if statements.is_empty() => {
            if before.is_none_or(|p| what(p) != what(&next)) {
                next.unmanaged = Value::Unknown;
            }
        }
        Ok(Some(_)) => {
            next.unmanaged = Value::Unknown;
            if next.exclusive == Value::Value(true)
                && let Some(Value::Value(Unmanaged { users, grants, .. })) =
                    before.map(|b| &b.unmanaged)
            {
                let gone: Vec<_> = texts(users)
                    .into_iter()
                    .map(|u| format!("DROP USER {u}"))
                    .chain(texts(grants).into_iter().map(|g| format!("REVOKE {g}")))
                    .collect();
                if !gone.is_empty() {
                    diags.caution(
                        Problem::user(format!(
                            "{} users, roles and privileges that are not declared are removed",
                            gone.len()
                        ))
                        .why(gone.join("; "))
                        .fix(
                            "declare what shall stay; when that is a role, or a privilege on a \
                             column or a routine, which cannot be declared, set exclusive = false",
                        )
                        .attribute(["exclusive"]),
                    );
                }
            }
        }
    }
    let unread =
        before.and_then(|b| known(&b.unmanaged)?).map(|u| texts(&u.unread)).unwrap_or_default();
    if next.exclusive == Value::Value(true) && !unread.is_empty() {
        diags.caution(
            Problem::user("exclusive does not cover all that this server may have")
                .why(format!("not read: {}", unread.into_iter().collect::<Vec<_>>().join(", ")))
                .fix("look at SHOW GRANTS of each user")
                .attribute(["exclusive"]),
        );
    }
    Some(Planned { state: next, replace: Vec::new() })
}

type What<'a> = (
    &'a crate::resource::common::Map<DatabaseEntry>,
    &'a crate::resource::common::Map<UserEntry>,
    &'a crate::resource::common::Map<super::schema::GrantEntry>,
);

fn what(state: &AccessState) -> What<'_> {
    (&state.databases, &state.users, &state.grants)
}

/// Sets the defaults of entries, and keeps the prior spelling of values that mean the same.
fn defaults(input: PlanInput<'_, AccessState>, next: &mut AccessState) {
    // Do not test the prior value: when the line is removed, the default holds again.
    for (value, config, default) in [
        (&mut next.exclusive, &input.config.exclusive, false),
        (&mut next.deletion_protection, &input.config.deletion_protection, true),
    ] {
        if config.is_null() {
            *value = Value::Value(default);
        }
    }
    let own = |v: &str| Value::Value(v.to_owned());
    let (config, prior) = (input.config, input.prior);
    if let Value::Value(all) = &mut next.databases {
        for (key, entry) in all {
            let (Value::Value(entry), Some(config)) =
                (entry, object::entry(&config.databases, key))
            else {
                continue;
            };
            if config.name.is_null() {
                entry.name = own(key);
            }
            let Some(before) = prior.and_then(|p| object::entry(&p.databases, key)) else {
                continue;
            };
            for (value, before) in
                [(&mut entry.charset, &before.charset), (&mut entry.collation, &before.collation)]
            {
                if matches!(
                    (&*value, before),
                    (Value::Value(a), Value::Value(b)) if a.eq_ignore_ascii_case(b)
                ) {
                    value.clone_from(before);
                }
            }
            if config.collation.is_null() && before.charset != entry.charset {
                entry.collation = Value::Unknown;
            }
            if config.charset.is_null() && before.collation != entry.collation {
                entry.charset = Value::Unknown;
            }
        }
    }
    if let Value::Value(all) = &mut next.users {
        for (key, entry) in all {
            let (Value::Value(entry), Some(config)) = (entry, object::entry(&config.users, key))
            else {
                continue;
            };
            if config.name.is_null() {
                entry.name = own(key);
            }
            if config.host.is_null() {
                entry.host = own("%");
            }
            if config.locked.is_null() {
                entry.locked = Value::Value(false);
            }
            let before = prior.and_then(|p| object::entry(&p.users, key));
            if before.is_none_or(|b| {
                b.password_wo_version != entry.password_wo_version
                    || object::account(key, b) != object::account(key, entry)
            }) {
                entry.password_changed = Value::Unknown;
            }
        }
    }
    if let Value::Value(all) = &mut next.grants {
        for (key, entry) in all {
            let (Value::Value(entry), Some(config)) = (entry, object::entry(&config.grants, key))
            else {
                continue;
            };
            if config.host.is_null() {
                entry.host = own("%");
            }
            if let Some(before) = prior.and_then(|p| object::entry(&p.grants, key))
                && let (Some(a), Some(b)) = (before.view().wanted(), entry.view().wanted())
                && a.privileges == b.privileges
            {
                entry.privileges = before.privileges.clone();
            }
        }
    }
}

/// A user that did not exist before needs a password or a lock.
fn new_users(input: PlanInput<'_, AccessState>, next: &AccessState, diags: &mut Diagnostics) {
    let before = input.prior.and_then(Declared::of).unwrap_or_default();
    for (key, entry) in object::entries(&next.users) {
        let given =
            object::entry(&input.config.users, key).is_none_or(|c| !c.password_wo.is_null());
        let known_before =
            object::account(key, entry).is_none_or(|a| before.users.contains_key(&a));
        if !given && !known_before && entry.locked == Value::Value(false) {
            diags.problem(
                Problem::user(format!("user \"{key}\" would have no password"))
                    .why("anybody could log in as it")
                    .fix("set password_wo and password_wo_version, or locked = true")
                    .attribute(["users", key, "password_wo"]),
            );
        }
    }
}

/// Refuses a destroy that would lose data or was not asked for.
pub fn plan_destroy(prior: &AccessState, diags: &mut Diagnostics) {
    let names: Vec<_> = Declared::of(prior).unwrap_or_default().databases.into_keys().collect();
    if !names.is_empty() && prior.deletion_protection != Value::Value(false) {
        diags.problem(
            Problem::refused("this ob_access is protected from destroy")
                .why(format!(
                    "deletion_protection is on, and it has the databases {}",
                    names.join(", ")
                ))
                .fix("set deletion_protection = false, apply, then destroy")
                .attribute(["deletion_protection"]),
        );
    }
    if let Err(problem) =
        sql_object::planned_statements(Some(prior), None, &object::believed(Some(prior)))
    {
        diags.problem(problem);
    }
    if known(&prior.databases).is_some() && diags.errors.is_empty() {
        diags.caution(
            Problem::user("destroy of ob_access")
                .why(format!(
                    "{} databases, {} users and {} grants are removed",
                    names.len(),
                    object::entries(&prior.users).count(),
                    object::entries(&prior.grants).count()
                ))
                .fix("to only forget them: removed { lifecycle { destroy = false } }"),
        );
    }
}
