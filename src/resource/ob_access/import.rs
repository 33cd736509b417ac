//! Takes everything on a server into a state.
use super::schema::{AccessState, DatabaseEntry, GrantEntry, UserEntry};
use crate::base::Problem;
use crate::component::mysql::privilege::declarable;
use crate::component::mysql::{Account, Catalog, Scope, What, database, is_system_user};
use crate::resource::Context;
use crate::resource::ob_grant::view::{written, written_set};
use crate::resource::sql_import;
use crate::resource::sql_object::{Fill, SqlObject};
use crate::resource::sql_target::target;
use crate::schema::Value;
use std::collections::BTreeMap;

/// Reads everything on a server by the server's import id.
///
/// # Errors
/// The id is malformed, or the server does not answer.
pub async fn import(cx: &Context, id: &str) -> Result<AccessState, Problem> {
    let named = sql_import::parse(cx, id).await?;
    let state = AccessState {
        instance: named.instance,
        group: named.group,
        endpoint: named.endpoint,
        exclusive: Value::Value(false),
        deletion_protection: Value::Value(true),
        ..AccessState::default()
    };
    let at = target(&state).ok_or_else(|| Problem::internal("an import id without a server"))?;
    let mut link = crate::resource::sql_way::open(cx, &at).await?;
    let now = Catalog::read(&mut link, &What::Everything).await;
    let login = link.user.clone();
    link.close().await;
    let now = now?;
    let mut state = everything(state, &now, &login);
    state.unmanaged = Value::Unknown;
    let mut state = state
        .fill(&now, Fill::Read)
        .ok_or_else(|| Problem::internal("an import that finds nothing"))?;
    state.login(&login);
    Ok(state)
}

/// A state that declares everything on the server, without system objects and without `login`.
pub(super) fn everything(mut state: AccessState, now: &Catalog, login: &str) -> AccessState {
    let spare = |a: &Account| {
        is_system_user(&a.user) || a.user == login || now.users.get(a).is_none_or(|u| u.role)
    };
    let short =
        |a: &Account| if a.host == "%" { a.user.clone() } else { format!("{}@{}", a.user, a.host) };
    let databases = now.databases.keys().filter(|n| database::fault(n).is_none()).map(|n| {
        (
            n.clone(),
            Value::Value(DatabaseEntry {
                name: Value::Value(n.clone()),
                ..DatabaseEntry::default()
            }),
        )
    });
    state.databases = Value::Value(databases.collect());
    let entry = |a: &Account| UserEntry {
        name: Value::Value(a.user.clone()),
        host: Value::Value(a.host.clone()),
        ..UserEntry::default()
    };
    state.users = Value::Value(
        now.users
            .keys()
            .filter(|a| !spare(a))
            .map(|a| (short(a), Value::Value(entry(a))))
            .collect(),
    );
    let mut grants = BTreeMap::new();
    for ((account, scope), held) in
        now.grants.iter().filter(|((a, _), h)| !spare(a) && !declarable(&h.privileges).is_empty())
    {
        let Some([database, database_pattern, table]) = written(scope) else { continue };
        let place = match scope {
            Scope::Database(pattern) => pattern.clone(),
            Scope::Table(database, table) => format!("{database}.{table}"),
            _ => "*".into(),
        };
        let key = format!("{} {place}", short(account));
        let privileges = written_set(&held.privileges, &now.all(scope.level()));
        let with_grant_option = if held.grant_option { Value::Value(true) } else { Value::Null };
        grants.insert(
            key,
            Value::Value(GrantEntry {
                user: Value::Value(account.user.clone()),
                host: Value::Value(account.host.clone()),
                database,
                database_pattern,
                table,
                privileges,
                with_grant_option,
            }),
        );
    }
    state.grants = Value::Value(grants);
    state
}
