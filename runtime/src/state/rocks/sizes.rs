//! How the databases of a run share its memory, and the files that its process may have open.

/// Tables have so many bytes at least, or a large state would be in too many files.
const LEAST_TABLE: u64 = 16 << 20;
/// Files that RocksDB keeps open at least; it takes some of them for itself.
const LEAST_OPEN: usize = 20;
/// A database that may have so many files open never closes one.
const ALL_OPEN: usize = 4_096;

/// What the databases of a run are set to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Bytes of memory for all of them together.
    pub(crate) memory_budget: usize,
    /// How many there are going to be.
    pub(crate) stores: usize,
}

/// What follows from the settings for each of the databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Bytes of the caches before it.
    pub(super) cache: usize,
    /// Bytes of a write buffer.
    pub(super) buffer: usize,
    /// Bytes of a table.
    pub(super) table: u64,
    /// Bytes of the first level.
    pub(super) level: u64,
    /// Files that it keeps open; `None` for all.
    pub(super) open_files: Option<i32>,
}

impl Sizes {
    /// Of databases in a process that may have so many files open.
    pub(super) fn new(settings: Settings, open_files: Option<u64>) -> Self {
        let stores = settings.stores.max(1);
        // Half for the caches before the databases, the rest for RocksDB: what is in our cache is
        // found without a call.
        let share = settings.memory_budget / 4 / stores;
        // The other half is for all that is not a table.
        let limit = open_files.map(|limit| usize::try_from(limit / 2).unwrap_or(usize::MAX));
        let open = limit.map_or(ALL_OPEN, |limit| limit / stores);
        Self {
            cache: settings.memory_budget / 2 / stores,
            buffer: (share / 2).clamp(64 << 10, 64 << 20),
            table: (share as u64).clamp(LEAST_TABLE, 64 << 20),
            level: (share as u64 * 4).clamp(4 << 20, 256 << 20),
            open_files: (open < ALL_OPEN).then_some(open.max(LEAST_OPEN) as i32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What 24 stages of a job with a budget of 256 MiB get.
    fn sizes(open_files: Option<u64>) -> Sizes {
        let settings = Settings {
            memory_budget: 256 << 20,
            stores: 24,
        };
        Sizes::new(settings, open_files)
    }

    /// A state of 10 GB was in 3,800 tables of the size of a write buffer, all of them open: more than most
    /// processes may have, and the restart found as many.
    #[test]
    fn half_of_the_files_that_a_process_may_have_open_is_for_all_databases_together() {
        for (limit, each) in [
            (Some(1_024), Some(21)),
            (Some(20_000), Some(416)),
            (Some(1_000_000), None),
            (None, None),
            // No database runs with fewer.
            (Some(256), Some(20)),
        ] {
            assert_eq!(sizes(limit).open_files, each, "{limit:?}");
        }
    }

    #[test]
    fn a_small_share_of_the_memory_makes_no_small_tables() {
        let Sizes {
            cache,
            buffer,
            table,
            ..
        } = sizes(None);
        assert_eq!(cache, (128 << 20) / 24);
        assert!(buffer < 2 << 20, "{buffer}");
        assert_eq!(table, 16 << 20);
    }
}
