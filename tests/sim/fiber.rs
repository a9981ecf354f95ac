//! A thread of a simulated process: real code that waits for the world in the middle of a call.
//!
//! It is a coroutine with a stack of its own, which does one task after the other. Code that meets the
//! world [`ask`]s, and rests there until the world answers; meanwhile others run. Dropping a fiber is the
//! death of its process: the stack unwinds, and nothing that it holds is finished.

use std::cell::RefCell;

use generator::{Generator, Gn};

use crate::request::{Answer, Request};

/// Words of a fiber's stack; only what is touched costs memory.
const STACK: usize = 32 * 1024;

type Coroutine = Generator<'static, Answer, Request>;

thread_local! {
    /// Coroutines whose processes are gone, and which wait for a task: making one costs more than most seeds.
    static SPARE: RefCell<Vec<Coroutine>> = const { RefCell::new(Vec::new()) };
}

pub(crate) struct Fiber {
    /// There until the fiber is dropped.
    coroutine: Option<Coroutine>,
    /// It waits for a task, and holds nothing.
    is_idle: bool,
}

impl Fiber {
    /// A fiber that waits for its first task.
    pub(crate) fn new() -> Self {
        let spare = SPARE.with_borrow_mut(Vec::pop);
        Self {
            coroutine: Some(spare.unwrap_or_else(fresh)),
            is_idle: true,
        }
    }

    /// Answers the last question and lets the fiber run to its next one.
    pub(crate) fn answer(&mut self, answer: Answer) -> Request {
        let coroutine = self.coroutine.as_mut().expect("it is not dropped");
        // Should it panic, it is of no use to anybody.
        self.is_idle = false;
        let request = coroutine.send(answer);
        self.is_idle = matches!(request, Request::Next);
        request
    }
}

impl Drop for Fiber {
    fn drop(&mut self) {
        if self.is_idle
            && let Some(coroutine) = self.coroutine.take()
        {
            SPARE.with_borrow_mut(|spare| spare.push(coroutine));
        }
    }
}

fn fresh() -> Coroutine {
    let mut coroutine = Gn::new_opt(STACK, || {
        loop {
            if let Answer::Task(task) = ask(Request::Next) {
                task();
            }
        }
    });
    let first = coroutine.resume();
    debug_assert!(matches!(first, Some(Request::Next)), "it waits for work");
    coroutine
}

/// Drops what this thread keeps for its next seed. They cannot be dropped when the thread is ending.
pub(crate) fn drop_spares() {
    SPARE.with_borrow_mut(Vec::clear);
}

/// Asks the world, from inside of a fiber, and waits for its answer.
#[expect(
    deprecated,
    reason = "what replaces it would have to be handed through code that knows nothing of fibers"
)]
pub(crate) fn ask(request: Request) -> Answer {
    generator::yield_(request).expect("the world answers what it was asked")
}
