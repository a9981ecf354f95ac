//! The databases of a run: what they share, and one of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamily, DB, DBCompressionType,
    DBPinnableSlice, DEFAULT_COLUMN_FAMILY_NAME, DataBlockIndexType, LruCacheOptions, Options,
    WriteBatch, WriteBufferManager, WriteOptions,
};

use super::encode::{behind, parse, prefix_of};
use super::sizes::{Settings, Sizes};
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::SnapshotRef;
use crate::state::frames::Namespace;
use crate::storage::{WorkDir, open_file_limit};

/// Bytes of a shard of the block cache, at least.
const SHARD: usize = 8 << 20;
/// Files that a database has open that is only read, in order.
const OPEN_TO_READ: i32 = 64;

/// What the databases of a run share.
pub(crate) struct Stores {
    sizes: Sizes,
    blocks: Cache,
    buffers: WriteBufferManager,
    dir: WorkDir,
}

impl Stores {
    /// Databases in this directory.
    pub(crate) fn new(settings: Settings, dir: WorkDir) -> Self {
        Self::with_sizes(settings, Sizes::new(settings, open_file_limit()), dir)
    }

    /// The same, with sizes of a test's own.
    pub(super) fn with_sizes(settings: Settings, sizes: Sizes, dir: WorkDir) -> Self {
        Self {
            sizes,
            blocks: block_cache(settings.memory_budget / 4),
            buffers: WriteBufferManager::new_write_buffer_manager(
                (settings.memory_budget / 4).max(64 << 10),
                false,
            ),
            dir,
        }
    }

    pub(crate) fn dir(&self) -> &WorkDir {
        &self.dir
    }

    pub(super) fn options(&self) -> Options {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&self.blocks);
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
        // In parts: the filter of a whole table does not fit in a small cache, and would be read again
        // for every look-up.
        blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
        blocks.set_partition_filters(true);
        blocks.set_pin_top_level_index_and_filter(true);
        blocks.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
        blocks.set_bloom_filter(10.0, false);
        blocks.set_format_version(5);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_block_based_table_factory(&blocks);
        options.set_write_buffer_manager(&self.buffers);
        options.set_write_buffer_size(self.sizes.buffer);
        options.set_max_write_buffer_number(4);
        // What was evicted lately is seldom asked for: a filter says so faster than a search.
        options.set_memtable_prefix_bloom_ratio(0.1);
        options.set_memtable_whole_key_filtering(true);
        options.set_target_file_size_base(self.sizes.table);
        options.set_max_bytes_for_level_base(self.sizes.level);
        if let Some(files) = self.sizes.open_files {
            keep_open(&mut options, files);
        }
        // The upper levels are rewritten soon, and hold little.
        let (none, lz4) = (DBCompressionType::None, DBCompressionType::Lz4);
        options.set_compression_per_level(&[none, none, lz4, lz4, lz4, lz4, lz4]);
        options.set_max_manifest_file_size(1 << 20);
        options.set_keep_log_file_num(1);
        options.set_stats_dump_period_sec(0);
        options.set_skip_stats_update_on_db_open(true);
        options.set_max_background_jobs(2);
        options
    }
}

/// Has a database keep so many files open, and no more.
fn keep_open(options: &mut Options, files: i32) {
    options.set_max_open_files(files);
    // In few shards: each of them keeps one file open at least.
    options.set_table_cache_num_shard_bits((files / 16).max(1).ilog2().min(6) as i32);
}

/// A cache for blocks in so few shards that each has room for many blocks.
fn block_cache(capacity: usize) -> Cache {
    let shards = (capacity / SHARD).clamp(1, 64);
    let mut options = LruCacheOptions::default();
    options.set_capacity(capacity);
    options.set_num_shard_bits(shards.ilog2() as i32);
    Cache::new_lru_cache_opts(&options)
}

/// The database of a stage on one worker.
pub(crate) struct Store {
    pub(super) db: DB,
    unlogged: WriteOptions,
    /// Whether an image is on its way to the database: nothing else may be written.
    window: AtomicBool,
    /// Bytes in the caches of the stage's tables, about.
    pub(super) used: AtomicUsize,
    /// Tables that have anything in their caches.
    pub(super) in_use: AtomicUsize,
    /// A table needs memory that others of the stage hold.
    pressed: AtomicBool,
    /// Bytes that were evicted since the last round began.
    evicted: AtomicUsize,
    /// How often as much was evicted as the caches may hold.
    rounds: AtomicU32,
    budget: usize,
    /// The first error of the database; the job ends with it.
    failed: Mutex<Option<Error>>,
    has_failed: AtomicBool,
    /// The files that checkpoint storage has, by the names that RocksDB gives them.
    pub(super) uploaded: Mutex<BTreeMap<String, SnapshotRef>>,
    pub(super) dir: WorkDir,
    /// Goes last: the database uses what it owns.
    _stores: Arc<Stores>,
}

impl Store {
    /// Opens the database in `<dir>/db`, whose files may be there already.
    pub(super) fn open(
        stores: Arc<Stores>,
        dir: WorkDir,
        uploaded: BTreeMap<String, SnapshotRef>,
    ) -> Result<Self> {
        let options = stores.options();
        let families = [(DEFAULT_COLUMN_FAMILY_NAME, options.clone())];
        let db =
            DB::open_cf_with_opts(&options, dir.path().join("db"), families).map_err(of_rocksdb)?;
        let mut unlogged = WriteOptions::default();
        unlogged.disable_wal(true);
        Ok(Self {
            db,
            unlogged,
            window: AtomicBool::new(false),
            used: AtomicUsize::new(0),
            in_use: AtomicUsize::new(0),
            pressed: AtomicBool::new(false),
            evicted: AtomicUsize::new(0),
            rounds: AtomicU32::new(0),
            budget: stores.sizes.cache,
            failed: Mutex::default(),
            has_failed: AtomicBool::new(false),
            uploaded: Mutex::new(uploaded),
            dir,
            _stores: stores,
        })
    }

