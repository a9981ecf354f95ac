//! What happens in the world, one at a time.

use std::time::Duration;

use flowdsl_runtime::ids::Epoch;

use flowdsl_runtime::protocol::Heard;

/// The position of a process in the world's list: they are never removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProcessId(pub(crate) usize);

impl std::fmt::Display for ProcessId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "P{}", self.0)
    }
}

/// The number of an operation under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OpId(pub(crate) u64);

pub(crate) enum Event {
    /// A process starts to run the job.
    Start,
    /// The run of a process that has failed begins anew in it.
    Restart(ProcessId),
    /// Something for a process, which waits while the process sleeps.
    Inside(ProcessId, Inside),
    /// An operation takes effect, or a part of it does.
    Effect(OpId),
    /// An operation is answered.
    Reply(OpId),
    /// A process dies.
    Kill(ProcessId),
    /// A process stands still for a while: another one may take its place.
    Sleep(ProcessId, Duration),
    /// Nothing: time goes by.
    Idle,
}

pub(crate) enum Inside {
    /// An operator is activated.
    Step(usize),
    /// The next decision of the coordinator reaches a worker.
    Control(usize),
    /// The coordinator hears something.
    Hear(Box<Heard>),
    /// The coordinator hears that an operator has answered for all epochs before this one.
    AnsweredBefore(usize, Option<Epoch>),
    /// The coordinator looks at the clock.
    Tick,
}
