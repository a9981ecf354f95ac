//! Where a run keeps its state, and where each of its stages does.

#[cfg(feature = "rocksdb")]
use std::cell::Cell;
use std::path::PathBuf;
#[cfg(feature = "rocksdb")]
use std::sync::{Arc, Mutex, PoisonError};

use super::evolve::restore_evolved;
use super::frames::Namespace;
use super::logic::KeyedLogic;
use super::restore::Former;
use super::restoring::{Restoring, head_of};
#[cfg(feature = "rocksdb")]
use super::rocks::{self, Store, Stores, Taken, Upload};
use super::store::StateStore;
#[cfg(not(feature = "rocksdb"))]
use crate::error::Error;
use crate::error::Result;
use crate::ids::{Epoch, SubtaskId};
use crate::metrics::Metrics;
use crate::protocol::SnapshotRef;
use crate::settings::StateBackend;
#[cfg(not(feature = "rocksdb"))]
use crate::storage::WorkDir;
#[cfg(feature = "rocksdb")]
use crate::storage::{WorkDir, names};

/// Where a run keeps its state.
#[derive(Clone, Debug)]
pub struct Backend {
    kind: Kind,
    #[cfg(feature = "rocksdb")]
    reads: ReadDir,
}

/// Where databases are put together to be read by stages in memory: the directory of the run, once
/// somebody needs it.
#[cfg(feature = "rocksdb")]
#[derive(Clone, Debug, Default)]
struct ReadDir {
    place: WorkPlace,
    made: Arc<Mutex<Option<WorkDir>>>,
}

#[cfg(feature = "rocksdb")]
impl ReadDir {
    /// Makes a directory in that of the run.
    fn make(&self, name: &str) -> Result<WorkDir> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dir) = &*made {
            return dir.make(name);
        }
        let dir = WorkDir::create(&self.place.root, &self.place.name)?;
        made.insert(dir).make(name)
    }
}

/// A directory for a run's own, which is not made before it is needed.
#[derive(Clone, Debug, Default)]
pub struct WorkPlace {
    /// Where it is.
    pub root: PathBuf,
    /// Its name, which no other run has.
    pub name: String,
}

#[derive(Clone, Debug)]
enum Kind {
    Memory,
    #[cfg(feature = "rocksdb")]
    Rocks(Arc<Stores>),
}

/// Where one stage keeps its state on one worker.
#[derive(Clone, Debug, Default)]
pub struct StageBackend(pub(super) Home);

#[derive(Clone, Debug, Default)]
pub(super) enum Home {
    /// In memory.
    #[default]
    Memory,
    /// In a database of its own.
    #[cfg(feature = "rocksdb")]
    Rocks(Arc<Store>),
}

impl Backend {
    /// All state in memory, and no directory.
    pub fn memory() -> Self {
        Self {
            kind: Kind::Memory,
            #[cfg(feature = "rocksdb")]
            reads: ReadDir::default(),
        }
    }

    /// The backend of a run in which so many subtasks keep state.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the work directory cannot be made, `Invalid` without the feature that a
    /// backend needs.
    #[cfg(feature = "rocksdb")]
    pub fn start(settings: &StateBackend, place: WorkPlace, subtasks: usize) -> Result<Self> {
        let kind = match settings {
            StateBackend::Memory => Kind::Memory,
            StateBackend::RocksDb(settings) => {
                let dir = WorkDir::create(&place.root, &place.name)?;
                let settings = rocks::Settings {
                    memory_budget: settings.memory_budget,
                    stores: subtasks,
                };
                Kind::Rocks(Arc::new(Stores::new(settings, dir)))
            }
        };
        let reads = ReadDir {
            place,
            made: Arc::default(),
        };
        Ok(Self { kind, reads })
    }

    /// The backend of a run in which so many subtasks keep state.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the work directory cannot be made, `Invalid` without the feature that a
    /// backend needs.
    #[cfg(not(feature = "rocksdb"))]
    pub fn start(settings: &StateBackend, _: WorkPlace, _: usize) -> Result<Self> {
        match settings {
            StateBackend::Memory => Ok(Self::memory()),
            StateBackend::RocksDb(_) => Err(without_rocksdb("state cannot be kept in RocksDB")),
        }
    }

