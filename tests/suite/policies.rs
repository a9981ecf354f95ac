//! Settings of checkpoints, seen from outside.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flowdsl::prelude::*;
use flowdsl::runtime::Result;
use flowdsl::runtime::connector::{
    CollectWriter, Committable, Committer, OutputFacts, Sink, SinkContext, SinkGuarantee,
    Transactional,
};
use flowdsl::runtime::ids::Epoch;
use flowdsl::runtime::metrics::Metrics;
use flowdsl::runtime::protocol::CommitPermit;
use flowdsl::runtime::settings::AtEnd;
use flowdsl::runtime::storage::MemoryStorage;
use flowdsl::runtime::storage::log::{list_state, read_log};
use flowdsl::testing::Harness;
use flowdsl::{CheckpointMode, Environment, Health, Outcome};

/// Waits for something that another thread brings about; the minute is for a test that fails.
fn wait_until(condition: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !condition() {
        if begun.elapsed() > Duration::from_secs(60) {
            return false;
        }
        thread::yield_now();
    }
    true
}

/// A collection whose first commit waits until later checkpoints are complete.
#[derive(Clone)]
struct Slow {
    collect: Collect<u64>,
    metrics: Arc<Metrics>,
    /// A commit has waited in vain.
    in_vain: Arc<AtomicBool>,
}

impl Sink<u64> for Slow {
    type Writer = CollectWriter<u64>;

    fn describe(&self) -> String {
        "slow".to_owned()
    }

    fn guarantee(&self) -> SinkGuarantee {
        SinkGuarantee::ExactlyOnce(Arc::new(self.clone()))
    }

    fn open(&self, context: &SinkContext) -> Result<CollectWriter<u64>> {
        self.collect.open(context)
    }
}

impl Transactional for Slow {
    fn inspect(&self, context: &SinkContext) -> Result<OutputFacts> {
        self.collect.inspect(context)
    }

    fn take_back(&self, context: &SinkContext, kept: Epoch) -> Result<()> {
        self.collect.take_back(context, kept)
    }

    fn clear(&self, context: &SinkContext) -> Result<()> {
        self.collect.clear(context)
    }

    fn discard_staged(
        &self,
        context: &SinkContext,
        named: &[Committable],
        unfinished: &[Vec<u8>],
    ) -> Result<()> {
        self.collect.discard_staged(context, named, unfinished)
    }

    fn finish(&self, context: &SinkContext, unfinished: &[u8]) -> Result<Vec<Committable>> {
        self.collect.finish(context, unfinished)
    }

    fn committer(&self, _: &SinkContext) -> Arc<dyn Committer> {
        Arc::new(self.clone())
    }
}

impl Committer for Slow {
    fn commit(&self, permit: &CommitPermit, committable: &Committable) -> Result<()> {
        let more = wait_until(|| self.metrics.snapshot().checkpoints >= 3);
        self.in_vain.fetch_or(!more, Ordering::SeqCst);
        self.collect.commit(permit, committable)
    }
}

#[test]
fn a_slow_commit_does_not_delay_the_snapshots_behind_it() {
    let environment = Environment::default();
    let collect = Collect::new();
    let slow = Slow {
        collect: collect.clone(),
        metrics: Arc::clone(&environment.metrics),
        in_vain: Arc::default(),
    };
    let in_vain = Arc::clone(&slow.in_vain);
    let job = Job::new("slow", move |flow| {
        flow.source("numbers", Generator::unbounded(|n| n))
            .sink(slow.clone());
    });
    let options = Options::new()
        .rate(50_000.0)
        .checkpoint_interval(Duration::from_millis(1));
    let report = thread::scope(|scope| {
        scope.spawn(|| {
            wait_until(|| environment.metrics.snapshot().checkpoints >= 4);
            environment.handle.stop();
        });
        job.run_in(&options, &environment)
    });
    let report = report.expect("the commit waits for checkpoints, which come");
    assert_eq!(report.outcome, Outcome::Stopped);
    assert!(
        !in_vain.load(Ordering::SeqCst),
        "a commit held up all snapshots"
    );
    let seen = collect.take();
    assert!(
        seen.iter().copied().eq(0..seen.len() as u64),
        "each number once"
    );
}

