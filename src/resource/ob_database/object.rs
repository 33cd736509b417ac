//! Statements and facts of a database.
use super::plan;
use super::schema::DatabaseState;
use crate::base::Problem;
use crate::component::mysql::{Catalog, Database, Statement, What, database};
use crate::resource::Context;
use crate::resource::common::{set_text, settle, text, texts};
use crate::resource::sql_import;
use crate::resource::sql_object::{self, Change, Fill, SqlObject};
use crate::schema::Value;

impl SqlObject for DatabaseState {
    fn what(&self) -> Option<What> {
        Some(What::Database(text(&self.name)?))
    }

    fn statements(change: Change<'_, Self>, now: &Catalog) -> Result<Vec<Statement>, Problem> {
        if let Some(next) = change.next {
            let name = text(&next.name).unwrap_or_default();
            return Ok(database::statements(
                &name,
                now.database(&name),
                set_text(&next.charset),
                set_text(&next.collation),
            ));
        }
        let Some(prior) = change.prior else { return Ok(Vec::new()) };
        let name = text(&prior.name).unwrap_or_default();
        if now.database(&name).is_none() {
            return Ok(Vec::new());
        }
        if prior.deletion_protection != Value::Value(false)
            || !texts(&prior.allow_data_loss).contains(&name)
        {
            return Err(Problem::refused(format!("database \"{name}\" is not dropped"))
                .why("deletion_protection is on, or its name is not in allow_data_loss")
                .fix("set both, apply, then destroy"));
        }
        Ok(vec![database::drop(&name)])
    }

    fn fill(mut self, now: &Catalog, _: Fill) -> Option<Self> {
        let found = now.database(&text(&self.name)?)?;
        take(&mut self.charset, &found.charset);
        take(&mut self.collation, &found.collation);
        if let Some(id) = plan::id(&self) {
            self.id = Value::Value(id);
        }
        settle(&mut self.id);
        Some(self)
    }

    fn adopted(&self, now: &Catalog) -> Option<Problem> {
        let name = text(&self.name)?;
        now.database(&name)?;
        Some(
            Problem::user(format!("database \"{name}\" was there already"))
                .why("it is managed from now on; its tables and rows were not touched")
                .fix(
                    "nothing, if that is what you want; else remove it from the state (removed { \
                     lifecycle { destroy = false } })",
                ),
        )
    }
}

/// Keeps the state's spelling of a name that means the same: case is no drift.
fn take(value: &mut Value<String>, found: &str) {
    if !set_text(value).is_some_and(|v| v.eq_ignore_ascii_case(found)) {
        *value = Value::Value(found.to_owned());
    }
}

/// The catalog that the server has if the prior state is true.
pub(super) fn believed(prior: Option<&DatabaseState>) -> Catalog {
    let mut now = Catalog::default();
    if let Some(prior) = prior {
        let database = Database {
            charset: text(&prior.charset).unwrap_or_default(),
            collation: text(&prior.collation).unwrap_or_default(),
        };
        now.databases.insert(now.fold(&text(&prior.name).unwrap_or_default()), database);
    }
    now
}

/// Reads a database by its import id.
///
/// # Errors
/// The id is malformed, the server does not answer, or the server does not have the database.
pub async fn import(cx: &Context, id: &str) -> Result<DatabaseState, Problem> {
    let named = sql_import::parse(cx, id).await?;
    let name = Value::Value(named.part("database", id)?);
    let state = DatabaseState {
        name,
        instance: named.instance,
        group: named.group,
        endpoint: named.endpoint,
        deletion_protection: Value::Value(true),
        ..DatabaseState::default()
    };
    sql_object::import(cx, state, id).await
}
