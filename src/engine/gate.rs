//! The gate: what keeps two holders apart, on the host itself. This file only builds scripts; it
//! runs nothing.
//!
//! A gate is the file `$OB_STATE/objects/KEY/gate` (`$OB_STATE` is `~/.ob` of the user that runs
//! the servers). It holds a number that only grows, its holder, and when it was renewed by the
//! host's own uptime. Each effect enters through [`effect`]: it takes the object's effect lock,
//! checks number and renewal, writes its journal line, acts, writes the end line: all in one
//! script, so that no crash can part them. Gates outlive the object.
use super::fault::{self, Point};
use super::journal::Entry;
use crate::base::shell::quote;

/// The functions every script of ours begins with.
pub const LIB: &str = include_str!("host.sh");

/// Exit status: another effect on the object still runs on the host.
pub const BUSY: i32 = 75;
/// Exit status: somebody took the object over.
pub const SUPERSEDED: i32 = 76;
/// Exit status: the lease was not renewed in time.
pub const EXPIRED: i32 = 77;
/// Exit status: the gate carries this number or a higher one already.
pub const RACED: i32 = 78;
/// Exit status: a live holder has the object.
pub const HELD: i32 = 79;

/// An object and the number its holder has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pass {
    /// Object key, `cluster.main`.
    pub key: String,
    /// The lease number.
    pub number: u64,
}

/// Who takes a gate.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Operation id.
    pub id: String,
    /// Who runs, for people.
    pub who: String,
    /// Seconds without renewal after which others may take over.
    pub ttl: u64,
    /// Owner of the configuration (later: the OCP) that has authority over the object.
    pub authority: String,
    /// Epoch of that authority.
    pub epoch: u64,
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Prints `number`, `live`, `who`, `holder` of the gate.
#[must_use]
pub fn peek(key: &str) -> String {
    format!(
        "{LIB}ob_read_gate {}\nprintf 'number=%s\\nlive=%s\\nwho=%s\\nholder=%s\\n' \"$g_number\" \"$g_live\" \"$g_who\" \"$g_holder\"",
        quote(key)
    )
}

/// Writes a new number, unless it is taken or held; ends what a former holder still runs here;
/// opens the journal.
#[must_use]
pub fn take(key: &str, number: u64, holder: &Holder, journal: &str, opening: &Entry) -> String {
    let k = quote(key);
    let who = quote(&one_line(&holder.who));
    format!(
        "{LIB}umask 077\nmkdir -p \"$OB_STATE/objects/{key}/journal\" || exit 1\nexec 7>>\"$OB_STATE/objects/{key}/gate.lock\"; flock -w 10 7 || exit {BUSY}\n\
         ob_read_gate {k}\n\
         [ \"$g_live\" = 0 ] || [ \"$g_holder\" = {id} ] || {{ echo \"$g_who\"; exit {HELD}; }}\n\
         [ \"$g_number\" -lt {number} ] || {{ echo \"$g_number\"; exit {RACED}; }}\n\
         if [ -n \"$g_holder\" ]; then echo took_over=1; fi\n\
         ob_write_gate {k} {number} {id} {who} {ttl} {authority} {epoch} || exit 1\nexec 7>&-\nob_evict {k}\nob_journal {journal} {line}\n",
        id = quote(&holder.id),
        ttl = holder.ttl,
        authority = quote(&one_line(&holder.authority)),
        epoch = holder.epoch,
        journal = quote(&format!("{key}/journal/{journal}")),
        line = quote(&opening.seal()),
    )
}

/// Renews, unless the number has changed.
#[must_use]
pub fn renew(key: &str, number: u64, holder: &Holder) -> String {
    let k = quote(key);
    format!(
        "{LIB}umask 077\nexec 7>>\"$OB_STATE/objects/{key}/gate.lock\"; flock -w 5 7 || exit {BUSY}\nob_read_gate {k}\n\
         [ \"$g_number\" = {number} ] || {{ echo \"$g_number ($g_who)\"; exit {SUPERSEDED}; }}\n\
         ob_write_gate {k} {number} {id} {who} {ttl} {authority} {epoch}\n",
        id = quote(&holder.id),
        who = quote(&one_line(&holder.who)),
        ttl = holder.ttl,
        authority = quote(&one_line(&holder.authority)),
        epoch = holder.epoch,
    )
}