#[test]
fn a_restored_job_is_unhealthy_until_its_first_checkpoint_is_complete() {
    let mut harness = Harness::new();
    let (input, seen) = (harness.input::<u64>(), Collect::new());
    let (source, sink) = (input.clone(), seen.clone());
    let job = Job::new("healthy", move |flow| {
        flow.source("numbers", source.clone()).sink(sink.clone());
    });
    harness.start(&job);
    input.push(1);
    harness.settle().expect("no fault");
    harness.crash();

    // So long that the time which goes on below never makes a checkpoint due.
    let mut options = Options::new().checkpoint_interval(Duration::from_secs(1_000_000));
    options.checkpoints.first_within = Some(Duration::from_secs(30));
    harness.start_with(&job, options);
    input.push(2);
    // The run may begin before or behind this: the time goes on until it is missed.
    let unhealthy = wait_until(|| {
        harness.clock().advance(Duration::from_millis(10));
        harness.health() != Health::Healthy
    });
    assert!(unhealthy, "no checkpoint was completed in time");
    let why = harness.health();
    assert!(
        matches!(&why, Health::Unhealthy { why } if why.contains("within 30s behind the restore")),
        "{why:?}"
    );
    harness.settle().expect("no fault");
    assert!(wait_until(|| harness.health() == Health::Healthy));
    harness.finish().expect("no fault");
    assert_eq!(seen.records(), [1, 2]);
}

#[test]
fn a_job_that_keeps_no_checkpoint_at_its_end_leaves_claims_only() {
    for (end, is_kept) in [(AtEnd::Keep, true), (AtEnd::Delete, false)] {
        let storage = Arc::new(MemoryStorage::new());
        let job = Job::new("kept", |flow| {
            flow.source("numbers", Generator::new(10_000, |n| n))
                .key_by(|n| *n)
                .fold(String::new(), |text, n| *text = format!("{n:30}"))
                .sink(Discard::new());
        });
        let environment = Environment {
            storage: Some(storage.clone()),
            ..Environment::default()
        };
        let mut options = Options::new().checkpoint_interval(Duration::from_millis(1));
        options.checkpoints.on_success = end;
        options.checkpoints.on_cancel = AtEnd::Keep;
        job.run_in(&options, &environment).expect("no fault");
        let log = read_log(&*storage).expect("it is in memory");
        assert_eq!(log.manifests_newest_first().count() > 0, is_kept);
        assert!(!log.slots.is_empty(), "claims fence old runs for ever");
        let objects = list_state(&*storage).expect("it is in memory");
        assert_eq!(!objects.is_empty(), is_kept);
    }
}

#[test]
fn at_least_once_loses_no_record_through_crashes() {
    const NUMBERS: u64 = 20_000;
    let (storage, seen) = (Arc::new(MemoryStorage::new()), Collect::new());
    let sink = seen.clone();
    let job = Job::new("at least", move |flow| {
        let first = flow.source("first", Generator::new(NUMBERS, |n| n).splits(2));
        let counted = first
            .key_by(|n| n % 100)
            .at("count")
            .fold(0_u64, |count, _| *count += 1)
            // A second exchange, with its own barrier.
            .key_by(|counted| counted.key % 7)
            .at("most")
            .fold(BTreeMap::<u64, u64>::new(), |most, counted| {
                let of_key = most.entry(counted.key).or_default();
                *of_key = counted.value.max(*of_key);
            });
        counted.map(|most| most.value).sink(sink.clone());
    });
    let mut options = Options::new()
        .workers(3)
        .checkpoint_interval(Duration::from_millis(1));
    options.checkpoints.mode = CheckpointMode::AtLeastOnce;
    for run in 0.. {
        let environment = Environment {
            storage: Some(storage.clone()),
            ..Environment::default()
        };
        let ended = thread::scope(|scope| {
            let handle = &environment.handle;
            if run < 3 {
                scope.spawn(|| {
                    let _ = handle.checkpoint();
                    let _ = handle.checkpoint();
                    handle.crash();
                });
            }
            job.run_in(&options, &environment)
        });
        if ended.is_ok() {
            break;
        }
    }
    let mut most = BTreeMap::<u64, u64>::new();
    for (key, count) in seen.take().into_iter().flatten() {
        let of_key = most.entry(key).or_default();
        *of_key = count.max(*of_key);
    }
    assert_eq!(most.len(), 100);
    let least = most.values().min();
    assert!(
        least >= Some(&(NUMBERS / 100)),
        "{least:?}: a record was lost"
    );
}

/// The crash tests: firing takes many turns, and where nothing is aligned the last barrier did not wait for
/// it. What fired behind it was in no checkpoint any more.
#[test]
fn at_least_once_all_that_is_due_fires_before_the_last_barrier() {
    const KEYS: usize = 20_000;
    let seen = Collect::new();
    let sink = seen.clone();
    let job = Job::new("one window", move |flow| {
        flow.source("numbers", Generator::new(KEYS as u64, |n| n))
            .event_time(|_| 0_i64, Duration::ZERO)
            .key_by(|n| *n)
            .window(tumbling(Duration::from_secs(1)))
            .aggregate(Aggregates::count)
            .sink(sink.clone());
    });
    let mut options = Options::new();
    options.checkpoints.mode = CheckpointMode::AtLeastOnce;
    job.run(options).expect("no fault");
    assert_eq!(seen.take().len(), KEYS);
}
