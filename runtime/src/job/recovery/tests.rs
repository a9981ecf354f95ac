use std::sync::{Mutex, MutexGuard};

use super::*;
use crate::clock::Clock;
use crate::connector::{Committable, Committer, OutputFacts, SinkSnapshot};
use crate::error::ErrorKind;
use crate::ids::{Generation, SubtaskId};
use crate::protocol::testing::bare_manifest;
use crate::protocol::{
    CommitPermit, Location, SlotNumber, SnapshotKind, SnapshotRef, StoredPlan, SubtaskSnapshot,
};
use crate::storage::log::{Publication, new_claimant};
use crate::storage::{FaultyDisk, MemoryStorage};

/// Where output goes. An older run, which has a permit for all that is staged, wakes up before one of the
/// steps of the new run, and commits what it still finds.
#[derive(Clone)]
struct Place {
    old_run_wakes_at: usize,
    output: Arc<Mutex<Output>>,
}

struct Output {
    steps: usize,
    staged: Vec<(Epoch, Committable)>,
    visible: Vec<(Epoch, Committable)>,
}

impl Place {
    /// A step of the new run begins.
    fn step(&self) -> MutexGuard<'_, Output> {
        let mut output = self.output.lock().expect("nobody panics with it");
        if output.steps == self.old_run_wakes_at {
            let committed = std::mem::take(&mut output.staged);
            output.visible.extend(committed);
        }
        output.steps += 1;
        output
    }
}

impl Transactional for Place {
    fn inspect(&self, _: &SinkContext) -> Result<OutputFacts> {
        unreachable!("it was looked at before")
    }

    fn take_back(&self, _: &SinkContext, kept: Epoch) -> Result<()> {
        self.step().visible.retain(|(epoch, _)| *epoch <= kept);
        Ok(())
    }

    fn clear(&self, _: &SinkContext) -> Result<()> {
        unreachable!("nobody starts afresh")
    }

    fn discard_staged(&self, _: &SinkContext, named: &[Committable], _: &[Vec<u8>]) -> Result<()> {
        self.step()
            .staged
            .retain(|(_, staged)| named.contains(staged));
        Ok(())
    }

    fn finish(&self, _: &SinkContext, _: &[u8]) -> Result<Vec<Committable>> {
        unreachable!("nothing is unfinished")
    }

    fn committer(&self, _: &SinkContext) -> Arc<dyn Committer> {
        Arc::new(self.clone())
    }
}

impl Committer for Place {
    fn commit(&self, _: &CommitPermit, committable: &Committable) -> Result<()> {
        let mut output = self.step();
        if let Some(at) = output.staged.iter().position(|(_, c)| c == committable) {
            let committed = output.staged.remove(at);
            output.visible.push(committed);
        }
        Ok(())
    }
}

fn committable(name: &str) -> Committable {
    Committable(name.as_bytes().to_vec())
}

/// The manifest of epoch 2, which names what its sink had staged.
fn manifest(stage: &StageId) -> Manifest {
    let snapshot = SinkSnapshot {
        committables: vec![(Epoch(2), committable("of epoch 2"))],
        unfinished: None,
    };
    let reference = SnapshotRef {
        kind: SnapshotKind::Operator,
        location: Location::Inline(snapshot.encode()),
    };
    let mut manifest = bare_manifest(1, 2);
    manifest.snapshots.push(SubtaskSnapshot {
        subtask: SubtaskId {
            stage: stage.clone(),
            worker: WorkerIndex(0),
        },
        refs: vec![reference],
    });
    manifest
}

