//! [`CheckpointStorage`](crate::storage::CheckpointStorage) in an object store.
//!
//! The rule it keeps: an object is durable when the store has said so, and whatever the store has
//! not said is `Unavailable`. It decides nothing about outcomes that are unknown: the log reads back.
//! The trait blocks, the store's client does not; its requests run on one small runtime per process.

mod client;
mod connect;
mod errors;
mod gate;
mod objects;
mod parts;
#[cfg(test)]
mod tests;

pub(super) use connect::connect;
pub use objects::RemoteStorage;
