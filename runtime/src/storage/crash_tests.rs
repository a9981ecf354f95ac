//! A small run on a disk that fails at every operation in turn.
//!
//! The run claims a generation, publishes three checkpoints and cleans up after each. Whatever
//! happens, the next run finds every checkpoint whose publication had returned, or a later one,
//! with everything that it names.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::ids::{Epoch, Generation, StageId, SubtaskId, WorkerIndex};
use crate::protocol::testing::bare_manifest;
use crate::protocol::{
    Keep, Location, Manifest, Phase, RetentionFacts, SlotContent, SnapshotKind, SnapshotRef,
    SubtaskSnapshot, Verification, plan_cleanup,
};
use crate::storage::log::{
    ClaimRequest, Claimed, LogWriter, Publication, claim, list_state, new_claimant, read_log,
};
use crate::storage::snapshots::{SnapshotPart, read_snapshot, verify, write_snapshot};
use crate::storage::{FaultyDisk, LocalStorage, cleanup};

const ROOT: &str = "a/ckpt";

/// What a run was promised.
#[derive(Debug, Default)]
struct Promised {
    generation: Option<Generation>,
    published: Option<Epoch>,
    is_power_loss: bool,
}

fn storage_on(disk: &FaultyDisk) -> Result<Arc<LocalStorage>> {
    Ok(Arc::new(LocalStorage::open(Arc::new(disk.clone()), ROOT)?))
}

/// Claims, publishes three checkpoints, each naming its own object and that of the one before.
fn run(disk: &FaultyDisk, promised: &mut Promised) -> Result<()> {
    let storage = storage_on(disk)?;
    let request = ClaimRequest {
        job: "job",
        fresh: false,
        above: Generation(0),
        started_unix_ms: 0,
    };
    let Claimed {
        next_epoch,
        mut writer,
    } = claim(storage, &request, &mut new_claimant())?;
    assert!(
        promised.generation < Some(writer.generation()),
        "generations grow"
    );
    assert!(promised.published < Some(next_epoch), "epochs grow");
    promised.generation = Some(writer.generation());
    let mut before: Option<SnapshotRef> = None;
    for epoch in (0..3).map(|n| Epoch(next_epoch.0 + n)) {
        let own = write_state(&writer, epoch)?;
        let refs: Vec<SnapshotRef> = before.into_iter().chain([own.clone()]).collect();
        let manifest = Manifest {
            nonce: writer.nonce(),
            snapshots: vec![SubtaskSnapshot {
                subtask: subtask(),
                refs,
            }],
            ..bare_manifest(writer.generation().0, epoch.0)
        };
        // A publication whose outcome is unknown is tried once more.
        let publication = writer
            .publish(&manifest)
            .or_else(|_| writer.publish(&manifest))?;
        assert!(
            matches!(publication, Publication::Published { .. }),
            "{publication:?}"
        );
        promised.published = Some(epoch);
        before = Some(own);
        clean_up(&mut writer)?;
    }
    Ok(())
}

fn subtask() -> SubtaskId {
    SubtaskId {
        stage: StageId::new("keyed stage"),
        worker: WorkerIndex(0),
    }
}

fn body(epoch: Epoch) -> Vec<u8> {
    vec![epoch.0 as u8; 5_000]
}

fn write_state(writer: &LogWriter, epoch: Epoch) -> Result<SnapshotRef> {
    let part = SnapshotPart {
        generation: writer.generation(),
        nonce: writer.nonce(),
        epoch,
        subtask: &subtask(),
        part: 0,
        kind: SnapshotKind::KeyedIncrement,
    };
    write_snapshot(&**writer.storage(), &part, &body(epoch))
}

fn clean_up(writer: &mut LogWriter) -> Result<()> {
    let objects = list_state(&**writer.storage())?;
    let plan = plan_cleanup(&RetentionFacts {
        log: writer.log(),
        objects: &objects,
        keep: Keep::Newest(NonZeroUsize::MIN),
        phase: Phase::Running,
        generation: writer.generation(),
        open_epochs: &[],
        damaged: &BTreeSet::new(),
        pinned: &BTreeSet::new(),
        ended_with: None,
        left: writer.left(),
    });
    cleanup::execute(&plan, writer)
}

