//! Pure: finds what is wrong, and computes the planned state.
use super::object::believed;
use super::schema::DatabaseState;
use crate::base::Problem;
use crate::component::mysql::database::pair_fault;
use crate::resource::common::{known, set_text, text, texts};
use crate::resource::sql_target::{self, target};
use crate::resource::{PlanInput, Planned};
use crate::resource::{sql_import, sql_object};
use crate::schema::{Diagnostics, Report, Value};

/// Finds everything that is wrong with a configuration by itself.
pub fn validate(config: &DatabaseState, diags: &mut Diagnostics) {
    sql_target::validate(config, diags);
    if let (Some(charset), Some(collation)) =
        (set_text(&config.charset), set_text(&config.collation))
        && let Some(why) = pair_fault(charset, collation)
    {
        diags.problem(
            Problem::user("charset and collation do not fit")
                .why(why)
                .fix("set only the collation, or one of that character set")
                .attribute(["collation"]),
        );
    }
}

/// Computes the planned state.
pub fn plan(
    input: PlanInput<'_, DatabaseState>,
    diags: &mut Diagnostics,
) -> Option<Planned<DatabaseState>> {
    let mut next = input.proposed.clone();
    // Do not test the prior value: when the line is removed, the default holds again.
    if input.config.deletion_protection.is_null() {
        next.deletion_protection = Value::Value(true);
    }
    if let Some(prior) = input.prior {
        sql_target::plan(prior, &mut next, diags);
        if prior.name != next.name && !next.name.is_unknown() {
            let problem = Problem::refused("the name of a database cannot change")
                .why("the server has no RENAME DATABASE, and a replacement would drop its rows");
            diags.problem(
                problem
                    .fix(
                        "make a second ob_database, move the tables with RENAME TABLE, then \
                         destroy this one",
                    )
                    .attribute(["name"]),
            );
        }
        follow(prior, input.config, &mut next);
    }
    next.id = id(&next).map_or(Value::Unknown, Value::Value);
    let shaped = ![&input.config.name, &input.config.charset, &input.config.collation]
        .iter()
        .any(|v| v.is_unknown());
    if let Err(problem) =
        sql_object::foretell(input.prior, &mut next, shaped, &believed(input.prior))
    {
        diags.problem(problem);
    }
    Some(Planned { state: next, replace: Vec::new() })
}

/// When one of character set and collation changes, the other becomes unknown unless it is
/// configured: the server decides it anew. Another spelling is no change.
fn follow(prior: &DatabaseState, config: &DatabaseState, next: &mut DatabaseState) {
    let same = |a: &Value<String>, b: &Value<String>| {
        matches!(
            (a, b),
            (Value::Value(a), Value::Value(b)) if a.eq_ignore_ascii_case(b)
        )
    };
    if same(&prior.charset, &next.charset) {
        next.charset = prior.charset.clone();
    }
    if same(&prior.collation, &next.collation) {
        next.collation = prior.collation.clone();
    }
    if config.collation.is_null() && prior.charset != next.charset {
        next.collation = Value::Unknown;
    }
    if config.charset.is_null() && prior.collation != next.collation {
        next.charset = Value::Unknown;
    }
}

/// The import id; `None` while something is unknown.
pub(super) fn id(state: &DatabaseState) -> Option<String> {
    Some(sql_import::id(&target(state)?, &[("database", &known(&state.name)??.clone())]))
}

/// Refuses a destroy that would lose data or was not asked for.
pub fn plan_destroy(prior: &DatabaseState, diags: &mut Diagnostics) {
    let name = text(&prior.name).unwrap_or_default();
    if prior.deletion_protection != Value::Value(false) {
        diags.problem(
            Problem::refused(format!("database \"{name}\" is protected from destroy"))
                .why("deletion_protection is on")
                .fix("set deletion_protection = false, apply, then destroy")
                .attribute(["deletion_protection"]),
        );
    }
    if !texts(&prior.allow_data_loss).contains(&name) {
        diags.problem(
            Problem::refused(format!("destroying database \"{name}\" would drop its rows"))
                .why("its name is not in allow_data_loss")
                .fix(format!(
                    "set allow_data_loss = [\"{name}\"], apply, then destroy; to only forget it: \
                     removed {{ lifecycle {{ destroy = false }} }}"
                ))
                .attribute(["allow_data_loss"]),
        );
    }
}
