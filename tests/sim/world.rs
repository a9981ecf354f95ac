//! The world of one seed: processes that run the job, the store and the output that outlive them, and
//! what goes wrong. One event at a time; after each of them the oracle looks.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use flowdsl_runtime::error::ErrorKind;
use flowdsl_runtime::job::Environment;
use flowdsl_runtime::job::internals::{Publisher, plan_nonces, recover};
use flowdsl_runtime::protocol::Manifest;
use flowdsl_runtime::settings::Options;
use flowdsl_runtime::storage::log::new_claimant;
use flowdsl_runtime::storage::{CheckpointStorage, FaultyDisk, MemoryStorage};

use crate::build::{JOB, blueprint};
use crate::event::{Event, Inside, ProcessId};
use crate::fiber::ask;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::operations::Operations;
use crate::oracle::{Check, Oracle};
use crate::output::Output;
use crate::process::{Life, Process};
use crate::request::{Answer, Request, Told};
use crate::restores::try_restore;
use crate::scenario::{Place, Scenario};
use crate::storage::SimStorage;
use crate::store::Store;

/// Events after which a seed counts as one that never ends.
const ENDLESS: u64 = 60_000;
/// Processes at a time to which none comes by chance.
const CROWD: usize = 16;
/// What is still under way when the job is done may go on for so long.
const AFTERWARDS: Duration = Duration::from_secs(4);

pub(crate) struct World {
    pub(crate) kernel: Kernel,
    pub(crate) scenario: Rc<Scenario>,
    pub(crate) store: Store,
    pub(crate) output: Output,
    pub(crate) oracle: Oracle,
    pub(crate) processes: Vec<Process>,
    pub(crate) operations: Operations,
    pub(crate) machine: Option<Machine>,
    /// Savepoints, with what they name.
    pub(crate) savepoints: Vec<(Box<Manifest>, MemoryStorage)>,
    starts_planned: usize,
    phase: Phase,
    pub(crate) events: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The job is not done.
    Working,
    /// A process has finished it; others may still be at it.
    Done {
        by: ProcessId,
        since: Duration,
    },
    /// One more process looks at what there is to do: nothing.
    LastLook,
    Over,
    /// Too much was damaged.
    GivenUp,
}

impl World {
    pub(crate) fn new(seed: u64, traced: bool) -> Self {
        let mut kernel = Kernel::new(seed, traced);
        plan_nonces(kernel.rng.next());
        let scenario = Rc::new(Scenario::new(&mut kernel.rng).with_restores(seed));
        kernel.note(|| format!("{scenario:?}"));
        let (store, machine) = match scenario.place {
            Place::Objects => (Store::Objects(BTreeMap::new()), None),
            Place::Disk => {
                let disk = FaultyDisk::new();
                disk.survivors(kernel.rng.next());
                (Store::Disk(disk.clone()), Some(Machine::new(disk)))
            }
        };
        Self {
            oracle: Oracle::new(Rc::clone(&scenario)),
            kernel,
            scenario,
            store,
            output: Output::default(),
            processes: Vec::new(),
            operations: Operations::default(),
            machine,
            savepoints: Vec::new(),
            starts_planned: 0,
            phase: Phase::Working,
            events: 0,
        }
    }

    /// Runs the seed to its end.
    pub(crate) fn run(&mut self) -> Check {
        self.plan_start(Duration::ZERO);
        while !matches!(self.phase, Phase::Over | Phase::GivenUp) {
            let event = self.kernel.next();
            let event = event.ok_or("nothing happens any more, and the job is not done")?;
            self.events += 1;
            if self.events > ENDLESS {
                return Err(format!("the job does not end: {:?}", self.phase));
            }
            self.happen(event)?;
            self.look_on()?;
        }
        match self.phase {
            Phase::GivenUp => Ok(()),
            _ => self.oracle.at_the_end(&self.output),
        }
    }

    fn plan_start(&mut self, wait: Duration) {
        self.starts_planned += 1;
        self.kernel.after(wait, Event::Start);
    }