/// What must hold whenever a run has ended.
fn check(disk: &FaultyDisk, promised: &Promised, case: &str) {
    let storage = storage_on(disk).expect("the disk works again");
    let log = read_log(&*storage).expect("the disk works again");
    let mut generations = Vec::new();
    for slot in &log.slots {
        match &slot.content {
            SlotContent::Claim(claim) => generations.push(claim.generation),
            SlotContent::Manifest(_) => {}
            damaged => panic!("{case}: slot {} is {damaged:?}", slot.number),
        }
    }
    assert!(generations.is_sorted(), "{case}: {generations:?}");
    assert!(
        promised.generation <= generations.last().copied(),
        "{case}: a claim is lost"
    );
    let newest = log.manifests_newest_first().next();
    assert!(
        promised.published <= newest.map(|(_, m)| m.epoch),
        "{case}: {:?} is lost",
        promised.published
    );
    let whole = |manifest: &Manifest| verify(&*storage, manifest).expect("the disk works");
    if promised.is_power_loss {
        // Nothing that a manifest names is gone, however old the manifest.
        for (slot, manifest) in log.manifests_newest_first() {
            assert_eq!(whole(manifest), Verification::Whole, "{case}: slot {slot}");
        }
    }
    if let Some((_, manifest)) = newest {
        assert_eq!(whole(manifest), Verification::Whole, "{case}");
        for reference in &manifest.snapshots[0].refs {
            assert!(matches!(reference.location, Location::Object { .. }));
            assert_eq!(
                read_snapshot(&*storage, reference).expect("whole").len(),
                5_000,
                "{case}"
            );
        }
    }
}

/// Plans a fault, runs, restarts or not, checks, runs again undisturbed, checks again.
fn check_every_operation(plan: impl Fn(&FaultyDisk, u64), is_power_loss: bool, what: &str) {
    let undisturbed = FaultyDisk::new();
    run(&undisturbed, &mut Promised::default()).expect("no fault is planned");
    let n_operations = undisturbed.operations();
    assert!(n_operations > 50, "the script does something");
    for n in 1..=n_operations {
        let case = format!("{what} at operation {n}");
        let disk = FaultyDisk::new();
        plan(&disk, n);
        let mut promised = Promised {
            is_power_loss,
            ..Promised::default()
        };
        let outcome = run(&disk, &mut promised);
        if is_power_loss {
            assert!(
                outcome.is_err() || disk.is_without_power(),
                "{case} was not noticed"
            );
            disk.restart();
        }
        disk.heal();
        check(&disk, &promised, &case);
        run(&disk, &mut promised).unwrap_or_else(|e| panic!("{case}: the next run fails: {e}"));
        check(&disk, &promised, &case);
        assert!(
            disk.paths()
                .iter()
                .all(|path| !path.starts_with(Path::new(ROOT).join("tmp"))),
            "{case}"
        );
    }
}

#[test]
fn a_power_loss_at_any_operation_loses_nothing_that_was_published() {
    check_every_operation(FaultyDisk::lose_power_at, true, "power loss");
}

#[test]
fn a_power_loss_loses_nothing_whatever_else_happens_to_survive_it() {
    for seed in 0..8 {
        let plan = |disk: &FaultyDisk, n| {
            disk.survivors(seed * 1_000 + n);
            disk.lose_power_at(n);
        };
        check_every_operation(plan, true, &format!("power loss with seed {seed}"));
    }
}

#[test]
fn an_operation_that_fails_loses_nothing_that_was_published() {
    check_every_operation(FaultyDisk::fail_at, false, "fault");
}

#[test]
fn an_operation_that_takes_effect_and_fails_loses_nothing_that_was_published() {
    check_every_operation(FaultyDisk::fail_after, false, "late fault");
}

#[test]
fn without_faults_retention_leaves_the_newest_checkpoint_and_what_it_names() {
    let disk = FaultyDisk::new();
    run(&disk, &mut Promised::default()).expect("no fault is planned");
    let names: Vec<String> = disk
        .paths()
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let object =
        |epoch: u64| format!("a/ckpt/state/g0000000001-e{epoch:020}-keyed%20stage-w0-0.snap");
    let slot = |number: u64| format!("a/ckpt/log/{number:020}");
    assert_eq!(names, [slot(0), slot(3), object(2), object(3)]);
}

#[test]
fn the_same_run_works_on_a_real_disk() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let root = dir.path().join("not/there/yet");
    let open = || LocalStorage::open(Arc::new(crate::storage::RealDisk), &root).expect("opened");
    let request = ClaimRequest {
        job: "job",
        fresh: false,
        above: Generation(0),
        started_unix_ms: 0,
    };
    let claim = || claim(Arc::new(open()), &request, &mut new_claimant()).expect("claimed");
    let mut first = claim().writer;
    for epoch in 1..=3 {
        let refs = vec![write_state(&first, Epoch(epoch)).expect("written")];
        let snapshots = vec![SubtaskSnapshot {
            subtask: subtask(),
            refs,
        }];
        let manifest = Manifest {
            nonce: first.nonce(),
            snapshots,
            ..bare_manifest(1, epoch)
        };
        let publication = first.publish(&manifest).expect("published");
        assert!(matches!(publication, Publication::Published { .. }));
        clean_up(&mut first).expect("cleaned");
    }
    let Claimed { next_epoch, writer } = claim();
    assert_eq!((writer.generation(), next_epoch), (Generation(2), Epoch(4)));
    let (_, newest) = writer
        .log()
        .manifests_newest_first()
        .next()
        .expect("the newest stays");
    assert_eq!(verify(&open(), newest).expect("read"), Verification::Whole);
    assert_eq!(list_state(&open()).expect("listed").len(), 1);
}
