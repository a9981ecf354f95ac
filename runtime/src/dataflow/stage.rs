//! The operator behind an edge: aligns its input on epochs, drives a stage's logic and what is
//! fused behind it, and takes part in barriers.

mod open;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use timely::progress::frontier::MutableAntichain;
use timely::scheduling::Activator;

use super::alarm::Alarm;
use super::answers::Answers;
use super::copying::Copying;
use super::fuse::{Label, Stages};
use super::graph::WorkerContext;
use super::image::Snapshot;
use super::inbox::{Inbox, has_passed, watermark_of};
use super::moment::Moment;
use super::pace::Pace;
use super::target::{EdgeTarget, Target};
use crate::clock::Stopwatch;
use crate::error::Result;
use crate::ids::{Epoch, StageId};
use crate::protocol::SnapshotCost;
use crate::settings::CheckpointMode;
use crate::state::{KeyedLogic, Progress, SnapshotScope, StageBackend};

/// Records a stage takes up at a time.
const PIECE: usize = 4_096;
/// Results that fire at a time.
const FIRE: usize = 1_024;

/// The parts of the operator, as its builder hands them over.
pub(crate) struct Parts<L: KeyedLogic, St, T> {
    pub(crate) context: Rc<WorkerContext>,
    /// The stage whose state this is, if it keeps any.
    pub(crate) stage: Option<StageId>,
    /// The stage in panics and errors.
    pub(crate) label: Label,
    pub(crate) logic: L,
    pub(crate) inbox: Inbox<L::In>,
    pub(crate) stages: St,
    pub(crate) target: T,
    pub(crate) late: Option<EdgeTarget<L::In>>,
    pub(crate) answers: Option<Answers>,
    pub(crate) again: Activator,
    /// Wakes the operator when its stage is due by the clock.
    pub(crate) alarm: Alarm,
}

pub(crate) struct StageOperator<L: KeyedLogic, St, T> {
    parts: Parts<L, St, T>,
    epoch: Epoch,
    /// The watermark up to which everything due has fired.
    watermark: i64,
    out: Vec<L::Out>,
    piece: Vec<L::In>,
    late: Vec<L::In>,
    /// Where the stage keeps its state.
    backend: StageBackend,
    pace: Pace,
    copying: Copying,
    /// Whether batches were left over by the last activation.
    behind: bool,
    life: Life,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    New,
    Running,
    Over,
}

