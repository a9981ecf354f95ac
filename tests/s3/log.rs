//! Claims, publications and fencing on a server that fails at random.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use flowdsl::runtime::ids::{Epoch, Generation, KeyGroupCount, StageId, SubtaskId, WorkerIndex};
use flowdsl::runtime::protocol::{
    CheckpointKind, Keep, Manifest, Phase, RetentionFacts, SnapshotKind, StoredPlan,
    SubtaskSnapshot, Verification, plan_cleanup,
};
use flowdsl::runtime::storage::log::{
    ClaimRequest, LogWriter, Publication, claim, list_state, new_claimant, read_log,
};
use flowdsl::runtime::storage::snapshots::{SnapshotPart, verify, write_snapshot};
use flowdsl::runtime::storage::{CheckpointStorage, RealDisk, TransferLimits, cleanup};
use flowdsl::runtime::{ErrorKind, Result};
use flowdsl_tests::contract::pattern;
use flowdsl_tests::s3::S3;

/// How often something is tried again that fails in a way that passes.
const TRIES: usize = 50;

/// Repeats what did not get an answer: a run that restarts, a checkpoint that is tried again.
#[track_caller]
fn until_answered<T>(mut act: impl FnMut() -> Result<T>) -> T {
    for _ in 0..TRIES {
        match act() {
            Ok(done) => return done,
            Err(e) => assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}"),
        }
    }
    panic!("no answer in {TRIES} tries");
}

fn claimed(storage: &Arc<dyn CheckpointStorage>) -> LogWriter {
    let request = ClaimRequest {
        job: "job",
        fresh: false,
        above: Generation(0),
        started_unix_ms: 0,
    };
    let mut claimant = new_claimant();
    until_answered(|| claim(Arc::clone(storage), &request, &mut claimant)).writer
}

fn subtask() -> SubtaskId {
    SubtaskId {
        stage: StageId::new("keyed stage"),
        worker: WorkerIndex(0),
    }
}

/// A checkpoint with an object of its own, up to its publication.
fn checkpoint(writer: &mut LogWriter, epoch: u64) -> Publication {
    let part = SnapshotPart {
        generation: writer.generation(),
        nonce: writer.nonce(),
        epoch: Epoch(epoch),
        subtask: &subtask(),
        part: 0,
        kind: SnapshotKind::KeyedFull,
    };
    let body = pattern(5_000 + epoch as usize);
    let storage = Arc::clone(writer.storage());
    let reference = until_answered(|| write_snapshot(&*storage, &part, &body));
    let manifest = Manifest {
        job: "job".to_owned(),
        generation: writer.generation(),
        nonce: writer.nonce(),
        epoch: Epoch(epoch),
        kind: CheckpointKind::Checkpoint,
        finished: false,
        worker_count: 1,
        key_groups: KeyGroupCount::default(),
        written_unix_ms: 0,
        plan: StoredPlan::default(),
        snapshots: vec![SubtaskSnapshot {
            subtask: subtask(),
            refs: vec![reference],
        }],
        origins: Vec::new(),
    };
    until_answered(|| writer.publish(&manifest))
}

/// Keeps the newest ones; what fails is left to a later cleanup.
fn clean_up(writer: &mut LogWriter) {
    let storage = Arc::clone(writer.storage());
    let objects = until_answered(|| list_state(&*storage));
    let plan = plan_cleanup(&RetentionFacts {
        log: writer.log(),
        objects: &objects,
        keep: Keep::Newest(NonZeroUsize::new(RETAINED).expect("some")),
        phase: Phase::Running,
        generation: writer.generation(),
        open_epochs: &[],
        damaged: &BTreeSet::new(),
        pinned: &BTreeSet::new(),
        ended_with: None,
        left: writer.left(),
    });
    if let Err(e) = cleanup::execute(&plan, writer) {
        assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
    }
}

/// How many checkpoints are kept.
const RETAINED: usize = 2;

/// Everything that a retained manifest names is there, and the newest is that of `epoch`. A slot
/// whose deletion failed is not retained: its objects may be gone.
#[track_caller]
fn check_newest_is(s3: &S3, storage: &dyn CheckpointStorage, epoch: u64) {
    s3.wire().heal();
    let log = read_log(storage).expect("no faults now");
    let newest = log.manifests_newest_first().next().map(|(_, m)| m.epoch);
    assert_eq!(newest, Some(Epoch(epoch)));
    for (slot, manifest) in log.manifests_newest_first().take(RETAINED) {
        let found = verify(storage, manifest).expect("no faults now");
        assert_eq!(found, Verification::Whole, "slot {slot}");
    }
}

#[test]
fn whatever_answers_are_lost_checkpoints_are_whole_and_an_old_run_is_fenced() {
    for seed in 0..6 {
        let s3 = S3::start();
        let storage = s3
            .location("log")
            .open(Arc::new(RealDisk), &TransferLimits::default())
            .expect("no fault yet");
        s3.wire().fail_at_random(seed, 25);
        let mut old = claimed(&storage);
        for epoch in 1..=4 {
            let publication = checkpoint(&mut old, epoch);
            assert!(matches!(publication, Publication::Published { .. }));
            clean_up(&mut old);
        }
        check_newest_is(&s3, &*storage, 4);
        s3.wire().fail_at_random(seed + 1_000, 25);
        let mut new = claimed(&storage);
        assert!(new.generation() > old.generation());
        let by = new.generation();
        let publication = checkpoint(&mut old, 5);
        assert!(matches!(publication, Publication::Fenced { .. }));
        for epoch in 6..=8 {
            let publication = checkpoint(&mut new, epoch);
            assert!(matches!(publication, Publication::Published { .. }));
            clean_up(&mut new);
        }
        let publication = checkpoint(&mut old, 9);
        assert!(matches!(publication, Publication::Fenced { .. }));
        check_newest_is(&s3, &*storage, 8);
        assert_eq!(new.generation(), by);
        let error = old.check_newest().expect_err("overtaken");
        assert_eq!(error.kind(), ErrorKind::Fenced);
    }
}

/// The client tried the create of a manifest again, since the server said that it had failed. It had not; meanwhile a
/// newer run had gone on from that checkpoint and deleted it, and the old run published into the hole.
#[test]
fn a_create_that_the_client_repeats_behind_an_overtaking_ends_fenced() {
    let s3 = S3::start();
    let location = s3.location("log");
    let open = move || {
        location
            .open(Arc::new(RealDisk), &TransferLimits::default())
            .expect("no fault yet")
    };
    let storage = open();
    let mut old = claimed(&storage);
    let publication = checkpoint(&mut old, 1);
    assert!(matches!(publication, Publication::Published { .. }));
    s3.wire().fail_the_next_create_behind(move || {
        let storage = open();
        let mut new = claimed(&storage);
        for epoch in 3..=5 {
            let publication = checkpoint(&mut new, epoch);
            assert!(matches!(publication, Publication::Published { .. }));
            clean_up(&mut new);
        }
    });
    let publication = checkpoint(&mut old, 2);
    assert!(
        matches!(publication, Publication::Fenced { .. }),
        "{publication:?}"
    );
    check_newest_is(&s3, &*storage, 5);
}
