//! Where state is kept.

use std::path::PathBuf;

/// Where state is kept while the job runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StateBackend {
    /// In memory: as fast as it can be, and no larger than that.
    #[default]
    Memory,
    /// In RocksDB: larger than memory. Needs the feature `rocksdb`.
    RocksDb(RocksDbSettings),
}

impl StateBackend {
    /// Whether this program was built with what the backend needs.
    pub const fn is_available(&self) -> bool {
        match self {
            Self::Memory => true,
            Self::RocksDb(_) => cfg!(feature = "rocksdb"),
        }
    }

    /// Adds what is wrong with the settings.
    pub(super) fn wrong(&self, wrong: &mut Vec<String>) {
        let Self::RocksDb(settings) = self else {
            return;
        };
        if !self.is_available() {
            wrong.push("state in RocksDB needs the feature `rocksdb` of the crate `flowdsl`, which this program was built without".to_owned());
        }
        if settings.memory_budget < RocksDbSettings::LEAST_BUDGET {
            wrong.push(format!(
                "a memory budget of {} bytes holds no database: the least is 64 KiB",
                settings.memory_budget
            ));
        }
    }
}

/// How state in RocksDB is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RocksDbSettings {
    /// Bytes of memory that the state of all stages of the process may take: caches and buffers.
    /// Default 256 MiB.
    pub memory_budget: usize,
    /// Where the databases of a run are, which end with it. By default in the checkpoint directory,
    /// where that is a directory of this machine, and otherwise where temporary files are.
    pub work_dir: Option<PathBuf>,
}

impl Default for RocksDbSettings {
    fn default() -> Self {
        Self {
            memory_budget: 256 << 20,
            work_dir: None,
        }
    }
}

impl RocksDbSettings {
    /// Less memory than this holds no database.
    const LEAST_BUDGET: usize = 64 << 10;
}
