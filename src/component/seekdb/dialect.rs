//! All differences between the families of seekdb that this program knows: 1.4 and 1.3.
//!
//! docs/seekdb-1.3.md says how each difference was measured. A plan takes the dialect from the
//! version of the package. A step that asks a server takes it from the version that the server
//! gives.
use super::Role;
use crate::base::Problem;
use crate::component::package::PackageId;
use std::collections::BTreeMap;
use std::time::Duration;

/// One family of versions.
#[derive(Debug)]
pub struct Dialect {
    /// Name of the family: the first two numbers of its versions.
    pub family: &'static str,
    /// The statement that asks a server for its role. Its text is constant, because a fenced 1.4
    /// answers no statement that is new to it.
    pub role: &'static str,
    /// The role in the answer to that statement; `None` when the answer names none.
    pub read_role: fn(&str) -> Option<Role>,
    /// Statements that must precede one that moves the role, in the same session.
    pub before_move: &'static [&'static str],
    /// A fenced process follows nobody and cannot be opened again before it was restarted.
    pub restart_after_fence: bool,
    /// A move of the role that is cut leaves the server between two roles.
    pub unsettled: bool,
    /// A server that was fenced a while ago answers no statement that is new to it (4012).
    pub silent_when_fenced: bool,
    /// Before a standby of a young primary starts, the primary needs a minor freeze.
    pub freeze: bool,
    /// Our account may change root's password.
    pub sets_root_password: bool,
    /// Why another RPC port can never take effect on an existing store; `None` when no such limit
    /// is known.
    pub fixed_rpc_port: Option<&'static str>,
    /// How long a start or a build may take until the server answers.
    pub start: Duration,
    /// How long to wait for the answer of a server whose process runs.
    pub silence: Duration,
    /// Parameters that take effect only with a restart (`edit_level` STATIC_EFFECTIVE).
    pub statics: &'static [&'static str],
    /// Parameters that a server refuses to change after its first start (READONLY).
    pub read_only: &'static [&'static str],
    /// Parameters that the server itself sets to other values than their defaults.
    pub own: &'static [&'static str],
    /// Hidden parameters that the server itself sets to other values than their defaults.
    pub own_hidden: &'static [&'static str],
    /// Variables that the server itself sets to other values than their defaults, beside
    /// [`VARIABLES`].
    pub own_variables: &'static [&'static str],
    /// Databases that a new server has, or makes by itself soon after its start, beside those that
    /// every version has.
    pub databases: &'static [&'static str],
    /// Jobs that a new server has beside [`JOBS`].
    pub jobs: &'static [&'static str],
}

/// Variables that a server of either family sets to other values than their defaults, at its first
/// start or (`server_uuid`) at the second one.
pub(super) const VARIABLES: [&str; 3] =
    ["ob_tcp_invited_nodes", "parallel_servers_target", "server_uuid"];

/// Jobs of a new server of both families.
pub(super) const JOBS: [&str; 9] = [
    "ASYNC_GATHER_STATS_JOB_PROC",
    "FRIDAY_WINDOW",
    "MONDAY_WINDOW",
    "OPT_STATS_HISTORY_MANAGER",
    "SATURDAY_WINDOW",
    "SUNDAY_WINDOW",
    "THURSDAY_WINDOW",
    "TUESDAY_WINDOW",
    "WEDNESDAY_WINDOW",
];

/// 1.4.0 and 1.4.0.post1.
pub static V1_4: Dialect = Dialect {
    family: "1.4",
    // Do not read the columns of a role: the server does not refresh them.
    role: "select max(tx_blocked) from oceanbase.__all_virtual_ls_info",
    read_role: |blocked| match blocked {
        "0" => Some(Role::Primary),
        "1" => Some(Role::Standby),
        _ => None,
    },
    before_move: &[],
    restart_after_fence: true,
    unsettled: false,
    silent_when_fenced: true,
    freeze: true,
    sets_root_password: false,
    fixed_rpc_port: None,
    start: Duration::from_secs(90),
    silence: Duration::from_secs(12),
    statics: &[
        "strict_check_os_params",
        "use_ipv6",
        "stack_size",
        "net_thread_count",
        "enable_rpc_tls",
    ],
    read_only: &["server_create_time", "redo_dir", "data_dir"],
    own: &[
        "server_role_info",
        "log_restore_source",
        "server_create_time",
        "rpc_port",
        "enable_rpc_service",
        "mysql_port",
        "redo_dir",
        "data_dir",
        "enable_record_trace_log",
        "datafile_size",
        "log_disk_size",
        "memory_limit",
    ],
    own_hidden: &["_bloom_filter_ratio", "_enable_dbms_job_package"],
    own_variables: &[],
    databases: &[],
    jobs: &[],
};

