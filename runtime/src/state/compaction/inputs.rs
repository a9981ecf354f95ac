//! The objects that a compaction reads, and the order in which it takes their frames.
//!
//! Each object is looked through once, so that it is known where its hashes are, and what the bytes of
//! each frame must be. As long as there is room for them the objects stay in memory; the others are read
//! again in parts, each from where the merge is on. A merge goes through all objects whose hashes overlap
//! side by side, and through what an object removes beside what it sets, which stand one behind the other
//! in it: so that the room is divided among as many of these rows of frames as there are at any one hash.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::protocol::{Location, SnapshotRef};
use crate::state::frames::Namespace;
use crate::state::frames::index::{FrameAt, Index};
use crate::state::span::HashSpan;
use crate::state::store::StateStore;

use super::merge::Merge;
use super::types::TableTypes;

/// The objects of a compaction, oldest first.
pub(super) struct Inputs {
    objects: Vec<Object>,
    /// The greatest watermark of them all.
    pub(super) watermark: i64,
    /// Bytes of them in memory.
    held: usize,
    /// The most rows of frames that are gone through side by side, of any table.
    abreast: usize,
    /// Counts the looks at objects.
    looks: u64,
}

struct Object {
    reference: SnapshotRef,
    frames: Vec<FrameAt>,
    /// Frames that are still to be taken.
    left: usize,
    /// Its bytes.
    len: usize,
    /// Those of them that are in memory: all, or some of each row.
    held: Vec<Held>,
}

/// The frames of an object that set keys, and those that remove them, each in the order of the hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    Set,
    Removed,
}

impl Row {
    const COUNT: usize = 2;

    const fn of(frame: &FrameAt) -> Self {
        if frame.is_removed() {
            Self::Removed
        } else {
            Self::Set
        }
    }
}

/// Neighbouring bytes of an object.
struct Held {
    row: Row,
    start: usize,
    bytes: Vec<u8>,
    /// The last look at them.
    used: u64,
}

impl Held {
    fn get(&self, range: &Range<usize>) -> Option<&[u8]> {
        let start = range.start.checked_sub(self.start)?;
        self.bytes.get(start..start + range.len())
    }
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
    row: Row,
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
            len: 0,
            held: Vec::new(),
        };
        Self {
            objects: refs.into_iter().map(object).collect(),
            watermark: i64::MIN,
            held: 0,
            abreast: 1,
            looks: 0,
        }
    }

    /// The bytes of objects that are in memory.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// Lets go of all of them: they are read again.
    pub(super) fn let_go(&mut self) {
        for object in &mut self.objects {
            object.held.clear();
        }
        self.held = 0;
    }

    /// Learns what is in an object, which stays in memory if there is room for it.
    pub(super) fn look_through(
        &mut self,
        at: usize,
        types: &TableTypes,
        store: &StateStore,
        room: usize,
    ) -> Result<()> {
        self.looks += 1;
        let object = &mut self.objects[at];
        let bytes = store.read(&object.reference)?;
        let index = Index::of(&bytes, types.kind)?;
        self.watermark = self.watermark.max(index.watermark);
        object.frames = index.frames;
        object.left = object.frames.iter().filter(|at| !at.is_clear()).count();
        object.len = bytes.len();
        if object.left > 0 && self.held + bytes.len() <= room {
            self.held += bytes.len();
            object.held.push(Held {
                row: Row::Set,
                start: 0,
                bytes,
                used: self.looks,
            });
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
                        row: Row::of(at),
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
            let abreast = most_abreast(&table.frames, self.objects.len());
            self.abreast = self.abreast.max(abreast);
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

    /// Gives the next frame of a table to its merge; in memory there are no more bytes of objects than
    /// there is room for, or those of the frame if they are more.
    pub(super) fn take_next(
        &mut self,
        meeting: &mut Meeting,
        merge: &mut dyn Merge,
        store: &StateStore,
        room: usize,
    ) -> Result<()> {
        let Some(place) = meeting.frames.get(meeting.next) else {
            return Ok(());
        };
        let here = |e: Error, object: &Object| match &object.reference.location {
            Location::Inline(_) => e,
            Location::Object { name, .. } => e.context(format!("the state object `{name}`")),
        };
        self.looks += 1;
        self.hold(place, store, room)
            .map_err(|e| here(e, &self.objects[place.object]))?;
        let object = &mut self.objects[place.object];
        let frame = &object.frames[place.frame];
        if let Some(payload) = object.held.iter().find_map(|held| held.get(&frame.payload)) {
            let sequence = sequence(place.object, place.frame);
            let taken = frame.of(payload);
            taken
                .and_then(|stored| merge.take(sequence, stored, &meeting.cleared))
                .map_err(|e| here(e, object))?;
        }
        object.left -= 1;
        object.let_go_if_done(&mut self.held);
        meeting.next += 1;
        Ok(())
    }

    /// Reads a frame, and some of those behind it, unless it is in memory.
    fn hold(&mut self, place: &Place, store: &StateStore, room: usize) -> Result<()> {
        let looks = self.looks;
        let object = &mut self.objects[place.object];
        let payload = object.frames[place.frame].payload.clone();
        let mut held = object.held.iter_mut();
        if let Some(held) = held.find(|held| held.get(&payload).is_some()) {
            held.used = looks;
            return Ok(());
        }
        let end = payload.start.saturating_add(room / self.abreast);
        let range = payload.start..end.min(object.len).max(payload.end);
        object.let_go(&mut self.held, |held| held.row == place.row);
        self.make_room(room.saturating_sub(range.len()));
        let object = &mut self.objects[place.object];
        let bytes = store.read_part(&object.reference, range)?;
        self.held += bytes.len();
        object.held.push(Held {
            row: place.row,
            start: payload.start,
            bytes,
            used: looks,
        });
        Ok(())
    }

    /// Lets go of what was not looked at for the longest time, until there are no more bytes than `most`.
    fn make_room(&mut self, most: usize) {
        while self.held > most {
            let held = self.objects.iter().flat_map(|object| &object.held);
            let Some(oldest) = held.map(|held| held.used).min() else {
                return;
            };
            for object in &mut self.objects {
                object.let_go(&mut self.held, |held| held.used == oldest);
            }
        }
    }
}

/// The most rows of which a frame was taken and another one is still to come.
fn most_abreast(frames: &[Place], object_count: usize) -> usize {
    let row = |place: &Place| place.object * Row::COUNT + place.row as usize;
    let mut left = vec![0; object_count * Row::COUNT];
    for place in frames {
        left[row(place)] += 1;
    }
    let mut begun = vec![false; left.len()];
    let (mut abreast, mut most) = (0, 0);
    for place in frames {
        let row = row(place);
        if !begun[row] {
            begun[row] = true;
            abreast += 1;
            most = most.max(abreast);
        }
        left[row] -= 1;
        if left[row] == 0 {
            abreast -= 1;
        }
    }
    most
}

impl Object {
    fn let_go(&mut self, held: &mut usize, is_it: impl Fn(&Held) -> bool) {
        for gone in self.held.extract_if(.., |held| is_it(held)) {
            *held -= gone.bytes.len();
        }
    }

    fn let_go_if_done(&mut self, held: &mut usize) {
        if self.left == 0 {
            self.let_go(held, |_| true);
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
