//! Credits: how many records of one sender may be on their way over one edge.
//!
//! Timely has no flow control. Credits belong to the sending subtask, are taken when a batch is
//! sent and come back when it has been processed (a [`Debt`] is paid when it is dropped), so
//! that stashed records of a later epoch never hold up another sender. Barriers need none.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use timely::scheduling::SyncActivator;

use crate::clock::Stopwatch;

/// The credit of one sender on one edge.
pub(crate) struct Credit {
    /// Records sent and not yet processed.
    owed: AtomicUsize,
    /// Records processed since the job began: the sender derives the drain rate from it.
    paid: AtomicUsize,
    /// The sender stopped for want of credit, and is to be woken at `wake_below`.
    waiting: AtomicBool,
    wake_below: AtomicUsize,
    sender: SyncActivator,
}

impl Credit {
    pub(crate) fn new(sender: SyncActivator) -> Arc<Self> {
        Arc::new(Self {
            owed: AtomicUsize::new(0),
            paid: AtomicUsize::new(0),
            waiting: AtomicBool::new(false),
            wake_below: AtomicUsize::new(0),
            sender,
        })
    }

    /// Takes credit for a batch of `records`.
    pub(crate) fn take(self: &Arc<Self>, records: usize) -> Debt {
        self.owed.fetch_add(records, Ordering::Relaxed);
        Debt {
            credit: Some(Arc::clone(self)),
            records,
        }
    }

    /// Whether another batch may be sent under `limit`. If not, the sender is woken when 1/16 of
    /// the limit has come back.
    pub(crate) fn is_open(&self, limit: usize) -> bool {
        if self.owed.load(Ordering::Acquire) < limit {
            return true;
        }
        self.wake_below
            .store(limit - (limit / 16).max(1).min(limit), Ordering::Relaxed);
        self.waiting.store(true, Ordering::SeqCst);
        // What came back between the look and the flag would wake nobody: look again.
        if self.owed.load(Ordering::SeqCst) <= self.wake_below.load(Ordering::Relaxed) {
            self.waiting.store(false, Ordering::SeqCst);
            return true;
        }
        false
    }

    fn give_back(&self, records: usize) {
        self.paid.fetch_add(records, Ordering::Relaxed);
        let left = self.owed.fetch_sub(records, Ordering::SeqCst) - records;
        if self.waiting.load(Ordering::SeqCst)
            && left <= self.wake_below.load(Ordering::Relaxed)
            && self.waiting.swap(false, Ordering::SeqCst)
        {
            // The sender's worker may be gone already, when the job is being torn down.
            let _ = self.sender.activate();
        }
    }
}

/// Credit taken for a batch; it comes back when the debt is dropped.
#[derive(Default)]
pub(crate) struct Debt {
    credit: Option<Arc<Credit>>,
    records: usize,
}

impl Clone for Debt {
    /// A batch that is sent to two consumers is owed twice.
    fn clone(&self) -> Self {
        self.credit
            .as_ref()
            .map_or_else(Self::default, |credit| credit.take(self.records))
    }
}

impl Drop for Debt {
    fn drop(&mut self) {
        if let Some(credit) = &self.credit {
            credit.give_back(self.records);
        }
    }
}

impl fmt::Debug for Debt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Debt")
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

/// How much credit a sender has: it follows the drain rate, about [`WINDOW`] of work.
pub(crate) struct CreditLimit {
    credit: Arc<Credit>,
    limit: usize,
    most: usize,
    paid_before: usize,
    since: Stopwatch,
}

const WINDOW: Duration = Duration::from_millis(100);
const LEAST: usize = 16;

impl CreditLimit {
    /// A limit that never exceeds `most` records.
    pub(crate) fn new(credit: Arc<Credit>, most: usize) -> Self {
        Self {
            credit,
            limit: most.clamp(LEAST, 1_024),
            most,
            paid_before: 0,
            since: Stopwatch::start(),
        }
    }

    pub(crate) fn credit(&self) -> &Arc<Credit> {
        &self.credit
    }

    /// Whether another batch may be sent; if not, the sender is woken when there is credit.
    pub(crate) fn is_open(&mut self) -> bool {
        if self.credit.is_open(self.limit) {
            return true;
        }
        // Only a sender that has used up its credit learns how fast the receiver is.
        let elapsed = self.since.elapsed();
        if elapsed >= WINDOW / 8 {
            let paid = self.credit.paid.load(Ordering::Relaxed);
            self.limit = adapted(self.limit, paid - self.paid_before, elapsed, self.most);
            self.paid_before = paid;
            self.since = Stopwatch::start();
        }
        self.credit.is_open(self.limit)
    }

    /// The largest batch that leaves the receiver something to do while the next one is made.
    pub(crate) fn batch_size(&self, most: usize) -> usize {
        (self.limit / 4).clamp(1, most)
    }
}

/// The limit for a receiver that drained `drained` records in `elapsed`: at most doubled at a time.
fn adapted(limit: usize, drained: usize, elapsed: Duration, most: usize) -> usize {
    let per_window = drained as f64 * (WINDOW.as_secs_f64() / elapsed.as_secs_f64().max(1e-9));
    (per_window as usize)
        .clamp(limit / 2, limit * 2)
        .clamp(LEAST, most.max(LEAST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_follows_the_drain_rate_within_its_bounds() {
        let second = Duration::from_secs(1);
        let settle =
            |rate: usize| (0..40).fold(4_096, |limit, _| adapted(limit, rate, second, 65_536));
        assert_eq!(
            settle(1_000),
            100,
            "a sink of 1 ms a record is sent 100 ms of work"
        );
        assert_eq!(settle(10), LEAST, "never nothing");
        assert_eq!(
            settle(50_000_000),
            65_536,
            "never more than the settings say"
        );
    }
}
