//! The copying of a frozen image between batches, in slices of bounded time.
//!
//! How long an entry takes depends on its type, and how many entries there are to be found on what
//! changed: so that the portion of a slice follows the time that the last one took.

use std::time::Duration;

use super::answers::Answers;
use super::graph::WorkerContext;
use super::image::{Image, Snapshot};
use crate::clock::Stopwatch;
use crate::connector::PendingCommit;
use crate::protocol::SnapshotCost;
use crate::state::{KeyedLogic, Progress};

/// About how long a slice takes: few of them, since what a record changes before it was copied costs
/// more than the copy; and short ones, since records wait for each.
const SLICE: Duration = Duration::from_micros(300);
/// The portion of the first slice.
const FIRST: usize = 1_024;
/// The bounds of a portion.
const LEAST: usize = 16;
const MOST: usize = 64 * 1_024;

/// The image of an operator, while it is handed over.
pub(crate) struct Copying {
    image: Option<Image>,
    /// What the present snapshot has cost so far.
    cost: SnapshotCost,
    portion: usize,
    /// The longest time that the present snapshot kept its worker at a stretch.
    pause: Duration,
}

impl Copying {
    pub(crate) fn nothing() -> Self {
        Self {
            image: None,
            cost: SnapshotCost::default(),
            portion: FIRST,
            pause: Duration::ZERO,
        }
    }

    /// Begins with an image whose freeze took so long, behind a barrier that has cost so much.
    pub(crate) fn begin(
        &mut self,
        snapshot: Snapshot,
        prepared: Option<PendingCommit>,
        froze: Duration,
        cost: SnapshotCost,
    ) {
        snapshot.metrics.froze(froze);
        self.pause = froze;
        self.cost = cost;
        self.image = Some(Image::new(snapshot, prepared));
    }

    /// Whether some of an image is still to be copied.
    pub(crate) fn is_under_way(&self) -> bool {
        self.image.is_some()
    }

    /// Whether the next slice is due: not while enough pieces wait to be encoded. If not, the operator
    /// is woken when it is.
    pub(crate) fn is_due(&self) -> bool {
        self.image.as_ref().is_some_and(Image::takes_more)
    }

    /// Copies a slice.
    pub(crate) fn copy(
        &mut self,
        logic: &mut impl KeyedLogic,
        context: &WorkerContext,
        answers: &Answers,
    ) -> Progress {
        let Some(image) = &self.image else {
            return Progress::Done;
        };
        let (watch, began) = (Stopwatch::start(), context.clock.now());
        let chunk = logic.copy_frozen(self.portion);
        let progress = if let Some(chunk) = chunk {
            image.push(chunk, context, answers);
            Progress::More
        } else {
            Progress::Done
        };
        let (took, now) = (watch.elapsed(), context.clock.now());
        self.cost.pause += now.saturating_sub(began);
        context.metrics.copied(took);
        self.pause = self.pause.max(took);
        self.portion = next_portion(self.portion, took);
        if progress == Progress::Done {
            context.metrics.paused(self.pause);
            self.cost.copied_at = now;
            if let Some(image) = self.image.take() {
                image.submit(answers, self.cost);
            }
        }
        progress
    }
}

/// The portion of the next slice: what fits into its time at the pace of the last one. It doubles at
/// most, since that may have found little to copy.
fn next_portion(portion: usize, took: Duration) -> usize {
    let fits = portion as u128 * SLICE.as_nanos() / took.as_nanos().max(1);
    (fits as usize).clamp(LEAST, (2 * portion).min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_portion_follows_the_time_that_an_entry_takes() {
        for nanos_each in [1, 10, 1_000, 10_000] {
            let mut portion = FIRST;
            let time = |portion: usize| Duration::from_nanos(nanos_each * portion as u64);
            for _ in 0..20 {
                portion = next_portion(portion, time(portion));
            }
            assert!(time(portion) <= SLICE, "{nanos_each}: {portion}");
            assert!(
                portion == MOST || time(portion) >= SLICE / 2,
                "{nanos_each}: {portion}"
            );
        }
        assert_eq!(next_portion(LEAST, Duration::from_secs(1)), LEAST);
    }
}
