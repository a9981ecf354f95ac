//! A simulated process: recovery, coordinator, publisher and workers of one incarnation of the job.
//!
//! What it remembers is gone when it dies. It meets the world through operations of its fibers only.

mod publisher;
mod running;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use flowdsl_runtime::error::Error;
use flowdsl_runtime::job::internals::{Publisher, Recovered};
use flowdsl_runtime::protocol::{
    Action, Claimant, Control, Coordination, Heard, Notice, RunFacts, SnapshotAck,
};

use self::running::Running;
use crate::board::Board;
use crate::build::{self, Built};
use crate::event::{Event, Inside, ProcessId};
use crate::fiber::{Fiber, ask};
use crate::kernel::Kernel;
use crate::machine::Local;
use crate::request::{Act, Answer, Request, Task, Told};
use crate::restores::Saved;
use crate::scenario::Scenario;
use crate::subtask::{Effect, Outcome, Thread};

/// The fiber that recovers and then publishes; those of the workers follow.
pub(crate) const MAIN: usize = 0;

pub(crate) struct Process {
    pub(crate) id: ProcessId,
    pub(crate) life: Life,
    /// It stands still until then.
    pub(crate) sleeps_until: Duration,
    /// Its storage, where checkpoints are on a disk.
    pub(crate) local: Option<Rc<Local>>,
    pub(crate) worker_count: usize,
    /// What it claims, and what it has claimed in earlier attempts.
    pub(crate) claimant: Rc<RefCell<Claimant>>,
    /// It has come so far that a failure may be followed by another attempt.
    pub(crate) has_begun: bool,
    /// Savepoints that nobody has looked at.
    pub(crate) saved: Vec<Saved>,
    scenario: Rc<Scenario>,
    fibers: Vec<FiberSlot>,
    job: Option<Running>,
}

#[derive(Debug)]
pub(crate) enum Life {
    Recovering,
    Running,
    /// All input is read, and all output visible.
    Finished,
    Failed(Error),
    Dead,
}

struct FiberSlot {
    fiber: Fiber,
    tasks: VecDeque<Task>,
    /// It waits for a task.
    idle: bool,
}

impl FiberSlot {
    fn new(first: Option<Task>) -> Self {
        Self {
            fiber: Fiber::new(),
            tasks: first.into_iter().collect(),
            idle: true,
        }
    }
}

