//! The contract of checkpoint storage, on everything that is no object store; and what jobs put there.

use std::sync::Arc;

use flowdsl::CheckpointLocation;
use flowdsl::prelude::*;
use flowdsl::runtime::storage::{
    CheckpointStorage, Disk, FaultyDisk, MemoryStorage, RealDisk, TransferLimits,
};
use flowdsl::testing::Harness;
use flowdsl_tests::contract;

const LARGE: usize = 1 << 20;

#[track_caller]
fn check(location: impl Into<CheckpointLocation>, disk: Arc<dyn Disk>) {
    let storage = location.into().open(disk, &TransferLimits::default());
    contract::check(&storage.expect("it is empty and works"), LARGE);
}

#[test]
fn directories_and_memory_keep_the_contract_of_storage() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    check(dir.path().join("plain"), Arc::new(RealDisk));
    let url = format!("file://{}/a%20b", dir.path().display());
    check(url, Arc::new(RealDisk));
    assert!(dir.path().join("a b/log").is_dir());
    check("checkpoints", Arc::new(FaultyDisk::new()));
    check("memory://contract", Arc::new(FaultyDisk::new()));
}

/// Each object costs a request, and on a disk an fsync: what is small stands in the manifest.
#[test]
fn a_job_of_many_small_stages_writes_one_object_per_checkpoint() {
    const CHECKPOINTS: usize = 5;
    let mut harness = Harness::new();
    let storage = Arc::new(MemoryStorage::new());
    harness.store_checkpoints_in(storage.clone());
    let input = harness.input::<u64>();
    let rows = input.clone();
    let job = Job::new("small stages", move |flow| {
        let keyed = flow
            .source("rows", rows.clone())
            .key_by(|n| n % 10)
            .shared();
        for n in 0..12 {
            keyed
                .branch()
                .at(&format!("count {n}"))
                .fold(0_u64, |count, _| *count += 1)
                .at(&format!("out {n}"))
                .sink(Collect::new());
        }
    });
    let mut options = Options::new().workers(2);
    options.checkpoints.retained = 100;
    harness.start_with(&job, options);
    for _ in 0..CHECKPOINTS {
        input.push_all(0..100);
        harness.settle().expect("the storage is memory");
    }
    assert_eq!(storage.list("state").expect("memory"), Vec::<String>::new());
    let log = storage.list("log").expect("memory");
    assert_eq!(log.len(), 1 + CHECKPOINTS, "a claim, and a manifest each");
}
