//! The pauses between two looks at something that takes its time. All polling uses them.
use std::time::Duration;
use tokio::time::Instant;

/// An iterator of pauses. `next` is `None` once the time is over.
///
/// ```
/// use ob::base::Pauses;
/// use std::time::Duration;
///
/// let mut pauses = Pauses::growing(Duration::from_secs(1), Duration::from_secs(3));
/// let seconds: Vec<_> = pauses.by_ref().take(4).map(|p| p.as_secs()).collect();
/// assert_eq!(seconds, [1, 2, 3, 3]);
/// assert_eq!(pauses.within(Duration::ZERO).next(), None);
/// ```
#[derive(Clone, Debug)]
pub struct Pauses {
    next: Duration,
    longest: Duration,
    until: Option<Instant>,
    scatter: bool,
}

impl Pauses {
    /// Pauses that begin with `first`. Each later one is twice as long as the one before it, up to
    /// `longest`.
    #[must_use]
    pub const fn growing(first: Duration, longest: Duration) -> Self {
        Self { next: first, longest, until: None, scatter: false }
    }
    /// Pauses of one length. They never end by themselves.
    #[must_use]
    pub const fn every(pause: Duration) -> Self {
        Self::growing(pause, pause)
    }
    /// The same pauses, which end after this time, counted from now.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self { until: Some(Instant::now() + limit), ..self }
    }
    /// The same pauses, each by chance between half as long and one and a half times as long, so
    /// that many that wait for one thing do not all ask for it in the same moment.
    #[must_use]
    pub const fn scattered(self) -> Self {
        Self { scatter: true, ..self }
    }
}

impl Iterator for Pauses {
    type Item = Duration;
    fn next(&mut self) -> Option<Duration> {
        if self.until.is_some_and(|until| Instant::now() >= until) {
            return None;
        }
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        Some(if self.scatter { pause.mul_f64(rand::random_range(0.5..1.5)) } else { pause })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_with_their_time() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_millis(300));
        let pauses = Pauses::growing(first, longest).within(Duration::from_secs(60));
        let seen: Vec<_> = pauses.take(5).map(|p| p.as_millis()).collect();
        assert_eq!(seen, [100, 200, 300, 300, 300]);
        assert_eq!(Pauses::every(first).within(Duration::ZERO).next(), None);
    }

    #[test]
    fn scattered_ones_stay_near_what_was_asked_for() {
        let mut pauses = Pauses::every(Duration::from_millis(100)).scattered();
        let seen: Vec<_> = pauses.by_ref().take(50).map(|p| p.as_millis()).collect();
        assert!(seen.iter().all(|p| (50..=150).contains(p)), "{seen:?}");
        assert!(seen.iter().any(|p| *p != seen[0]), "{seen:?}");
    }
}
