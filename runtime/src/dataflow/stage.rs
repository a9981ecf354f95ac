//! The operator behind an edge: aligns its input on epochs, drives a stage's logic and what is
//! fused behind it, and takes part in barriers.

use std::rc::Rc;

use timely::progress::frontier::MutableAntichain;
use timely::scheduling::Activator;

use super::answers::Answers;
use super::fuse::{Label, Stages};
use super::graph::WorkerContext;
use super::image::{Image, Snapshot};
use super::inbox::{Inbox, has_passed, watermark_of};
use super::moment::Moment;
use super::pace::Pace;
use super::target::{EdgeTarget, Target};
use crate::error::Result;
use crate::ids::{Epoch, StageId, WorkerIndex};
use crate::protocol::{SnapshotKind, SnapshotRef};
use crate::state::{Chain, Former, KeyedLogic, Progress, Restoring, SnapshotScope, StageBackend};

/// Records a stage takes up at a time.
const PIECE: usize = 4_096;
/// Results that fire at a time.
const FIRE: usize = 1_024;
/// Entries of a frozen image that are copied at a time.
const COPY: usize = 4_096;

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
    /// A frozen image that is being copied.
    copying: Option<Image>,
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
            copying: None,
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
        self.parts.inbox.receive(self.epoch);
        if let Some(answers) = &mut self.parts.answers {
            answers.poll()?;
        }
        self.pace.begin();
        loop {
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
            if !self.backend.is_settled() {
                break;
            }
            self.barrier()?;
        }
        self.copy_next();
        self.flush();
        if frontier.is_empty() && self.parts.inbox.is_drained() {
            self.close();
        }
        Ok(())
    }

    fn open(&mut self) -> Result<()> {
        self.life = Life::Running;
        let Parts {
            context,
            stage,
            logic,
            target,
            answers,
            ..
        } = &mut self.parts;
        target.open()?;
        let Some(stage) = stage else { return Ok(()) };
        let snapshots = context
            .restored
            .keyed
            .get(stage)
            .map_or(&[][..], Vec::as_slice);
        let range = context
            .key_groups
            .range_of(context.worker, context.worker_count);
        let former = |snapshot| {
            let (worker, refs): &(WorkerIndex, Vec<SnapshotRef>) = snapshot;
            Former {
                range: context
                    .key_groups
                    .range_of(*worker, context.restored.worker_count),
                refs,
            }
        };
        let restoring = Restoring {
            subtask: &context.subtask(stage),
            groups: context.key_groups,
            range,
            former: snapshots.iter().map(former).collect(),
            store: &context.store,
        };
        self.backend = context.backend.open(logic, &restoring)?;
        // With the same workers every subtask keeps its own key groups, and so its chain.
        if context.restored.worker_count == context.worker_count
            && let Some((_, refs)) = snapshots
                .iter()
                .find(|(worker, _)| *worker == context.worker)
            && let Some(answers) = answers
            && self.backend.has_chain()
            && is_chain(refs)
        {
            answers.restore_chain(Chain::restored(refs.clone()));
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
            self.backend.check()?;
            self.emit()?;
            self.pace.did(n);
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
        loop {
            if watermark == self.watermark {
                return Ok(true);
            }
            let Parts {
                logic,
                target,
                again,
                label,
                ..
            } = &mut self.parts;
            if !target.is_open() || !self.backend.is_settled() {
                return Ok(false);
            }
            let Some(piece) = self.pace.next_piece() else {
                again.activate();
                return Ok(false);
            };
            let progress = label
                .guard(|| logic.fire(watermark, &mut self.out, target.batch_size(piece.min(FIRE))));
            self.pace.did(self.out.len());
            self.backend.check()?;
            if progress == Progress::Done {
                self.emit()?;
                self.watermark = watermark;
                return Ok(true);
            }
            self.emit()?;
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
        let epoch = self.epoch;
        self.finish_copying();
        let barrier = self.parts.context.board.barrier();
        let prepared = self.parts.target.prepare_commit(epoch, barrier)?;
        if let Some(answers) = &mut self.parts.answers {
            answers.owe(epoch);
            if let Some(stage) = &self.parts.stage {
                let scope = if self.backend.has_chain() {
                    answers.next_scope()
                } else {
                    SnapshotScope::Full
                };
                self.backend.begin_image();
                self.parts.logic.freeze(scope);
                let snapshot = Snapshot {
                    subtask: self.parts.context.subtask(stage),
                    epoch,
                    scope,
                    store: self.parts.context.store.clone(),
                    backend: self.backend.clone(),
                };
                self.copying = Some(Image::new(snapshot, prepared));
            } else {
                answers.submit(epoch, SnapshotScope::Full, None, prepared);
            }
        }
        self.epoch = epoch.next();
        self.advance();
        self.parts.inbox.move_to(self.epoch);
        Ok(())
    }

    /// Hands over the next piece of the frozen image, unless enough of them wait.
    fn copy_next(&mut self) {
        if self.copying.as_ref().is_some_and(Image::takes_more) {
            self.copy();
        }
    }

    fn copy(&mut self) {
        let (Some(image), Some(answers)) = (&self.copying, &self.parts.answers) else {
            return;
        };
        match self.parts.logic.copy_frozen(COPY) {
            Some(chunk) => {
                image.push(chunk, &self.parts.context.offload, answers);
                self.parts.again.activate();
            }
            None => self
                .copying
                .take()
                .into_iter()
                .for_each(|image| image.submit(answers)),
        }
    }

    /// A barrier comes while the image before is still being copied (its checkpoint was given up,
    /// or is very slow): the rest of it is copied at once.
    fn finish_copying(&mut self) {
        while self.copying.is_some() {
            self.copy();
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

/// Whether all of a snapshot stands in frames, so that increments may follow it.
fn is_chain(refs: &[SnapshotRef]) -> bool {
    refs.iter().all(|reference| match reference.kind {
        SnapshotKind::Operator | SnapshotKind::KeyedFull | SnapshotKind::KeyedIncrement => true,
        SnapshotKind::RocksCatalogue | SnapshotKind::RocksFile => false,
    })
}
