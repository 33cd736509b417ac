//! Fault points: five places in a step where tests stop, cut or kill.
//!
//! Without the feature `fault-points`, as in a release, they do nothing. With it the acceptance
//! tests can stop a real provider at any of them, by environment variables or, within one process,
//! by [`arm`]. On the host the script itself stops where `$OB_STATE/fault` says so.
use super::Cx;
use super::step::{Step, StepKind};

/// The places in a step where a fault can be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// After `check` said there is something to do.
    Decided,
    /// On the host: after the journal's begin line, before the effect.
    Began,
    /// On the host: after the effect, before the journal's end line.
    Effected,
    /// After the effect has ended well.
    Applied,
    /// After `verify` said done.
    Verified,
}

impl Point {
    /// All five, in order.
    pub const ALL: [Self; 5] =
        [Self::Decided, Self::Began, Self::Effected, Self::Applied, Self::Verified];

    /// The word in files and variables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decided => "decided",
            Self::Began => "began",
            Self::Effected => "effected",
            Self::Applied => "applied",
            Self::Verified => "verified",
        }
    }
}

/// A fault point that a test has armed for one step of a provider in the same process.
#[cfg(feature = "fault-points")]
#[derive(Debug)]
pub struct Armed {
    host: String,
    title: String,
    point: Point,
    reached: std::sync::atomic::AtomicBool,
    go: tokio::sync::Notify,
}

#[cfg(feature = "fault-points")]
static ARMED: std::sync::Mutex<Vec<std::sync::Arc<Armed>>> = std::sync::Mutex::new(Vec::new());

/// Arms a fault point of the step with this title on this host, once.
#[cfg(feature = "fault-points")]
pub fn arm(host: &str, title: &str, point: Point) -> std::sync::Arc<Armed> {
    let armed = std::sync::Arc::new(Armed {
        host: host.into(),
        title: title.into(),
        point,
        reached: false.into(),
        go: tokio::sync::Notify::new(),
    });
    ARMED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(armed.clone());
    armed
}

#[cfg(feature = "fault-points")]
impl Armed {
    /// Whether the step has reached the point.
    pub fn reached(&self) -> bool {
        self.reached.load(std::sync::atomic::Ordering::Acquire)
    }
    /// Lets the step go on. A point that was not reached is not armed any more.
    pub fn release(&self) {
        ARMED
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .retain(|a| !std::ptr::eq(&**a, self));
        self.go.notify_one();
    }
}

/// Stops at a point that was armed by [`arm`] until it is released. Stops also, once, where the
/// variable `OB_FAULT` is `step-kind:point`: writes that text to the file that `OB_FAULT_MARK`
/// names, then waits to be killed or for that file to be removed.
#[cfg(feature = "fault-points")]
pub async fn here(step: &dyn Step, point: Point) {
    static HIT: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    let found = {
        let mut all = ARMED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let at = all.iter().position(|a| {
            a.point == point && a.host == step.host().endpoint.name && a.title == step.title()
        });
        at.map(|i| all.swap_remove(i))
    };
    if let Some(armed) = found {
        armed.reached.store(true, std::sync::atomic::Ordering::Release);
        return armed.go.notified().await;
    }
    let wanted = std::env::var("OB_FAULT").unwrap_or_default();
    if wanted != format!("{}:{}", step.kind().as_str(), point.as_str())
        || HIT.swap(true, std::sync::atomic::Ordering::Relaxed)
    {
        return;
    }
    let Some(mark) = std::env::var_os("OB_FAULT_MARK") else { return std::future::pending().await };
    let _ = std::fs::write(&mark, &wanted);
    while std::path::Path::new(&mark).exists() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// A test's look at each step of a run in the same process: it tries on the spot what the contract
/// of steps demands.
#[cfg(feature = "fault-points")]
#[async_trait::async_trait]
pub trait Watch: Send + Sync {
    /// Called before the step's check.
    async fn before(&self, cx: &Cx, step: &dyn Step);
    /// Called after the step's effect was seen to be done.
    async fn after(&self, cx: &Cx, step: &dyn Step);
}

#[cfg(feature = "fault-points")]
static WATCH: std::sync::Mutex<Option<std::sync::Arc<dyn Watch>>> = std::sync::Mutex::new(None);

/// Sets the look at the steps of this process from now on; `None` ends it.
#[cfg(feature = "fault-points")]
pub fn watch(who: Option<std::sync::Arc<dyn Watch>>) {
    *WATCH.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = who;
}

#[cfg(feature = "fault-points")]
fn watching() -> Option<std::sync::Arc<dyn Watch>> {
    WATCH.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
}

/// Lets the test look at a step that is about to be checked.
#[cfg(feature = "fault-points")]
pub async fn before(cx: &Cx, step: &dyn Step) {
    if let Some(who) = watching() {
        who.before(cx, step).await;
    }
}

/// Lets the test look at a step that was done.
#[cfg(feature = "fault-points")]
pub async fn after(cx: &Cx, step: &dyn Step) {
    if let Some(who) = watching() {
        who.after(cx, step).await;
    }
}

/// Does nothing: the feature `fault-points` is off.
#[cfg(not(feature = "fault-points"))]
pub async fn before(_cx: &Cx, _step: &dyn Step) {}

/// Does nothing: the feature `fault-points` is off.
#[cfg(not(feature = "fault-points"))]
pub async fn after(_cx: &Cx, _step: &dyn Step) {}

/// Does nothing: the feature `fault-points` is off.
#[cfg(not(feature = "fault-points"))]
pub async fn here(_step: &dyn Step, _point: Point) {}

/// The shell function of a fault point on the host.
const ON_HOST: &str = include_str!("fault.sh");

/// The shell text of a fault point on the host: the script stops there until `fault.hit` is
/// removed. Empty without the feature `fault-points`.
#[must_use]
pub fn on_host(kind: StepKind, point: Point) -> String {
    if cfg!(feature = "fault-points") {
        format!("{ON_HOST}ob_fault {}:{}\n", kind.as_str(), point.as_str())
    } else {
        String::new()
    }
}
