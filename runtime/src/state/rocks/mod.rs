//! State larger than memory: RocksDB behind a write-back cache.
//!
//! Each stage has a database of its own on each worker. In front of it, each table of the stage has
//! a [cache](table): records meet the cache only, what a batch misses is fetched in one sorted
//! look-up, what changed is written back in batches when the cache overflows, and at barriers. The
//! caches, one block cache and one budget for write buffers share the memory of the process.
//!
//! Nothing in a database is durable by itself: there is no log and no recovery but from a
//! checkpoint. A snapshot is a checkpoint in RocksDB's sense, taken when all of the frozen image has
//! been written to the database; its files are uploaded as they are, each once, while the stage goes on.
//!
//! The one rule: from a freeze until RocksDB's checkpoint is taken (the *window*), no change of the
//! next epoch reaches the database. What exceeds the cache meanwhile waits.

mod aside;
mod cache;
mod changes;
mod encode;
mod files;
mod inspect;
mod sizes;
mod store;
mod table;
mod takeover;
#[cfg(test)]
mod tests;

pub(crate) use encode::take;
pub(crate) use files::{Taken, Upload};
pub(crate) use inspect::StoredTables;
pub(crate) use sizes::Settings;
pub(crate) use store::{Store, Stores};
pub(crate) use table::{RocksCursor, RocksPiece, RocksTable};
pub(crate) use takeover::{Part, read_into, take_over};
