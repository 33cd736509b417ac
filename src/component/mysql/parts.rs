//! The queries of the catalog: one for each kind, however many objects there are.
use super::Account;
use super::catalog::{Catalog, What};
use super::scope::Level;
use crate::component::sql::{Row, literal};

/// What it means that the server does not have the table that a query asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// The server cannot be managed.
    Error,
    /// The kind may be there all the same; the catalog says that it was not read.
    Unread,
    /// The server does not have this kind: the table is where the server itself keeps it.
    Nothing,
}

/// One query, and how its answer is taken.
pub(super) struct Part {
    /// What is read.
    pub kind: &'static str,
    pub query: String,
    pub take: fn(&mut Catalog, Vec<Row>),
    pub absent: Absent,
}

/// Columns of `mysql.db` and the privilege that each stands for in statements.
pub(super) const DB_COLUMNS: [(&str, &str); 16] = [
    ("select_priv", "SELECT"),
    ("insert_priv", "INSERT"),
    ("update_priv", "UPDATE"),
    ("delete_priv", "DELETE"),
    ("create_priv", "CREATE"),
    ("drop_priv", "DROP"),
    ("references_priv", "REFERENCES"),
    ("index_priv", "INDEX"),
    ("alter_priv", "ALTER"),
    ("lock_tables_priv", "LOCK TABLES"),
    ("create_view_priv", "CREATE VIEW"),
    ("show_view_priv", "SHOW VIEW"),
    ("create_routine_priv", "CREATE ROUTINE"),
    ("alter_routine_priv", "ALTER ROUTINE"),
    ("execute_priv", "EXECUTE"),
    ("trigger_priv", "TRIGGER"),
];

/// The account that holds everything, and the database on which its row tells what everything is.
pub(super) const ROOT: (&str, &str) = ("root", "mysql");

/// The right to grant on, where a server keeps it among the privileges.
pub(super) const OPTION: &str = "GRANT OPTION";
/// Bits of `__all_routine_privilege`.
pub(super) const ON_ROUTINE: [(u64, &str); 3] = [(1, "EXECUTE"), (2, "ALTER ROUTINE"), (4, OPTION)];
/// Bits of `__all_catalog_privilege` (run on 1.3.0.post5).
pub(super) const ON_CATALOG: [(u64, &str); 2] = [(1 << 51, "USE CATALOG"), (64, OPTION)];
/// Bits of `__all_tenant_objauth_mysql` for a location (run on 1.3.0.post5).
pub(super) const ON_LOCATION: [(u64, &str); 3] = [(1, "READ"), (2, "WRITE"), (4, OPTION)];
/// The kind of a location there.
pub(super) const LOCATION: &str = "19";

/// Tables in which the server keeps privileges and which are read, by themselves or through a view.
/// `__all_objauth_mysql` is that of 1.4.0.post1, which has no statement that fills it.
/// `__all_objauth` and `__all_tenant_objauth` belong to the Oracle mode.
const KNOWN: [&str; 11] = [
    "__all_database_privilege",
    "__all_table_privilege",
    "__all_column_privilege",
    "__all_routine_privilege",
    "__all_catalog_privilege",
    "__all_objauth",
    "__all_objauth_mysql",
    "__all_role_grantee_map",
    "__all_tenant_objauth",
    "__all_tenant_objauth_mysql",
    "__all_tenant_role_grantee_map",
];