    fn happen(&mut self, event: Event) -> Check {
        match event {
            Event::Start => {
                self.starts_planned -= 1;
                if matches!(self.phase, Phase::Working | Phase::LastLook) {
                    self.start(None)?;
                }
            }
            Event::Restart(id) => {
                self.starts_planned -= 1;
                // It may have died meanwhile.
                let is_there = !self.processes[id.0].is_gone();
                if is_there && matches!(self.phase, Phase::Working | Phase::LastLook) {
                    self.kernel.reach("a restart");
                    self.start(Some(id))?;
                }
            }
            Event::Inside(id, inside) => self.inside(id, inside)?,
            Event::Effect(op) => self.effect(op)?,
            Event::Reply(op) => self.reply(op)?,
            Event::Kill(id) => self.kill(id),
            Event::Sleep(id, long) => self.sleep(id, long),
            Event::Idle => {}
        }
        Ok(())
    }

    fn inside(&mut self, id: ProcessId, inside: Inside) -> Check {
        let process = &mut self.processes[id.0];
        if process.sleeps_until > self.kernel.now() {
            let at = process.sleeps_until;
            self.kernel.at(at, Event::Inside(id, inside));
            return Ok(());
        }
        process.happen(inside, &mut self.kernel);
        self.after_process(id)
    }

    /// A process begins, or the run of one that has failed begins anew. What the failed attempt had begun goes on
    /// beside it, and so each attempt counts as a process here.
    fn start(&mut self, former: Option<ProcessId>) -> Check {
        let id = ProcessId(self.processes.len());
        let claimant = former.map_or_else(
            || Rc::new(RefCell::new(new_claimant())),
            |former| Rc::clone(&self.processes[former.0].claimant),
        );
        let worker_count = self.kernel.rng.between(1, 4) as usize;
        let (scenario, clock) = (Rc::clone(&self.scenario), self.kernel.clock.clone());
        self.kernel.note(|| match former {
            None => format!("{id} starts"),
            Some(former) => format!("{id} is {former}, which begins anew"),
        });
        self.oracle.begins(id, former);
        if !self.scenario.is_calm(self.kernel.now())
            && self.kernel.rng.per_mille(self.scenario.faults.twice)
            && !self.is_crowded()
        {
            let wait = self.kernel.rng.millis(0, 1_500);
            self.plan_start(wait);
        }
        let restores = match former {
            None => self.restores(),
            Some(_) => None,
        };
        let claims = Rc::clone(&claimant);
        let body = move || {
            if let Some(from) = restores {
                try_restore(from);
            }
            let storage: Arc<dyn CheckpointStorage> = Arc::new(SimStorage);
            let options = Options {
                key_groups: scenario.key_groups,
                ..Options::new().workers(worker_count)
            };
            let environment = Environment {
                disk: Arc::new(FaultyDisk::new()),
                clock,
                ..Environment::default()
            };
            let job = Arc::from(JOB);
            let recovered = recover(
                &job,
                &blueprint(&scenario),
                (&options, &environment),
                &mut claims.borrow_mut(),
                storage,
            );
            let recovered = recovered.map(|(writer, recovered)| {
                let damaged = recovered.damaged.clone();
                let publisher = Publisher::new(writer, scenario.retained, damaged);
                (Rc::new(recovered), Rc::new(RefCell::new(publisher)))
            });
            ask(Request::Tell(Told::Recovered(recovered)));
        };
        let local = self.machine.as_mut().map(Machine::new_process);
        let scenario = Rc::clone(&self.scenario);
        let mut process = Process::new(
            (id, claimant),
            worker_count,
            scenario,
            local,
            Box::new(body),
        );
        // What fails before the first attempt has begun ends the process.
        process.has_begun = former.is_some();
        self.processes.push(process);
        self.may_ask_for_savepoints(id);
        self.after_process(id)
    }

