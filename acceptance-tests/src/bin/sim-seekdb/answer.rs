//! Answers exactly the statements that the product and the writer of the tests send. Any other
//! statement is an error that names it, so that a change of the product cannot pass unnoticed.
use crate::follow::ask;
use crate::server::{Server, read_only};
use crate::sha1::kept;
use crate::store::Role;
use crate::wire::Answer;
use std::time::{Duration, Instant};

/// The parameters that exist, with their defaults.
pub const PARAMETERS: [(&str, &str); 11] = [
    ("cpu_count", "0"),
    ("datafile_size", "0M"),
    ("enable_rpc_service", "False"),
    ("log_disk_size", "0M"),
    ("log_restore_source", ""),
    ("memory_limit", "0M"),
    ("mysql_port", "2881"),
    ("rpc_port", "2882"),
    ("stack_size", "512K"),
    ("syslog_level", "EDIAG"),
    ("system_memory", "0M"),
];

const COLUMNS: [&str; 11] = [
    "svr_type",
    "name",
    "data_type",
    "value",
    "info",
    "section",
    "scope",
    "source",
    "edit_level",
    "default_value",
    "isdefault",
];

fn one(column: &'static str, value: impl Into<String>) -> Answer {
    Answer::Rows(vec![column], vec![vec![value.into()]])
}

/// Answers one statement of `user` in session `id`.
pub fn answer(server: &Server, user: &str, id: u32, text: &str) -> Answer {
    let lower = text.to_ascii_lowercase();
    if lower == "show processlist" && !server.answers(&lower) {
        return Answer::Err(4012, "Timeout".into());
    }
    match lower.as_str() {
        "select 1" => one("1", "1"),
        "select connection_id()" => one("connection_id()", id.to_string()),
        "select @@version_comment" => {
            one("@@version_comment", format!("stand-in for seekdb (r1.4.0.0) ({})", build()))
        }
        "select max(tx_blocked) from oceanbase.__all_virtual_ls_info" => {
            one("max(tx_blocked)", if server.store().role == Role::Primary { "0" } else { "1" })
        }
        "select max(checkpoint_scn) from oceanbase.__all_virtual_ls_info" => {
            let mut store = server.store();
            let moved = server.lies("base") || store.settled().unwrap_or(false);
            one("max(checkpoint_scn)", if moved { store.end().to_string() } else { "1".to_owned() })
        }
        "select max(end_scn) from oceanbase.v$ob_log_stat" => {
            one("max(END_SCN)", server.store().end().to_string())
        }
        "select password from mysql.user where user = 'root'" => {
            let kept = server.store().users.get("root").cloned().unwrap_or_default();
            one(
                "password",
                if kept.is_empty() { kept } else { format!("*{}", kept.to_uppercase()) },
            )
        }
        "show processlist" => processlist(server),
        "show parameters" => parameters(server),
        "show sim state" => state(server),
        _ if lower.starts_with("select ") && !lower.contains(".rows_written") => {
            fresh(server, &lower)
        }
        _ => {
            let idle = lower.strip_prefix("set session wait_timeout = ");
            if let Some(seconds) = idle.and_then(|s| s.parse().ok()) {
                server.idle(id, seconds);
            }
            changes(server, user, text, &lower)
        }
    }
}

/// What is there beside what a new server has (seen on 1.4.0.post1): only users can be.
fn fresh(server: &Server, lower: &str) -> Answer {
    let table = lower.split_once(" from ").and_then(|(_, rest)| rest.split(' ').next());
    let rows = match table.unwrap_or_default() {
        "oceanbase.dba_ob_users" => {
            let known = ["root", "ob_service"];
            let store = server.store();
            let others = store.users.keys().filter(|name| !known.contains(&name.as_str()));
            others.map(|name| vec![format!("{name}@%")]).collect()
        }
        "information_schema.schemata"
        | "information_schema.tables"
        | "information_schema.routines"
        | "information_schema.triggers"
        | "oceanbase.dba_scheduler_jobs" => Vec::new(),
        // The real server sets it at its second start.
        "oceanbase.dba_ob_sys_variables" if server.again && !lower.contains("'server_uuid'") => {
            vec![vec!["server_uuid".into()]]
        }
        "oceanbase.dba_ob_sys_variables" => Vec::new(),
        "information_schema.events" => return Answer::Err(1109, "Unknown table".into()),
        "mysql.func" => return Answer::Err(1146, "Table doesn't exist".into()),
        _ => {
            let why = format!("the stand-in does not know the statement {lower:?}");
            return Answer::Err(1064, why);
        }
    };
    Answer::Rows(vec!["name"], rows)
}

