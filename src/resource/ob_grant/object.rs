//! Statements and facts of a grant.
use super::plan;
use super::schema::GrantState;
use super::view::{self, EVERYTHING};
use crate::base::Problem;
use crate::component::mysql::scope::escape;
use crate::component::mysql::{
    Catalog, Held, Scope, Statement, User, What, grant, is_system_user, privilege,
};
use crate::resource::Context;
use crate::resource::common::{settle, text};
use crate::resource::sql_import;
use crate::resource::sql_object::{self, Change, Fill, SqlObject};
use crate::schema::Value;
use std::collections::BTreeSet;

impl SqlObject for GrantState {
    fn what(&self) -> Option<What> {
        Some(What::Grants(self.view().account()?, vec![self.view().scope()?]))
    }

    fn statements(change: Change<'_, Self>, now: &Catalog) -> Result<Vec<Statement>, Problem> {
        let Some(view) = change.next.or(change.prior).map(GrantState::view) else {
            return Ok(Vec::new());
        };
        let (Some(account), Some(scope)) = (view.account(), view.scope()) else {
            return Ok(Vec::new());
        };
        if change.next.is_none() && !now.users.contains_key(&account) {
            // The server removes a user's grants together with the user.
            return Ok(Vec::new());
        }
        let wanted = |s: &GrantState| s.view().wanted();
        let (owned, asked) = (change.prior.and_then(wanted), change.next.and_then(wanted));
        Ok(grant::statements(
            &account,
            &scope,
            owned.as_ref(),
            asked.as_ref(),
            &now.held(&account, &scope),
            &now.all(scope.level()),
        ))
    }

    fn fill(mut self, now: &Catalog, how: Fill) -> Option<Self> {
        let (account, scope) = (self.view().account()?, self.view().scope()?);
        now.users.get(&account)?;
        let (held, all) = (now.held(&account, &scope), now.all(scope.level()));
        if self.privileges.is_null() {
            // An import takes all privileges that the account holds there and that can be declared.
            if privilege::declarable(&held.privileges).is_empty() {
                return None;
            }
            self.privileges = view::written_set(&held.privileges, &all);
            self.with_grant_option =
                if held.grant_option { Value::Value(true) } else { Value::Null };
        }
        let wanted = self.view().wanted()?;
        if let Some(left) = grant::left_of(&wanted, &held, &all).filter(|_| how == Fill::Read) {
            if left.privileges.is_empty() {
                return None;
            }
            if left.privileges != wanted.privileges {
                self.privileges = view::written_left(&self.privileges, &left.privileges);
            }
            self.with_grant_option = left.grant_option.map_or(Value::Null, Value::Value);
        }
        if how == Fill::Read || self.unmanaged.is_unknown() {
            self.unmanaged = Value::Value(unmanaged(&wanted, &held, &all));
        }
        self.host = Value::Value(account.host);
        if let Some(id) = plan::id(&self) {
            self.id = Value::Value(id);
        }
        settle(&mut self.id);
        Some(self)
    }

    fn spare(&self, login: &str) -> Result<(), Problem> {
        let name = text(&self.user).unwrap_or_default();
        if name == login || is_system_user(&name) {
            return Err(Problem::refused(format!("the grants of user \"{name}\" are not managed"))
                .why("it is the login in use, or belongs to the server")
                .fix("remove it from the configuration"));
        }
        Ok(())
    }
}

fn unmanaged(
    wanted: &grant::Wanted,
    held: &Held,
    all: &privilege::Privileges,
) -> BTreeSet<Value<String>> {
    let target = privilege::expand(&wanted.privileges, all);
    let mut more: BTreeSet<_> =
        held.privileges.difference(&target).cloned().map(Value::Value).collect();
    if held.grant_option && wanted.grant_option.is_none() {
        more.insert(Value::Value("GRANT OPTION".into()));
    }
    more
}

/// The catalog that the server has if the prior state is true.
pub(super) fn believed(prior: Option<&GrantState>) -> Catalog {
    let mut now = Catalog::default();
    let Some(view) = prior.map(GrantState::view) else { return now };
    if let (Some(account), Some(scope), Some(wanted)) =
        (view.account(), view.scope(), view.wanted())
    {
        let privileges = privilege::expand(&wanted.privileges, &now.all(scope.level()));
        now.users.insert(account.clone(), User::default());
        let scope = scope.folded(now.folds);
        now.grants.insert(
            (account, scope),
            Held { privileges, grant_option: wanted.grant_option == Some(true) },
        );
    }
    now
}

/// Reads a grant by its import id.
///
/// # Errors
/// The id is malformed, the server does not answer, or the server does not have the grant.
pub async fn import(cx: &Context, id: &str) -> Result<GrantState, Problem> {
    let named = sql_import::parse(cx, id).await?;
    let user = named.part("user", id)?;
    let host = named.object.get("host").cloned().unwrap_or_else(|| "%".into());
    let scope = match (
        named.object.get("database"),
        named.object.get("pattern"),
        named.object.get("table"),
    ) {
        (_, Some(pattern), _) => Scope::Database(pattern.clone()),
        (Some(all), None, None) if all == EVERYTHING => Scope::Global,
        (Some(database), None, Some(table)) => Scope::Table(database.clone(), table.clone()),
        (Some(database), None, None) => Scope::Database(escape(database)),
        (None, None, _) => {
            return Err(named
                .part("database", id)
                .err()
                .unwrap_or_else(|| Problem::internal("an import id without a database")));
        }
    };
    let [database, database_pattern, table] = view::written(&scope)
        .ok_or_else(|| Problem::internal("an import id without a database"))?;
    let state = GrantState {
        user: Value::Value(user),
        host: Value::Value(host),
        database,
        database_pattern,
        table,
        instance: named.instance,
        group: named.group,
        endpoint: named.endpoint,
        ..GrantState::default()
    };
    sql_object::import(cx, state, id).await
}
