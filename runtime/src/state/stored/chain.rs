//! The stored snapshot of one keyed subtask: an index of its frames, and what they make of a part of a
//! table.
//!
//! Opening reads each object once, whole, and checks it; what is kept is where each frame stands. So a
//! state of any size is read with the memory of one object, of the index, and of one slice.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64;

use super::pages::Pages;
use super::routing::hash_of_stored;
use super::shape::{StageShape, Table};
use super::slices::Extent;
use crate::error::{Error, Result};
use crate::protocol::{Location, SnapshotKind, SnapshotRef, SubtaskSnapshot};
use crate::schema::{Datum, Schema, read_items, to_json};
use crate::state::frames::Namespace;
use crate::state::frames::untyped::{Act, RawChange, RawFrame, frame_at, scan};
use crate::state::span::HashSpan;
use crate::storage::snapshots::read_snapshot;
use crate::storage::{CheckpointStorage, frame};

/// The keyed snapshot of one subtask, oldest object first.
#[derive(Debug)]
pub(super) struct StoredChain<'a> {
    snapshot: &'a SubtaskSnapshot,
    /// The frames of each table, in the order in which they count.
    tables: BTreeMap<Namespace, Vec<StoredFrame>>,
    pub(super) watermark: Option<i64>,
}

/// Where a frame stands.
#[derive(Clone, Copy, Debug)]
struct StoredFrame {
    /// The position of its object in the snapshot.
    object: usize,
    /// From the beginning of the object's body.
    at: u64,
    len: usize,
    /// xxh3-64 of its bytes.
    checksum: u64,
    extent: Extent,
}

/// An entry that is alive: its key, with its part, and its value, as they are stored.
pub(crate) type Live = BTreeMap<(u64, String), (Datum, Datum)>;

impl<'a> StoredChain<'a> {
    /// Verifies the objects of a snapshot that hold frames, and finds these.
    ///
    /// # Errors
    ///
    /// `Corrupt`, naming the object and the byte, where they are not what was written; `Unavailable` if the
    /// storage does not answer.
    pub(super) fn open(
        storage: &dyn CheckpointStorage,
        snapshot: &'a SubtaskSnapshot,
        shape: &StageShape<'_>,
    ) -> Result<Self> {
        let mut chain = Self {
            snapshot,
            tables: BTreeMap::new(),
            watermark: None,
        };
        let refs = snapshot.refs.iter().enumerate();
        for (object, reference) in refs.filter(|(_, reference)| !is_of_rocksdb(reference)) {
            let body = read_keyed(storage, reference)?;
            scan(&body, |place, found| {
                match found {
                    RawFrame::Header { logic, .. } if logic != shape.logic() => {
                        return Err(Error::incompatible(format!(
                            "the plan says that {:?} are stored, and here are {logic:?}",
                            shape.logic()
                        )));
                    }
                    RawFrame::Header { watermark, .. } => {
                        chain.watermark = chain.watermark.max(Some(watermark));
                    }
                    RawFrame::Table(change) => {
                        let stored = StoredFrame {
                            object,
                            at: place.start as u64,
                            len: place.len(),
                            checksum: xxh3_64(&body[place]),
                            extent: Extent {
                                span: change.span,
                                count: change.count,
                            },
                        };
                        chain.add(change.namespace, stored, shape)?;
                    }
                }
                Ok(())
            })
            .map_err(|e| e.context(chain.name_of(object)))?;
        }
        Ok(chain)
    }

    fn add(
        &mut self,
        namespace: Namespace,
        frame: StoredFrame,
        shape: &StageShape<'_>,
    ) -> Result<()> {
        if let Some(table) = self.tables.get_mut(&namespace) {
            table.push(frame);
            return Ok(());
        }
        if shape.table(namespace).is_none() {
            return Err(Error::corrupt(format!(
                "it is of a table, {namespace:?}, of which the schema in the manifest knows nothing"
            )));
        }
        self.tables.insert(namespace, vec![frame]);
        Ok(())
    }

