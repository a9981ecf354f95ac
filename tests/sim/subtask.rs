//! The operators of a simulated worker: what they are given, and what they want to be done.
//!
//! An operator is activated, looks at its input, its board and its outcomes, and leaves effects. The
//! process carries them out: it has the channels, the clock and the fibers.

use std::time::Duration;

use flowdsl_runtime::Result;
use flowdsl_runtime::connector::{Committable, Prepared};
use flowdsl_runtime::error::Error;
use flowdsl_runtime::ids::Epoch;
use flowdsl_runtime::protocol::{Acknowledgement, Report, SnapshotRef};
use flowdsl_runtime::state::{Compacted, SnapshotScope};

use crate::board::Board;
use crate::inbox::Message;
use crate::keyed::{Keyed, Logic};
use crate::rng::Rng;
use crate::sink::SinkOperator;
use crate::source::Source;

/// What an operator wants to be done.
pub(crate) enum Effect {
    /// Send to the operator at this position, into its channel of this number.
    Send {
        to: usize,
        channel: usize,
        message: Message,
    },
    Ack(Acknowledgement),
    /// All answers for epochs before this one are given; `None` if no answer will follow.
    AnsweredBefore(Option<Epoch>),
    Report(Report),
    /// Run this on one of the worker's threads, behind what that has to do already.
    Work(Thread, Box<dyn FnOnce() -> Outcome>),
    /// Activate again at this time.
    Again(Duration),
    Fail(Error),
}

/// A thread beside a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thread {
    Snapshots,
    Commits,
    Compactions,
}

/// What came of work on the worker's fiber.
pub(crate) enum Outcome {
    Restored(Result<Box<Logic>>),
    Snapshot {
        epoch: Epoch,
        scope: SnapshotScope,
        own: Result<Vec<SnapshotRef>>,
        prepared: Result<Option<Prepared>>,
    },
    Committed {
        done: Vec<(Epoch, Committable)>,
        result: Result<()>,
    },
    Compacted {
        number: u32,
        result: Result<Compacted>,
    },
}

/// What an operator sees when it is activated.
pub(crate) struct View<'a> {
    pub(crate) now: Duration,
    pub(crate) board: &'a Board,
    pub(crate) rng: &'a mut Rng,
    pub(crate) out: &'a mut Vec<Effect>,
}

pub(crate) enum Operator {
    Source(Source),
    Keyed(Keyed),
    Sink(SinkOperator),
}

impl Operator {
    pub(crate) fn step(&mut self, view: &mut View<'_>) {
        match self {
            Self::Source(source) => source.step(view),
            Self::Keyed(keyed) => keyed.step(view),
            Self::Sink(sink) => sink.step(view),
        }
    }

    pub(crate) fn take(&mut self, outcome: Outcome, view: &mut View<'_>) {
        let result = match self {
            Self::Source(source) => source.answers.take(outcome, view.now, view.out),
            Self::Keyed(keyed) => keyed.take(outcome, view),
            Self::Sink(sink) => sink.answers.take(outcome, view.now, view.out),
        };
        if let Err(error) = result {
            view.out.push(Effect::Fail(error));
        }
    }

    pub(crate) fn receive(&mut self, channel: usize, at: Duration, message: Message) {
        match self {
            Self::Source(_) => unreachable!("nothing is sent to a source"),
            Self::Keyed(keyed) => keyed.inbox.push(channel, at, message),
            Self::Sink(sink) => sink.inbox.push(channel, at, message),
        }
    }
}
