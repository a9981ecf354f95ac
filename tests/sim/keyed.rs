//! A keyed subtask: a real `Fold`, frozen at barriers and copied in slices, with the sink behind it or apart.

use std::rc::Rc;

use flowdsl::State;
use flowdsl_runtime::Result;
use flowdsl_runtime::connector::PendingCommit;
use flowdsl_runtime::ids::{Epoch, SubtaskId};
use flowdsl_runtime::job::internals::{
    Chain, ChainLimits, Recovered, SNAPSHOT_HEADER_LEN, restore_keyed,
};
use flowdsl_runtime::protocol::{SnapshotKind, SnapshotRef};
use flowdsl_runtime::record::{Keyed as Key, Rec, Untimed};
use flowdsl_runtime::state::{Fold, FrozenChunk, KeyedLogic, SnapshotScope, StateStore};
use serde::{Deserialize, Serialize};

use crate::answers::Answers;
use crate::inbox::{Inbox, Message};
use crate::output::Row;
use crate::scenario::Record;
use crate::sink::Writer;
use crate::subtask::{Effect, Outcome, Thread, View};

/// What is kept for each key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, State)]
pub(crate) struct Sum {
    /// Records of the key.
    pub(crate) count: u32,
    /// Their ids, mixed and added: tells sets of records apart, in whatever order they came.
    pub(crate) mixed: u64,
    pub(crate) last: u32,
    padding: String,
}

pub(crate) type Logic = Fold<u32, Untimed, u32, Sum, fn(&mut Sum, u32)>;

/// The fold of the simulated job.
pub(crate) fn logic(padding: usize) -> Logic {
    let init = Sum {
        padding: "x".repeat(padding),
        ..Sum::default()
    };
    Fold::new(init, add)
}

fn add(sum: &mut Sum, id: u32) {
    sum.count += 1;
    sum.mixed = sum.mixed.wrapping_add(mix(id));
    sum.last = id;
}

/// A number of 64 bits for an id.
pub(crate) fn mix(id: u32) -> u64 {
    crate::rng::Rng::new(u64::from(id)).next()
}

/// Adds records of keys, and gives the rows that come out.
pub(crate) fn process(logic: &mut Logic, records: Vec<Record>) -> Vec<Row> {
    let mut batch: Vec<_> = records
        .into_iter()
        .map(|Record { id, key }| Rec {
            key: Key(key),
            time: Untimed,
            value: id,
        })
        .collect();
    let mut out = Vec::new();
    logic.process(&mut batch, i64::MIN, &mut out, &mut Vec::new());
    let row = |rec: Rec<_, _, flowdsl_runtime::record::KeyValue<u32, Sum>>| Row {
        id: rec.value.value.last,
        key: rec.value.key,
        count: rec.value.value.count,
    };
    out.into_iter().map(row).collect()
}

/// What follows a keyed subtask.
pub(crate) enum Behind {
    /// A sink in the same operator.
    Fused(Writer),
    /// A sink operator at this position.
    Apart(usize),
}

pub(crate) struct Keyed {
    pub(crate) inbox: Inbox,
    pub(crate) answers: Answers,
    subtask: SubtaskId,
    store: StateStore,
    epoch: Epoch,
    /// Not there before it is restored.
    logic: Option<Box<Logic>>,
    behind: Behind,
    copying: Option<Image>,
    over: bool,
}

/// A frozen image that is being copied.
struct Image {
    epoch: Epoch,
    scope: SnapshotScope,
    chunks: Vec<FrozenChunk>,
    prepared: Option<PendingCommit>,
}

impl Keyed {
    pub(crate) fn new(
        subtask: SubtaskId,
        answers: Answers,
        inbox: Inbox,
        first: Epoch,
        store: StateStore,
        behind: Behind,
    ) -> Self {
        Self {
            inbox,
            answers,
            subtask,
            store,
            epoch: first,
            logic: None,
            behind,
            copying: None,
            over: false,
        }
    }

    /// The work that gives the subtask its state, and the chain that it goes on with.
    pub(crate) fn restore(
        &mut self,
        recovered: &Rc<Recovered>,
        worker_count: usize,
        padding: usize,
        limits: ChainLimits,
    ) -> Effect {
        let restored = &recovered.restored;
        let former = restored.keyed.get(&self.subtask.stage);
        if let Some(types) = logic(padding).table_types() {
            self.answers.compact_as(types, self.store.clone());
        }
        self.answers.restore_chain(Chain::new(limits));
        if restored.worker_count == worker_count
            && let Some((_, refs)) = former
                .into_iter()
                .flatten()
                .find(|(worker, _)| *worker == self.subtask.worker)
        {
            self.answers
                .restore_chain(Chain::restored(refs.clone(), limits));
        }
        let (recovered, subtask, store) = (
            Rc::clone(recovered),
            self.subtask.clone(),
            self.store.clone(),
        );
        Effect::Work(
            Thread::Snapshots,
            Box::new(move || {
                let mut logic = Box::new(logic(padding));
                let restored = &recovered.restored;
                let result = match restored.keyed.get(&subtask.stage) {
                    None => Ok(()),
                    Some(former) => restore_keyed(
                        &mut *logic,
                        recovered.key_groups,
                        (subtask.worker, worker_count),
                        (former, restored.worker_count),
                        &store,
                    ),
                };
                Outcome::Restored(result.map(|()| logic))
            }),
        )
    }