    /// The tables of which there is anything.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = Namespace> {
        self.tables.keys().copied()
    }

    /// Where the entries of a table lie, frame by frame.
    pub(super) fn extents(&self, namespace: Namespace) -> Vec<Extent> {
        let frames = self.tables.get(&namespace).into_iter().flatten();
        frames.map(|frame| frame.extent).collect()
    }

    /// Whether anything is set in any table.
    pub(super) fn holds_entries(&self) -> bool {
        let mut frames = self.tables.values().flatten();
        frames.any(|frame| frame.extent.count > 0)
    }

    /// What is alive of a table in a span.
    pub(super) fn live_within(
        &self,
        pages: &mut Pages<'_>,
        table: &Table,
        span: HashSpan,
    ) -> Result<Live> {
        let extents = self.extents(table.namespace);
        let frames: Vec<usize> = (0..extents.len())
            .filter(|frame| extents[*frame].span.overlaps(span))
            .collect();
        self.live(pages, table, span, &frames)
    }

    /// What is alive of a table in a span, by what `frames` of it say.
    pub(super) fn live(
        &self,
        pages: &mut Pages<'_>,
        table: &Table,
        span: HashSpan,
        frames: &[usize],
    ) -> Result<Live> {
        let mut live = Live::new();
        let (key, entry) = (table.stored_key(), table.stored_entry());
        let stored = self
            .tables
            .get(&table.namespace)
            .map_or(&[][..], Vec::as_slice);
        for frame in frames.iter().filter_map(|frame| stored.get(*frame)) {
            let here = |e: Error| e.context(self.place_of(frame));
            let bytes = self.bytes_of(pages, frame)?;
            let (RawFrame::Table(change), _) = frame_at(bytes).map_err(here)? else {
                continue;
            };
            match change.act {
                Act::Clear => live.retain(|(hash, _), _| !change.span.contains(*hash)),
                Act::Remove => {
                    for key in items(&change, &key).map_err(here)? {
                        live.remove(&place(&change, table, &key).map_err(here)?);
                    }
                }
                Act::Set => {
                    for entry in items(&change, &entry).map_err(here)? {
                        let [key, value] = pair(entry).map_err(here)?;
                        let place = place(&change, table, &key).map_err(here)?;
                        if span.contains(place.0) {
                            live.insert(place, (key, value));
                        }
                    }
                }
            }
        }
        Ok(live)
    }

    fn bytes_of<'p>(&'p self, pages: &'p mut Pages<'_>, frame: &StoredFrame) -> Result<&'p [u8]> {
        let bytes = match &self.snapshot.refs[frame.object].location {
            Location::Inline(body) => {
                let at = frame.at as usize;
                &body[at..at + frame.len]
            }
            Location::Object { name, .. } => {
                pages.get(name, frame.at + frame::HEADER_LEN as u64, frame.len)?
            }
        };
        if xxh3_64(bytes) == frame.checksum {
            Ok(bytes)
        } else {
            let changed = Error::corrupt("it has changed since it was verified");
            Err(changed.context(self.place_of(frame)))
        }
    }

    fn name_of(&self, object: usize) -> String {
        match &self.snapshot.refs[object].location {
            Location::Inline(_) => {
                let subtask = &self.snapshot.subtask;
                format!("the snapshot of {subtask}, reference {object} in the manifest")
            }
            Location::Object { name, .. } => {
                format!("the state object `{name}`, behind its header of 64 bytes")
            }
        }
    }

    fn place_of(&self, frame: &StoredFrame) -> String {
        format!(
            "{}: the frame at byte {}",
            self.name_of(frame.object),
            frame.at
        )
    }
}

/// Whether a reference is to something else than frames: to a file of RocksDB's, or the list of them.
pub(crate) fn is_of_rocksdb(reference: &SnapshotRef) -> bool {
    match reference.kind {
        SnapshotKind::RocksCatalogue | SnapshotKind::RocksFile => true,
        SnapshotKind::KeyedFull | SnapshotKind::KeyedIncrement | SnapshotKind::Operator => false,
    }
}

/// The bytes of an object with frames of keyed state.
fn read_keyed(storage: &dyn CheckpointStorage, reference: &SnapshotRef) -> Result<Vec<u8>> {
    if reference.kind == SnapshotKind::Operator {
        return Err(Error::corrupt(
            "the manifest names the snapshot of a source or sink as keyed state",
        ));
    }
    read_snapshot(storage, reference)
}

fn items(change: &RawChange<'_>, schema: &Schema) -> Result<Vec<Datum>> {
    let items = read_items(change.items, schema)?;
    if items.len() == change.count as usize {
        Ok(items)
    } else {
        Err(Error::corrupt(format!(
            "it holds {} items and says {}",
            items.len(),
            change.count
        )))
    }
}

fn pair(entry: Datum) -> Result<[Datum; 2]> {
    entry
        .into_pair()
        .ok_or_else(|| Error::corrupt("an entry is no pair of key and value"))
}

/// Where a stored key stands in its table.
fn place(change: &RawChange<'_>, table: &Table, key: &Datum) -> Result<(u64, String)> {
    let hash = hash_of_stored(key, table)?;
    let text = to_json(key, &table.stored_key()).to_string();
    if change.span.contains(hash) {
        Ok((hash, text))
    } else {
        Err(Error::corrupt(format!(
            "the key {text} is outside of the span of its frame; if its type has a `Key` of its own, it can be \
             read with its code only"
        )))
    }
}
