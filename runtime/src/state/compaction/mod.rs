//! Compaction: several snapshots of a chain become one that says the same.
//!
//! Runs beside the stage, on a thread of its own, from what is durable alone: the stage gives only the
//! types of its tables. Of each key the newest word counts; the objects are read in the order of the
//! hashes, so that no more is in memory than where the snapshots meet. Which snapshots are merged,
//! and from which epoch on the result stands for them, is decided in [`chain`](super::chain).

mod inputs;
mod merge;
mod output;
mod types;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};
use crate::ids::{Epoch, SubtaskId};
use crate::protocol::{SnapshotKind, SnapshotRef};

use self::inputs::{Inputs, Meeting};
use self::merge::{Merge, Merging};
use self::output::Output;
pub(crate) use self::types::TableType;
pub use self::types::TableTypes;
use super::frames::Namespace;
use super::logic::Progress;
use super::store::StateStore;

/// Frames that a step takes in at most.
const STEP: usize = 16;

/// What is to be merged, and what comes of it.
#[derive(Clone, Debug)]
pub struct CompactionOrder {
    /// The number of the order in its chain.
    pub(crate) number: u32,
    /// The objects, oldest first: neighbours in the chain.
    pub(crate) refs: Vec<SnapshotRef>,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Whether the result stands alone or changes what is older.
    pub(crate) kind: SnapshotKind,
    /// The first epoch whose snapshot may hold the result.
    pub(crate) due: Epoch,
    /// Bytes beyond which the result goes on in another object.
    pub(crate) part_bytes: usize,
    pub(crate) stop: Stop,
}

impl CompactionOrder {
    /// Whether the result stands for all that is older.
    fn stands_alone(&self) -> bool {
        self.kind == SnapshotKind::KeyedFull
    }
}

/// Whether somebody still waits for a compaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Objects that say what those of an order say; durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compacted {
    pub(crate) refs: Vec<SnapshotRef>,
    /// The entries that they set.
    pub(crate) entries: u64,
}

/// A compaction under way.
pub struct Compaction {
    order: CompactionOrder,
    store: StateStore,
    types: TableTypes,
    inputs: Inputs,
    stage: Stage,
    output: Output,
}

/// How far a compaction has come.
enum Stage {
    /// The next object to be looked through.
    Looking(usize),
    /// The tables still to be merged, in reverse, and the one that is being merged.
    Merging(Vec<(Namespace, Meeting)>, Option<Present>),
}

struct Present {
    merge: Box<dyn Merge>,
    meeting: Meeting,
}

impl Compaction {
    /// The compaction of an order of this subtask's chain.
    pub fn new(
        order: CompactionOrder,
        types: TableTypes,
        store: StateStore,
        subtask: SubtaskId,
    ) -> Self {
        Self {
            inputs: Inputs::new(order.refs.clone()),
            output: Output::new(&order, subtask),
            stage: Stage::Looking(0),
            order,
            store,
            types,
        }
    }

    /// The bytes of snapshots that it keeps in memory.
    pub fn held(&self) -> usize {
        self.inputs.held()
    }

    /// Lets go of these bytes, to read them again when it goes on.
    pub fn rest(&mut self) {
        self.inputs.let_go();
    }

    /// Whether anything was done of it.
    pub fn has_begun(&self) -> bool {
        !matches!(self.stage, Stage::Looking(0))
    }

    /// The bytes that it reads: of several, the smallest goes first.
    pub fn bytes(&self) -> u64 {
        self.order.bytes
    }

    /// The number of the order that it carries out.
    pub fn number(&self) -> u32 {
        self.order.number
    }

    /// Whether nobody waits for it any more.
    pub fn is_stopped(&self) -> bool {
        self.order.stop.is_stopped()
    }

    /// Goes on a little, with room for so many bytes of snapshots in memory.
    ///
    /// Beside these there are the object that is being looked through, what is being written, and what
    /// several snapshots say of the same hashes.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Corrupt` where the storage or an object fails; nothing depends on it then.
    pub fn step(&mut self, room: usize) -> Result<Progress> {
        match &mut self.stage {
            Stage::Looking(at) if *at < self.order.refs.len() => {
                self.inputs
                    .look_through(*at, &self.types, &self.store, room)?;
                *at += 1;
            }
            Stage::Looking(_) => {
                let mut tables = self.inputs.tables();
                self.output.begin(&self.types, &self.inputs, &self.order);
                tables.reverse();
                self.stage = Stage::Merging(tables, None);
            }
            Stage::Merging(tables, None) if tables.is_empty() => return Ok(Progress::Done),
            Stage::Merging(..) => (0..STEP).try_for_each(|_| self.merge(room))?,
        }
        Ok(Progress::More)
    }

    /// Takes in a frame, ends a table, or begins the next.
    fn merge(&mut self, room: usize) -> Result<()> {
        let Stage::Merging(tables, present) = &mut self.stage else {
            return Ok(());
        };
        let bytes = &mut self.output.bytes;
        if let Some(Present { merge, meeting }) = present {
            if meeting.is_over() {
                merge.settle(None, bytes)?;
                self.output.entries += merge.entries();
                *present = None;
            } else {
                self.inputs
                    .take_next(meeting, &mut **merge, &self.store, room)?;
                if let Some(next) = meeting.next_hash() {
                    merge.settle(Some(next), bytes)?;
                }
            }
            return self.output.store_if_long(&self.store);
        }
        if let Some((namespace, meeting)) = tables.pop() {
            let merging = Merging {
                namespace,
                stands_alone: self.order.stands_alone(),
                part_bytes: self.order.part_bytes,
            };
            let merge = self.types.merge(merging).ok_or_else(|| {
                Error::incompatible("a snapshot holds a table that its stage does not have")
            })?;
            *present = Some(Present { merge, meeting });
        }
        Ok(())
    }

    /// Makes the rest durable. Called when [`step`](Self::step) has said that it is done.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the storage does not answer.
    pub fn finish(self) -> Result<Compacted> {
        self.output.finish(&self.store)
    }

    /// Does all of it at once.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step) and [`finish`](Self::finish).
    pub fn run(mut self, room: usize) -> Result<Compacted> {
        while self.step(room)? == Progress::More {}
        self.finish()
    }
}
