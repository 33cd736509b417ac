//! Writes log lines as the calling program reads them: one JSON object per line on stderr, in the
//! form of hclog.
//!
//! Shown with `TF_LOG_PROVIDER=INFO`. Secrets are of type [`crate::base::Secret`], whose `Debug` is
//! `***`; scripts and values are never logged.
use serde_json::{Map, Value};
use std::io::Write;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::Context;

/// Writes every event as one line.
pub struct Hclog<W> {
    out: Mutex<W>,
    now: fn() -> SystemTime,
}

impl<W: Write> Hclog<W> {
    /// Lines go to `out`.
    pub fn new(out: W) -> Self {
        Self::with_clock(out, SystemTime::now)
    }
    /// Like [`Hclog::new`], with another clock.
    pub fn with_clock(out: W, now: fn() -> SystemTime) -> Self {
        Self { out: Mutex::new(out), now }
    }
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        let name = if field.name() == "message" { "@message" } else { field.name() };
        self.0.insert(name.to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

impl<S: Subscriber, W: Write + 'static> tracing_subscriber::Layer<S> for Hclog<W>
where
    Self: 'static,
{
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        let mut line = fields.0;
        line.entry("@message").or_insert_with(|| "".into());
        line.insert("@level".into(), level.into());
        line.insert("@module".into(), event.metadata().target().replace("::", ".").into());
        line.insert("@timestamp".into(), timestamp((self.now)()).into());
        // One write per line, so that lines of two threads do not mix. Nobody would read an error
        // about logging.
        let text = format!("{}\n", Value::Object(line));
        if let Ok(mut out) = self.out.lock() {
            let _ = out.write_all(text.as_bytes());
        }
    }
}

/// `2006-01-02T15:04:05.000000Z`, the form without which hclog prints the year 1.
#[must_use]
pub fn timestamp(time: SystemTime) -> String {
    crate::base::date::stamp(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Sends the program's log to stderr in hclog's form. `filter` is in `EnvFilter`'s syntax; a bad
/// one counts as none.
pub fn install(filter: Option<&str>) {
    use tracing_subscriber::prelude::*;
    let filter = filter
        .and_then(|f| tracing_subscriber::EnvFilter::try_new(f).ok())
        .unwrap_or_else(|| tracing_subscriber::EnvFilter::new("warn,ob=debug"));
    // A second call (in tests) keeps the first subscriber.
    let _ =
        tracing_subscriber::registry().with(filter).with(Hclog::new(std::io::stderr())).try_init();
}
