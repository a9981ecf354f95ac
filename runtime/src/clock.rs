//! The only place that reads a clock.
//!
//! Decisions take times as arguments; whoever acts asks a [`Clock`], so that tests can move time
//! by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock: the system's, or one that a test moves.
#[derive(Clone, Debug)]
pub struct Clock {
    time: Source,
}

#[derive(Clone, Debug)]
enum Source {
    System(Instant),
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self {
            time: Source::System(Instant::now()),
        }
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn manual() -> Self {
        Self {
            time: Source::Manual(Arc::new(AtomicU64::new(0))),
        }
    }

    /// Time since the clock was made; never goes backwards.
    pub fn now(&self) -> Duration {
        match &self.time {
            Source::System(start) => start.elapsed(),
            Source::Manual(nanos) => Duration::from_nanos(nanos.load(Ordering::SeqCst)),
        }
    }

    /// How long to wait where a pause is polite and changes no result: not at all on a clock that
    /// is moved by hand, since nobody may move it.
    pub(crate) fn pause(&self, wanted: Duration) -> Duration {
        if self.is_manual() {
            Duration::ZERO
        } else {
            wanted
        }
    }

    /// Whether the clock stands still until it is moved by hand.
    pub fn is_manual(&self) -> bool {
        matches!(self.time, Source::Manual(_))
    }

    /// Moves a manual clock forward; the system's clock moves by itself.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(nanos) = &self.time {
            nanos.fetch_add(by.as_nanos() as u64, Ordering::SeqCst);
        }
    }

    /// Milliseconds since the Unix epoch, for names and reports, and as the processing time of stages
    /// that go by it; never for decisions of the protocol.
    pub fn unix_millis(&self) -> u64 {
        match &self.time {
            Source::System(_) => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |d| d.as_millis() as u64),
            Source::Manual(nanos) => nanos.load(Ordering::SeqCst) / 1_000_000,
        }
    }
}

/// Measures how long a slice of work took. Slices are real time even under a manual clock: they
/// bound how long an operator keeps its worker, and change no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// A watch that starts now.
    #[inline]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    #[inline]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The present instant, for a timely worker's own timer.
pub(crate) fn instant() -> Instant {
    Instant::now()
}