    /// Opens the place of a stage's state, and gives the stage back what former subtasks left.
    ///
    /// # Errors
    ///
    /// `Corrupt` where stored bytes do not decode, `Incompatible` where another kind of stage wrote
    /// them, `Unavailable` if the storage or the database does not answer, or nobody waits any more.
    pub(crate) fn open<L: KeyedLogic>(
        &self,
        logic: &mut L,
        restoring: &Restoring<'_>,
    ) -> Result<StageBackend> {
        match &self.kind {
            Kind::Memory => {
                let stage = StageBackend::default();
                logic.open(&stage);
                if let Some(evolving) = restoring.evolving {
                    let dirs = self.former_dirs(restoring);
                    restore_evolved(logic, evolving, restoring, &dirs)?;
                    return Ok(stage);
                }
                restoring.frames(logic)?;
                let databases = restoring.databases();
                if databases.is_empty() {
                    return Ok(stage);
                }
                self.read_databases(logic, restoring, &databases)?;
                Ok(stage)
            }
            #[cfg(feature = "rocksdb")]
            Kind::Rocks(stores) => {
                restoring.share.check()?;
                let name = names::stage_dir(restoring.subtask);
                // Nothing of a database of other types is taken over as it is.
                let databases = match restoring.evolving {
                    None => restoring.databases(),
                    Some(_) => Vec::new(),
                };
                let parts = databases
                    .iter()
                    .filter_map(|former| restoring.part(former))
                    .collect();
                let store = rocks::take_over(stores, &name, parts, restoring.store)?;
                let stage = StageBackend(Home::Rocks(Arc::new(store)));
                logic.open(&stage);
                match restoring.evolving {
                    None => restoring.frames(logic)?,
                    Some(evolving) => {
                        let dirs = numbered(|at| stores.dir().make(&format!("{name}-former-{at}")));
                        restore_evolved(logic, evolving, restoring, &dirs)?;
                    }
                }
                logic.resume()?;
                stage.check()?;
                Ok(stage)
            }
        }
    }

    /// Where the databases of former subtasks are put together for a stage in memory whose types have changed.
    #[cfg(feature = "rocksdb")]
    fn former_dirs<'a>(&'a self, restoring: &'a Restoring<'_>) -> impl Fn() -> Result<WorkDir> {
        let stage = names::stage_dir(restoring.subtask);
        numbered(move |at| self.reads.make(&format!("{stage}-former-{at}")))
    }

    #[cfg(not(feature = "rocksdb"))]
    #[expect(clippy::unused_self, reason = "it is used with the feature")]
    fn former_dirs(&self, _: &Restoring<'_>) -> impl Fn() -> Result<WorkDir> {
        || {
            Err(without_rocksdb(
                "the checkpoint was written with state in RocksDB, which cannot be read",
            ))
        }
    }

    /// Gives a stage in memory back what stands in databases.
    #[cfg(feature = "rocksdb")]
    fn read_databases<L: KeyedLogic>(
        &self,
        logic: &mut L,
        restoring: &Restoring<'_>,
        databases: &[Former<'_>],
    ) -> Result<()> {
        // Which watermark counts was decided from the heads of the snapshots.
        let watermark = logic.watermark().map(|watermark| *watermark);
        for (at, former) in databases.iter().enumerate() {
            restoring.share.check()?;
            let Some(part) = restoring.part(former) else {
                continue;
            };
            let stage = names::stage_dir(restoring.subtask);
            let dir = self.reads.make(&format!("{stage}-{at}"))?;
            let mut head = Vec::new();
            for reference in head_of(former.refs) {
                head.extend(restoring.store.read(reference)?);
            }
            rocks::read_into(&part, restoring.store, &dir, &head, |object| {
                logic.restore(object, restoring.share)
            })?;
        }
        if let (Some(watermark), Some(decided)) = (logic.watermark(), watermark) {
            *watermark = decided;
        }
        Ok(())
    }

    #[cfg(not(feature = "rocksdb"))]
    #[expect(clippy::unused_self, reason = "it is used with the feature")]
    fn read_databases<L: KeyedLogic>(
        &self,
        _: &mut L,
        _: &Restoring<'_>,
        _: &[Former<'_>],
    ) -> Result<()> {
        Err(without_rocksdb(
            "the checkpoint was written with state in RocksDB, which cannot be read",
        ))
    }
}

/// Calls with the number of the call.
#[cfg(feature = "rocksdb")]
fn numbered<T>(call: impl Fn(u32) -> T) -> impl Fn() -> T {
    let calls = Cell::new(0);
    move || call(calls.replace(calls.get() + 1))
}

/// That something cannot be done without the feature.
#[cfg(not(feature = "rocksdb"))]
pub(crate) fn without_rocksdb(what: &str) -> Error {
    Error::invalid(format!(
        "{what}: this program was built without the feature `rocksdb` of the crate `flowdsl`"
    ))
}

/// What a backend has taken of an image to be stored elsewhere than in frames.
#[derive(Debug, Default)]
pub(crate) struct TakenImage {
    #[cfg(feature = "rocksdb")]
    files: Option<Taken>,
}

/// Which snapshot a stage takes.
pub(crate) struct Taking<'a> {
    pub(crate) subtask: &'a SubtaskId,
    pub(crate) epoch: Epoch,
    pub(crate) store: &'a StateStore,
    /// The number of the first part that is free.
    pub(crate) part: u32,
    /// Who counts what is written.
    pub(crate) metrics: &'a Metrics,
}

