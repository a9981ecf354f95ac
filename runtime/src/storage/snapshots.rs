//! Snapshot references: writing the bytes behind one, reading them back, verifying a manifest.
//!
//! Small snapshots stand in the manifest itself; the others are state objects, each in a frame.

#[cfg(test)]
mod tests;

use std::iter;
use std::num::NonZero;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Builder};

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::ids::{Epoch, Generation, SubtaskId};
use crate::protocol::{
    Location, LogView, Manifest, SlotNumber, SnapshotKind, SnapshotRef, Verification,
};
use crate::storage::frame::{self, FrameError, FrameHeader, FrameKind};
use crate::storage::names;
use crate::storage::objects::CheckpointStorage;

/// Snapshots up to this length stand in the manifest: a file of its own costs more than it holds.
pub const INLINE_LIMIT: usize = 4 * 1024;

/// Which part of which snapshot is written.
#[derive(Clone, Debug)]
pub struct SnapshotPart<'a> {
    /// The generation of this run.
    pub generation: Generation,
    /// The nonce of this run.
    pub nonce: u64,
    /// The epoch of the first manifest that may name the part.
    pub epoch: Epoch,
    /// The subtask.
    pub subtask: &'a SubtaskId,
    /// The number of the part in this snapshot of the subtask; no two parts share one.
    pub part: u32,
    /// What the bytes are.
    pub kind: SnapshotKind,
}

/// Makes a part of a snapshot durable, and says where it is. A small one becomes durable with its manifest.
///
/// # Errors
///
/// `Unavailable` if the storage does not answer.
pub fn write_snapshot(
    storage: &dyn CheckpointStorage,
    part: &SnapshotPart<'_>,
    body: &[u8],
) -> Result<SnapshotRef> {
    if body.len() <= INLINE_LIMIT {
        return Ok(inline(part, body));
    }
    let name = names::state_object(part.generation, part.epoch, part.subtask, part.part);
    write_object(storage, name, part, body)
}

/// As [`write_snapshot`], for what the compaction of this number has made of a subtask's snapshots.
///
/// # Errors
///
/// `Unavailable` if the storage does not answer.
pub fn write_compacted(
    storage: &dyn CheckpointStorage,
    number: u32,
    part: &SnapshotPart<'_>,
    body: &[u8],
) -> Result<SnapshotRef> {
    if body.len() <= INLINE_LIMIT {
        return Ok(inline(part, body));
    }
    let of = (number, part.part);
    let name = names::compacted_object(part.generation, part.epoch, part.subtask, of);
    write_object(storage, name, part, body)
}

fn inline(part: &SnapshotPart<'_>, body: &[u8]) -> SnapshotRef {
    SnapshotRef {
        kind: part.kind,
        location: Location::Inline(body.to_vec()),
    }
}

fn write_object(
    storage: &dyn CheckpointStorage,
    name: String,
    part: &SnapshotPart<'_>,
    body: &[u8],
) -> Result<SnapshotRef> {
    let header = FrameHeader {
        kind: FrameKind::Snapshot,
        generation: part.generation,
        epoch: part.epoch,
        nonce: part.nonce,
    };
    let bytes = frame::encode(&header, body);
    storage.write(&name, &bytes)?;
    let location = Location::Object {
        name,
        len: bytes.len() as u64,
        checksum: xxh3_64(&bytes),
    };
    Ok(SnapshotRef {
        kind: part.kind,
        location,
    })
}

/// Makes a file of another program durable as a part of a snapshot. It stays as it is: without a frame.
///
/// # Errors
///
/// `Unavailable` if the storage does not answer.
pub fn write_foreign(
    storage: &dyn CheckpointStorage,
    part: &SnapshotPart<'_>,
    bytes: &[u8],
) -> Result<SnapshotRef> {
    let location = if bytes.len() <= INLINE_LIMIT {
        Location::Inline(bytes.to_vec())
    } else {
        let name = names::foreign_file(part.generation, part.epoch, part.subtask, part.part);
        storage.write(&name, bytes)?;
        Location::Object {
            name,
            len: bytes.len() as u64,
            checksum: xxh3_64(bytes),
        }
    };
    Ok(SnapshotRef {
        kind: part.kind,
        location,
    })
}

