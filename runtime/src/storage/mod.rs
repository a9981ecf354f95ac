//! Bytes: objects of a checkpoint, the checkpoint log, disks.
//!
//! Storage never decides: it reads what is there and asks [`crate::protocol`], then acts. Names of
//! stored objects are made in `names.rs` and nowhere else. Loading never trusts bytes.
//!
//! | module | holds |
//! |---|---|
//! | [`Disk`], [`RealDisk`], [`FaultyDisk`] | files and names, and what a power loss leaves of them |
//! | [`CheckpointStorage`], [`LocalStorage`], [`MemoryStorage`] | named objects, "create if absent" |
//! | [`WorkDir`] | directories that do not outlive the run |
//! | [`CheckpointLocation`], [`TransferLimits`] | a directory or a URL, and the limits of what travels there |
//! | `RemoteStorage` (feature `object-store`) | named objects in an object store |
//! | [`frame`], [`names`] | the envelope and the names of all that is stored |
//! | [`log`] | claims and manifests |
//! | [`snapshots`] | state objects, and whether they are whole |
//! | [`history`] | what past checkpoints cost, and how runs ended |
//! | [`export`] | copies of checkpoints in other places |
//! | [`requests`] | what other processes ask of a run |
//! | [`cleanup`] | deletion by plan |

pub mod cleanup;
#[cfg(test)]
mod crash_tests;
mod disk;
pub mod export;
mod faulty;
pub mod frame;
#[cfg(test)]
mod golden_tests;
pub mod history;
mod local;
mod location;
pub mod log;
pub mod names;
pub(crate) mod nonce;
mod objects;
#[cfg(feature = "object-store")]
mod remote;
pub mod requests;
pub mod snapshots;
mod transfers;

pub use disk::{Disk, DiskFile};
pub use faulty::FaultyDisk;
#[cfg(feature = "rocksdb")]
pub(crate) use local::open_file_limit;
pub use local::{LocalStorage, RealDisk, WorkDir};
pub use location::CheckpointLocation;
pub use objects::{CheckpointStorage, Creation, MemoryStorage};
#[cfg(feature = "object-store")]
pub use remote::RemoteStorage;
pub use transfers::TransferLimits;
