//! What snapshots cost, from the barrier to the answer: measured on the worker first, and then where they
//! are stored.

use std::time::Duration;

use super::{Answers, Own};
use crate::clock::Clock;
use crate::ids::{Epoch, Generation};
use crate::protocol::{SnapshotCost, SnapshotRef, Weight};
use crate::storage::names;

/// The time that an offload thread spent on the snapshot of a stage.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) encode: Duration,
    pub(crate) upload: Duration,
}

/// What the snapshots of an operator cost: of its own stage, and of the sink behind it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Costs {
    pub(super) own: SnapshotCost,
    pub(super) sink: SnapshotCost,
}

/// Times of an offload thread that prepares what a sink staged, and then stores the state of the stage.
pub(super) struct Storing<'a> {
    clock: &'a Clock,
    began: Duration,
    prepared: Duration,
}

impl<'a> Storing<'a> {
    pub(super) fn begin(clock: &'a Clock) -> Self {
        let began = clock.now();
        Self {
            clock,
            began,
            prepared: began,
        }
    }

    /// What the sink staged is prepared.
    pub(super) fn prepared(&mut self) {
        self.prepared = self.clock.now();
    }

    /// All is durable. What the barrier cost the worker is told once: of the stage, if it has a snapshot
    /// of its own.
    pub(super) fn costs(self, barrier: SnapshotCost, own: Option<Spent>) -> Costs {
        let sink = SnapshotCost {
            upload: self.prepared.saturating_sub(self.began),
            durable_at: self.prepared,
            ..barrier
        };
        let Some(Spent { encode, upload }) = own else {
            return Costs { own: barrier, sink };
        };
        Costs {
            own: SnapshotCost {
                encode,
                upload,
                durable_at: self.clock.now(),
                ..barrier
            },
            sink: SnapshotCost {
                pause: Duration::ZERO,
                stash: Duration::ZERO,
                ..sink
            },
        }
    }
}

impl Answers {
    /// What the snapshots of the epoch cost that is answered now, if they have come to their end.
    pub(super) fn take_costs(&mut self, epoch: Epoch) -> Costs {
        let measured = self.measured.take_if(|(measured, _)| *measured == epoch);
        measured.map_or_else(Costs::default, |(_, costs)| *costs)
    }
}

impl Own {
    /// Weighs what the own stage answers.
    pub(super) fn weigh(&mut self, refs: &[SnapshotRef], generation: Generation) -> Weight {
        let is_of_this_run = |name: &str| {
            names::parse_state_object(name).is_some_and(|object| object.generation == generation)
        };
        self.named.weigh(refs, is_of_this_run)
    }
}