/// Reads a file of another program, checked.
///
/// # Errors
///
/// `Corrupt`, naming the object, if it is not what was written; `Unavailable` if the storage does not answer.
pub fn read_foreign(storage: &dyn CheckpointStorage, reference: &SnapshotRef) -> Result<Vec<u8>> {
    match &reference.location {
        Location::Inline(bytes) => Ok(bytes.clone()),
        Location::Object {
            name,
            len,
            checksum,
        } => read_checked(storage, name, *len, *checksum)?.map_err(|reason| {
            Error::corrupt(format!("the state object `{name}` is damaged: {reason}"))
        }),
    }
}

/// Reads the bytes behind a snapshot reference, checked.
///
/// # Errors
///
/// `Corrupt`, naming the object, if it is not what was written; `Unavailable` if the storage does not answer.
pub fn read_snapshot(storage: &dyn CheckpointStorage, reference: &SnapshotRef) -> Result<Vec<u8>> {
    let (name, len, checksum) = match &reference.location {
        Location::Inline(body) => return Ok(body.clone()),
        Location::Object {
            name,
            len,
            checksum,
        } => (name, *len, *checksum),
    };
    let corrupt =
        |reason: String| Error::corrupt(format!("the state object `{name}` is damaged: {reason}"));
    let mut bytes = read_object(storage, name, len, checksum)?;
    // All bytes are those that were written: there is no need to look at the checksum of the body, too,
    // which is among them.
    let header = frame::decode_header(&bytes).map_err(|e| corrupt(e.to_string()))?;
    if header.kind != FrameKind::Snapshot {
        return Err(corrupt(FrameError::OtherKind(header.kind).to_string()));
    }
    bytes.drain(..frame::HEADER_LEN);
    Ok(bytes)
}

/// Reads bytes behind a snapshot reference. They are not checked: whoever asks for them has looked through
/// the whole before, and knows what they must be.
///
/// # Errors
///
/// `Corrupt` if it ends before the range does; `Unavailable` if the storage does not answer.
pub fn read_part(
    storage: &dyn CheckpointStorage,
    reference: &SnapshotRef,
    range: Range<usize>,
) -> Result<Vec<u8>> {
    let bytes = match &reference.location {
        Location::Inline(body) => body.get(range.clone()).map(<[u8]>::to_vec),
        Location::Object { name, .. } => {
            let place = |at: usize| (frame::HEADER_LEN + at) as u64;
            storage.read_range(name, place(range.start)..place(range.end))?
        }
    };
    bytes
        .filter(|bytes| bytes.len() == range.len())
        .ok_or_else(|| Error::corrupt("it is missing, or shorter than it was"))
}

/// Verifies that everything that a manifest names is there and whole. Holds one object in memory at a time,
/// or one for each thread where they are many.
///
/// # Errors
///
/// `Unavailable` if the storage does not answer: that says nothing about the bytes.
pub fn verify(storage: &dyn CheckpointStorage, manifest: &Manifest) -> Result<Verification> {
    let snapshots = manifest.snapshots.iter();
    let refs: Vec<&SnapshotRef> = snapshots.flat_map(|snapshot| &snapshot.refs).collect();
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    if refs.iter().map(|reference| reference.len()).sum::<u64>() < WORTH_THREADS || threads == 1 {
        return verify_each(storage, refs.into_iter());
    }
    let next = AtomicUsize::new(0);
    let verify_some = || {
        let take = || refs.get(next.fetch_add(1, Ordering::Relaxed)).copied();
        let verified = verify_each(storage, iter::from_fn(take));
        if !matches!(verified, Ok(Verification::Whole)) {
            // Whatever the others say: this one is not whole.
            next.store(refs.len(), Ordering::Relaxed);
        }
        verified
    };
    let verified: Vec<Result<Verification>> = thread::scope(|scope| {
        // What no thread can be started for, this one does.
        let others: Vec<_> = (1..threads.min(MOST_THREADS))
            .map_while(|_| Builder::new().spawn_scoped(scope, verify_some).ok())
            .collect();
        let joined = others.into_iter().map(|thread| {
            let verified = thread.join();
            verified.unwrap_or_else(|panic| resume_unwind(panic))
        });
        iter::once(verify_some()).chain(joined).collect()
    });
    let whole = |verified: &Result<_>| matches!(verified, Ok(Verification::Whole));
    let wrong = verified.into_iter().find(|verified| !whole(verified));
    wrong.unwrap_or(Ok(Verification::Whole))
}

