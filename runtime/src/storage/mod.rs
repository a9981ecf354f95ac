//! Bytes: objects of a checkpoint, the checkpoint log, disks.
//!
//! Storage never decides: it reads what is there and asks [`crate::protocol`], then acts. Names of
//! stored objects are made in `names.rs` and nowhere else. Loading never trusts bytes.

mod disk;

pub use disk::{Disk, DiskFile};