/// 1.3.0.post5.
pub static V1_3: Dialect = Dialect {
    family: "1.3",
    // Do not read `tx_blocked` (always 0) or `access_mode` (APPEND in a fence that was cut).
    role: "select concat(s.role, '/', t.switchover_status) from oceanbase.V$OB_SERVER_STAT s, \
           oceanbase.__all_virtual_server_stat t",
    read_role: |words| match words.split_once('/')? {
        ("PRIMARY", _) => Some(Role::Primary),
        ("STANDBY", "NORMAL") => Some(Role::Standby),
        ("STANDBY", "SWITCHING TO STANDBY") => Some(Role::Fencing),
        ("STANDBY", "PREPARE SWITCHING TO PRIMARY" | "FLASHBACK" | "SWITCHING TO PRIMARY") => {
            Some(Role::Opening)
        }
        _ => None,
    },
    // The default of 10 s cuts a move in the middle on a busy host, and a move that was cut has to
    // be made again.
    before_move: &["SET SESSION ob_query_timeout = 25000000"],
    restart_after_fence: false,
    unsettled: true,
    silent_when_fenced: false,
    freeze: false,
    sets_root_password: true,
    fixed_rpc_port: Some(
        "a server of 1.3 never starts on its store with another RPC port (-4002, run on \
         1.3.0.post5)",
    ),
    // A server answers 5 to 13 s after its start, a standby after 28 to 45 s; on a busy host twice
    // that.
    start: Duration::from_secs(120),
    silence: Duration::from_secs(30),
    statics: &[
        "strict_check_os_params",
        "use_ipv6",
        "stack_size",
        "net_thread_count",
        "enable_rpc_tls",
        "enable_ob_error_msg_style",
        "enable_global_background_resource_isolation",
        "use_large_pages",
        "sql_work_area",
        "high_priority_net_thread_count",
    ],
    read_only: &[
        "server_create_time",
        "redo_dir",
        "data_dir",
        "observer_id",
        "ob_startup_mode",
        "devname",
    ],
    own: &[
        "server_role_info",
        "log_restore_source",
        "server_create_time",
        "rpc_port",
        "enable_rpc_service",
        "mysql_port",
        "redo_dir",
        "data_dir",
        "enable_record_trace_log",
        "datafile_size",
        "log_disk_size",
        "memory_limit",
        "ha_info",
        "observer_id",
    ],
    own_hidden: &[
        "_bloom_filter_ratio",
        "_enable_dbms_job_package",
        "_ob_enable_pl_dynamic_stack_check",
        "_use_odps_jni_connector",
    ],
    own_variables: &[
        "privilege_features_enable",
        "_enable_mysql_pl_priv_check",
        "ob_compatibility_version",
        "ob_security_version",
    ],
    databases: &["sys_external_tbs"],
    jobs: &[
        "SCHEDULED_MANAGE_DYNAMIC_PARTITION_DAILY",
        "SCHEDULED_MANAGE_DYNAMIC_PARTITION_HOURLY",
    ],
};

/// Both families, the newest first.
static ALL: [&Dialect; 2] = [&V1_4, &V1_3];

impl Dialect {
    /// The dialect of a version: of a package (`1.4.0.post1`), of a program (`1.3.0.0`), as
    /// `version()` prints it (`5.7.25-OceanBase seekdb-v1.3.0.0`), or as `@@version_comment` does
    /// (`OceanBase 4.3.5.3 seekdb (r1.3.0.0) (Built …)`).
    #[must_use]
    pub fn of_version(text: &str) -> Option<&'static Self> {
        let after = |mark: &str| text.split_once(mark).map(|(_, rest)| rest);
        let own = after("seekdb (r").or_else(|| after("seekdb-v")).unwrap_or(text);
        ALL.into_iter().find(|d| {
            own.strip_prefix(d.family)
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
        })
    }

    /// The dialect of a package, from the name of its directory.
    #[must_use]
    pub fn of_package(id: &str) -> Option<&'static Self> {
        PackageId::parse(id).and_then(|id| Self::of_version(&id.version))
    }

    /// The dialect for a plan. A plan refuses an unknown version before ([`unknown`]); where it
    /// cannot, this function takes the newest family.
    #[must_use]
    pub fn planned(version: &str) -> &'static Self {
        Self::of_version(version).unwrap_or(&V1_4)
    }

    /// The one dialect of a group's members, from their packages. Leaves out a member whose host
    /// has not told its package (it was imported while the host was off).
    ///
    /// # Errors
    /// The members are of several families, or a member's version is unknown.
    pub fn of_group(
        group: &str,
        packages: &BTreeMap<String, String>,
    ) -> Result<&'static Self, Problem> {
        let mut found: Option<(&String, &'static Self)> = None;
        for (member, id) in packages.iter().filter(|(_, id)| !id.is_empty()) {
            let own = Self::of_package(id)
                .ok_or_else(|| unknown(&format!("member \"{member}\" of group \"{group}\""), id))?;
            match found {
                Some((first, other)) if other.family != own.family => {
                    return Err(Problem::refused(format!(
                        "\"{first}\" and \"{member}\" cannot be one group"
                    ))
                    .why(format!(
                        "\"{first}\" runs seekdb {} and \"{member}\" seekdb {}: neither family \
                         starts as a standby of the other",
                        other.family, own.family
                    ))
                    .fix("give all members a package of one family")
                    .attribute(["members"]));
                }
                _ => found = Some((member, own)),
            }
        }
        Ok(found.map_or(&V1_4, |(_, dialect)| dialect))
    }

    /// How often to try a move of the role that the server cannot make now. A busy 1.3 gives up in
    /// the middle (4109, 4012), and the same statement then goes on from there: one more try was
    /// enough in most cases (docs/seekdb-1.3.md, 5).
    #[must_use]
    pub fn tries(&self) -> usize {
        if self.unsettled { 6 } else { 1 }
    }

    /// The statements of a move of the role, with those that must precede it.
    pub fn moves<'a>(&self, statements: &'a [&'a str]) -> Vec<&'a str> {
        self.before_move.iter().chain(statements).copied().collect()
    }
}