impl<L, St, T> StageOperator<L, St, T>
where
    L: KeyedLogic,
    St: Stages<In = L::Out>,
    T: Target<St::Out>,
{
    pub(crate) fn new(parts: Parts<L, St, T>) -> Self {
        Self {
            epoch: parts.context.first_epoch,
            watermark: i64::MIN,
            out: Vec::new(),
            piece: Vec::new(),
            late: Vec::new(),
            backend: StageBackend::default(),
            pace: Pace::new(PIECE),
            copying: Copying::nothing(),
            behind: false,
            life: Life::New,
            parts,
        }
    }

    pub(crate) fn run(&mut self, frontier: &MutableAntichain<Moment>) {
        if self.life == Life::Over || self.parts.context.fate.has_failed() {
            return;
        }
        if let Err(error) = self.try_run(frontier) {
            let error = match &self.parts.stage {
                Some(stage) => error.in_stage(stage),
                None => error,
            };
            self.parts.context.fate.fail(error);
        }
    }

    fn try_run(&mut self, frontier: &MutableAntichain<Moment>) -> Result<()> {
        if self.life == Life::New {
            self.open()?;
        }
        let clock = &self.parts.context.clock;
        self.parts.inbox.receive(self.epoch, clock);
        if let Some(answers) = &mut self.parts.answers {
            answers.poll()?;
        }
        // Also of a stage to which no record comes.
        self.backend.check()?;
        self.pace.begin();
        // A barrier that comes while the image before is still being copied waits for that, however
        // many pieces wait for the disk; in slices, so that the others on this worker go on.
        let mut barrier_waits = false;
        'turn: loop {
            if !self.tick()? {
                break;
            }
            // Without alignment, batches of later epochs wait in the same queue: the barrier does
            // not wait for them. It waits for what is due, which may take several turns: what fires
            // behind the last barrier is in no checkpoint.
            while self.parts.context.mode == CheckpointMode::AtLeastOnce
                && has_passed(frontier, self.epoch)
                && !frontier.is_empty()
                && !self.copying.is_under_way()
                && self.backend.is_settled()
            {
                if !self.fire_and_advance(frontier)? {
                    break 'turn;
                }
                self.barrier()?;
            }
            // Behind a backlog the watermark goes first, or under load nothing would fire before the
            // barrier. Batches that wait hold the frontier back themselves.
            if self.behind && !self.fire_and_advance(frontier)? {
                break;
            }
            self.behind = !self.process()?;
            if self.behind || !self.fire_and_advance(frontier)? {
                break;
            }
            if !has_passed(frontier, self.epoch) || frontier.is_empty() {
                break;
            }
            if self.copying.is_under_way() {
                barrier_waits = true;
                break;
            }
            if !self.backend.is_settled() {
                break;
            }
            self.barrier()?;
        }
        self.set_alarm();
        if barrier_waits || self.copying.is_due() {
            self.copy();
        }
        self.flush();
        if frontier.is_empty() && self.parts.inbox.is_drained() {
            self.close();
        }
        Ok(())
    }

    /// Processes batches of the present epoch; false if some are left for the next activation.
    fn process(&mut self) -> Result<bool> {
        loop {
            let Parts {
                inbox,
                logic,
                target,
                late,
                again,
                label,
                ..
            } = &mut self.parts;
            let Some(records) = inbox.front() else {
                return Ok(true);
            };
            if !target.is_open() || late.as_mut().is_some_and(|late| !Target::is_open(late)) {
                return Ok(false);
            }
            if !self.backend.takes_more() {
                return Ok(false);
            }
            let Some(piece) = self.pace.next_piece() else {
                again.activate();
                return Ok(false);
            };
            let n = records.len().min(target.batch_size(piece));
            let batch = if n == records.len() {
                &mut *records
            } else {
                self.piece.extend(records.drain(..n));
                &mut self.piece
            };
            label.guard(|| logic.process(batch, self.watermark, &mut self.out, &mut self.late));
            if records.is_empty() {
                inbox.pop();
            }
            if self.backend.is_pressed() {
                logic.give_back();
            }
            self.backend.check()?;
            self.emit()?;
            self.pace.did(n);
        }
    }

    /// Moves the stage's processing time on, and fires what is due at it; false if some is left for the
    /// next activation.
    fn tick(&mut self) -> Result<bool> {
        if !L::USES_CLOCK {
            return Ok(true);
        }
        if !self.backend.takes_more() {
            return Ok(false);
        }
        let now = self.parts.context.clock.unix_millis();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        self.fire_with(|logic, out, budget| logic.tick(now, out, budget))
    }

    /// Wakes the operator for what is due next by the clock.
    fn set_alarm(&mut self) {
        if !L::USES_CLOCK {
            return;
        }
        if let Some(at) = self.parts.logic.next_tick() {
            let clock = &self.parts.context.clock;
            let now = i64::try_from(clock.unix_millis()).unwrap_or(i64::MAX);
            let left = u64::try_from(at.saturating_sub(now)).unwrap_or(0);
            // The clock may be put forward meanwhile, and one that is moved by hand wakes nobody.
            let most = if clock.is_manual() { 5 } else { 1_000 };
            self.parts
                .alarm
                .set(Duration::from_millis(left.clamp(1, most)));
        }
    }

    fn fire_and_advance(&mut self, frontier: &MutableAntichain<Moment>) -> Result<bool> {
        let done = self.fire(frontier)?;
        if done {
            self.advance();
        }
        Ok(done)
    }

    /// Fires what is due at the frontier's watermark; false if some is left for the next activation.
    fn fire(&mut self, frontier: &MutableAntichain<Moment>) -> Result<bool> {
        let watermark = watermark_of(frontier).map_or(self.watermark, |w| w.max(self.watermark));
        if watermark > self.watermark {
            if !self.backend.is_settled()
                || !self.fire_with(|logic, out, budget| logic.fire(watermark, out, budget))?
            {
                return Ok(false);
            }
            self.watermark = watermark;
        }
        Ok(true)
    }

    /// Lets the logic fire until it is done; false if some is left for the next activation.
    fn fire_with(
        &mut self,
        mut fire: impl FnMut(&mut L, &mut Vec<L::Out>, usize) -> Progress,
    ) -> Result<bool> {
        loop {
            let Parts {
                logic,
                target,
                again,
                label,
                ..
            } = &mut self.parts;
            if !target.is_open() {
                return Ok(false);
            }
            let Some(piece) = self.pace.next_piece() else {
                again.activate();
                return Ok(false);
            };
            let budget = target.batch_size(piece.min(FIRE));
            let progress = label.guard(|| fire(logic, &mut self.out, budget));
            self.pace.did(self.out.len());
            if self.backend.is_pressed() {
                logic.give_back();
            }
            self.backend.check()?;
            self.emit()?;
            if progress == Progress::Done {
                return Ok(true);
            }
        }
    }

    fn emit(&mut self) -> Result<()> {
        let Parts {
            stages,
            target,
            late,
            context,
            ..
        } = &mut self.parts;
        if !self.out.is_empty() {
            target.drive(stages, &mut self.out)?;
        }
        if !self.late.is_empty() {
            if let Some(late) = late {
                late.push(&mut self.late);
            } else {
                context.metrics.add_late_dropped(self.late.len() as u64);
                self.late.clear();
            }
        }
        Ok(())
    }

    fn advance(&mut self) {
        let moment = Moment::new(self.epoch, self.watermark);
        self.parts.target.advance(moment);
        if let Some(late) = &mut self.parts.late {
            late.advance(moment);
        }
    }

    fn flush(&mut self) {
        self.parts.target.flush();
        if let Some(late) = &mut self.parts.late {
            late.flush();
        }
    }

    /// The barrier of the present epoch has passed: freeze, then every capability moves on, then
    /// what was stashed.
    fn barrier(&mut self) -> Result<()> {
        // The image before may have failed just now: what the next one leaves out is nowhere then.
        self.backend.check()?;
        let epoch = self.epoch;
        let clock = self.parts.context.clock.clone();
        let passed_at = clock.now();
        let mut cost = SnapshotCost {
            passed_at,
            copied_at: passed_at,
            stash: self.parts.inbox.stashed_for(passed_at),
            ..SnapshotCost::default()
        };
        let barrier = self.parts.context.board.barrier();
        let prepared = self.parts.target.prepare_commit(epoch, barrier)?;
        if let Some(answers) = &mut self.parts.answers {
            answers.owe(epoch);
            if let Some(stage) = &self.parts.stage {
                let scope = if self.backend.has_chain() {
                    answers.next_scope(self.parts.logic.len())
                } else {
                    SnapshotScope::Full
                };
                let watch = Stopwatch::start();
                self.backend.begin_image();
                self.parts.logic.freeze(scope);
                let froze = watch.elapsed();
                let snapshot = Snapshot {
                    subtask: self.parts.context.subtask(stage),
                    epoch,
                    scope,
                    store: self.parts.context.store.clone(),
                    backend: self.backend.clone(),
                    metrics: Arc::clone(&self.parts.context.metrics),
                    clock: clock.clone(),
                };
                cost.pause = clock.now().saturating_sub(passed_at);
                self.copying.begin(snapshot, prepared, froze, cost);
            } else {
                cost.pause = clock.now().saturating_sub(passed_at);
                answers.submit(epoch, SnapshotScope::Full, None, prepared, cost);
            }
        }
        self.epoch = epoch.next();
        self.advance();
        self.parts.inbox.move_to(self.epoch);
        Ok(())
    }

    /// Copies a slice of the frozen image.
    fn copy(&mut self) {
        let Parts {
            context,
            logic,
            answers,
            again,
            ..
        } = &mut self.parts;
        if let Some(answers) = answers {
            // Behind the last slice a barrier may wait.
            let _ = self.copying.copy(logic, context, answers);
            again.activate();
        }
    }

    fn close(&mut self) {
        self.life = Life::Over;
        self.parts.target.close();
        if let Some(late) = &mut self.parts.late {
            Target::close(late);
        }
        if let Some(answers) = &mut self.parts.answers {
            answers.close();
        }
    }
}
