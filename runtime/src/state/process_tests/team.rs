//! Workers of a stage with their state in one of the backends, and their snapshots in a store.

use std::sync::Arc;

use super::stage::{Stage, stage};
use crate::error::Result;
use crate::ids::{Epoch, Generation, StageId, SubtaskId, WorkerIndex};
use crate::key::hash_of;
use crate::metrics::Metrics;
use crate::protocol::{SnapshotKind, SnapshotRef};
use crate::settings::StateBackend;
use crate::state::restore::Former;
use crate::state::testing::{GROUPS, ranges, share};
use crate::state::{
    Backend, KeyedLogic, Progress, Restoring, SnapshotScope, StageBackend, StateStore, Taking,
    WorkPlace,
};
use crate::storage::MemoryStorage;

/// What all teams of a test share.
pub(super) struct World {
    dir: tempfile::TempDir,
    store: StateStore,
    teams: u64,
}

/// The snapshots of all workers.
pub(super) type Snapshots = Vec<Vec<SnapshotRef>>;

/// The workers of a run.
pub(super) struct Team<L> {
    pub(super) logics: Vec<L>,
    homes: Vec<StageBackend>,
    store: StateStore,
    /// The chain of each worker.
    pub(super) chains: Snapshots,
    /// The image that is being copied.
    copying: Option<Copying>,
    epoch: Epoch,
}

struct Copying {
    scope: SnapshotScope,
    objects: Vec<Vec<u8>>,
}

/// RocksDB with so little memory that the caches hold next to nothing.
#[cfg(feature = "rocksdb")]
pub(super) fn tiny_rocksdb() -> StateBackend {
    StateBackend::RocksDb(crate::settings::RocksDbSettings {
        memory_budget: 4 << 10,
        work_dir: None,
    })
}

fn subtask(worker: usize) -> SubtaskId {
    SubtaskId {
        stage: StageId::new("stage"),
        worker: WorkerIndex(worker as u32),
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
            store: StateStore::new(Arc::new(MemoryStorage::new()), Generation(1), 1),
            teams: 0,
        }
    }

    /// So many workers, with what former ones have left.
    pub(super) fn team(
        &mut self,
        backend: &StateBackend,
        worker_count: usize,
        former: &Snapshots,
    ) -> Team<Stage> {
        self.try_team(stage, backend, worker_count, former)
            .expect("they are restored")
    }

    /// So many workers of a stage, with what former ones have left.
    pub(super) fn try_team<L: KeyedLogic>(
        &mut self,
        make: impl Fn() -> L,
        backend: &StateBackend,
        worker_count: usize,
        former: &Snapshots,
    ) -> Result<Team<L>> {
        self.teams += 1;
        let place = WorkPlace {
            root: self.dir.path().to_owned(),
            name: self.teams.to_string(),
        };
        let backend = Backend::start(backend, place, worker_count)?;
        let mut logics: Vec<L> = (0..worker_count).map(|_| make()).collect();
        let of_range = ranges(worker_count).into_iter();
        let homes = of_range.zip(&mut logics).enumerate();
        let homes = homes.map(|(worker, (range, logic))| {
            let whose = ranges(former.len().max(1)).into_iter();
            let restoring = Restoring {
                subtask: &subtask(worker),
                share: share(range),
                former: whose
                    .zip(former)
                    .map(|(range, refs)| Former { range, refs })
                    .collect(),
                store: &self.store,
                evolving: None,
            };
            backend.open(logic, &restoring)
        });
        Ok(Team {
            homes: homes.collect::<Result<_>>()?,
            logics,
            store: self.store.clone(),
            chains: vec![Vec::new(); worker_count],
            copying: None,
            epoch: Epoch(self.teams << 32),
        })
    }
}

impl<L: KeyedLogic> Team<L> {
    pub(super) fn of(&mut self, key: u64) -> usize {
        let worker = GROUPS.worker_of(GROUPS.group_of(hash_of(&key)), self.logics.len());
        worker.index()
    }

    /// Whether the stage may fire and freeze.
    pub(super) fn is_settled(&self) -> bool {
        self.homes.iter().all(StageBackend::is_settled)
    }

    pub(super) fn freeze(&mut self, scope: SnapshotScope) {
        self.epoch = self.epoch.next();
        for (logic, home) in self.logics.iter_mut().zip(&self.homes) {
            home.begin_image();
            logic.freeze(scope);
        }
        self.copying = Some(Copying {
            scope,
            objects: vec![Vec::new(); self.logics.len()],
        });
    }

    /// Copies some of the frozen images; false when nothing is left of them.
    pub(super) fn copy(&mut self, budget: usize) -> bool {
        let Some(copying) = &mut self.copying else {
            return false;
        };
        let mut more = false;
        for (logic, object) in self.logics.iter_mut().zip(&mut copying.objects) {
            if let Some(chunk) = logic.copy_frozen(budget) {
                chunk.encode(object).expect("the types of the tests encode");
                more = true;
            }
        }
        more
    }

    /// Stores the image, of which nothing is left to be copied.
    pub(super) fn store(&mut self) {
        let Some(Copying { scope, objects }) = self.copying.take() else {
            return;
        };
        let kind = match scope {
            SnapshotScope::Full => SnapshotKind::KeyedFull,
            SnapshotScope::Increment => SnapshotKind::KeyedIncrement,
        };
        for (worker, object) in objects.iter().enumerate() {
            let (subtask, home) = (subtask(worker), &self.homes[worker]);
            let written = self.store.write(&subtask, self.epoch, 0, kind, object);
            let taking = Taking {
                subtask: &subtask,
                epoch: self.epoch,
                store: &self.store,
                part: 1,
                metrics: &Metrics::new(),
            };
            let taken = home.take_image(self.epoch);
            let image = taken.and_then(|taken| home.store_image(&taken, &taking));
            let chain = &mut self.chains[worker];
            if scope == SnapshotScope::Full || !home.has_chain() {
                chain.clear();
            }
            chain.push(written.expect("memory takes it"));
            chain.extend(image.expect("it is stored"));
            home.check().expect("the backend works");
        }
    }

    /// Takes a snapshot at once.
    #[cfg(feature = "rocksdb")]
    pub(super) fn snapshot(&mut self) -> &Snapshots {
        self.freeze(SnapshotScope::Full);
        while self.copy(100) {}
        self.store();
        &self.chains
    }

    /// Fires until nothing is due, a few results at a time.
    pub(super) fn fire(&mut self, watermark: i64, out: &mut Vec<L::Out>) {
        for logic in &mut self.logics {
            while logic.fire(watermark, out, 2) == Progress::More {}
        }
    }

    pub(super) fn tick(&mut self, now: i64, out: &mut Vec<L::Out>) {
        for logic in &mut self.logics {
            while logic.tick(now, out, 2) == Progress::More {}
        }
    }
}