/// The queries for a part of the catalog, in the order in which their answers are taken.
pub(super) fn parts(what: &What) -> Vec<Part> {
    type Take = fn(&mut Catalog, Vec<Row>);
    let all: [(&'static str, Option<String>, Take, Absent); 14] = [
        ("databases", databases_query(what), Catalog::take_databases, Absent::Error),
        ("users", users_query(what), Catalog::take_users, Absent::Error),
        ("grants", global_query(what), Catalog::take_global, Absent::Error),
        ("grants", database_query(what), Catalog::take_database, Absent::Error),
        ("grants", database_more_query(what), Catalog::take_database_more, Absent::Error),
        ("grants", table_query(what), Catalog::take_table, Absent::Error),
        ("privileges on columns", columns_query(what), Catalog::take_columns, Absent::Unread),
        (
            "rights to grant on what is held on tables",
            table_options_query(what),
            Catalog::take_table_options,
            Absent::Unread,
        ),
        ("roles", roles_query(what), Catalog::take_roles, Absent::Unread),
        ("privileges on routines", routines_query(what), Catalog::take_routines, Absent::Unread),
        ("privileges on catalogs", catalogs_query(what), Catalog::take_catalogs, Absent::Nothing),
        (
            "privileges on objects",
            objects_query(what, "__all_tenant_objauth_mysql"),
            Catalog::take_objects,
            Absent::Nothing,
        ),
        (
            "privileges on objects",
            objects_query(what, "__all_objauth_mysql"),
            Catalog::take_objects,
            Absent::Nothing,
        ),
        ("kinds of privileges", unknown_query(what), Catalog::take_unknown, Absent::Unread),
    ];
    all.into_iter()
        .filter_map(|(kind, query, take, absent)| Some(Part { kind, query: query?, take, absent }))
        .collect()
}

pub(super) fn databases_query(what: &What) -> Option<String> {
    let one = match what {
        What::Everything => String::new(),
        What::Database(name) => format!(
            " where schema_name = {0} or schema_name = {1}",
            literal(name),
            literal(&name.to_lowercase())
        ),
        _ => return None,
    };
    Some(format!(
        "select schema_name, default_character_set_name, default_collation_name, \
         @@lower_case_table_names from information_schema.schemata{one}"
    ))
}

// Comparisons in SQL ignore case and trailing blanks, so these queries only narrow the answer; the
// maps tell names apart exactly.
pub(super) fn users_query(what: &What) -> Option<String> {
    let names: Vec<&str> = match what {
        What::Everything => Vec::new(),
        What::Users(accounts) => accounts.iter().map(|a| a.user.as_str()).collect(),
        What::Grants(account, _) => vec![&account.user, ROOT.0],
        What::Database(_) => return None,
    };
    let one = if names.is_empty() {
        String::new()
    } else {
        format!(
            " where user_name in ({})",
            names.iter().map(|n| literal(n)).collect::<Vec<_>>().join(", ")
        )
    };
    Some(format!(
        "select user_name, host, is_locked, type, unix_timestamp(password_last_changed), \
         priv_grant_option from oceanbase.DBA_OB_USERS{one}"
    ))
}

fn at(what: &What, level: Level) -> Option<Option<&Account>> {
    match what {
        What::Everything => Some(None),
        What::Grants(account, scopes) if scopes.iter().any(|s| s.level() == level) => {
            Some(Some(account))
        }
        _ => None,
    }
}

pub(super) fn global_query(what: &What) -> Option<String> {
    let one = at(what, Level::Global)?
        .map(|a| {
            format!(" where grantee in ({}, {})", literal(&a.grantee()), literal("'root'@'%'"))
        })
        .unwrap_or_default();
    Some(format!("select grantee, privilege_type from information_schema.user_privileges{one}"))
}

pub(super) fn database_query(what: &What) -> Option<String> {
    let one = at(what, Level::Database)?
        .map(|a| format!(" where user = {} or (user = 'root' and db = 'mysql')", literal(&a.user)))
        .unwrap_or_default();
    let columns: Vec<_> = DB_COLUMNS.iter().map(|(column, _)| *column).collect();
    Some(format!("select user, host, db, grant_priv, {} from mysql.db{one}", columns.join(", ")))
}

pub(super) fn table_query(what: &What) -> Option<String> {
    let one = at(what, Level::Table)?
        .map(|a| format!(" where grantee = {}", literal(&a.grantee())))
        .unwrap_or_default();
    Some(format!(
        "select grantee, table_schema, table_name, privilege_type, is_grantable from \
         information_schema.table_privileges{one}"
    ))
}

/// Privileges on databases for which `mysql.db` has no column, or only that of another version
/// (EVENT, which 1.3.0.post5 has).
pub(super) fn database_more_query(what: &What) -> Option<String> {
    let one = at(what, Level::Database)?
        .map(|a| format!(" and grantee in ({}, {})", literal(&a.grantee()), literal("'root'@'%'")))
        .unwrap_or_default();
    let names: Vec<_> = DB_COLUMNS.iter().map(|(_, name)| literal(name)).collect();
    Some(format!(
        "select grantee, table_schema, privilege_type from information_schema.schema_privileges \
         where privilege_type not in ({}){one}",
        names.join(", ")
    ))
}

pub(super) fn columns_query(what: &What) -> Option<String> {
    let one = at(what, Level::Table)?
        .map(|a| format!(" where user = {}", literal(&a.user)))
        .unwrap_or_default();
    Some(format!(
        "select user, host, db, table_name, column_name, column_priv from mysql.columns_priv{one}"
    ))
}

/// The right to grant on of a table. `information_schema.table_privileges` shows it only beside a
/// privilege on the whole table.
pub(super) fn table_options_query(what: &What) -> Option<String> {
    let one = at(what, Level::Table)?
        .map(|a| format!(" and u.user_name = {}", literal(&a.user)))
        .unwrap_or_default();
    let kept = kept_in("__all_table_privilege", "p.database_name, p.table_name");
    Some(format!("{kept} where p.priv_grant_option <> 0{one}"))
}

pub(super) fn roles_query(what: &What) -> Option<String> {
    whole(what)?;
    Some("select to_user, to_host, from_user, from_host from mysql.role_edges".into())
}

/// Not from `mysql.procs_priv`, which cuts the name of a user after 32 characters.
pub(super) fn routines_query(what: &What) -> Option<String> {
    whole(what)?;
    let columns = "p.database_name, p.routine_name, p.routine_type, p.all_priv";
    Some(kept_in("__all_routine_privilege", columns))
}

pub(super) fn catalogs_query(what: &What) -> Option<String> {
    whole(what)?;
    Some(kept_in("__all_catalog_privilege", "p.catalog_name, p.priv_set"))
}

pub(super) fn objects_query(what: &What, table: &str) -> Option<String> {
    whole(what)?;
    Some(kept_in(table, "p.obj_name, p.obj_type, p.all_priv"))
}

/// Tables that look as if the server kept privileges there, and that are not [`KNOWN`].
pub(super) fn unknown_query(what: &What) -> Option<String> {
    whole(what)?;
    let known: Vec<_> = KNOWN.iter().map(|name| literal(name)).collect();
    Some(format!(
        "select table_name from information_schema.tables where table_schema = 'oceanbase' and \
         table_name like '__all%' and table_name not like '__all_virtual%' and (table_name like \
         '%privilege' or table_name like '%objauth%' or table_name like '%grantee_map') and \
         table_name not like '%_history' and table_name not in ({})",
        known.join(", ")
    ))
}

fn whole(what: &What) -> Option<()> {
    (*what == What::Everything).then_some(())
}

/// A table of the server in which privileges are kept by the number of the account.
fn kept_in(table: &str, columns: &str) -> String {
    format!(
        "select u.user_name, u.host, {columns} from oceanbase.{table} p join oceanbase.__all_user \
         u on p.user_id = u.user_id"
    )
}
