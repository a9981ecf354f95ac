//! The objects that a compaction reads, and the order in which it takes their frames.
//!
//! Each object is looked through once, so that it is known where its hashes are. As long as they all
//! fit into a budget they stay in memory; the others are read again when the merge comes to them, and
//! let go behind their last frame. Full snapshots lie nearly in the order of their hashes, so that of
//! each of them an object or two are in memory.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::protocol::SnapshotRef;
use crate::state::frames::Namespace;
use crate::state::frames::index::{FrameAt, Index};
use crate::state::span::HashSpan;
use crate::state::store::StateStore;

use super::merge::Merge;
use super::types::TableTypes;

/// Bytes of objects that stay in memory from the first look on.
const HELD: usize = 128 << 20;

/// The objects of a compaction, oldest first.
pub(super) struct Inputs {
    objects: Vec<Object>,
    /// The greatest watermark of them all.
    pub(super) watermark: i64,
    held: usize,
    most_held: usize,
}

struct Object {
    reference: SnapshotRef,
    frames: Vec<FrameAt>,
    /// Frames that are still to be taken.
    left: usize,
    /// While they are in memory.
    bytes: Option<Vec<u8>>,
}

/// The frames of all objects that are of one table, in the order of the hashes.
pub(super) struct Meeting {
    frames: Vec<Place>,
    next: usize,
    cleared: Vec<Cleared>,
}

/// A frame: which one of which object.
struct Place {
    object: usize,
    frame: usize,
    first: u64,
}

/// What was forgotten, at some point of the chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cleared {
    pub(super) sequence: u64,
    pub(super) span: HashSpan,
}

/// A number that grows along the chain.
const fn sequence(object: usize, frame: usize) -> u64 {
    (object as u64) << 32 | frame as u64
}

impl Inputs {
    pub(super) fn new(refs: Vec<SnapshotRef>) -> Self {
        let object = |reference| Object {
            reference,
            frames: Vec::new(),
            left: 0,
            bytes: None,
        };
        Self {
            objects: refs.into_iter().map(object).collect(),
            watermark: i64::MIN,
            held: 0,
            most_held: HELD,
        }
    }

    /// As if no more memory than this were there.
    #[cfg(test)]
    pub(super) fn hold_at_most(&mut self, bytes: usize) {
        self.most_held = bytes;
    }

    /// Learns what is in an object.
    pub(super) fn look_through(
        &mut self,
        at: usize,
        types: &TableTypes,
        store: &StateStore,
    ) -> Result<()> {
        let object = &mut self.objects[at];
        let bytes = store.read(&object.reference)?;
        let index = Index::of(&bytes, types.kind)?;
        self.watermark = self.watermark.max(index.watermark);
        object.frames = index.frames;
        object.left = object.frames.iter().filter(|at| !at.is_clear()).count();
        if object.left > 0 && self.held + bytes.len() <= self.most_held {
            self.held += bytes.len();
            object.bytes = Some(bytes);
        }
        Ok(())
    }

    /// The tables of which there are frames, when all objects were looked through. Those that are
    /// forgotten later as a whole are left out.
    pub(super) fn tables(&mut self) -> Vec<(Namespace, Meeting)> {
        let mut tables: BTreeMap<Namespace, Meeting> = BTreeMap::new();
        for (namespace, cleared) in self.cleared() {
            let table = tables.entry(namespace).or_insert_with(Meeting::new);
            table.cleared.push(cleared);
        }
        for (number, object) in self.objects.iter_mut().enumerate() {
            for (frame, at) in object.frames.iter().enumerate() {
                if at.is_clear() {
                    continue;
                }
                let table = tables.entry(at.namespace).or_insert_with(Meeting::new);
                let sequence = sequence(number, frame);
                let is_gone = |later: &Cleared| {
                    later.sequence > sequence
                        && later.span.contains(at.span.first)
                        && later.span.contains(at.span.last)
                };
                if table.cleared.iter().any(is_gone) {
                    object.left -= 1;
                } else {
                    table.frames.push(Place {
                        object: number,
                        frame,
                        first: at.span.first,
                    });
                }
            }
        }
        for object in &mut self.objects {
            object.let_go_if_done(&mut self.held);
        }
        for table in tables.values_mut() {
            table.frames.sort_by_key(|place| place.first);
        }
        tables.into_iter().collect()
    }

    /// What was forgotten of which table, in the order of the chain.
    pub(super) fn cleared(&self) -> Vec<(Namespace, Cleared)> {
        let of = |(number, object): (usize, &Object)| {
            let frames = object.frames.iter().enumerate();
            let cleared = frames.filter(|(_, at)| at.is_clear()).map(|(frame, at)| {
                let sequence = sequence(number, frame);
                let span = at.span;
                (at.namespace, Cleared { sequence, span })
            });
            cleared.collect::<Vec<_>>()
        };
        self.objects.iter().enumerate().flat_map(of).collect()
    }

    /// Gives the next frame of a table to its merge.
    pub(super) fn take_next(
        &mut self,
        meeting: &mut Meeting,
        merge: &mut dyn Merge,
        store: &StateStore,
    ) -> Result<()> {
        let Some(place) = meeting.frames.get(meeting.next) else {
            return Ok(());
        };
        let object = &mut self.objects[place.object];
        if object.bytes.is_none() {
            let bytes = store.read(&object.reference)?;
            self.held += bytes.len();
            object.bytes = Some(bytes);
        }
        if let Some(bytes) = &object.bytes {
            let stored = object.frames[place.frame].of(bytes);
            let sequence = sequence(place.object, place.frame);
            merge.take(sequence, stored, &meeting.cleared)?;
        }
        object.left -= 1;
        object.let_go_if_done(&mut self.held);
        meeting.next += 1;
        Ok(())
    }
}

impl Object {
    fn let_go_if_done(&mut self, held: &mut usize) {
        if self.left == 0
            && let Some(bytes) = self.bytes.take()
        {
            *held -= bytes.len();
        }
    }
}

impl Meeting {
    const fn new() -> Self {
        Self {
            frames: Vec::new(),
            next: 0,
            cleared: Vec::new(),
        }
    }

    /// The least hash that may still come.
    pub(super) fn next_hash(&self) -> Option<u64> {
        self.frames.get(self.next).map(|place| place.first)
    }

    pub(super) fn is_over(&self) -> bool {
        self.next >= self.frames.len()
    }
}
