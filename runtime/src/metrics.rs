//! Counters of a running job: written by operators once a batch, read by whoever shows them.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::histogram::Histogram;
pub use crate::histogram::Quantiles;
use crate::protocol::{CheckpointCost, Health};

/// What a job counts.
#[derive(Debug, Default)]
pub struct Metrics {
    records_in: AtomicU64,
    late_dropped: AtomicU64,
    malformed: AtomicU64,
    checkpoints: AtomicU64,
    checkpoints_failed: AtomicU64,
    last_checkpoint: AtomicU64,
    last_checkpoint_micros: AtomicU64,
    last_pause_micros: AtomicU64,
    last_new_bytes: AtomicU64,
    history_lost: AtomicU64,
    watermark: AtomicI64,
    freezes: Histogram,
    copies: Histogram,
    pauses: Histogram,
    state_changed: AtomicU64,
    state_written: AtomicU64,
    compactions: AtomicU64,
    compactions_under_way: AtomicU64,
    compacted: AtomicU64,
    restarts: AtomicU64,
    restore_nanos: AtomicU64,
    unhealthy: AtomicBool,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetricsSnapshot {
    /// Records that sources of this process have read.
    pub records_in: u64,
    /// Records that came too late for their windows, and that no `late:` took.
    pub late_dropped: u64,
    /// Records that could not be read and went to `errors:`.
    pub malformed: u64,
    /// Completed checkpoints of this run.
    pub checkpoints: u64,
    /// Failed checkpoints of this run.
    pub checkpoints_failed: u64,
    /// The epoch of the newest completed checkpoint; 0 if there is none.
    pub last_checkpoint: u64,
    /// From trigger to publication of the newest completed checkpoint, in microseconds.
    pub last_checkpoint_micros: u64,
    /// How long the newest completed checkpoint kept the worker from records that it kept longest, in microseconds.
    pub last_checkpoint_pause_micros: u64,
    /// Bytes of the newest completed checkpoint that no earlier one holds.
    pub last_checkpoint_new_bytes: u64,
    /// Entries of the history that could not be written.
    pub history_lost: u64,
    /// The watermark of the first worker's slowest source, in milliseconds since the Unix epoch;
    /// `None` before the first record and behind the last.
    pub watermark: Option<i64>,
    /// How long the barriers of keyed subtasks took: the freeze of their state.
    pub freezes: Quantiles,
    /// How long the slices took in which workers copied frozen state.
    pub copies: Quantiles,
    /// The longest time at a stretch that each snapshot of a keyed subtask kept its worker.
    pub pauses: Quantiles,
    /// Bytes of keyed state that snapshots had to hold: keys and values as they lie in memory, beside
    /// what they hold on the heap.
    pub state_changed_bytes: u64,
    /// Bytes of keyed state that snapshots wrote.
    pub state_written_bytes: u64,
    /// Compactions of snapshots that were carried out.
    pub compactions: u64,
    /// Compactions that wait or are being carried out.
    pub compactions_under_way: u64,
    /// Bytes of snapshots that they read.
    pub compacted_bytes: u64,
    /// How often the job was restarted behind a failure.
    pub restarts: u64,
    /// Whether the job does not take the checkpoints that it is meant to take.
    pub unhealthy: bool,
}

impl Metrics {
    /// New counters.
    pub fn new() -> Self {
        Self {
            watermark: AtomicI64::new(i64::MIN),
            ..Self::default()
        }
    }

    pub(crate) fn add_records_in(&self, n: u64) {
        self.records_in.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn add_late_dropped(&self, n: u64) {
        self.late_dropped.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn add_malformed(&self, n: u64) {
        self.malformed.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn set_watermark(&self, watermark: i64) {
        self.watermark.store(watermark, Ordering::Relaxed);
    }

    pub(crate) fn checkpoint_completed(&self, epoch: u64, cost: &CheckpointCost) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let pause = micros(cost.kept_from_records(0.0));
        self.last_pause_micros.store(pause, Ordering::Relaxed);
        self.last_new_bytes
            .store(cost.weight.new_bytes, Ordering::Relaxed);
        self.checkpoints.fetch_add(1, Ordering::Relaxed);
        self.last_checkpoint.store(epoch, Ordering::Relaxed);
        self.last_checkpoint_micros
            .store(micros(cost.took), Ordering::Relaxed);
    }

    pub(crate) fn lost_history(&self) {
        self.history_lost.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn checkpoint_failed(&self) {
        self.checkpoints_failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn froze(&self, took: Duration) {
        self.freezes.add(took);
    }

    pub(crate) fn copied(&self, took: Duration) {
        self.copies.add(took);
    }

    pub(crate) fn paused(&self, longest: Duration) {
        self.pauses.add(longest);
    }

    pub(crate) fn add_state_changed(&self, bytes: u64) {
        self.state_changed.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn add_state_written(&self, bytes: u64) {
        self.state_written.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn compaction_begins(&self) {
        self.compactions_under_way.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn compaction_ends(&self) {
        self.compactions_under_way.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn compacted(&self, bytes: u64) {
        self.compactions.fetch_add(1, Ordering::Relaxed);
        self.compacted.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Notes how long a subtask took to restore its state.
    pub(crate) fn restored_within(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.restore_nanos.fetch_max(nanos, Ordering::Relaxed);
    }

    /// The longest that a subtask of this process took to restore its state.
    pub(crate) fn longest_restore(&self) -> Duration {
        Duration::from_nanos(self.restore_nanos.load(Ordering::Relaxed))
    }

    pub(crate) fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_health(&self, health: &Health) {
        let unhealthy = *health != Health::Healthy;
        self.unhealthy.store(unhealthy, Ordering::Relaxed);
    }

    /// The counters as they are now; each is exact, together they are of about one moment.
    pub fn snapshot(&self) -> MetricsSnapshot {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let watermark = self.watermark.load(Ordering::Relaxed);
        MetricsSnapshot {
            records_in: get(&self.records_in),
            late_dropped: get(&self.late_dropped),
            malformed: get(&self.malformed),
            checkpoints: get(&self.checkpoints),
            checkpoints_failed: get(&self.checkpoints_failed),
            last_checkpoint: get(&self.last_checkpoint),
            last_checkpoint_micros: get(&self.last_checkpoint_micros),
            last_checkpoint_pause_micros: get(&self.last_pause_micros),
            last_checkpoint_new_bytes: get(&self.last_new_bytes),
            history_lost: get(&self.history_lost),
            restarts: get(&self.restarts),
            unhealthy: self.unhealthy.load(Ordering::Relaxed),
            watermark: (watermark != i64::MIN && watermark != i64::MAX).then_some(watermark),
            freezes: self.freezes.quantiles(),
            copies: self.copies.quantiles(),
            pauses: self.pauses.quantiles(),
            state_changed_bytes: get(&self.state_changed),
            state_written_bytes: get(&self.state_written),
            compactions: get(&self.compactions),
            compactions_under_way: self.compactions_under_way.load(Ordering::SeqCst),
            compacted_bytes: get(&self.compacted),
        }
    }
}
