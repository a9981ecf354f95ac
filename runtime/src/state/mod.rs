//! Keyed state: what stages remember for each key, and how it becomes a snapshot.
//!
//! Nothing here knows timely, a file name, or when a checkpoint happens. A stateful stage is a
//! [`KeyedLogic`]: the operator in `dataflow/` feeds it records and watermarks, and asks it to
//! freeze when a barrier passes.

mod accessors;
#[cfg_attr(
    not(feature = "rocksdb"),
    expect(
        dead_code,
        clippy::unnecessary_wraps,
        reason = "what backends differ in is asked also where there is one only"
    )
)]
mod backend;
pub(crate) mod catalogue;
mod cells;
mod chain;
pub(crate) mod compaction;
mod context;
mod evolve;
pub(crate) mod frames;
mod logic;
mod migration;
pub(crate) mod part;
mod process;
mod restore;
mod restoring;
#[cfg(feature = "rocksdb")]
pub(crate) mod rocks;
mod running;
mod segment;
pub(crate) mod share;
pub(crate) mod span;
mod store;
pub(crate) mod stored;
mod table;
#[cfg_attr(
    not(feature = "rocksdb"),
    expect(
        dead_code,
        clippy::unnecessary_wraps,
        reason = "nothing leaves memory where there is one backend only"
    )
)]
mod tables;
#[cfg(test)]
pub(crate) mod testing;
mod timers;
mod ttl;
mod types;

pub(crate) use accessors::checksum as checksum_of_name;
pub use accessors::{
    ClearState, Declared, Kept, ListOf, ListState, MapOf, MapState, Present, ValueOf, ValueState,
    list_state, map_state, value_state,
};
#[cfg(not(feature = "rocksdb"))]
pub(crate) use backend::without_rocksdb;
pub use backend::{Backend, StageBackend, WorkPlace};
pub(crate) use backend::{TakenImage, Taking};
pub(crate) use chain::Chain;
pub use chain::ChainLimits;
pub use compaction::{Compacted, Compaction, CompactionOrder, TableTypes};
pub use context::{Context, RecordTime};
pub use logic::{FrozenChunk, KeyedLogic, Progress, SnapshotScope};
pub use process::{NoTimers, OnTimer, Process};
pub(crate) use restore::{Former, restore_from};
pub(crate) use restoring::Restoring;
pub use running::{Fold, Reduce};
pub use share::Share;
pub use store::StateStore;
pub(crate) use table::Next;
pub use table::{KeyedTable, Slot};
pub(crate) use tables::{Begun, Extra, Piece, StateTable};
pub use timers::{Timer, TimerKind};
pub use ttl::{Forever, Lifetime, Ttl};
pub use types::State;
