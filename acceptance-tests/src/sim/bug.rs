//! Bugs that are planted on purpose into what the product sends to hosts, or into what a server
//! answers. The sweep must find each of them.

/// A bug of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// Effects do not check the gate.
    GateUnchecked,
    /// A take-over does not end the former holder's script.
    NobodyEvicted,
    /// The journal's end line comes before the effect.
    EndBeforeEffect,
    /// The journal is not written.
    NoJournal,
    /// The server says that it is fenced, but takes writes.
    FenceLies,
    /// The primary says too early that a standby can be built from it.
    BaseLies,
    /// The note of the group is not written.
    NoGroupNote,
    /// A start wipes the store.
    StoreWiped,
    /// One effect is not safe to repeat, and has its effect twice.
    EffectTwice,
    /// The note that a store is being built stays.
    BuildingStays,
    /// The start at boot is not removed.
    BootStays,
    /// The note of a restart does not name the process.
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

    /// The lie that the stand-in is asked to tell.
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
            Self::EffectTwice => replace("*\"$n$old$n\"*) ;;", "x) ;;").replace(
                "  printf '%s\\n' \"$2\"\n} | tail -n 4 | ob_put \"$own/root\"",
                "  printf '%s\\n' \"$2\" \"$2\"\n} | tail -n 4 | ob_put \"$own/root\"",
            ),
            Self::BuildingStays if text.contains("ob-effect begin end_note.sh") => {
                replace("do rm -f \"$own/$f\"", "do [ \"$f\" = building ] || rm -f \"$own/$f\"")
            }
            Self::BootStays => {
                replace("boot_remove_former && boot_remove_line", "boot_remove_former")
            }
            Self::RestartForgets if text.contains("ob-effect begin note_process.sh") => {
                replace("printf %s \"$p\" |", "[ \"$2\" != restart ] || p=''; printf %s \"$p\" |")
            }
            Self::NoGroupNote | Self::BuildingStays | Self::RestartForgets => text.to_owned(),
            Self::FenceLies | Self::BaseLies => text.to_owned(),
        }
    }
}

/// Moves the journal's end line before the point at which the effect begins.
fn end_first(text: &str) -> String {
    let marker = "if [ $ob_rc = 0 ]; then ";
    let end = text.lines().find_map(|l| l.strip_prefix(marker));
    let at = text.find("ob_fault() {");
    match (end, at) {
        (Some(end), Some(at)) => format!("{}{end}\n{}", &text[..at], &text[at..]),
        _ => text.to_owned(),
    }
}