impl StageBackend {
    /// Whether increments follow each other in a chain of snapshots. A database keeps account of
    /// its files itself.
    pub(crate) fn has_chain(&self) -> bool {
        match &self.0 {
            Home::Memory => true,
            #[cfg(feature = "rocksdb")]
            Home::Rocks(_) => false,
        }
    }

    /// Whether an image goes to a database first, for which the stage waits, and only then to the
    /// storage.
    pub(crate) fn writes_ahead(&self) -> bool {
        !self.has_chain()
    }

    /// Whether increments may follow the snapshot that a stage was restored from: all of it stands in
    /// frames.
    pub(crate) fn goes_on_with(&self, refs: &[SnapshotRef]) -> bool {
        self.has_chain() && head_of(refs).len() == refs.len()
    }

    /// An image is about to be frozen: until it is stored, what changes waits.
    pub(crate) fn begin_image(&self) {
        match &self.0 {
            Home::Memory => {}
            #[cfg(feature = "rocksdb")]
            Home::Rocks(store) => store.open_window(),
        }
    }

    /// All of the image was handed over and encoded: from here on the stage may fire and freeze again,
    /// whatever is returned. No storage is waited for.
    pub(crate) fn take_image(&self, epoch: Epoch) -> Result<TakenImage> {
        match &self.0 {
            Home::Memory => {
                let _ = epoch;
                Ok(TakenImage::default())
            }
            #[cfg(feature = "rocksdb")]
            Home::Rocks(store) => {
                let files = Some(store.take(epoch)?);
                Ok(TakenImage { files })
            }
        }
    }

    /// Stores what was taken of an image; images in their order. References to what is stored
    /// elsewhere than in frames are returned.
    pub(crate) fn store_image(
        &self,
        image: &TakenImage,
        taking: &Taking<'_>,
    ) -> Result<Vec<SnapshotRef>> {
        match &self.0 {
            Home::Memory => {
                let _ = (image, taking);
                Ok(Vec::new())
            }
            #[cfg(feature = "rocksdb")]
            Home::Rocks(store) => {
                let upload = Upload {
                    subtask: taking.subtask,
                    epoch: taking.epoch,
                    store: taking.store,
                    part: taking.part,
                    metrics: taking.metrics,
                };
                let files = image.files.as_ref();
                files.map_or_else(|| Ok(Vec::new()), |files| store.upload(files, &upload))
            }
        }
    }

    /// Whether the stage may fire, and freeze again. If not, the operator is woken when it may.
    pub(crate) fn is_settled(&self) -> bool {
        match &self.0 {
            Home::Memory => true,
            #[cfg(feature = "rocksdb")]
            Home::Rocks(store) => store.is_settled(),
        }
    }

    /// Whether the stage may take in records. If not, the operator is woken when it may.
    pub(crate) fn takes_more(&self) -> bool {
        match &self.0 {
            Home::Memory => true,
            #[cfg(feature = "rocksdb")]
            Home::Rocks(store) => store.takes_more(),
        }
    }

    /// Whether the tables of the stage are to give memory back to each other; said once.
    pub(crate) fn is_pressed(&self) -> bool {
        match &self.0 {
            Home::Memory => false,
            #[cfg(feature = "rocksdb")]
            Home::Rocks(store) => store.is_pressed(),
        }
    }

    /// What the backend could not do, though the stage went on as if it had.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.0 {
            Home::Memory => Ok(()),
            #[cfg(feature = "rocksdb")]
            Home::Rocks(store) => store.check(),
        }
    }

    /// The tables that the backend holds anything of, before the stage has changed any.
    pub(crate) fn namespaces(&self) -> Result<Vec<Namespace>> {
        match &self.0 {
            Home::Memory => Ok(Vec::new()),
            #[cfg(feature = "rocksdb")]
            Home::Rocks(store) => store.namespaces(),
        }
    }
}
