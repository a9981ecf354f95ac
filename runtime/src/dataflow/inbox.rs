//! The input of an operator, aligned on epochs.
//!
//! Batches of the present epoch queue up; batches of later epochs are stashed, unless the job does
//! without (`CheckpointMode::AtLeastOnce`): then they queue up, too. Both keep their
//! input capability: timely then counts them as unconsumed, so that the operator's own frontier, and
//! with it the watermark, stays where they are.

use std::collections::VecDeque;
use std::time::Duration;

use timely::communication::Pull;
use timely::dataflow::channels::Message;
use timely::dataflow::operators::InputCapability;
use timely::dataflow::operators::generic::InputHandleCore;
use timely::progress::frontier::MutableAntichain;

use super::batch::Batch;
use super::moment::Moment;
use crate::clock::Clock;
use crate::ids::Epoch;
use crate::settings::CheckpointMode;

type Pulled<R> = Box<dyn Pull<Message<Moment, Batch<R>>>>;

/// A puller whose type does not depend on the pact.
pub(crate) struct AnyPull<R>(Pulled<R>);

impl<R> Pull<Message<Moment, Batch<R>>> for AnyPull<R> {
    fn pull(&mut self) -> &mut Option<Message<Moment, Batch<R>>> {
        self.0.pull()
    }
}

/// Either pact, chosen when the graph is built.
pub(crate) struct AnyPact {
    pub(crate) exchange: bool,
}

mod pact {
    use std::rc::Rc;

    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use timely::communication::Push;
    use timely::dataflow::channels::Message;
    use timely::dataflow::channels::pact::{DistributorPact, ParallelizationContract, Pipeline};
    use timely::logging::TimelyLogger;
    use timely::worker::Worker;

    use super::super::batch::{Batch, ToWorker};
    use super::super::moment::Moment;
    use super::{AnyPact, AnyPull};

    /// For records that may change the worker.
    pub(crate) struct Exchanged(pub(crate) AnyPact);

    impl<R: Serialize + DeserializeOwned + Send + 'static> ParallelizationContract<Moment, Batch<R>>
        for Exchanged
    {
        type Pusher = Box<dyn Push<Message<Moment, Batch<R>>>>;
        type Puller = AnyPull<R>;

        fn connect(
            self,
            worker: &Worker,
            identifier: usize,
            address: Rc<[usize]>,
            logging: Option<TimelyLogger>,
        ) -> (Self::Pusher, Self::Puller) {
            if self.0.exchange {
                let (push, pull) =
                    DistributorPact(|_| ToWorker).connect(worker, identifier, address, logging);
                (Box::new(push), AnyPull(Box::new(pull)))
            } else {
                let (push, pull) = Pipeline.connect(worker, identifier, address, logging);
                (Box::new(push), AnyPull(Box::new(pull)))
            }
        }
    }

    /// For records that stay on their worker.
    pub(crate) struct Local;

    impl<R: 'static> ParallelizationContract<Moment, Batch<R>> for Local {
        type Pusher = Box<dyn Push<Message<Moment, Batch<R>>>>;
        type Puller = AnyPull<R>;

        fn connect(
            self,
            worker: &Worker,
            identifier: usize,
            address: Rc<[usize]>,
            logging: Option<TimelyLogger>,
        ) -> (Self::Pusher, Self::Puller) {
            let (push, pull) = Pipeline.connect(worker, identifier, address, logging);
            (Box::new(push), AnyPull(Box::new(pull)))
        }
    }
}
pub(crate) use pact::{Exchanged, Local};

pub(crate) type Input<R> = InputHandleCore<Moment, Batch<R>, AnyPull<R>>;

/// The aligned input.
pub(crate) struct Inbox<R> {
    input: Input<R>,
    now: VecDeque<(InputCapability<Moment>, Batch<R>)>,
    later: VecDeque<(InputCapability<Moment>, Batch<R>)>,
    mode: CheckpointMode,
    /// Since when batches have waited for the barrier.
    stashed_since: Option<Duration>,
}

impl<R: 'static> Inbox<R> {
    pub(crate) fn new(input: Input<R>, mode: CheckpointMode) -> Self {
        Self {
            input,
            mode,
            now: VecDeque::new(),
            later: VecDeque::new(),
            stashed_since: None,
        }
    }

    /// Takes in what has arrived. The clock is read when the first batch of a later epoch has.
    pub(crate) fn receive(&mut self, epoch: Epoch, clock: &Clock) {
        let Self {
            input,
            now,
            later,
            mode,
            stashed_since,
        } = self;
        input.for_each(|capability, batch| {
            let is_due = match mode {
                CheckpointMode::ExactlyOnce => epoch_of(&capability) <= epoch,
                CheckpointMode::AtLeastOnce => true,
            };
            let queue = if is_due { &mut *now } else { &mut *later };
            queue.push_back((capability, std::mem::take(batch)));
        });
        if stashed_since.is_none() && !later.is_empty() {
            *stashed_since = Some(clock.now());
        }
    }

    /// The batch to be processed, if there is one.
    pub(crate) fn front(&mut self) -> Option<&mut Vec<R>> {
        self.now.front_mut().map(|(_, batch)| &mut batch.records)
    }

    /// Lets go of the front batch: it is consumed, and its credit goes back.
    pub(crate) fn pop(&mut self) {
        self.now.pop_front();
    }

    /// Whether every batch of the present epoch that has arrived is processed.
    pub(crate) fn is_drained(&self) -> bool {
        self.now.is_empty()
    }

    /// How long batches have waited for the barrier that passes now.
    pub(crate) fn stashed_for(&self, now: Duration) -> Duration {
        self.stashed_since
            .map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    /// Moves on to `epoch`: what was stashed for it is due.
    pub(crate) fn move_to(&mut self, epoch: Epoch) {
        self.stashed_since = None;
        for _ in 0..self.later.len() {
            let Some(entry) = self.later.pop_front() else {
                return;
            };
            let queue = if epoch_of(&entry.0) <= epoch {
                &mut self.now
            } else {
                &mut self.later
            };
            queue.push_back(entry);
        }
    }
}

fn epoch_of(capability: &InputCapability<Moment>) -> Epoch {
    capability
        .stamp()
        .iter()
        .map(|moment| moment.epoch)
        .min()
        .expect("every batch is stamped")
}

/// The watermark of a frontier; `None` if the frontier is empty, which moves no watermark.
pub(crate) fn watermark_of(frontier: &MutableAntichain<Moment>) -> Option<i64> {
    frontier
        .frontier()
        .iter()
        .map(|moment| moment.event_time)
        .min()
}

/// Whether the barrier of `epoch` has passed: nothing of it or before it can still arrive.
pub(crate) fn has_passed(frontier: &MutableAntichain<Moment>, epoch: Epoch) -> bool {
    !frontier
        .frontier()
        .iter()
        .any(|moment| moment.epoch <= epoch)
}
