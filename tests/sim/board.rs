//! What the coordinator has decided, as one worker knows it: `dataflow/board.rs` without timely.

use flowdsl_runtime::ids::Epoch;
use flowdsl_runtime::protocol::{AfterBarrier, CommitPermit, Control, Decided};

pub(crate) struct Board {
    closes: Epoch,
    resting: bool,
    aborted: Epoch,
    permit: Option<CommitPermit>,
    finished: bool,
}

impl Board {
    pub(crate) fn new(first: Epoch) -> Self {
        let before = Epoch(first.0 - 1);
        Self {
            closes: before,
            resting: false,
            aborted: before,
            permit: None,
            finished: false,
        }
    }

    pub(crate) fn write(&mut self, control: &Control) {
        match control {
            Control::Trigger { closes, then } => {
                self.closes = self.closes.max(*closes);
                if *then != AfterBarrier::ReadOn {
                    self.resting = true;
                }
            }
            Control::Abort(epoch) => self.aborted = self.aborted.max(*epoch),
            Control::Complete(permit) => self.permit = Some(*permit),
            Control::Finish => self.finished = true,
        }
    }

    pub(crate) fn is_closing(&self, epoch: Epoch) -> bool {
        epoch <= self.closes
    }

    pub(crate) fn is_resting(&self) -> bool {
        self.resting
    }

    /// What answers depend on.
    pub(crate) fn decided(&self) -> Decided {
        Decided {
            aborted: self.aborted,
            permit: self.permit,
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }
}
