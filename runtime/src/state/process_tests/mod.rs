//! The rules of `process`.

mod against_model;
mod model;
#[cfg(feature = "rocksdb")]
mod on_rocksdb;
mod restored;
mod sizes;
mod stage;
mod team;
