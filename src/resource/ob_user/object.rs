//! Statements and facts of an account.
use super::plan::{self, account};
use super::schema::UserState;
use crate::base::Problem;
use crate::component::mysql::{Account, Catalog, Statement, User, What, is_system_user, user};
use crate::resource::Context;
use crate::resource::common::{settle, text};
use crate::resource::sql_import;
use crate::resource::sql_object::{self, Change, Fill, SqlObject};
use crate::schema::Value;

impl SqlObject for UserState {
    fn what(&self) -> Option<What> {
        Some(What::Users(vec![account(self)?]))
    }
    fn what_with(&self, prior: &Self) -> Option<What> {
        Some(What::Users(vec![account(self)?, account(prior)?]))
    }

    fn statements(change: Change<'_, Self>, now: &Catalog) -> Result<Vec<Statement>, Problem> {
        let from = change.prior.and_then(account);
        let there = |a: &Account| now.users.get(a);
        let Some(next) = change.next else {
            return Ok(from
                .filter(|a| there(a).is_some())
                .map(|a| user::drop(&a))
                .into_iter()
                .collect());
        };
        let Some(to) = account(next) else { return Ok(Vec::new()) };
        let password = change.password(
            "password_wo",
            change.config.map(|c| &c.password_wo),
            change.prior.map(|p| &p.password_wo_version),
            &next.password_wo_version,
        );
        Ok(user::statements(
            from.as_ref(),
            &to,
            from.as_ref().and_then(there),
            there(&to),
            next.locked == Value::Value(true),
            password.as_ref(),
        ))
    }

    fn fill(mut self, now: &Catalog, how: Fill) -> Option<Self> {
        let found = now.users.get(&account(&self)?).filter(|u| !u.role)?;
        self.locked = Value::Value(found.locked);
        self.password_wo_version =
            version(&self.password_wo_version, &self.password_changed, found, how);
        if how == Fill::Read || !self.password_changed.is_value() {
            self.password_changed = Value::Value(found.password_changed.clone());
        }
        self.host = Value::Value(
            text(&self.host).filter(|h| !h.is_empty()).unwrap_or_else(|| plan::ANYWHERE.into()),
        );
        self.password_wo = Value::Null;
        if let Some(id) = plan::id(&self) {
            self.id = Value::Value(id);
        }
        settle(&mut self.id);
        Some(self)
    }

    fn spare(&self, login: &str) -> Result<(), Problem> {
        let name = text(&self.name).unwrap_or_default();
        if name == login || is_system_user(&name) {
            return Err(Problem::refused(format!("user \"{name}\" is not managed"))
                .why("it is the login in use, or belongs to the server")
                .fix("remove it from the configuration"));
        }
        Ok(())
    }

    fn adopted(&self, now: &Catalog) -> Option<Problem> {
        let account = account(self)?;
        now.users.get(&account)?;
        Some(
            Problem::user(format!("user {} was there already", account.quoted()))
                .why(
                    "it is managed from now on; its password and lock were set as configured, its \
                     grants stay",
                )
                .fix("nothing, if that is what you want"),
        )
    }
}

/// The password version for a state. It is null when somebody else set the password, because only
/// then does the next plan set it again.
pub(crate) fn version(
    version: &Value<i64>,
    before: &Value<String>,
    found: &User,
    how: Fill,
) -> Value<i64> {
    let others = matches!(before, Value::Value(before) if *before != found.password_changed);
    if others && how == Fill::Read { Value::Null } else { *version }
}

/// The catalog that the server has if the prior state is true.
pub(super) fn believed(prior: Option<&UserState>) -> Catalog {
    let mut now = Catalog::default();
    if let Some((prior, account)) = prior.and_then(|p| Some((p, account(p)?))) {
        now.users.insert(
            account,
            User { locked: prior.locked == Value::Value(true), ..User::default() },
        );
    }
    now
}

/// Reads an account by its import id.
///
/// # Errors
/// The id is malformed, the server does not answer, or the server does not have the account.
pub async fn import(cx: &Context, id: &str) -> Result<UserState, Problem> {
    let named = sql_import::parse(cx, id).await?;
    let name = named.part("user", id)?;
    if let Some(why) = user::fault(&name) {
        return Err(Problem::refused(format!("user \"{name}\" cannot be imported"))
            .why(why)
            .fix("leave it out"));
    }
    let host = named.object.get("host").cloned().unwrap_or_else(|| plan::ANYWHERE.into());
    let state = UserState {
        name: Value::Value(name),
        host: Value::Value(host),
        instance: named.instance,
        group: named.group,
        endpoint: named.endpoint,
        ..UserState::default()
    };
    sql_object::import(cx, state, id).await
}
