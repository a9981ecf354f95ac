//! The source operator: reads splits, drives the fused loop, and follows the epochs.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use timely::scheduling::Activator;

use super::alarm::Alarm;
use super::answers::{Answers, OwnSnapshot};
use super::fuse::{Label, Stages};
use super::graph::{Graph, WorkerContext, splits_of};
use super::moment::Moment;
use super::origin::Origin;
use super::pace::Pace;
use super::ports::{Capabilities, Ports};
use super::rate::Rate;
use super::splits::{Read, Splits};
use super::target::{Edge, EdgeTarget, Target, TargetSpec, ToEdge};
use crate::connector::{Source, SourceSnapshot};
use crate::error::{Error, Result};
use crate::ids::{Epoch, StageId};
use crate::protocol::{Backlog, Location, Report, SnapshotCost, SnapshotKind, SnapshotRef};
use crate::record::{Rec, RecordError, Unkeyed, Untimed};
use crate::state::SnapshotScope;

/// A record that could not be read, as `errors:` receives it.
type Malformed = Rec<Unkeyed, Untimed, RecordError>;

/// Records a source reads at a time.
const PIECE: usize = 1_024;

/// How long a source with nothing to read waits before it looks again.
const IDLE: Duration = Duration::from_millis(1);

/// A source that has not been built yet.
pub struct SourceOrigin<S> {
    source: Arc<S>,
    stage: StageId,
}

impl<S: Source> SourceOrigin<S> {
    /// The source `source`, which is the stage `stage`.
    pub fn new(graph: &Graph<'_>, stage: StageId, source: S) -> Self {
        let source = Arc::new(source);
        let finder = Arc::clone(&source);
        graph.add_source(stage.clone(), Arc::new(move || finder.discover()));
        Self { source, stage }
    }

    /// Builds the operator with a second output, for the records that cannot be read.
    pub fn build_with_errors<'s, St>(
        self,
        graph: &Graph<'s>,
        stages: St,
    ) -> (Edge<'s, St::Out>, Edge<'s, Malformed>)
    where
        St: Stages<In = S::Item>,
    {
        let mut ports = Ports::new(graph, self.stage.as_str());
        let (target, records) = ToEdge.attach(&mut ports);
        let (errors, malformed) = ToEdge.attach(&mut ports);
        self.install(ports, stages, target, Some(errors), None);
        (records, malformed)
    }

    fn install<St, T>(
        self,
        mut ports: Ports<'_>,
        stages: St,
        mut target: T,
        mut errors: Option<EdgeTarget<Malformed>>,
        sink: Option<(StageId, Arc<dyn crate::connector::Committer>)>,
    ) where
        St: Stages<In = S::Item>,
        T: Target<St::Out>,
    {
        let context = Rc::clone(ports.context());
        let mut answers = Answers::attach(&mut ports, Some(self.stage.clone()), sink);
        let (again, alarm) = (ports.activator(), Alarm::new(ports.activator()));
        context.board.wakes(ports.activator());
        ports.build(move |capabilities: &mut Capabilities| {
            target.start(capabilities);
            if let Some(errors) = &mut errors {
                errors.start(capabilities);
            }
            answers.start(capabilities);
            let mut operator = SourceOperator {
                splits: Splits::new(Arc::clone(&self.source), Vec::new(), None, 1),
                source: self.source,
                label: Label::new(self.stage.as_str()),
                stage: self.stage,
                epoch: context.first_epoch,
                watermark: i64::MIN,
                batch: Vec::new(),
                malformed: Vec::new(),
                pace: Pace::new(PIECE),
                rate: None,
                reported: false,
                backlog: Backlog::None,
                life: Life::New,
                fused: Some((stages, target)),
                errors,
                answers,
                again,
                alarm,
                context,
            };
            move |_: &[_]| operator.run()
        });
    }
}

impl<'s, S: Source> Origin<'s> for SourceOrigin<S> {
    type Item = S::Item;

