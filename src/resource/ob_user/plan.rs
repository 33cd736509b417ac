//! Pure: finds what is wrong, and computes the planned state.
use super::object::believed;
use super::schema::UserState;
use crate::base::Problem;
use crate::component::mysql::Account;
use crate::resource::common::{known, text};
use crate::resource::sql_target::{self, target};
use crate::resource::{PlanInput, Planned};
use crate::resource::{sql_import, sql_object};
use crate::schema::{Diagnostics, Report, Value};

/// The host pattern of an account when the configuration gives none.
pub const ANYWHERE: &str = "%";

/// The account; `None` while unknown.
pub(super) fn account(state: &UserState) -> Option<Account> {
    let host = known(&state.host)?.map_or(ANYWHERE, String::as_str);
    Some(Account::new(known(&state.name)??, host))
}

/// Finds everything that is wrong with a configuration by itself.
pub fn validate(config: &UserState, diags: &mut Diagnostics) {
    sql_target::validate(config, diags);
    let (password, version) = (&config.password_wo, &config.password_wo_version);
    if !password.is_unknown() && !version.is_unknown() && password.is_null() != version.is_null() {
        diags.problem(
            Problem::user("password_wo and password_wo_version belong together")
                .why("a write-only value is in no state: only its version tells that it changed")
                .fix("set both, or none")
                .attribute(["password_wo_version"]),
        );
    }
    if *password == Value::Value(String::new()) {
        diags.problem(
            Problem::user("the password is empty")
                .why("anybody could log in")
                .fix("set one, or locked = true without one")
                .attribute(["password_wo"]),
        );
    }
}

/// Computes the planned state.
pub fn plan(
    input: PlanInput<'_, UserState>,
    diags: &mut Diagnostics,
) -> Option<Planned<UserState>> {
    let mut next = input.proposed.clone();
    // Defaults apply only where the configuration has null.
    if input.config.host.is_null() {
        next.host = Value::Value(ANYWHERE.into());
    }
    if input.config.locked.is_null() {
        next.locked = Value::Value(false);
    }
    match input.prior {
        Some(prior) => {
            sql_target::plan(prior, &mut next, diags);
            if let (Some(before), Some(after)) = (account(prior), account(&next))
                && before != after
                && (after.user.contains('\'') || after.host.contains('\''))
            {
                let problem = Problem::refused(format!(
                    "user {} cannot get a name with a quote",
                    before.quoted()
                ))
                .why(
                    "RENAME USER to such a name fails on the server (error 1396, seekdb \
                     1.4.0.post1)",
                );
                diags.problem(
                    problem
                        .fix(
                            "choose a name without a single quote, or make a second ob_user, move \
                             the grants to it and remove this one",
                        )
                        .attribute(["name"]),
                );
            }
            if prior.password_wo_version != next.password_wo_version {
                next.password_changed = Value::Unknown;
            }
        }
        None if input.config.password_wo.is_null() && next.locked == Value::Value(false) => {
            let name = text(&next.name).unwrap_or_default();
            diags.problem(
                Problem::user(format!("user \"{name}\" would have no password"))
                    .why("anybody could log in as it")
                    .fix("set password_wo and password_wo_version, or locked = true")
                    .attribute(["password_wo"]),
            );
        }
        None => {}
    }
    next.id = id(&next).map_or(Value::Unknown, Value::Value);
    let shaped = account(&next).is_some()
        && !next.locked.is_unknown()
        && !next.password_wo_version.is_unknown();
    if let Err(problem) =
        sql_object::foretell(input.prior, &mut next, shaped, &believed(input.prior))
    {
        diags.problem(problem);
    }
    Some(Planned { state: next, replace: Vec::new() })
}

/// The import id; `None` while something is unknown.
pub(super) fn id(state: &UserState) -> Option<String> {
    let account = account(state)?;
    Some(sql_import::id(&target(state)?, &[("user", &account.user), ("host", &account.host)]))
}
