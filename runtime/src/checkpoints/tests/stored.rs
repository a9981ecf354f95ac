//! A stage on some workers, whose snapshots are stored as a job stores them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::model::Op;
use crate::checkpoints::{Checkpoint, Checkpoints, StateEntry};
use crate::error::Result;
use crate::ids::{Epoch, Generation, KeyGroupCount, StageId, SubtaskId, WorkerIndex};
use crate::key::hash_of;
use crate::protocol::{
    Manifest, PlanStage, SnapshotKind, SnapshotRef, StageKind, StoredPlan, SubtaskSnapshot,
};
use crate::record::{Keyed, Rec, Timed};
use crate::state::frames::HEADER_LEN;
use crate::state::{
    ClearState as _, Context, KeyedLogic, ListState, MapState, Process, SnapshotScope, StateStore,
    Timer, ValueState, list_state, map_state, value_state,
};
use crate::storage::log::{ClaimRequest, Publication, claim, new_claimant};
use crate::storage::{CheckpointStorage, Creation, MemoryStorage};

type View<'a, 's> = (
    ValueState<'s, u64, u64>,
    ListState<'s, u64, i64>,
    MapState<'s, u64, u8, u64>,
);

fn logic() -> impl KeyedLogic<In = Rec<Keyed<u64>, Timed, Op>> {
    Process::new(
        (
            value_state::<u64>("v"),
            list_state::<i64>("l"),
            map_state::<u8, u64>("m"),
        ),
        |ctx: &mut Context<'_, u64, Timed, ()>, (v, l, m): &mut View<'_, '_>, op: Op| match op {
            Op::Set(to) => drop(v.set(to)),
            Op::Forget => {
                v.clear();
                l.clear();
                m.clear();
            }
            Op::Push(item) => l.push(item),
            Op::PopFirst => drop(l.pop_first()),
            Op::Insert(at, to) => drop(m.insert(at, to)),
            Op::Remove(at) => drop(m.remove(&at)),
            Op::Timer(at) => ctx.set_timer(at),
            Op::NoTimer(at) => ctx.delete_timer(at),
        },
        |_: &mut Context<'_, u64, Timed, ()>, _: &mut View<'_, '_>, _: Timer| {},
    )
}

/// The subtasks of the stage.
pub(super) struct Stage<L> {
    logics: Vec<L>,
    snapshots: Vec<SubtaskSnapshot>,
    store: StateStore,
    storage: Arc<Counting>,
    epoch: Epoch,
    /// Objects are much smaller than those of a job, so that there are several.
    pub(super) object_len: usize,
}

impl Stage<()> {
    pub(super) fn new(
        worker_count: usize,
    ) -> Stage<impl KeyedLogic<In = Rec<Keyed<u64>, Timed, Op>>> {
        let storage = Arc::new(Counting::default());
        let subtask = |worker| SubtaskId {
            stage: StageId::new("stage"),
            worker: WorkerIndex(worker as u32),
        };
        let snapshot = |worker| SubtaskSnapshot {
            subtask: subtask(worker),
            refs: Vec::new(),
        };
        Stage {
            logics: (0..worker_count).map(|_| logic()).collect(),
            snapshots: (0..worker_count).map(snapshot).collect(),
            store: StateStore::new(Arc::clone(&storage) as Arc<_>, Generation(1), 1),
            storage,
            epoch: Epoch(0),
            object_len: 20_000,
        }
    }
}

impl<L: KeyedLogic<In = Rec<Keyed<u64>, Timed, Op>>> Stage<L> {
    pub(super) fn process(&mut self, ops: Vec<(u64, Op)>) {
        let mut batches: Vec<Vec<_>> = self.logics.iter().map(|_| Vec::new()).collect();
        for (key, value) in ops {
            let group = KeyGroupCount::DEFAULT.group_of(hash_of(&key));
            let worker = KeyGroupCount::DEFAULT.worker_of(group, batches.len());
            batches[worker.index()].push(Rec {
                key: Keyed(key),
                time: Timed(0),
                value,
            });
        }
        for (logic, batch) in self.logics.iter_mut().zip(&mut batches) {
            logic.process(batch, i64::MIN, &mut Vec::new(), &mut Vec::new());
        }
    }