    /// Lets a fiber go on, and begins the operation that it asks for.
    pub(crate) fn resume(&mut self, id: ProcessId, fiber: usize, answer: Answer) -> Check {
        let process = &mut self.processes[id.0];
        match process.resume(fiber, answer, &mut self.kernel) {
            Some(act) => self.begin(id, fiber, act),
            None => Ok(()),
        }
    }

    /// What a process left behind when something has happened in it: work for its fibers, or its end.
    pub(crate) fn after_process(&mut self, id: ProcessId) -> Check {
        while let Some((fiber, task)) = self.processes[id.0].next_to_work() {
            self.resume(id, fiber, task)?;
        }
        for saved in mem::take(&mut self.processes[id.0].saved) {
            self.saved(id, saved)?;
        }
        let process = &mut self.processes[id.0];
        if process.is_finished() {
            process.die(Life::Finished);
        }
        match &process.life {
            Life::Recovering | Life::Running | Life::Dead => {}
            Life::Finished => {
                self.kernel.note(|| format!("{id} is done"));
                process.die(Life::Dead);
                self.phase = match self.phase {
                    // Of what a newer run has begun meanwhile it knows nothing.
                    Phase::LastLook if !self.oracle.is_newest(id) => Phase::LastLook,
                    Phase::LastLook | Phase::Over => Phase::Over,
                    Phase::GivenUp => Phase::GivenUp,
                    Phase::Done { .. } | Phase::Working => Phase::Done {
                        by: id,
                        since: self.kernel.now(),
                    },
                };
            }
            Life::Failed(error) => {
                let (kind, text) = (error.kind(), error.to_string());
                self.kernel.reach(match kind {
                    ErrorKind::Fenced if self.oracle.has_begun_anew(id) => {
                        "a restart of a run that was overtaken"
                    }
                    ErrorKind::Fenced => "a run that was fenced",
                    ErrorKind::Corrupt => {
                        "a run that was refused, or lost its output to a newer one"
                    }
                    _ => "a run that failed",
                });
                self.may_fail(id, kind, text)?;
                self.failed(id);
            }
        }
        Ok(())
    }

    /// Whether a process may end with this error.
    fn may_fail(&self, id: ProcessId, kind: ErrorKind, error: String) -> Check {
        let is_newest = self.oracle.is_newest(id);
        let may = match kind {
            ErrorKind::Unavailable => true,
            ErrorKind::Fenced => self.oracle.may_be_fenced(id),
            // A run that slept finds that a later one has discarded what it wrote.
            ErrorKind::Corrupt => !self.oracle.damaged.is_empty() || !is_newest,
            ErrorKind::Invalid
            | ErrorKind::Incompatible
            | ErrorKind::Panicked
            | ErrorKind::Internal => false,
        };
        if may {
            Ok(())
        } else {
            Err(format!(
                "{id} ended with an error that nothing explains: {error}"
            ))
        }
    }

    fn failed(&mut self, id: ProcessId) {
        let process = &mut self.processes[id.0];
        let is = |kind| matches!(&process.life, Life::Failed(e) if e.kind() == kind);
        let (refused, passes) = (is(ErrorKind::Corrupt), is(ErrorKind::Unavailable));
        let may_restart = passes && process.has_begun;
        // The process ends; or it lives on, and what it had begun goes on, maybe beside another attempt.
        if self.kernel.rng.per_mille(500) {
            self.kill(id);
        } else {
            process.life = Life::Dead;
            let wait = self.kernel.rng.millis(0, 2_000);
            self.kernel.after(wait, Event::Kill(id));
            if may_restart && self.kernel.rng.per_mille(700) {
                self.plan_restart(id);
            }
        }
        if refused {
            self.mend();
            if self.oracle.whole().is_empty() && !self.oracle.passed_over.is_empty() {
                // A run fell back to a checkpoint that then went bad, or that an older run was just
                // deleting: both are too much at once, and only a fresh start helps.
                self.kernel.reach("a job that was given up");
                self.phase = Phase::GivenUp;
            }
        }
    }

