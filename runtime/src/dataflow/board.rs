//! What the coordinator has decided, as one worker knows it.
//!
//! The control dataflow writes the board and wakes the operators of its worker; they read it at
//! the start of each activation.

use std::cell::{Cell, RefCell};

use timely::scheduling::Activator;

use crate::connector::Barrier;
use crate::ids::Epoch;
use crate::protocol::{AfterBarrier, CommitPermit, Control, Decided};

/// One worker's copy of the coordinator's decisions.
#[derive(Default)]
pub(crate) struct Board {
    /// All epochs up to this one are to be closed.
    closes: Cell<Epoch>,
    resting: Cell<bool>,
    /// Time ends before the last barrier.
    drains: Cell<bool>,
    aborted: Cell<Epoch>,
    permit: Cell<Option<CommitPermit>>,
    finished: Cell<bool>,
    operators: RefCell<Vec<Activator>>,
}

impl Board {
    /// A board on which all epochs before `first` are closed.
    pub(crate) fn new(first: Epoch) -> Self {
        let before = Epoch(first.0.saturating_sub(1));
        Self {
            closes: Cell::new(before),
            aborted: Cell::new(before),
            ..Self::default()
        }
    }

    /// Adds an operator to those that are woken by a decision.
    pub(crate) fn wakes(&self, operator: Activator) {
        self.operators.borrow_mut().push(operator);
    }

    /// Writes a decision down and wakes every operator.
    pub(crate) fn write(&self, control: &Control) {
        match control {
            Control::Trigger { closes, then } => {
                self.closes.set(self.closes.get().max(*closes));
                match then {
                    AfterBarrier::ReadOn => {}
                    AfterBarrier::Rest => self.resting.set(true),
                    AfterBarrier::RestAtEndOfTime => {
                        self.drains.set(true);
                        self.resting.set(true);
                    }
                }
            }
            Control::Abort(epoch) => self.aborted.set(self.aborted.get().max(*epoch)),
            Control::Complete(permit) => self.permit.set(Some(*permit)),
            Control::Finish => self.finished.set(true),
        }
        for operator in self.operators.borrow().iter() {
            operator.activate();
        }
    }

    /// Whether `epoch` is to be closed.
    pub(crate) fn is_closing(&self, epoch: Epoch) -> bool {
        epoch <= self.closes.get()
    }

    /// Whether sources have stopped reading.
    pub(crate) fn is_resting(&self) -> bool {
        self.resting.get()
    }

    /// Whether time ends before the barrier that sources come to next.
    pub(crate) fn drains(&self) -> bool {
        self.drains.get()
    }

    /// What sinks need to know of the barrier that passes now. A barrier before the last one may
    /// count as the last: its output is then finished a little early.
    pub(crate) fn barrier(&self) -> Barrier {
        if self.is_resting() {
            Barrier::Last
        } else {
            Barrier::Open
        }
    }

    /// What answers depend on.
    pub(crate) fn decided(&self) -> Decided {
        Decided {
            aborted: self.aborted.get(),
            permit: self.permit.get(),
        }
    }

    /// Whether everything is done.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished.get()
    }
}
