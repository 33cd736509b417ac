//! Pure: computes the planned state.
use super::object::believed;
use super::schema::GrantState;
use crate::component::mysql::Scope;
use crate::resource::sql_target::{self, target};
use crate::resource::{PlanInput, Planned};
use crate::resource::{sql_import, sql_object};
use crate::schema::{AttributePath, AttributePathStep, Diagnostics, Report, Value};

/// Computes the planned state.
pub fn plan(input: PlanInput<'_, GrantState>, diags: &mut Diagnostics) -> Planned<GrantState> {
    let mut next = input.proposed.clone();
    if input.config.host.is_null() {
        next.host = Value::Value("%".into());
    }
    let mut replace = Vec::new();
    if let Some(prior) = input.prior {
        sql_target::plan(prior, &mut next, diags);
        let places = [
            ("user", &prior.user, &next.user),
            ("host", &prior.host, &next.host),
            ("database", &prior.database, &next.database),
            ("database_pattern", &prior.database_pattern, &next.database_pattern),
            ("table", &prior.table, &next.table),
        ];
        replace = places
            .into_iter()
            .filter(|(_, a, b)| a != b)
            .map(|(name, ..)| AttributePath {
                steps: vec![AttributePathStep::Attribute(name.into())],
            })
            .collect();
        let (before, after) = (prior.view().wanted(), next.view().wanted());
        match (before, after) {
            (Some(a), Some(b)) if a.privileges == b.privileges => {
                next.privileges = prior.privileges.clone();
                if a.grant_option != b.grant_option {
                    next.unmanaged = Value::Unknown;
                }
            }
            _ => next.unmanaged = Value::Unknown,
        }
        if !replace.is_empty() {
            next.unmanaged = Value::Unknown;
        }
    }
    next.id = id(&next).map_or(Value::Unknown, Value::Value);
    let shaped = next.view().account().is_some()
        && next.view().scope().is_some()
        && next.view().wanted().is_some();
    if let Err(problem) =
        sql_object::foretell(input.prior, &mut next, shaped, &believed(input.prior))
    {
        diags.problem(problem);
    }
    Planned { state: next, replace }
}

/// The import id; `None` while something is unknown.
pub(super) fn id(state: &GrantState) -> Option<String> {
    let (target, account, scope) = (target(state)?, state.view().account()?, state.view().scope()?);
    let mut parts = vec![("user", account.user.as_str()), ("host", account.host.as_str())];
    let named = super::view::written(&scope)?;
    let [database, pattern, table] = &named;
    for (key, value) in [("database", database), ("pattern", pattern), ("table", table)] {
        if let Value::Value(value) = value {
            parts.push((key, value));
        }
    }
    debug_assert!(!matches!(scope, Scope::Global) || parts.len() == 3);
    Some(sql_import::id(&target, &parts))
}
