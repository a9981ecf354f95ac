//! Requests to runs and their replies, as objects beside the log.
//!
//! Their bytes come from whoever can write to the checkpoint directory, and are trusted no more than any others.

#[cfg(test)]
mod tests;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::ids::Epoch;
use crate::protocol::{Addressee, LogView, Reply, RequestName, Slot, SlotContent, Wish};
use crate::storage::frame::{self, FrameHeader, FrameKind};
use crate::storage::log::decode_slot;
use crate::storage::names;
use crate::storage::objects::CheckpointStorage;

/// The longest request or reply that is read.
const MOST_BYTES: u64 = 64 << 10;

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Requests that no run has taken.
    pub requests: Vec<RequestName>,
    /// Replies that nobody has taken.
    pub replies: Vec<RequestName>,
}

/// Lists requests and replies.
///
/// # Errors
///
/// `Unavailable` if the storage does not answer.
pub fn list(storage: &dyn CheckpointStorage) -> Result<Listed> {
    let names = storage.list(names::REQUESTS_DIR)?;
    Ok(Listed {
        requests: names
            .iter()
            .filter_map(|name| names::parse_request(name))
            .collect(),
        replies: names
            .iter()
            .filter_map(|name| names::parse_reply(name))
            .collect(),
    })
}

/// The run that holds the newest claim, if any slot says so, read from the log's end.
///
/// # Errors
///
/// `Unavailable` if the storage does not answer.
pub fn newest_run(storage: &dyn CheckpointStorage) -> Result<LogView> {
    let mut slots = Vec::new();
    let mut numbers: Vec<_> = storage
        .list(names::LOG_DIR)?
        .iter()
        .filter_map(|name| names::parse_slot(name))
        .collect();
    numbers.sort_unstable();
    for number in numbers.into_iter().rev() {
        let Some(bytes) = storage.read(&names::slot(number))? else {
            continue;
        };
        let content = decode_slot(&bytes);
        let is_claim = matches!(content, SlotContent::Claim(_));
        slots.push(Slot { number, content });
        if is_claim {
            break;
        }
    }
    slots.reverse();
    Ok(LogView { slots })
}

/// Writes a request.
///
/// # Errors
///
/// `Unavailable` if the storage does not answer.
pub fn send(storage: &dyn CheckpointStorage, name: RequestName, wish: &Wish) -> Result<()> {
    write(
        storage,
        &names::request(name),
        FrameKind::Request,
        name.to,
        wish,
    )
}

/// Takes a request away: from here on it is this run that answers it. `None` if it was withdrawn.
///
/// # Errors
///
/// `Corrupt` if it is none, and then it is gone, too; `Unavailable` if the storage does not answer.
pub fn take(storage: &dyn CheckpointStorage, name: RequestName) -> Result<Option<Wish>> {
    let object = names::request(name);
    let read = read(storage, &object, FrameKind::Request, name.to);
    // CRASH: gone before anything is done: whoever dies in the middle does not leave it to another.
    if !matches!(read, Ok(None)) {
        storage.delete(&[object])?;
    }
    read
}

/// Whether a request is still there: nobody has taken it.
///
/// # Errors
///
/// `Unavailable` if the storage does not answer.
pub fn is_waiting(storage: &dyn CheckpointStorage, name: RequestName) -> Result<bool> {
    Ok(storage.read_range(&names::request(name), 0..1)?.is_some())
}

/// Withdraws a request.
///
/// # Errors
///
/// `Unavailable` if the storage does not answer.
pub fn withdraw(storage: &dyn CheckpointStorage, name: RequestName) -> Result<()> {
    storage.delete(&[names::request(name)])
}

/// Writes the reply to a request.
///
/// # Errors
///
/// `Unavailable` if the storage does not answer.
pub fn reply(storage: &dyn CheckpointStorage, name: RequestName, reply: &Reply) -> Result<()> {
    write(
        storage,
        &names::reply(name),
        FrameKind::Reply,
        name.to,
        reply,
    )
}

/// Takes the reply to a request, if there is one.
///
/// # Errors
///
/// `Corrupt` if it is none; `Unavailable` if the storage does not answer.
pub fn take_reply(storage: &dyn CheckpointStorage, name: RequestName) -> Result<Option<Reply>> {
    let object = names::reply(name);
    let reply = read(storage, &object, FrameKind::Reply, name.to)?;
    if reply.is_some() {
        storage.delete(&[object])?;
    }
    Ok(reply)
}

/// Deletes requests and replies.
///
/// # Errors
///
/// `Unavailable` if the storage does not answer.
pub fn delete(storage: &dyn CheckpointStorage, gone: &Listed) -> Result<()> {
    let requests = gone.requests.iter().map(|name| names::request(*name));
    let replies = gone.replies.iter().map(|name| names::reply(*name));
    let names: Vec<String> = requests.chain(replies).collect();
    if names.is_empty() {
        Ok(())
    } else {
        storage.delete(&names)
    }
}

fn write<T: Serialize>(
    storage: &dyn CheckpointStorage,
    name: &str,
    kind: FrameKind,
    to: Addressee,
    content: &T,
) -> Result<()> {
    let header = FrameHeader {
        kind,
        generation: to.generation,
        epoch: Epoch(0),
        nonce: to.nonce,
    };
    let body = serde_json::to_vec(content)
        .map_err(|e| Error::internal(format!("`{name}` cannot be written as JSON: {e}")))?;
    // Whole, or not there: somebody is looking.
    storage
        .create(name, &frame::encode(&header, &body))
        .map(drop)
}

fn read<T: DeserializeOwned>(
    storage: &dyn CheckpointStorage,
    name: &str,
    kind: FrameKind,
    to: Addressee,
) -> Result<Option<T>> {
    let Some(bytes) = storage.read_range(name, 0..MOST_BYTES + 1)? else {
        return Ok(None);
    };
    decode(&bytes, kind, to)
        .map(Some)
        .map_err(|reason| Error::corrupt(format!("`{name}` is not what its name says: {reason}")))
}

fn decode<T: DeserializeOwned>(bytes: &[u8], kind: FrameKind, to: Addressee) -> Result<T, String> {
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("it has more than {MOST_BYTES} bytes"));
    }
    let (header, body) = frame::decode_kind(bytes, kind).map_err(|e| e.to_string())?;
    if (header.generation, header.nonce) != (to.generation, to.nonce) {
        return Err("it is addressed to another run".to_owned());
    }
    serde_json::from_slice(body).map_err(|e| e.to_string())
}