    pub(crate) fn take(&mut self, outcome: Outcome, view: &mut View<'_>) -> Result<()> {
        if let Outcome::Restored(logic) = outcome {
            self.logic = Some(logic?);
            Ok(())
        } else {
            self.answers.take(outcome, view.now, view.out)
        }
    }

    pub(crate) fn step(&mut self, view: &mut View<'_>) {
        if self.over || self.logic.is_none() {
            return;
        }
        self.inbox.receive(view.now, self.epoch);
        self.answers.poll(view.now, view.board, view.out);
        for _ in 0..view.rng.between(1, 6) {
            if let Some(message) = self.inbox.pop() {
                self.process(message, view);
            } else if self.inbox.has_passed(self.epoch) {
                self.barrier(view);
            } else {
                break;
            }
        }
        self.copy_next(view.rng.between(1, 4) as usize, view);
        if self.inbox.is_closed() {
            self.over = true;
            if let Behind::Apart(to) = self.behind {
                send(to, Message::Closed, view);
            }
            view.out.push(Effect::AnsweredBefore(None));
        } else if !self.inbox.is_drained()
            || self.inbox.has_passed(self.epoch)
            || self.copying.is_some()
        {
            let soon = view.now + view.rng.millis(0, 3);
            view.out.push(Effect::Again(soon));
        }
        if let Some(at) = self.inbox.next_at() {
            view.out.push(Effect::Again(at));
        }
    }

    fn process(&mut self, message: Message, view: &mut View<'_>) {
        let (Message::Records(_, records), Some(logic)) = (message, &mut self.logic) else {
            return;
        };
        let mut rows = process(logic, records);
        match &mut self.behind {
            Behind::Fused(writer) => writer.rows.append(&mut rows),
            Behind::Apart(to) => {
                let to = *to;
                send(to, Message::Rows(self.epoch, rows), view);
            }
        }
    }

    fn barrier(&mut self, view: &mut View<'_>) {
        self.copy_next(usize::MAX, view);
        let epoch = self.epoch;
        let prepared = match &mut self.behind {
            Behind::Fused(writer) => Some(writer.prepare_commit(epoch)),
            Behind::Apart(_) => None,
        };
        self.answers.owe(epoch);
        let entries = self.logic.as_ref().map_or(0, |logic| logic.len());
        let scope = self.answers.next_scope(entries);
        if let Some(logic) = &mut self.logic {
            logic.freeze(scope);
        }
        self.copying = Some(Image {
            epoch,
            scope,
            chunks: Vec::new(),
            prepared,
        });
        self.epoch = epoch.next();
        if let Behind::Apart(to) = self.behind {
            send(to, Message::Moved(self.epoch), view);
        }
        self.inbox.move_to(self.epoch);
    }

    /// Copies a slice of the frozen image, or all that is left of it.
    fn copy_next(&mut self, slices: usize, view: &mut View<'_>) {
        for _ in 0..slices {
            let (Some(image), Some(logic)) = (&mut self.copying, &mut self.logic) else {
                return;
            };
            if let Some(chunk) = logic.copy_frozen(1) {
                image.chunks.push(chunk);
            } else if let Some(image) = self.copying.take() {
                view.out.push(self.submit(image));
            }
        }
    }

    fn submit(&self, image: Image) -> Effect {
        let Image {
            epoch,
            scope,
            chunks,
            prepared,
        } = image;
        let (store, subtask) = (self.store.clone(), self.subtask.clone());
        let own = move || write(&store, &subtask, epoch, scope, chunks);
        Answers::submit(epoch, scope, Some(Box::new(own)), prepared)
    }
}

fn send(to: usize, message: Message, view: &mut View<'_>) {
    view.out.push(Effect::Send {
        to,
        channel: 0,
        message,
    });
}

/// Bytes beyond which an image goes on in another object.
pub(crate) const OBJECT: usize = 5_000;

fn write(
    store: &StateStore,
    subtask: &SubtaskId,
    epoch: Epoch,
    scope: SnapshotScope,
    chunks: Vec<FrozenChunk>,
) -> Result<Vec<SnapshotRef>> {
    let kind = match scope {
        SnapshotScope::Full => SnapshotKind::KeyedFull,
        SnapshotScope::Increment => SnapshotKind::KeyedIncrement,
    };
    let (mut refs, mut bytes) = (Vec::new(), Vec::new());
    for chunk in chunks {
        chunk.encode(&mut bytes)?;
        if bytes.len() >= OBJECT {
            refs.push(store.write(subtask, epoch, refs.len() as u32, kind, &bytes)?);
            bytes.truncate(SNAPSHOT_HEADER_LEN);
        }
    }
    if bytes.len() > SNAPSHOT_HEADER_LEN || (refs.is_empty() && !bytes.is_empty()) {
        refs.push(store.write(subtask, epoch, refs.len() as u32, kind, &bytes)?);
    }
    Ok(refs)
}