/// Gives the gate back, number kept, and closes the journal.
#[must_use]
pub fn release(key: &str, number: u64, holder: &Holder, journal: &str, lines: &[Entry]) -> String {
    let k = quote(key);
    let mut text = format!(
        "{LIB}umask 077\nexec 7>>\"$OB_STATE/objects/{key}/gate.lock\"; flock -w 5 7 || exit {BUSY}\nob_read_gate {k}\n[ \"$g_number\" = {number} ] || exit {SUPERSEDED}\n"
    );
    for line in lines {
        text += &format!(
            "ob_journal {} {}\n",
            quote(&format!("{key}/journal/{journal}")),
            quote(&line.seal())
        );
    }
    text + &format!(
        "ob_write_gate {k} {number} '' '' 0 {} {}\n",
        quote(&one_line(&holder.authority)),
        holder.epoch
    )
}

/// What an effect script writes to the journal.
pub struct Lines<'a> {
    /// File name of the journal.
    pub journal: &'a str,
    /// Lines that wait to be written (steps skipped since the last effect) and the begin line.
    pub before: &'a [Entry],
    /// The line for a good end.
    pub end: &'a Entry,
    /// The line for a bad one.
    pub fail: &'a Entry,
    /// The step's kind, for fault points.
    pub kind: &'a str,
}

fn enter(passes: &[Pass], lines: &Lines<'_>) -> String {
    let mut text = format!("{LIB}umask 077\n");
    for pass in passes {
        text += &format!("ob_enter {} {}\n", quote(&pass.key), pass.number);
    }
    if let Some(first) = passes.first() {
        text += &format!("ob_log={}\n", quote(&format!("{}/journal/{}", first.key, lines.journal)));
        for line in lines.before {
            text += &format!("ob_journal \"$ob_log\" {}\n", quote(&line.seal()));
        }
    }
    text + &fault::on_host(lines.kind, Point::Began)
}

/// Wraps `body` (run in a subshell without the lock's descriptors, so that a daemon it starts does
/// not inherit them); `then` runs after its good end.
#[must_use]
pub fn effect(passes: &[Pass], lines: &Lines<'_>, body: &str, then: &str) -> String {
    let text = enter(passes, lines);
    let close: String = (0..passes.len()).map(|i| format!(" {}>&-", 9 - i)).collect();
    let after = if passes.is_empty() {
        String::new()
    } else {
        format!(
            "if [ $ob_rc = 0 ]; then ob_journal \"$ob_log\" {}; else ob_journal \"$ob_log\" {}; fi\n",
            quote(&lines.end.seal()),
            quote(&lines.fail.seal())
        )
    };
    format!(
        "{text}(\numask 022\n{body}\n){close}\nob_rc=$?\n{}{after}[ $ob_rc = 0 ] || exit $ob_rc\n{then}exit 0",
        fault::on_host(lines.kind, Point::Effected)
    )
}

/// A script that enters, says that it is ready, then obeys lines on stdin: `ping` checks the gate again and
/// says `OK`; `end` and `fail` write the journal's last line. It ends with its stdin. SQL effects
/// run on a session opened between that and OK.
#[must_use]
pub fn hold(passes: &[Pass], lines: &Lines<'_>) -> String {
    let checks: String =
        passes.iter().map(|p| format!("ob_check_gate {} {}; ", quote(&p.key), p.number)).collect();
    format!(
        "{}ob_ready\nwhile read -r ob_cmd; do case $ob_cmd in\nping) {checks}echo OK ;;\nend) {}ob_journal \"$ob_log\" {}; echo BYE; exit 0 ;;\nfail) ob_journal \"$ob_log\" {}; echo BYE; exit 0 ;;\nesac; done",
        enter(passes, lines),
        fault::on_host(lines.kind, Point::Effected),
        quote(&lines.end.seal()),
        quote(&lines.fail.seal()),
    )
}