fn changes(server: &Server, user: &str, text: &str, lower: &str) -> Answer {
    if let Some(rest) = lower.strip_prefix("kill ") {
        return rest
            .trim()
            .parse()
            .map_or_else(|_| Answer::Err(1064, text.into()), |id| server.kill(id));
    }
    if let Some(answer) = rows(server, lower) {
        return answer;
    }
    // The settings of a session; a fenced server takes them, too.
    if lower.starts_with("set session ") {
        return Answer::Ok;
    }
    let done = match lower {
        "alter system minor freeze" => freeze(server),
        "alter system switchover to standby" => fence(server),
        "alter system switchover to primary" => promote(server),
        "alter system activate standby" => activate(server),
        _ if lower.starts_with("alter system set ") => {
            set(server, &text["alter system set ".len()..])
        }
        _ if lower.starts_with("create user if not exists ") => {
            account(server, user, &text["create user if not exists ".len()..], false)
        }
        // The product makes it again at once, with the same end.
        "drop user if exists 'ob_service'@'127.0.0.1'" => Answer::Ok,
        _ if lower.starts_with("alter user ") => {
            account(server, user, &text["alter user ".len()..], true)
        }
        _ if lower.starts_with("grant all privileges on *.* to ") => server.append(&format!(
            "grant {}",
            literal(&text["grant all privileges on *.* to ".len()..]).0
        )),
        _ => {
            return Answer::Err(1064, format!("the stand-in does not know the statement {text:?}"));
        }
    };
    let shown = match lower.split_once("identified by") {
        Some((head, _)) => format!("{head}identified by ***"),
        None => lower.to_owned(),
    };
    if let Answer::Ok = done {
        server.ledger(&shown);
    }
    done
}

