//! Progress lines of an operation that this process runs, from its events.
use super::output::Out;
use crate::base::units::show_duration;
use crate::engine::event::{Event, Sink, What};
use std::sync::Arc;

/// A listener that prints what happens.
#[must_use]
pub fn sink(out: Out) -> Sink {
    Arc::new(move |event: &Event| {
        if let Some((word, color, text, more)) = line(&event.what) {
            out.progress(word, color, text, &more);
        }
    })
}

/// The word, its colour, the title and a remark of an event's line; `None`: the event has no line.
fn line(what: &What) -> Option<(&'static str, &'static str, &str, String)> {
    Some(match what {
        What::Opened { .. } | What::Closed(_) => return None,
        What::Waiting { object, holder, most } => {
            let more = format!("held by {holder}; waits {} at most", show_duration(*most));
            ("waiting", "33", object, more)
        }
        What::Skipped(at) => ("done", "32", &at.title, "nothing to do".into()),
        What::Began(at, _) => ("running", "36", &at.title, String::new()),
        What::Ended(at, time) => ("done", "32", &at.title, show_duration(*time)),
        What::Failed(at, _) => ("failed", "31", &at.title, String::new()),
        What::WentBack(at) => ("back", "33", &at.title, "went back".into()),
    })
}
