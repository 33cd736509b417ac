//! Which steps a new attempt may do again.
use lab::story::blow::Blow;
use std::collections::BTreeMap;

/// The steps among `later` that must not have begun again. `later` has kind and title of each
/// effect that began after the blow.
pub fn twice(
    later: &[(&str, &str)],
    finished: &BTreeMap<String, String>,
    blow: Blow,
) -> Vec<String> {
    let rebuilt = later.iter().any(|(kind, _)| *kind == "begin_store");
    // A store is young until its build has noted that it is whole.
    let whole = finished.keys().any(|title| title.starts_with("the standby store of"));
    let allowed = |kind: &str, title: &str| match kind {
        // A server that lost its power has to be started again. So has a young standby that ended
        // by itself, on the new store of a new attempt or by the step's own tries: that happens in
        // one of fifteen starts, and always when the standby is cut off from its primary.
        "start_server" => {
            blow == Blow::PowerLoss || rebuilt || (!whole && title.contains(" as standby of "))
        }
        // A restart is for one process. A process that the host started meanwhile, by the old
        // script, has to be restarted too.
        "begin_restart" => blow == Blow::PowerLoss,
        // A fence is for one process. Its successor has to be opened and fenced anew before anybody
        // can be promoted.
        "note_fence" | "fence" => blow == Blow::PowerLoss,
        // Every new attempt to build a store repeats these.
        "freeze_log" | "begin_store" => true,
        _ => false,
    };
    let repeated = later
        .iter()
        .filter(|(_, title)| finished.get(*title).is_some_and(|kind| !allowed(kind, title)));
    repeated.map(|(_, title)| (*title).to_owned()).collect()
}

#[test]
fn what_may_be_done_twice() {
    let (alone, joined, whole) = (
        r#"start seekdb "b" on h2"#,
        r#"start seekdb "b" on h2 as standby of 10.0.0.1:2882"#,
        r#"the standby store of "b" on h2 is whole"#,
    );
    let ended = |titles: &[(&str, &str)]| {
        titles
            .iter()
            .map(|(kind, title)| ((*title).to_owned(), (*kind).to_owned()))
            .collect::<BTreeMap<_, _>>()
    };
    let start = ("start_server", joined);
    for (what, finished, later, blow, bad) in [
        (
            "a server",
            &[("start_server", alone)][..],
            &[("start_server", alone)][..],
            Blow::CtrlC,
            true,
        ),
        (
            "a server without power",
            &[("start_server", alone)],
            &[("start_server", alone)],
            Blow::PowerLoss,
            false,
        ),
        ("a young standby, by the step's own tries", &[start], &[start, start], Blow::CtrlC, false),
        ("a standby that is whole", &[start, ("end_note", whole)], &[start], Blow::CtrlC, true),
        (
            "a standby on a new store",
            &[start, ("end_note", whole)],
            &[("begin_store", "begin"), start],
            Blow::CtrlC,
            false,
        ),
        (
            "a promotion",
            &[("promote", "promote")],
            &[("promote", "promote")],
            Blow::PowerLoss,
            true,
        ),
        ("another step", &[("promote", "promote")], &[start], Blow::CtrlC, false),
    ] {
        assert_eq!(!twice(later, &ended(finished), blow).is_empty(), bad, "{what}");
    }
}