    /// Begins the window: an image is frozen.
    pub(crate) fn open_window(&self) {
        self.window.store(true, Ordering::SeqCst);
    }

    /// Ends the window: RocksDB's checkpoint is taken.
    pub(super) fn close_window(&self) {
        self.window.store(false, Ordering::SeqCst);
    }

    /// Whether the database may be written to.
    pub(crate) fn is_settled(&self) -> bool {
        !self.window.load(Ordering::SeqCst)
    }

    /// Whether the stage may take in records: in the window the caches outgrow their budget, but
    /// not by much.
    pub(crate) fn takes_more(&self) -> bool {
        self.is_settled() || self.used.load(Ordering::Relaxed) < self.budget + self.budget / 2
    }

    /// Bytes that do not fit beside all that is there, if `coming` more come.
    pub(super) fn excess(&self, coming: usize) -> usize {
        (self.used.load(Ordering::Relaxed) + coming).saturating_sub(self.budget)
    }

    /// What a table may hold that others have no claim to.
    pub(super) fn share(&self) -> usize {
        self.budget / self.in_use.load(Ordering::Relaxed).max(1)
    }

    /// Asks for memory that other tables hold: what is beyond their shares, and what is idle there.
    pub(super) fn press(&self) {
        self.pressed.store(true, Ordering::Relaxed);
    }

    /// Whether the tables of the stage are to give memory back to each other; said once.
    pub(crate) fn is_pressed(&self) -> bool {
        // In the window little can be given back.
        self.pressed.load(Ordering::Relaxed)
            && self.is_settled()
            && self.pressed.swap(false, Ordering::Relaxed)
    }

    /// The number of the present round.
    pub(super) fn round(&self) -> u32 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// Notes that so much was evicted. When it is as much as the caches may hold, they have a closer look
    /// at who needs what he has.
    pub(super) fn evicted(&self, bytes: usize) {
        let before = self.evicted.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes >= self.budget {
            self.evicted.store(0, Ordering::Relaxed);
            self.rounds.fetch_add(1, Ordering::Relaxed);
            self.press();
        }
    }

    pub(super) fn budget(&self) -> usize {
        self.budget
    }

    /// The first error of the database, if there was one.
    pub(crate) fn check(&self) -> Result<()> {
        if self.has_failed.load(Ordering::SeqCst) {
            let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.clone().map_or(Ok(()), Err)
        } else {
            Ok(())
        }
    }

    /// Keeps an error that its caller cannot return.
    pub(super) fn fail(&self, error: Error) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get_or_insert(error);
        self.has_failed.store(true, Ordering::SeqCst);
    }

    /// Keeps the error of something that its caller goes on without: the job ends with it.
    pub(super) fn keep<T>(&self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.fail(error)).ok()
    }

    pub(super) fn write(&self, batch: WriteBatch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        self.db.write_opt(batch, &self.unlogged).map_err(of_rocksdb)
    }

    /// Looks up keys in ascending order.
    pub(super) fn get_sorted<'k>(
        &self,
        keys: impl Iterator<Item = &'k [u8]>,
    ) -> Vec<Result<Option<DBPinnableSlice<'_>>, rocksdb::Error>> {
        self.db.batched_multi_get_cf(&self.family(), keys, true)
    }

    fn family(&self) -> &ColumnFamily {
        let family = self.db.cf_handle(DEFAULT_COLUMN_FAMILY_NAME);
        family.expect("every database has the default family")
    }

    /// Whether any key begins with a prefix.
    pub(super) fn holds(&self, prefix: &[u8]) -> Result<bool> {
        let mut keys = self.db.raw_iterator();
        keys.seek(prefix);
        keys.status().map_err(of_rocksdb)?;
        Ok(keys.key().is_some_and(|key| key.starts_with(prefix)))
    }

    /// The namespaces that hold anything.
    pub(crate) fn namespaces(&self) -> Result<Vec<Namespace>> {
        namespaces_of(&self.db)
    }
}

/// The namespaces of a database that hold anything.
pub(super) fn namespaces_of(db: &DB) -> Result<Vec<Namespace>> {
    let mut found = Vec::new();
    let mut keys = db.raw_iterator();
    keys.seek_to_first();
    while let Some(key) = keys.key() {
        let (namespace, ..) = parse(key)?;
        found.push(namespace);
        keys.seek(behind(&prefix_of(namespace)));
    }
    keys.status().map_err(of_rocksdb)?;
    Ok(found)
}

/// Opens a database whose files were put there, to be read.
pub(super) fn open_to_read(path: &Path) -> Result<DB> {
    let mut options = Options::default();
    options.set_keep_log_file_num(1);
    keep_open(&mut options, OPEN_TO_READ);
    DB::open_for_read_only(&options, path, false).map_err(of_rocksdb)
}

/// What an error of RocksDB means to a user.
pub(super) fn of_rocksdb(error: rocksdb::Error) -> Error {
    let kind = match error.kind() {
        rocksdb::ErrorKind::Corruption => ErrorKind::Corrupt,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("RocksDB: {}", error.into_string()))
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stores")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}