    fn build<St, T>(self, graph: &Graph<'s>, stages: St, target: T) -> T::Result
    where
        St: Stages<In = S::Item>,
        T: TargetSpec<'s, St::Out>,
    {
        let mut ports = Ports::new(graph, self.stage.as_str());
        let sink = target.transactional(graph.context());
        let (target, result) = target.attach(&mut ports);
        self.install(ports, stages, target, None, sink);
        result
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    New,
    Running,
    Over,
}

struct SourceOperator<S: Source, St, T> {
    context: Rc<WorkerContext>,
    source: Arc<S>,
    stage: StageId,
    /// The stage in panics of the connector's own code.
    label: Label,
    splits: Splits<S>,
    /// The epoch that is being read.
    epoch: Epoch,
    watermark: i64,
    batch: Vec<S::Item>,
    malformed: Vec<RecordError>,
    pace: Pace,
    rate: Option<Rate>,
    reported: bool,
    /// What was last said of the backlog.
    backlog: Backlog,
    life: Life,
    /// The stages and the end of the fused loop; moved into locals while they run.
    fused: Option<(St, T)>,
    errors: Option<EdgeTarget<Malformed>>,
    answers: Answers,
    again: Activator,
    alarm: Alarm,
}

impl<S, St, T> SourceOperator<S, St, T>
where
    S: Source,
    St: Stages<In = S::Item>,
    T: Target<St::Out>,
{
    fn run(&mut self) {
        if self.life == Life::Over || self.context.fate.has_failed() {
            return;
        }
        if let Err(error) = self.try_run() {
            self.context.fate.fail(error.in_stage(&self.stage));
        }
    }

    fn try_run(&mut self) -> Result<()> {
        if self.life == Life::New {
            self.open()?;
        }
        self.answers.poll()?;
        while self.context.board.is_closing(self.epoch) {
            self.barrier()?;
        }
        if self.context.board.is_finished() {
            self.close();
            return Ok(());
        }
        if !self.context.board.is_resting() {
            self.read()?;
        }
        Ok(())
    }

    fn open(&mut self) -> Result<()> {
        self.life = Life::Running;
        let context = &self.context;
        let (stages, target) = self
            .fused
            .as_mut()
            .expect("the fused loop is at home between activations");
        target.open()?;
        target.advance(Moment::start_of(self.epoch));
        let lateness = stages.lateness();
        let all = context
            .restored
            .splits
            .get(&self.stage)
            .map_or(&[][..], Vec::as_slice);
        let mine = splits_of(all, context.worker.index(), context.worker_count)
            .cloned()
            .collect();
        self.splits = Splits::new(
            Arc::clone(&self.source),
            mine,
            lateness,
            context.limits.open_splits,
        );
        // Every subtask of every source that has something to read gets an equal share of the rate.
        let shares = context
            .restored
            .reading_subtasks(context.worker_count)
            .max(1);
        self.rate = context
            .limits
            .rate
            .map(|rate| Rate::new(rate / shares as f64, context.clock.now()));
        self.advance();
        Ok(())
    }

    /// Reads for one slice, or until there is nothing to read or nowhere to put it.
    fn read(&mut self) -> Result<()> {
        let (mut stages, mut target) = self
            .fused
            .take()
            .expect("the fused loop is at home between activations");
        self.pace.begin();
        self.splits.look_again();
        let mut wait = None;
        let outcome = loop {
            if !target.is_open() || self.errors.as_mut().is_some_and(|e| !e_is_open(e)) {
                break Ok(());
            }
            let Some(piece) = self.pace.next_piece() else {
                wait = Some(Duration::ZERO);
                break Ok(());
            };
            let mut limit = target.batch_size(piece);
            if let Some(rate) = &mut self.rate {
                match rate.allows(self.context.clock.now()) {
                    Ok(allowed) => limit = limit.min(allowed),
                    Err(pause) => {
                        wait = Some(pause);
                        break Ok(());
                    }
                }
            }
            match self.label.guard(|| {
                self.splits
                    .read(&mut self.batch, &mut self.malformed, limit)
            }) {
                Ok(Read::From(at)) => {
                    let records = self.batch.len();
                    if let Some(rate) = &mut self.rate {
                        rate.took(records + self.malformed.len());
                    }
                    if let Err(error) = target.drive(&mut stages, &mut self.batch) {
                        break Err(error);
                    }
                    self.splits
                        .saw_event_time(at, stages.take_greatest_event_time());
                    self.pace.did(records + self.malformed.len());
                    self.context.metrics.add_records_in(records as u64);
                }
                Ok(Read::Nothing) => {
                    wait = Some(IDLE);
                    break Ok(());
                }
                Ok(Read::Finished) => break Ok(()),
                Err(error) => break Err(error),
            }
            if !self.malformed.is_empty()
                && let Err(error) = self.pass_on_malformed()
            {
                break Err(error);
            }
        };
        target.flush();
        self.fused = Some((stages, target));
        outcome?;
        self.advance();
        match wait {
            Some(Duration::ZERO) => self.again.activate(),
            Some(pause) => self.alarm.set(pause),
            None => {}
        }
        Ok(())
    }

    fn pass_on_malformed(&mut self) -> Result<()> {
        let Some(errors) = &mut self.errors else {
            let first = &self.malformed[0];
            return Err(Error::invalid(format!(
                "{first}; the record is `{}`. Mend it, or name a stream for such records: `source(.., errors: malformed)`",
                first.raw
            )));
        };
        self.context
            .metrics
            .add_malformed(self.malformed.len() as u64);
        let mut records: Vec<_> = self
            .malformed
            .drain(..)
            .map(|value| Rec {
                key: Unkeyed,
                time: Untimed,
                value,
            })
            .collect();
        errors.push(&mut records);
        Ok(())
    }

    /// Moves the outputs to the present watermark, and says when all has been read.
    fn advance(&mut self) {
        self.watermark = self.watermark.max(self.splits.watermark());
        if self.context.worker.index() == 0 {
            self.context.metrics.set_watermark(self.watermark);
        }
        self.advance_outputs();
        let backlog = self.splits.backlog();
        if backlog != self.backlog {
            self.backlog = backlog;
            self.answers
                .report(Report::Backlog(self.context.subtask(&self.stage), backlog));
        }
        if !self.reported && self.splits.is_finished() {
            self.reported = true;
            self.answers
                .report(Report::SourceFinished(self.context.subtask(&self.stage)));
        }
    }

    fn advance_outputs(&mut self) {
        let moment = Moment::new(self.epoch, self.watermark);
        let (_, target) = self
            .fused
            .as_mut()
            .expect("the fused loop is at home between activations");
        target.advance(moment);
        if let Some(errors) = &mut self.errors {
            errors.advance(moment);
        }
    }

    /// The barrier of the present epoch: the snapshot, then every capability moves on.
    fn barrier(&mut self) -> Result<()> {
        let epoch = self.epoch;
        let passed_at = self.context.clock.now();
        let barrier = self.context.board.barrier();
        let (_, target) = self
            .fused
            .as_mut()
            .expect("the fused loop is at home between activations");
        target.flush();
        if self.context.board.drains() {
            // Time ends within the epoch: what fires by it is in the checkpoint that closes it.
            self.watermark = i64::MAX;
            self.advance_outputs();
        }
        let (_, target) = self
            .fused
            .as_mut()
            .expect("the fused loop is at home between activations");
        let prepared = target.prepare_commit(epoch, barrier)?;
        let snapshot = SourceSnapshot {
            splits: self.splits.progress(),
        };
        let own = move || {
            let location = Location::Inline(snapshot.encode());
            Ok(vec![SnapshotRef {
                kind: SnapshotKind::Operator,
                location,
            }])
        };
        let now = self.context.clock.now();
        let cost = SnapshotCost {
            passed_at,
            copied_at: now,
            pause: now.saturating_sub(passed_at),
            ..SnapshotCost::default()
        };
        self.answers.owe(epoch);
        let own = Some(OwnSnapshot::of(own));
        self.answers
            .submit(epoch, SnapshotScope::Full, own, prepared, cost);
        self.epoch = epoch.next();
        self.advance_outputs();
        Ok(())
    }

    fn close(&mut self) {
        self.life = Life::Over;
        if let Some((_, mut target)) = self.fused.take() {
            target.close();
        }
        if let Some(mut errors) = self.errors.take() {
            errors.close();
        }
        self.answers.close();
    }
}

fn e_is_open(errors: &mut EdgeTarget<Malformed>) -> bool {
    Target::is_open(errors)
}