    /// Takes a snapshot of each subtask: the first is full, others are increments.
    pub(super) fn snapshot(&mut self, epoch: Epoch) {
        self.epoch = epoch;
        for (logic, snapshot) in self.logics.iter_mut().zip(&mut self.snapshots) {
            let (scope, kind) = if snapshot.refs.is_empty() {
                (SnapshotScope::Full, SnapshotKind::KeyedFull)
            } else {
                (SnapshotScope::Increment, SnapshotKind::KeyedIncrement)
            };
            logic.freeze(scope);
            let (mut bytes, mut part) = (Vec::new(), 0);
            let mut write = |bytes: &mut Vec<u8>| {
                let subtask = &snapshot.subtask;
                let reference = self.store.write(subtask, epoch, part, kind, bytes);
                snapshot.refs.push(reference.expect("memory answers"));
                bytes.truncate(HEADER_LEN);
                part += 1;
            };
            while let Some(chunk) = logic.copy_frozen(self.object_len / 40) {
                chunk.encode(&mut bytes).expect("plain types encode");
                if bytes.len() > self.object_len {
                    write(&mut bytes);
                }
            }
            if bytes.len() > HEADER_LEN {
                write(&mut bytes);
            }
        }
    }

    /// Publishes the last snapshots.
    pub(super) fn publish(self) -> Stored {
        let storage: Arc<dyn CheckpointStorage> = Arc::clone(&self.storage) as Arc<_>;
        let request = ClaimRequest {
            job: "job",
            fresh: false,
            above: Generation(0),
            started_unix_ms: 0,
        };
        let claimed = claim(storage, &request, &mut new_claimant());
        let mut writer = claimed.expect("memory answers").writer;
        let stage = PlanStage {
            id: StageId::new("stage"),
            operation: "process".to_owned(),
            detail: String::new(),
            kind: StageKind::Keyed,
            schema: Some(self.logics[0].schema()),
        };
        let manifest = Manifest {
            job: "job".to_owned(),
            generation: writer.generation(),
            nonce: writer.nonce(),
            epoch: self.epoch,
            worker_count: self.logics.len() as u32,
            plan: StoredPlan {
                stages: vec![stage],
                edges: Vec::new(),
            },
            snapshots: self.snapshots,
            ..crate::protocol::testing::bare_manifest(1, 1)
        };
        let published = writer.publish(&manifest).expect("memory answers");
        assert!(matches!(published, Publication::Published { .. }));
        Stored {
            storage: self.storage,
            manifest,
        }
    }
}

/// A published checkpoint of the stage.
pub(super) struct Stored {
    pub(super) storage: Arc<Counting>,
    pub(super) manifest: Manifest,
}

impl Stored {
    pub(super) fn open(&self) -> Checkpoints {
        let storage = Arc::clone(&self.storage) as Arc<_>;
        Checkpoints::open_in(storage).expect("a checkpoint was published")
    }

    /// The checkpoint with a manifest that may say something else than the stored one.
    pub(super) fn read(&self) -> Result<Vec<StateEntry>> {
        let checkpoint = Checkpoint {
            storage: &*self.storage,
            work_dir: &std::env::temp_dir(),
            slot: crate::protocol::SlotNumber(1),
            manifest: &self.manifest,
        };
        checkpoint.state(&StageId::new("stage"))?.collect()
    }

    pub(super) fn entries(&self) -> Vec<StateEntry> {
        let checkpoints = self.open();
        let newest = checkpoints.newest().expect("one was published");
        let state = newest.state(&StageId::new("stage")).expect("it is whole");
        let entries: Result<Vec<_>> = state.collect();
        entries.expect("it is whole")
    }

    pub(super) fn refs(&mut self) -> &mut Vec<SnapshotRef> {
        &mut self.manifest.snapshots[0].refs
    }

    pub(super) fn objects(&self) -> usize {
        self.open().files().len()
    }

    pub(super) fn file_bytes(&self) -> u64 {
        self.open().files().iter().map(|file| file.len).sum()
    }

    pub(super) fn bytes_read_in_parts(&self) -> u64 {
        self.storage.read_in_parts.load(Ordering::Relaxed)
    }
}

/// Storage in memory that counts what is read of objects in parts.
#[derive(Debug, Default)]
pub(super) struct Counting {
    objects: MemoryStorage,
    read_in_parts: AtomicU64,
}

impl CheckpointStorage for Counting {
    fn create(&self, name: &str, bytes: &[u8]) -> Result<Creation> {
        self.objects.create(name, bytes)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.objects.write(name, bytes)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.objects.read(name)
    }

    fn read_range(&self, name: &str, range: Range<u64>) -> Result<Option<Vec<u8>>> {
        let read = self.objects.read_range(name, range)?;
        let len = read.as_ref().map_or(0, |bytes| bytes.len() as u64);
        self.read_in_parts.fetch_add(len, Ordering::Relaxed);
        Ok(read)
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        self.objects.list(dir)
    }

    fn delete(&self, names: &[String]) -> Result<()> {
        self.objects.delete(names)
    }

    fn place(&self) -> String {
        self.objects.place()
    }
}