/// The simulation's seed 45193: a run fell back behind a damaged checkpoint. Nothing of that one's output was
/// visible yet, and what was staged of it was discarded; in between the old run, which had published that
/// checkpoint, committed it, and the new one wrote the same records again.
#[test]
fn what_an_old_run_commits_while_a_new_one_falls_back_is_taken_back() {
    let stage = StageId::new("out");
    for old_run_wakes_at in 0..5 {
        let place = Place {
            old_run_wakes_at,
            output: Arc::new(Mutex::new(Output {
                steps: 0,
                staged: vec![
                    (Epoch(2), committable("of epoch 2")),
                    (Epoch(3), committable("of the damaged one")),
                ],
                visible: vec![(Epoch(1), committable("of epoch 1"))],
            })),
        };
        let end = SinkEnd {
            stage: stage.clone(),
            sink: Arc::new(place.clone()),
            context: SinkContext {
                job: Arc::from("job"),
                stage: stage.clone(),
                worker: WorkerIndex(0),
                worker_count: 1,
                generation: Generation(2),
                disk: Arc::new(FaultyDisk::new()),
                clock: Clock::manual(),
                formerly: Vec::new(),
            },
        };
        // As the sink looked when it was asked: nothing later than the checkpoint was visible.
        let chosen = ChosenCheckpoint {
            slot: SlotNumber(2),
            epoch: Epoch(2),
            kept: Epoch(2),
            skipped: Vec::new(),
            take_back: Vec::new(),
        };
        restore_sinks(&[end], &manifest(&stage), &chosen).expect("nothing fails");
        let output = place.step();
        let visible: Vec<_> = output.visible.iter().map(|(epoch, _)| epoch.0).collect();
        assert_eq!(visible, [1, 2], "the old run woke up at {old_run_wakes_at}");
        assert!(
            output.staged.is_empty(),
            "the old run woke up at {old_run_wakes_at}"
        );
    }
}

/// A sink with output of the job. While it is looked at, another run may begin, do its work and make that output.
struct Beside {
    storage: Arc<MemoryStorage>,
    runs: bool,
}

impl Beside {
    /// Another run of the job, up to its first checkpoint.
    fn run(&self) {
        let storage: Arc<dyn CheckpointStorage> = self.storage.clone();
        let request = ClaimRequest {
            job: "job",
            fresh: false,
            above: Generation(0),
            started_unix_ms: 0,
        };
        let claimed = claim(storage, &request, &mut new_claimant());
        let mut writer = claimed.expect("memory answers").writer;
        let manifest = Manifest {
            nonce: writer.nonce(),
            ..bare_manifest(1, 1)
        };
        let published = writer.publish(&manifest).expect("memory answers");
        assert!(matches!(published, Publication::Published { .. }));
    }
}

impl Transactional for Beside {
    fn inspect(&self, _: &SinkContext) -> Result<OutputFacts> {
        if self.runs && is_unclaimed(&*self.storage)? {
            self.run();
        }
        Ok(OutputFacts {
            place: "out".to_owned(),
            visible: 1,
            newest_epoch: Some(Epoch(1)),
            newest_generation: None,
        })
    }

    fn take_back(&self, _: &SinkContext, _: Epoch) -> Result<()> {
        Ok(())
    }

    fn clear(&self, _: &SinkContext) -> Result<()> {
        unreachable!("nobody starts afresh")
    }

    fn discard_staged(&self, _: &SinkContext, _: &[Committable], _: &[Vec<u8>]) -> Result<()> {
        Ok(())
    }

    fn finish(&self, _: &SinkContext, _: &[u8]) -> Result<Vec<Committable>> {
        unreachable!("nothing is unfinished")
    }

    fn committer(&self, _: &SinkContext) -> Arc<dyn Committer> {
        Arc::new(Nothing)
    }
}

struct Nothing;

impl Committer for Nothing {
    fn commit(&self, _: &CommitPermit, _: &Committable) -> Result<()> {
        unreachable!("nothing is staged")
    }
}

fn start_beside(runs: bool) -> (Result<Recovered>, Arc<MemoryStorage>) {
    let storage = Arc::new(MemoryStorage::new());
    let sink = Beside {
        storage: Arc::clone(&storage),
        runs,
    };
    let blueprint = Blueprint {
        plan: StoredPlan::default(),
        sources: Vec::new(),
        sinks: vec![(StageId::new("out"), Arc::new(sink))],
        errors: Vec::new(),
    };
    let begin = Beginning {
        versions: &Versions::default(),
        job: &Arc::from("job"),
        blueprint: &blueprint,
        options: &Options::new(),
        environment: &Environment::default(),
        worker_count: 1,
    };
    let recovered = recover(begin, &mut new_claimant(), storage.clone());
    (recovered, storage)
}

#[test]
fn a_start_in_an_empty_place_beside_output_of_the_job_is_refused_and_claims_nothing() {
    let (refused, storage) = start_beside(false);
    let error = refused.err().expect("the place is mistyped");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(is_unclaimed(&*storage).expect("memory answers"));
}

/// The simulation's seed 24: a run saw an empty log and slept, another one did the whole job, and the first one took
/// its output for that of a job whose checkpoints are elsewhere.
#[test]
fn a_start_beside_another_run_is_not_refused_for_its_output() {
    let (recovered, _) = start_beside(true);
    assert_eq!(recovered.expect("it goes on").from, Some(Epoch(1)));
}
