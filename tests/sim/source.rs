//! A source subtask: reads its splits, and closes epochs when it is told to.

use std::sync::Arc;
use std::time::Duration;

use flowdsl_runtime::connector::{Offset, SourceSnapshot, SplitProgress};
use flowdsl_runtime::ids::{Epoch, KeyGroupCount, SubtaskId};
use flowdsl_runtime::key::hash_of;
use flowdsl_runtime::protocol::{Location, Report, SnapshotKind, SnapshotRef};
use flowdsl_runtime::state::SnapshotScope;

use crate::answers::Answers;
use crate::inbox::Message;
use crate::scenario::{Record, Scenario};
use crate::subtask::{Effect, View};

pub(crate) struct Source {
    pub(crate) answers: Answers,
    subtask: SubtaskId,
    epoch: Epoch,
    splits: Vec<Reading>,
    input: Arc<Vec<Vec<Record>>>,
    /// The keyed operators, by worker.
    targets: Vec<usize>,
    key_groups: KeyGroupCount,
    piece: u64,
    pause: u64,
    read_next: Duration,
    reported: bool,
    over: bool,
}

struct Reading {
    progress: SplitProgress,
    /// The position in the input, and the next record in it.
    split: usize,
    next: usize,
}

impl Source {
    pub(crate) fn new(
        subtask: SubtaskId,
        answers: Answers,
        first: Epoch,
        splits: Vec<SplitProgress>,
        targets: Vec<usize>,
        key_groups: KeyGroupCount,
        scenario: &Scenario,
    ) -> Self {
        let reading = |progress: SplitProgress| Reading {
            split: split_number(&progress),
            next: offset_of(&progress),
            progress,
        };
        Self {
            answers,
            subtask,
            epoch: first,
            splits: splits.into_iter().map(reading).collect(),
            input: Arc::clone(&scenario.input),
            targets,
            key_groups,
            piece: scenario.piece,
            pause: scenario.pause,
            read_next: Duration::ZERO,
            reported: false,
            over: false,
        }
    }

    pub(crate) fn step(&mut self, view: &mut View<'_>) {
        if self.over {
            return;
        }
        self.answers.poll(view.now, view.board, view.out);
        while view.board.is_closing(self.epoch) {
            self.barrier(view);
        }
        if view.board.is_finished() {
            self.over = true;
            self.tell_all(view, || Message::Closed);
            view.out.push(Effect::AnsweredBefore(None));
        } else if !view.board.is_resting() {
            self.read(view);
        }
    }

    fn read(&mut self, view: &mut View<'_>) {
        let open: Vec<usize> = (0..self.splits.len())
            .filter(|&at| !self.splits[at].progress.finished)
            .collect();
        if open.is_empty() {
            if !self.reported {
                self.reported = true;
                let report = Report::SourceFinished(self.subtask.clone());
                view.out.push(Effect::Report(report));
            }
            return;
        }
        if view.now >= self.read_next {
            self.read_from(view.rng.pick(&open), view);
            self.read_next = view.now + view.rng.millis(1, self.pause);
        }
        view.out.push(Effect::Again(self.read_next));
    }

    fn read_from(&mut self, at: usize, view: &mut View<'_>) {
        let n = view.rng.between(1, self.piece) as usize;
        let reading = &mut self.splits[at];
        let records = &self.input[reading.split][reading.next..];
        let records = &records[..n.min(records.len())];
        reading.next += records.len();
        reading.progress.offset = Some(Offset::encode(&(reading.next as u32)));
        reading.progress.finished = reading.next == self.input[reading.split].len();
        let mut batches = vec![Vec::new(); self.targets.len()];
        for record in records {
            let group = self.key_groups.group_of(hash_of(&record.key));
            let owner = self.key_groups.worker_of(group, self.targets.len());
            batches[owner.index()].push(*record);
        }
        for (target, batch) in self.targets.iter().zip(batches) {
            if !batch.is_empty() {
                view.out.push(Effect::Send {
                    to: *target,
                    channel: self.subtask.worker.index(),
                    message: Message::Records(self.epoch, batch),
                });
            }
        }
    }

    fn barrier(&mut self, view: &mut View<'_>) {
        let epoch = self.epoch;
        let snapshot = SourceSnapshot {
            splits: self.splits.iter().map(|s| s.progress.clone()).collect(),
        };
        let own = move || {
            let location = Location::Inline(snapshot.encode());
            let kind = SnapshotKind::Operator;
            Ok(vec![SnapshotRef { kind, location }])
        };
        self.answers.owe(epoch);
        let work = Answers::submit(epoch, SnapshotScope::Full, Some(Box::new(own)), None);
        view.out.push(work);
        self.epoch = epoch.next();
        let next = self.epoch;
        self.tell_all(view, || Message::Moved(next));
    }

    fn tell_all(&self, view: &mut View<'_>, message: impl Fn() -> Message) {
        for target in &self.targets {
            view.out.push(Effect::Send {
                to: *target,
                channel: self.subtask.worker.index(),
                message: message(),
            });
        }
    }
}

/// The position of a split in the input.
pub(crate) fn split_number(progress: &SplitProgress) -> usize {
    let number: u32 = progress.split.decode_spec().expect("a spec of ours");
    number as usize
}

/// The number of records of a split that were read.
pub(crate) fn offset_of(progress: &SplitProgress) -> usize {
    progress.offset.as_ref().map_or(0, |offset| {
        offset.decode::<u32>().expect("an offset of ours") as usize
    })
}
