//! The real file system, and the checkpoint storage on top of any [`Disk`].
//!
//! The one rule: what a call promises to be durable has been through `fsync`, file first, then the
//! name. Nothing is ever renamed over another object, and no decision is made here.

mod disk;
mod objects;
#[cfg(test)]
mod tests;
mod work;

pub use disk::RealDisk;
pub(crate) use disk::real_dir;
pub use objects::LocalStorage;
pub use work::WorkDir;
#[cfg(feature = "rocksdb")]
pub(crate) use work::open_file_limit;
