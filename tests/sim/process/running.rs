//! The job in a process that has recovered: its coordinator, its boards and its operators.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use flowdsl_runtime::ids::Epoch;
use flowdsl_runtime::job::internals::Publisher;
use flowdsl_runtime::protocol::{Control, Coordination};

use crate::board::Board;
use crate::event::{Event, Inside, ProcessId};
use crate::kernel::Kernel;
use crate::subtask::{Effect, Operator, Outcome, View};

/// What a process has once it has recovered.
pub(super) struct Running {
    pub(super) coordination: Coordination,
    pub(super) publisher: Rc<RefCell<Publisher>>,
    pub(super) boards: Vec<Board>,
    pub(super) controls: Vec<VecDeque<Control>>,
    pub(super) operators: Vec<Operator>,
    /// Which worker an operator is on.
    pub(super) workers: Vec<usize>,
    /// The earliest activation that is planned.
    pub(super) planned: Vec<Option<Duration>>,
    pub(super) answered_before: Vec<Option<Epoch>>,
    /// When the last answer of an operator arrives, so that none overtakes another.
    pub(super) last_answer: Vec<Duration>,
    pub(super) planned_tick: Option<Duration>,
}

impl Running {
    pub(super) fn step(
        &mut self,
        at: usize,
        outcome: Option<Outcome>,
        kernel: &mut Kernel,
    ) -> Vec<Effect> {
        let mut out = Vec::new();
        let mut view = View {
            now: kernel.now(),
            board: &self.boards[self.workers[at]],
            rng: &mut kernel.rng,
            out: &mut out,
        };
        match outcome {
            // The operator itself is activated a little later.
            Some(outcome) => {
                self.operators[at].take(outcome, &mut view);
                let soon = view.now + view.rng.millis(0, 4);
                view.out.push(Effect::Again(soon));
            }
            None => self.operators[at].step(&mut view),
        }
        out
    }

    /// Activates an operator at this time, unless that is planned already.
    pub(super) fn plan(
        &mut self,
        id: ProcessId,
        operator: usize,
        at: Duration,
        kernel: &mut Kernel,
    ) {
        let at = at.max(kernel.now()) + kernel.rng.millis(0, 1);
        if self.planned[operator].is_none_or(|planned| at < planned) {
            self.planned[operator] = Some(at);
            kernel.at(at, Event::Inside(id, Inside::Step(operator)));
        }
    }

    /// When an answer that an operator gives now is heard.
    pub(super) fn answer_at(&mut self, operator: usize, kernel: &mut Kernel) -> Duration {
        let at = kernel.now() + kernel.rng.millis(0, 8);
        let at = at.max(self.last_answer[operator]);
        self.last_answer[operator] = at;
        at
    }
}
