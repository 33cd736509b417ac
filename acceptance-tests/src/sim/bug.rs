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
        match self {
            Self::GateUnchecked => replace("ob_check_gate() {", "ob_check_gate() { return 0;"),
            Self::NobodyEvicted => replace("ob_evict() {", "ob_evict() { return 0;"),
            Self::NoJournal => replace("ob_journal() {", "ob_journal() { return 0;"),
            Self::EndBeforeEffect => end_first(text),
            Self::NoGroupNote if text.contains("ob-effect begin put_note.sh") => {
                replace("printf '%s\\n' \"$3\" | ob_put \"$own/$2\"", ":")
            }
            Self::StoreWiped => replace(
                "mkdir -p \"$base/log\"\nrc=0",
                "rm -rf \"$base/store\"; mkdir -p \"$base/log\"\nrc=0",
            ),
            Self::EffectTwice => replace("[ \"$old\" = \"$2\" ] ||", "[ \"$old\" = x ] ||")
                .replace(
                    "  printf '%s\\n' \"$2\"\n} | ob_put \"$own/root\"",
                    "  printf '%s\\n' \"$2\" \"$2\"\n} | ob_put \"$own/root\"",
                ),
            Self::BuildingStays if text.contains("ob-effect begin end_note.sh") => {
                replace("do rm -f \"$own/$f\"", "do [ \"$f\" = building ] || rm -f \"$own/$f\"")
            }
            Self::BootStays => {
                replace("if command -v crontab >/dev/null && crontab -l", "if false && crontab -l")
            }
            Self::RestartForgets if text.contains("ob-effect begin note_process.sh") => {
                replace("printf %s \"$p\" |", "[ \"$2\" != restart ] || p=''; printf %s \"$p\" |")
            }
            Self::NoGroupNote | Self::BuildingStays | Self::RestartForgets => text.to_owned(),
            Self::FenceLies | Self::BaseLies => text.to_owned(),
        }
    }
}

/// Moves the end line before the point at which the effect begins.
fn end_first(text: &str) -> String {
    let marker = "if [ $ob_rc = 0 ]; then ";
    let end = text.lines().find_map(|l| l.strip_prefix(marker));
    let at = text.find("ob_fault() {");
    match (end, at) {
        (Some(end), Some(at)) => format!("{}{end}\n{}", &text[..at], &text[at..]),
        _ => text.to_owned(),
    }
}