    /// The process begins anew behind a pause. Meanwhile another one may take its place.
    fn plan_restart(&mut self, id: ProcessId) {
        let pause = self.kernel.rng.millis(0, 300);
        self.starts_planned += 1;
        self.kernel.after(pause, Event::Restart(id));
        if self.kernel.rng.per_mille(400) && !self.is_crowded() {
            let wait = self.kernel.rng.millis(0, 300);
            self.plan_start(wait);
        }
    }

    /// Whether so many processes are there that no more come by chance: each may bring another, and without a bound
    /// their number explodes before they come to anything.
    fn is_crowded(&self) -> bool {
        let alive = self.processes.iter().filter(|process| process.is_alive());
        alive.count() >= CROWD
    }

    pub(crate) fn kill(&mut self, id: ProcessId) {
        let process = &mut self.processes[id.0];
        if process.is_gone() {
            return;
        }
        self.kernel.note(|| format!("{id} dies"));
        self.kernel.reach("a death");
        process.die(Life::Dead);
        let is_local = self.scenario.place == Place::Disk;
        self.operations.orphan(id, is_local, &mut self.kernel.rng);
        self.may_damage();
    }

    fn sleep(&mut self, id: ProcessId, long: Duration) {
        let process = &mut self.processes[id.0];
        if !process.is_alive() || self.scenario.is_calm(self.kernel.now()) {
            return;
        }
        self.kernel.note(|| format!("{id} sleeps for {long:?}"));
        self.kernel.reach("a process that sleeps");
        process.sleeps_until = self.kernel.now() + long;
        if self.kernel.rng.per_mille(700) && !self.is_crowded() {
            let wait = self.kernel.rng.millis(0, 200);
            self.plan_start(wait);
            self.may_damage();
        }
    }

    /// The machine loses power, with every process on it, in the middle of an operation of one of them.
    pub(crate) fn lose_power(&mut self, process: ProcessId) -> Check {
        let Store::Disk(disk) = &self.store else {
            return Ok(());
        };
        self.kernel.note(|| "the power is lost".to_owned());
        self.kernel.reach("a power loss");
        disk.restart();
        for at in 0..self.processes.len() {
            self.kill(ProcessId(at));
        }
        self.look(process)
    }

    /// The oracle looks at what an operation of a process has left.
    pub(crate) fn look(&mut self, process: ProcessId) -> Check {
        let check = self.oracle.look(process, &self.store, &self.output);
        for what in mem::take(&mut self.oracle.reached) {
            self.kernel.reach(what);
        }
        check
    }

    /// Ends all processes, with what they have under way.
    pub(crate) fn end_all(&mut self) {
        for at in 0..self.processes.len() {
            self.kill(ProcessId(at));
        }
        self.operations.clear();
    }

    /// Sees to it that somebody works as long as the job is not done, and that the seed ends.
    fn look_on(&mut self) -> Check {
        let anybody = self.processes.iter().any(Process::is_alive);
        match self.phase {
            Phase::Working | Phase::LastLook => {
                if !anybody && self.starts_planned == 0 {
                    let wait = self.kernel.rng.millis(1, 60);
                    self.plan_start(wait);
                }
            }
            Phase::Done { by, since } => {
                let late = self.kernel.now() > since + AFTERWARDS;
                if late || (!anybody && self.operations.is_empty()) {
                    self.end_all();
                    if !self.oracle.is_newest(by) {
                        // A newer run has begun meanwhile, and may have taken back what that one has done.
                        self.phase = Phase::Working;
                        return self.look_on();
                    }
                    self.oracle.at_the_end(&self.output)?;
                    self.mend();
                    self.phase = Phase::LastLook;
                    self.plan_start(Duration::ZERO);
                } else if self.kernel.is_idle() {
                    self.kernel.after(AFTERWARDS, Event::Idle);
                }
            }
            Phase::Over | Phase::GivenUp => {}
        }
        Ok(())
    }
}