/// The problem of a server or package whose version is of no known family.
#[must_use]
pub fn unknown(who: &str, version: &str) -> Problem {
    let known = ALL.map(|d| d.family).join(", ");
    Problem::refused(format!("the seekdb of {who} is of a version that this program does not know"))
        .why(format!("it says \"{version}\"; known are the families {known}"))
        .fix("use a package of one of them, or the newest release of this program")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_version_tells_its_family() {
        for (text, want) in [
            ("1.4.0.post1", Some("1.4")),
            ("1.4.0", Some("1.4")),
            ("1.4", Some("1.4")),
            ("1.4.0-100.el8", Some("1.4")),
            ("1.3.0.post5", Some("1.3")),
            ("1.3.0.0", Some("1.3")),
            ("5.7.25-OceanBase seekdb-v1.3.0.0", Some("1.3")),
            ("OceanBase 4.3.5.3 seekdb (r1.3.0.0) (Built 1-aead Aug  5 2026)", Some("1.3")),
            ("OceanBase 4.3.5.3 seekdb (r1.4.0.0) (Built 1-aead Aug  5 2026)", Some("1.4")),
            ("1.30.0", None),
            ("11.4.0", None),
            ("1.5.0", None),
            ("5.7.25", None),
            ("OceanBase_CE 4.3.5.3 (r1.4.0.0)", None),
            ("unknown", None),
            ("", None),
        ] {
            assert_eq!(Dialect::of_version(text).map(|d| d.family), want, "{text}");
        }
    }

    #[test]
    fn what_a_server_says_of_its_role_is_one_role_or_none() {
        use Role::{Fencing, Opening, Primary, Standby};
        for (dialect, words, want) in [
            (&V1_4, "0", Some(Primary)),
            (&V1_4, "1", Some(Standby)),
            (&V1_4, "2", None),
            (&V1_3, "PRIMARY/NORMAL", Some(Primary)),
            (&V1_3, "PRIMARY/PREPARE SWITCHING TO STANDBY", Some(Primary)),
            (&V1_3, "STANDBY/NORMAL", Some(Standby)),
            (&V1_3, "STANDBY/SWITCHING TO STANDBY", Some(Fencing)),
            (&V1_3, "STANDBY/PREPARE SWITCHING TO PRIMARY", Some(Opening)),
            (&V1_3, "STANDBY/FLASHBACK", Some(Opening)),
            (&V1_3, "STANDBY/SWITCHING TO PRIMARY", Some(Opening)),
            (&V1_3, "STANDBY/SOMETHING NEW", None),
            (&V1_3, "RESTORE/NORMAL", None),
            (&V1_3, "0", None),
        ] {
            assert_eq!((dialect.read_role)(words), want, "{words}");
        }
    }

    #[test]
    fn only_a_standby_that_is_settled_takes_no_writes_for_sure() {
        for (role, sure) in [
            (Role::Primary, false),
            (Role::Standby, true),
            (Role::Fencing, false),
            (Role::Opening, false),
        ] {
            assert_eq!(role.may_write().is_none(), sure, "{role:?}");
        }
    }

    #[test]
    fn a_group_has_one_dialect_and_a_mixed_one_is_refused_by_name() {
        let group = |a: &str, b: &str| {
            let packages = [("a".to_owned(), a.to_owned()), ("b".to_owned(), b.to_owned())];
            Dialect::of_group("g", &packages.into()).map(|d| d.family).map_err(|p| p.to_string())
        };
        let (old, new) = ("seekdb-1.3.0.post5-0123456789ab", "seekdb-1.4.0-0123456789ab");
        assert_eq!(group(old, old), Ok("1.3"));
        assert_eq!(group(new, "seekdb-1.4.0.post1-ba9876543210"), Ok("1.4"));
        assert_eq!(group(old, ""), Ok("1.3"), "its host was off");
        let why = group(new, old).unwrap_err();
        for word in ["\"a\" and \"b\" cannot be one group", "1.4", "1.3", "fix"] {
            assert!(why.contains(word), "{word}: {why}");
        }
        let why = group(new, "seekdb-1.5.0-0123456789ab").unwrap_err();
        assert!(
            why.contains("member \"b\"") && why.contains("1.5.0") && why.contains("1.4, 1.3"),
            "{why}"
        );
    }
}
