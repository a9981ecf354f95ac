//! State in RocksDB, for programs without the feature `rocksdb`: it is refused.

use super::chain::Live;
use super::shape::Table;
use crate::error::Result;
use crate::protocol::SubtaskSnapshot;
use crate::state::frames::Namespace;
use crate::state::span::HashSpan;
use crate::state::without_rocksdb;
use crate::storage::{CheckpointStorage, WorkDir};

/// There is none.
#[derive(Debug)]
pub(super) enum StoredDatabase {}

impl StoredDatabase {
    /// Refuses.
    ///
    /// # Errors
    ///
    /// `Invalid`: the program is to be built with the feature.
    pub(super) fn open(_: &dyn CheckpointStorage, _: &SubtaskSnapshot, _: WorkDir) -> Result<Self> {
        Err(without_rocksdb(
            "the checkpoint was written with state in RocksDB, which cannot be read",
        ))
    }

    pub(super) fn namespaces(&self) -> Result<Vec<Namespace>> {
        match *self {}
    }

    pub(super) fn live_within(&self, _: &Table, _: HashSpan) -> Result<Live> {
        match *self {}
    }

    pub(super) fn slice(&self, _: &Table, _: HashSpan) -> Result<(Live, Option<HashSpan>)> {
        match *self {}
    }
}