/// Bytes below which objects are verified before other threads have begun.
const WORTH_THREADS: u64 = 8 << 20;
/// Threads that verify at most: each holds an object in memory.
const MOST_THREADS: usize = 4;

/// Verifies objects up to the first that is not whole.
fn verify_each<'a>(
    storage: &dyn CheckpointStorage,
    mut refs: impl Iterator<Item = &'a SnapshotRef>,
) -> Result<Verification> {
    let verified = refs.find_map(|reference| match verify_object(storage, reference) {
        Ok(Verification::Whole) => None,
        wrong => Some(wrong),
    });
    verified.unwrap_or(Ok(Verification::Whole))
}

/// Verifies that the object behind a reference, if it is one, is there and whole.
///
/// # Errors
///
/// `Unavailable` if the storage does not answer: that says nothing about the bytes.
pub fn verify_object(
    storage: &dyn CheckpointStorage,
    reference: &SnapshotRef,
) -> Result<Verification> {
    let Location::Object {
        name,
        len,
        checksum,
    } = &reference.location
    else {
        return Ok(Verification::Whole);
    };
    Ok(match read_checked(storage, name, *len, *checksum)? {
        Ok(_) => Verification::Whole,
        Err(reason) => Verification::Damaged {
            object: name.clone(),
            reason,
        },
    })
}

/// The bytes behind a reference, frame included, or what is wrong with them. Those that stand in a manifest are as
/// whole as that is.
///
/// # Errors
///
/// `Unavailable` if the storage does not answer: that says nothing about the bytes.
pub(crate) fn read_whole(
    storage: &dyn CheckpointStorage,
    reference: &SnapshotRef,
) -> Result<Result<Vec<u8>, String>> {
    match &reference.location {
        Location::Inline(bytes) => Ok(Ok(bytes.clone())),
        Location::Object {
            name,
            len,
            checksum,
        } => read_checked(storage, name, *len, *checksum),
    }
}

/// Verifies the manifests of a log, newest first, up to the first whole one.
///
/// # Errors
///
/// `Unavailable` if the storage does not answer.
pub fn verify_newest_first(
    storage: &dyn CheckpointStorage,
    log: &LogView,
) -> Result<Vec<(SlotNumber, Verification)>> {
    let mut verified = Vec::new();
    for (slot, manifest) in log.manifests_on_line() {
        let verification = verify(storage, manifest)?;
        let is_whole = verification == Verification::Whole;
        verified.push((slot, verification));
        if is_whole {
            break;
        }
    }
    Ok(verified)
}

/// The bytes of an object that a manifest names, frame included.
///
/// # Errors
///
/// `Corrupt` if they are not those that were written; `Unavailable` if the storage does not answer.
pub fn read_object(
    storage: &dyn CheckpointStorage,
    name: &str,
    len: u64,
    checksum: u64,
) -> Result<Vec<u8>> {
    read_checked(storage, name, len, checksum)?
        .map_err(|reason| Error::corrupt(format!("the state object `{name}` is damaged: {reason}")))
}

/// The bytes of an object, or what is wrong with them.
fn read_checked(
    storage: &dyn CheckpointStorage,
    name: &str,
    len: u64,
    checksum: u64,
) -> Result<Result<Vec<u8>, String>> {
    if !names::is_plain(name) {
        return Ok(Err("it is not the name of an object".to_owned()));
    }
    let Some(bytes) = storage.read(name)? else {
        return Ok(Err("it is missing".to_owned()));
    };
    if bytes.len() as u64 != len {
        return Ok(Err(format!(
            "it has {} bytes instead of {len}",
            bytes.len()
        )));
    }
    if xxh3_64(&bytes) != checksum {
        return Ok(Err("its checksum is wrong".to_owned()));
    }
    Ok(Ok(bytes))
}