impl Process {
    pub(crate) fn new(
        (id, claimant): (ProcessId, Rc<RefCell<Claimant>>),
        worker_count: usize,
        scenario: Rc<Scenario>,
        local: Option<Rc<Local>>,
        recovery: Task,
    ) -> Self {
        Self {
            claimant,
            has_begun: false,
            saved: Vec::new(),
            id,
            life: Life::Recovering,
            sleeps_until: Duration::ZERO,
            local,
            worker_count,
            scenario,
            fibers: vec![FiberSlot::new(Some(recovery))],
            job: None,
        }
    }

    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.life, Life::Recovering | Life::Running)
    }

    /// Whether there is anything left of it, if only a thread of a job that has failed.
    pub(crate) fn is_gone(&self) -> bool {
        self.fibers.is_empty()
    }

    /// The process is gone: nothing of it happens any more.
    pub(crate) fn die(&mut self, life: Life) {
        self.life = life;
        self.fibers.clear();
        self.job = None;
    }

    /// Gives a fiber its answer, and lets it run up to its next operation.
    pub(crate) fn resume(
        &mut self,
        fiber: usize,
        answer: Answer,
        kernel: &mut Kernel,
    ) -> Option<Act> {
        let mut answer = answer;
        loop {
            let slot = self.fibers.get_mut(fiber)?;
            match slot.fiber.answer(answer) {
                Request::Act(act) => return Some(act),
                Request::Tell(told) => {
                    self.told(fiber, told, kernel);
                    answer = Answer::Told;
                }
                Request::Next => {
                    let slot = self.fibers.get_mut(fiber)?;
                    slot.idle = true;
                    return None;
                }
            }
        }
    }

    /// The fibers that wait for a task and have one.
    pub(crate) fn next_to_work(&mut self) -> Option<(usize, Answer)> {
        let at = self
            .fibers
            .iter()
            .position(|slot| slot.idle && !slot.tasks.is_empty())?;
        let slot = &mut self.fibers[at];
        slot.idle = false;
        slot.tasks.pop_front().map(|task| (at, Answer::Task(task)))
    }

    pub(crate) fn happen(&mut self, inside: Inside, kernel: &mut Kernel) {
        let Some(job) = &mut self.job else { return };
        let (id, now) = (self.id, kernel.now());
        match inside {
            Inside::Step(operator) => {
                if job.planned[operator].is_some_and(|at| at <= now) {
                    job.planned[operator] = None;
                }
                let effects = job.step(operator, None, kernel);
                self.carry_out(operator, effects, kernel);
            }
            Inside::Control(worker) => {
                if let Some(control) = job.controls[worker].pop_front() {
                    job.boards[worker].write(&control);
                    for operator in 0..job.operators.len() {
                        if job.workers[operator] == worker {
                            job.plan(id, operator, now, kernel);
                        }
                    }
                }
            }
            Inside::Hear(heard) => self.hear(*heard, kernel),
            Inside::AnsweredBefore(operator, epoch) => {
                job.answered_before[operator] = epoch;
                let least = job.answered_before.iter().flatten().min().copied();
                self.hear(Heard::AnsweredBefore(least), kernel);
            }
            Inside::Tick => {
                job.planned_tick = None;
                let actions = job.coordination.tick(now);
                self.act(actions, kernel);
            }
        }
    }

    fn told(&mut self, fiber: usize, told: Told, kernel: &mut Kernel) {
        match told {
            Told::Recovered(Ok((recovered, publisher))) => self.start(recovered, publisher, kernel),
            Told::Recovered(Err(error)) => self.fail(error, kernel),
            Told::Published(manifest, outcome) => self.told_published(manifest, outcome, kernel),
            Told::LookedAtLog(found) => self.told_of_log(found, kernel),
            Told::Copied(asker, saved) => self.told_copied(asker, *saved, kernel),
            Told::Outcome(operator, outcome) => {
                debug_assert_ne!(fiber, MAIN, "operators have their work done by workers");
                if let Outcome::Compacted { result, .. } = &outcome {
                    kernel.reach(match result {
                        Ok(_) => "a compaction",
                        Err(_) => "a compaction that failed",
                    });
                }
                let Some(job) = &mut self.job else { return };
                let effects = job.step(operator, Some(outcome), kernel);
                self.carry_out(operator, effects, kernel);
            }
        }
    }

    /// The job begins: everything before the first record is done, but for the state.
    fn start(
        &mut self,
        recovered: Rc<Recovered>,
        publisher: Rc<RefCell<Publisher>>,
        kernel: &mut Kernel,
    ) {
        let id = self.id;
        self.has_begun = true;
        let (generation, nonce) = {
            let mut publisher = publisher.borrow_mut();
            (publisher.writer().generation(), publisher.writer().nonce())
        };
        kernel.note(|| {
            format!(
                "{id} is generation {generation}, from {:?}, with {} workers, first epoch {}{}",
                recovered.from,
                self.worker_count,
                recovered.first_epoch,
                if recovered.finished { ", finished" } else { "" }
            )
        });
        if recovered.from.is_some() {
            kernel.reach("a restore");
            if recovered.restored.worker_count != self.worker_count {
                kernel.reach("a restore with another number of workers");
            }
        }
        if recovered.finished {
            self.life = Life::Finished;
            return;
        }
        self.life = Life::Running;
        let run = RunFacts {
            job: build::JOB.to_owned(),
            generation,
            nonce,
            plan: build::plan(self.scenario.shape),
            worker_count: self.worker_count,
            key_groups: recovered.key_groups,
            first_epoch: recovered.first_epoch,
            restored_from: recovered.from,
            origins: recovered.origins.clone(),
            failure_pause: Duration::from_millis(20),
        };
        let now = kernel.now();
        let coordination = Coordination::new(run, self.scenario.settings.clone(), now);
        let Built {
            operators,
            workers,
            first_work,
        } = build::operators(
            &self.scenario,
            &recovered,
            self.worker_count,
            (generation, nonce),
        );
        // Each worker has one for snapshots, one for commits and one for compactions.
        // And there is one that copies savepoints.
        for _ in 0..=3 * self.worker_count {
            self.fibers.push(FiberSlot::new(None));
        }
        let n = operators.len();
        let first = recovered.first_epoch;
        self.job = Some(Running {
            coordination,
            publisher,
            boards: (0..self.worker_count).map(|_| Board::new(first)).collect(),
            controls: vec![VecDeque::new(); self.worker_count],
            operators,
            workers,
            planned: vec![None; n],
            answered_before: vec![Some(first); n],
            last_answer: vec![now; n],
            planned_tick: None,
        });
        for (operator, effect) in first_work {
            self.carry_out(operator, vec![effect], kernel);
        }
        for operator in 0..n {
            if let Some(job) = &mut self.job {
                job.plan(id, operator, now, kernel);
            }
        }
        self.act(Vec::new(), kernel);
    }

    fn hear(&mut self, heard: Heard, kernel: &mut Kernel) {
        if let Some(job) = &mut self.job {
            let actions = job.coordination.hear(kernel.now(), heard);
            self.act(actions, kernel);
        }
    }

    /// Does what the coordinator has decided.
    fn act(&mut self, actions: Vec<Action>, kernel: &mut Kernel) {
        let id = self.id;
        for action in actions {
            match action {
                Action::Send(control) => self.send(&control, kernel),
                Action::Publish(manifest) => self.publish(manifest, kernel),
                Action::LookAtLog => self.look_at_log(),
                Action::Answer(asker, _) => self.unpin(asker),
                Action::Keep(asker, manifest) => self.pin(asker, manifest),
                Action::Copy(asker, manifest) => self.copy(asker, manifest, kernel),
                Action::Fail(error) => {
                    self.fail(error, kernel);
                    return;
                }
                Action::Tell(Notice::Completed { epoch, .. }) => {
                    kernel.note(|| format!("{id} epoch {epoch} is complete"));
                }
                Action::Tell(Notice::Failed { epoch, reason, .. }) => {
                    kernel.note(|| format!("{id} epoch {epoch} failed: {reason}"));
                    kernel.reach("a checkpoint that failed");
                }
                Action::Tell(
                    Notice::SavepointCompleted { .. } | Notice::SavepointFailed { .. },
                ) => {}
            }
        }
        let Some(job) = &mut self.job else { return };
        if let Some(at) = job.coordination.wakes_at(kernel.now())
            && job.planned_tick.is_none_or(|planned| at < planned)
        {
            job.planned_tick = Some(at);
            kernel.at(at, Event::Inside(id, Inside::Tick));
        }
    }

    fn send(&mut self, control: &Control, kernel: &mut Kernel) {
        let (id, Some(job)) = (self.id, &mut self.job) else {
            return;
        };
        kernel.note(|| format!("{id} decides {control:?}"));
        if let Control::Abort(_) = control {
            kernel.reach("a checkpoint that was given up");
        }
        for (worker, controls) in job.controls.iter_mut().enumerate() {
            controls.push_back(control.clone());
            let wait = kernel.rng.millis(0, 8);
            kernel.after(wait, Event::Inside(id, Inside::Control(worker)));
        }
    }

    fn carry_out(&mut self, from: usize, effects: Vec<Effect>, kernel: &mut Kernel) {
        let (id, now) = (self.id, kernel.now());
        for effect in effects {
            let Some(job) = &mut self.job else { return };
            match effect {
                Effect::Send {
                    to,
                    channel,
                    message,
                } => {
                    let at = now + kernel.rng.millis(0, 10);
                    job.operators[to].receive(channel, at, message);
                    job.plan(id, to, at, kernel);
                }
                Effect::Ack(ack) => {
                    if matches!(&ack.ack, SnapshotAck::Failed(why) if why.contains("before this one"))
                    {
                        kernel.reach("an increment behind an image that was not stored");
                    }
                    let at = job.answer_at(from, kernel);
                    let heard = Box::new(Heard::Ack(ack));
                    kernel.at(at, Event::Inside(id, Inside::Hear(heard)));
                }
                Effect::AnsweredBefore(epoch) => {
                    // Behind the answers themselves.
                    let at = job.answer_at(from, kernel) + Duration::from_nanos(1);
                    job.last_answer[from] = at;
                    kernel.at(at, Event::Inside(id, Inside::AnsweredBefore(from, epoch)));
                }
                Effect::Report(report) => {
                    let heard = Box::new(Heard::Report(report));
                    let wait = kernel.rng.millis(0, 8);
                    kernel.after(wait, Event::Inside(id, Inside::Hear(heard)));
                }
                Effect::Work(thread, work) => {
                    let fiber = match thread {
                        Thread::Snapshots => MAIN + 1 + job.workers[from],
                        Thread::Commits => MAIN + 1 + self.worker_count + job.workers[from],
                        Thread::Compactions => MAIN + 1 + 2 * self.worker_count + job.workers[from],
                    };
                    self.fibers[fiber].tasks.push_back(Box::new(move || {
                        let outcome = work();
                        ask(Request::Tell(Told::Outcome(from, outcome)));
                    }));
                }
                Effect::Again(at) => job.plan(id, from, at, kernel),
                Effect::Fail(error) => {
                    self.fail(error, kernel);
                    return;
                }
            }
        }
    }

    /// The job ends with an error. What a fiber has begun goes on, as on a thread that is left behind;
    /// nothing else is begun.
    fn fail(&mut self, error: Error, kernel: &mut Kernel) {
        let id = self.id;
        kernel.note(|| format!("{id} ends: {error:?}"));
        self.life = Life::Failed(error);
        self.job = None;
        for slot in &mut self.fibers {
            slot.tasks.clear();
        }
    }

    /// Whether the job is done, with all that the publisher still had to do.
    pub(crate) fn is_finished(&self) -> bool {
        let over = self.job.as_ref().is_some_and(|job| {
            job.coordination.is_over() && job.answered_before.iter().all(Option::is_none)
        });
        over && self.fibers[MAIN].idle && self.fibers[MAIN].tasks.is_empty()
    }
}
