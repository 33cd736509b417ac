//! Bugs planted on purpose into what the product sends to hosts (or into what a server answers):
//! the sweep must find each.

/// A bug of the product, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// Effects do not look at the gate.
    GateUnchecked,
    /// A take-over leaves the former holder's script alone.
    NobodyEvicted,
    /// The journal's end line comes before the effect.
    EndBeforeEffect,
    /// The journal is not written.
    NoJournal,
    /// The server says that it is fenced and takes writes.
    FenceLies,
    /// The primary says that a standby can be built from it before one can.
    BaseLies,
    /// The note of the group is not written.
    NoGroupNote,
    /// A start wipes the store.
    StoreWiped,
    /// One effect is not safe to repeat, and runs twice.
    EffectTwice,
    /// The note that a store is being built stays.
    BuildingStays,
    /// The start at boot stays.
    BootStays,
    /// A restart forgets which process it is for.
    RestartForgets,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::GateUnchecked,
        Self::NobodyEvicted,
        Self::EndBeforeEffect,
        Self::NoJournal,
        Self::FenceLies,
        Self::BaseLies,
        Self::NoGroupNote,
        Self::StoreWiped,
        Self::EffectTwice,
        Self::BuildingStays,
        Self::BootStays,
        Self::RestartForgets,
    ];

    /// What the stand-in is asked to lie about.
    #[must_use]
    pub fn lie(self) -> Option<&'static str> {
        match self {
            Self::FenceLies => Some("fence"),
            Self::BaseLies => Some("base"),
            _ => None,
        }
    }

    /// The script as the product would send it if it had the bug.
    #[must_use]
    pub fn plant(self, text: &str) -> String {
        let replace = |from: &str, to: &str| text.replace(from, to);
        let lines = |change: &dyn Fn(&str) -> String| {
            text.lines().map(|l| change(l) + "\n").collect::<String>()
        };
        match self {
            Self::GateUnchecked => replace("ob_check_gate() {", "ob_check_gate() { return 0;"),
            Self::NobodyEvicted => replace("ob_evict() {", "ob_evict() { return 0;"),
            Self::NoJournal => replace("ob_journal() {", "ob_journal() { return 0;"),
            Self::EndBeforeEffect => end_first(text),
            Self::NoGroupNote => lines(&|l| {
                if l.contains("ob_put") && l.trim_end_matches('\'').ends_with("/.ob/group") {
                    ":".into()
                } else {
                    l.into()
                }
            }),
            Self::StoreWiped => replace(
                "mkdir -p \"$base/log\"; cd /",
                "rm -rf \"$base/store\"; mkdir -p \"$base/log\"; cd /",
            ),
            Self::EffectTwice => lines(&|l| {
                if l.contains("tail -n 3") {
                    format!("{0}\n{0}", l.replace("[ \"$ob_old\" = ", "[ \"$ob_old\" = x"))
                } else {
                    l.into()
                }
            }),
            Self::BuildingStays => lines(&|l| {
                if l.starts_with("rm -f ") && l.contains("/.ob/building") {
                    ":".into()
                } else {
                    l.into()
                }
            }),
            Self::BootStays => {
                replace("if command -v crontab >/dev/null && crontab -l", "if false && crontab -l")
            }
            Self::RestartForgets => lines(&|l| {
                if l.contains("/.ob/restart") && l.contains("ob_put") {
                    l.replace("\"$(sdb_process)\"", "''")
                } else {
                    l.into()
                }
            }),
            Self::FenceLies | Self::BaseLies => text.to_owned(),
        }
    }
}

/// Moves the end line before the point at which the effect begins.
fn end_first(text: &str) -> String {
    let marker = "if [ $ob_rc = 0 ]; then ";
    let end = text
        .lines()
        .find_map(|l| l.strip_prefix(marker)?.split_once("; else ").map(|(end, _)| end.to_owned()));
    let at = text.find("if [ \"$(cat \"$OB_STATE/fault\"");
    match (end, at) {
        (Some(end), Some(at)) => format!("{}{end}\n{}", &text[..at], &text[at..]),
        _ => text.to_owned(),
    }
}