/// The file beside the program tells two builds apart, as the library beside the real one does.
fn build() -> String {
    let exe = std::env::current_exe().unwrap_or_default();
    exe.parent()
        .and_then(|d| std::fs::read_to_string(d.join("libaio.so.1")).ok())
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn processlist(server: &Server) -> Answer {
    let sessions = server.sessions.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    Answer::Rows(
        vec!["Id", "User", "Host", "db", "Command"],
        sessions
            .iter()
            .map(|(id, (user, _))| {
                [&id.to_string(), user, "h", "", "Sleep"].map(str::to_owned).into()
            })
            .collect(),
    )
}

/// The value in force: from this run's command line, else what a statement set, else the default.
pub fn parameter(server: &Server, name: &str, default: &str) -> String {
    let first_only = ["log_restore_source"].contains(&name);
    let given = server.given.get(name).filter(|_| !first_only).cloned();
    given
        .or_else(|| server.store().parameters.get(name).cloned())
        .unwrap_or_else(|| default.to_owned())
}

fn parameters(server: &Server) -> Answer {
    let row = |(name, default): (&str, &str)| {
        let value = parameter(server, name, default);
        let is_default = if value == default { "1" } else { "0" };
        ["sys", name, "S", &value, "", "", "", "", "", default, is_default]
            .map(str::to_owned)
            .into()
    };
    Answer::Rows(COLUMNS.into(), PARAMETERS.into_iter().map(row).collect())
}

/// Everything that the sweep compares; only the sweep asks for it.
fn state(server: &Server) -> Answer {
    let store = server.store();
    let mut lines = vec![
        format!("role {:?}", store.role),
        format!("fenced {}", store.fenced_here),
        format!("rows {}", store.rows.len()),
    ];
    lines.extend(store.users.iter().map(|(name, kept)| {
        format!("user {name}{}", if kept.is_empty() { " without password" } else { "" })
    }));
    lines.extend(store.log.iter().filter(|l| l.1.starts_with("grant")).map(|l| l.1.clone()));
    drop(store);
    lines.extend(
        PARAMETERS.iter().map(|(n, d)| format!("parameter {n} {}", parameter(server, n, d))),
    );
    Answer::Rows(vec!["line"], lines.into_iter().map(|l| vec![l]).collect())
}

/// The writer's statements.
fn rows(server: &Server, lower: &str) -> Option<Answer> {
    let after = |word: &str| lower.split_once(word).map(|(_, rest)| rest);
    let number =
        |text: &str| text.trim().chars().take_while(char::is_ascii_digit).collect::<String>();
    if lower.starts_with("create database if not exists")
        || lower.starts_with("create table if not exists")
    {
        return Some(server.append("ddl"));
    }
    if let Some(values) = after(".rows_written values (") {
        return Some(server.append(&format!("row {}", number(values))));
    }
    if lower.contains(".probes values (") {
        return Some(server.append("probe"));
    }
    let (low, high) = after(".rows_written where n between ")?.split_once(" and ")?;
    let (low, high): (u64, u64) = (number(low).parse().ok()?, number(high).parse().ok()?);
    Some(Answer::Rows(
        vec!["n"],
        server.store().rows.range(low..=high).map(|n| vec![n.to_string()]).collect(),
    ))
}

/// Answers at once; the base of the log moves later ([`crate::store::Store::settled`]).
fn freeze(server: &Server) -> Answer {
    let mut store = server.store();
    if store.role != Role::Primary {
        return read_only();
    }
    store.freeze();
    Answer::Ok
}

fn written(store: &mut crate::store::Store, lines: &[&str]) -> Answer {
    match lines.iter().try_for_each(|l| store.write(l)) {
        Ok(()) => Answer::Ok,
        Err(e) => Answer::Err(4000, e.to_string()),
    }
}

/// Fences: from here on the server answers 4688 to writes. Works without a source, too.
fn fence(server: &Server) -> Answer {
    if server.lies("fence") {
        return Answer::Ok;
    }
    let mut store = server.store();
    store.fenced_here |= store.role == Role::Primary;
    written(&mut store, &["role standby"])
}

/// Waits by itself for the end of the fenced source's log. Answers 4109 and changes nothing while
/// the source is not fenced; 1210 when the fenced process was restarted since; 4179 on a server
/// that is fenced itself.
fn promote(server: &Server) -> Answer {
    let refuse = |code, text: &str| Answer::Err(code, text.into());
    if server.store().fenced_here {
        return refuse(4179, "Operation not allowed now");
    }
    let Some(source) = server.source_to_follow() else { return refuse(1210, "Invalid argument") };
    let end = match ask(&source) {
        Ok((word, end)) if word == "fenced" => end,
        Ok((word, _)) if word == "primary" => return refuse(4109, "the source takes writes"),
        Ok(_) => return refuse(1210, "Invalid argument"),
        Err(e) => return refuse(4012, &e.to_string()),
    };
    let until = Instant::now() + Duration::from_secs(5);
    while server.store().end() < end {
        if Instant::now() >= until {
            return refuse(4012, "the log of the source does not arrive");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    open(server)
}

/// The way back out of a fence, and the failover; works at once, also while the source lives.
/// Refused on the process that was fenced itself (4179); its restarted successor accepts it.
fn activate(server: &Server) -> Answer {
    let refused = {
        let store = server.store();
        store.role == Role::Primary || store.fenced_here
    };
    if refused { Answer::Err(4179, "Operation not allowed now".into()) } else { open(server) }
}

fn open(server: &Server) -> Answer {
    let mut store = server.store();
    store.fenced_here = false;
    match written(&mut store, &["role primary", "frozen"]) {
        Answer::Ok => server.appended(&mut store, &format!("opened by {}", server.base.display())),
        other => other,
    }
}

/// Sets a parameter: `NAME = 'VALUE'`; allowed on a standby.
fn set(server: &Server, text: &str) -> Answer {
    let Some((name, value)) = text.split_once('=') else { return Answer::Err(1064, text.into()) };
    let (name, value) = (name.trim(), literal(value.trim()).0);
    if !PARAMETERS.iter().any(|p| p.0 == name) {
        return Answer::Err(5168, format!("parameter {name} does not exist"));
    }
    written(&mut server.store(), &[&format!("parameter {name} {value}")])
}

/// Makes or changes an account: `'NAME' IDENTIFIED BY 'PASSWORD'`. Only root changes root's
/// password (1235).
fn account(server: &Server, user: &str, text: &str, there: bool) -> Answer {
    let (name, rest) = literal(text);
    // From where the user may come: the stand-in is asked from its own host alone.
    let rest = rest.strip_prefix('@').map_or(rest, |from| literal(from).1);
    let Some(password) = rest
        .trim()
        .to_ascii_lowercase()
        .strip_prefix("identified by ")
        .map(|_| literal(rest.trim()["identified by ".len()..].trim()).0)
    else {
        return Answer::Err(1064, "no password".into());
    };
    if name == "root" && user != "root" {
        return Answer::Err(1235, "modify on reserved user".into());
    }
    let mut store = server.store();
    match (store.role, store.users.contains_key(&name)) {
        (Role::Standby, _) => read_only(),
        (_, false) if there => {
            Answer::Err(1396, format!("Operation ALTER USER failed for '{name}'"))
        }
        (_, true) if !there => Answer::Ok,
        _ => server.appended(&mut store, &format!("user {name} {}", kept(&password))),
    }
}

/// A quoted literal, and the text after it.
fn literal(text: &str) -> (String, &str) {
    let Some(body) = text.trim_start().strip_prefix('\'') else {
        return (text.trim().to_owned(), "");
    };
    let (mut out, mut chars) = (String::new(), body.char_indices().peekable());
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => out.extend(chars.next().map(|(_, c)| c)),
            '\'' if chars.peek().is_some_and(|(_, c)| *c == '\'') => {
                chars.next();
                out.push('\'');
            }
            '\'' => return (out, &body[at + 1..]),
            c => out.push(c),
        }
    }
    (out, "")
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn literals_are_read_as_the_product_writes_them() {
        for (text, want, rest) in [
            ("'a' b", "a", " b"),
            ("'it''s'", "it's", ""),
            (r"'a\\'", r"a\", ""),
            ("plain", "plain", ""),
        ] {
            assert_eq!(literal(text), (want.to_owned(), rest), "{text}");
        }
    }
}
