//! The sink's writer, and the sink as an operator of its own.

use std::mem;

use flowdsl_runtime::connector::{PendingCommit, Prepared};
use flowdsl_runtime::ids::{Epoch, Generation, WorkerIndex};
use flowdsl_runtime::state::SnapshotScope;

use crate::answers::Answers;
use crate::inbox::{Inbox, Message};
use crate::output::{Part, Row};
use crate::request::Act;
use crate::storage::done;
use crate::subtask::{Effect, View};

/// What a worker writes to the output.
pub(crate) struct Writer {
    pub(crate) generation: Generation,
    pub(crate) worker: WorkerIndex,
    pub(crate) rows: Vec<Row>,
}

impl Writer {
    pub(crate) fn prepare_commit(&mut self, epoch: Epoch) -> PendingCommit {
        let rows = mem::take(&mut self.rows);
        let part = Part {
            epoch: epoch.0,
            generation: self.generation.0,
            worker: self.worker.0,
        };
        Box::new(move || {
            if rows.is_empty() {
                return Ok(Prepared::default());
            }
            done(Act::Stage { part, rows })?;
            Ok(Prepared {
                committables: vec![part.encode()],
                unfinished: None,
            })
        })
    }
}

pub(crate) struct SinkOperator {
    pub(crate) inbox: Inbox,
    pub(crate) answers: Answers,
    writer: Writer,
    epoch: Epoch,
    over: bool,
}

impl SinkOperator {
    pub(crate) fn new(inbox: Inbox, answers: Answers, writer: Writer, first: Epoch) -> Self {
        Self {
            inbox,
            answers,
            writer,
            epoch: first,
            over: false,
        }
    }

    pub(crate) fn step(&mut self, view: &mut View<'_>) {
        if self.over {
            return;
        }
        self.inbox.receive(view.now, self.epoch);
        self.answers.poll(view.now, view.board, view.out);
        loop {
            if let Some(message) = self.inbox.pop() {
                if let Message::Rows(_, mut rows) = message {
                    self.writer.rows.append(&mut rows);
                }
            } else if self.inbox.has_passed(self.epoch) {
                self.barrier(view);
            } else {
                break;
            }
        }
        if self.inbox.is_closed() {
            self.over = true;
            view.out.push(Effect::AnsweredBefore(None));
        }
        if let Some(at) = self.inbox.next_at() {
            view.out.push(Effect::Again(at));
        }
    }

    fn barrier(&mut self, view: &mut View<'_>) {
        let epoch = self.epoch;
        self.answers.owe(epoch);
        let prepared = Some(self.writer.prepare_commit(epoch));
        view.out
            .push(Answers::submit(epoch, SnapshotScope::Full, None, prepared));
        self.epoch = epoch.next();
        self.inbox.move_to(self.epoch);
    }
}
