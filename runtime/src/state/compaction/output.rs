//! What a compaction writes: objects like those of any snapshot.

use crate::error::Result;
use crate::ids::{Epoch, SubtaskId};
use crate::protocol::{SnapshotKind, SnapshotRef};
use crate::state::frames::{HEADER_LEN, Preamble};
use crate::state::store::StateStore;

use super::inputs::Inputs;
use super::types::TableTypes;
use super::{Compacted, CompactionOrder};

pub(super) struct Output {
    subtask: SubtaskId,
    number: u32,
    due: Epoch,
    kind: SnapshotKind,
    /// Bytes beyond which the rest goes to an object of its own.
    part_bytes: usize,
    /// The part that is being written.
    pub(super) bytes: Vec<u8>,
    pub(super) entries: u64,
    refs: Vec<SnapshotRef>,
}

impl Output {
    pub(super) fn new(order: &CompactionOrder, subtask: SubtaskId) -> Self {
        Self {
            subtask,
            number: order.number,
            due: order.due,
            kind: order.kind,
            part_bytes: order.part_bytes,
            bytes: Vec::new(),
            entries: 0,
            refs: Vec::new(),
        }
    }

    /// Writes what stands before all entries. What was forgotten of older snapshots, one that stands
    /// alone need not say.
    pub(super) fn begin(&mut self, types: &TableTypes, inputs: &Inputs, order: &CompactionOrder) {
        let cleared = if order.stands_alone() {
            Vec::new()
        } else {
            let cleared = inputs.cleared().into_iter();
            cleared
                .map(|(table, cleared)| (table, cleared.span))
                .collect()
        };
        let preamble = Preamble {
            kind: types.kind,
            watermark: inputs.watermark,
            cleared,
        };
        preamble.encode(&mut self.bytes);
    }

    /// Makes what is there durable if it is long enough for an object.
    pub(super) fn store_if_long(&mut self, store: &StateStore) -> Result<()> {
        if self.bytes.len() >= self.part_bytes {
            self.store(store)?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self, store: &StateStore) -> Result<Compacted> {
        // Behind a part that was stored, a header alone says nothing.
        if self.refs.is_empty() || self.bytes.len() > HEADER_LEN {
            self.store(store)?;
        }
        Ok(Compacted {
            refs: self.refs,
            entries: self.entries,
        })
    }

    fn store(&mut self, store: &StateStore) -> Result<()> {
        let part = self.refs.len() as u32;
        let (of, kind) = ((self.number, part), self.kind);
        let reference = store.write_compacted(&self.subtask, self.due, of, kind, &self.bytes)?;
        self.refs.push(reference);
        // Each object is read by itself: the next one begins with the same header.
        self.bytes.truncate(HEADER_LEN);
        Ok(())
    }
}
