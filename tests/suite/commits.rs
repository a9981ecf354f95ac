//! Output whose commit fails or hangs: it is tried again, then the run stops, and a later run commits it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use flowdsl::RestartStrategy;
use flowdsl::flow;
use flowdsl::prelude::*;
use flowdsl::runtime::Result;
use flowdsl::runtime::connector::{
    CollectWriter, Committable, Committer, OutputFacts, Sink, SinkContext, SinkGuarantee,
    Transactional,
};
use flowdsl::runtime::ids::Epoch;
use flowdsl::runtime::protocol::CommitPermit;
use flowdsl::testing::Harness;

/// A collection that refuses to commit, or hangs, for as long as it is told to.
#[derive(Clone)]
struct Stubborn {
    collect: Collect<u64>,
    refuses: Arc<AtomicBool>,
    /// What hangs waits for this.
    hangs: Option<Arc<Mutex<mpsc::Receiver<()>>>>,
    attempts: Arc<AtomicU64>,
    /// Hears of each commit that was refused, or that hangs.
    refused: mpsc::Sender<()>,
}

impl Sink<u64> for Stubborn {
    type Writer = CollectWriter<u64>;

    fn describe(&self) -> String {
        "stubborn".to_owned()
    }

    fn guarantee(&self) -> SinkGuarantee {
        SinkGuarantee::ExactlyOnce(Arc::new(self.clone()))
    }

    fn open(&self, context: &SinkContext) -> Result<CollectWriter<u64>> {
        self.collect.open(context)
    }
}

impl Transactional for Stubborn {
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

impl Committer for Stubborn {
    fn commit(&self, permit: &CommitPermit, committable: &Committable) -> Result<()> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        if self.refuses.load(Ordering::SeqCst) {
            // Nobody listens any more when the test has seen enough.
            let _ = self.refused.send(());
            if let Some(hangs) = &self.hangs {
                let _ = hangs.lock().expect("nobody panics with it").recv();
            }
            return Err(Error::unavailable("the output is out of reach"));
        }
        self.collect.commit(permit, committable)
    }
}

fn stubborn() -> (Stubborn, mpsc::Receiver<()>) {
    let (refused, hears) = mpsc::channel();
    let (refuses, attempts) = (Arc::new(AtomicBool::new(true)), Arc::default());
    (
        Stubborn {
            collect: Collect::new(),
            refuses,
            hangs: None,
            attempts,
            refused,
        },
        hears,
    )
}

#[test]
fn a_commit_that_fails_is_tried_again() {
    let (sink, refused) = stubborn();
    let mut harness = Harness::new();
    let (numbers, output) = (harness.input::<u64>(), sink.clone());
    harness.start(&flow! { capture numbers, output; source(numbers) -> sink(output); });
    numbers.push_all([1, 2, 3]);
    let healer = thread::spawn(move || {
        refused.recv().expect("the first attempt is refused");
        sink.refuses.store(false, Ordering::SeqCst);
        sink
    });
    harness.settle().expect("a later attempt succeeds");
    let sink = healer.join().expect("it only waits");
    assert_eq!(sink.collect.records(), [1, 2, 3]);
    assert!(sink.attempts.load(Ordering::SeqCst) >= 2);
    harness.finish().expect("no fault");
    assert_eq!(sink.collect.records(), [1, 2, 3]);
}

#[test]
fn output_that_cannot_be_committed_stops_the_run_and_is_committed_by_a_later_one() {
    for worker_count in [1, 2] {
        let (sink, refused) = stubborn();
        let mut harness = Harness::new();
        let (numbers, output) = (harness.input::<u64>(), sink.clone());
        let job = flow! { capture numbers, output; source(numbers) -> sink(output) as output; };
        let options = || Options::new().workers(worker_count);
        harness.start_with(&job, options());
        numbers.push_all([1, 2, 3]);
        let clock = harness.clock().clone();
        let time = thread::spawn(move || {
            // At the second attempt, the failure of the first has been noted.
            let next = || refused.recv().expect("an attempt is refused");
            next();
            next();
            let step = Duration::from_secs(40);
            clock.advance(step);
            // No attempt may look as if it hung: of those to come, the second one begins behind this step.
            while refused.try_recv().is_ok() {}
            next();
            next();
            clock.advance(step);
        });
        let error = harness
            .settle()
            .expect_err("the output is out of reach for longer than a minute");
        time.join().expect("it only waits");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(
            error
                .to_string()
                .starts_with("stage `output`: output could not be committed for 80s"),
            "{error}"
        );
        assert!(sink.collect.records().is_empty());

        harness.start_with(&job, options());
        let error = harness.wait().expect_err("it is still out of reach");
        assert_eq!(error.kind(), ErrorKind::Unavailable);

        sink.refuses.store(false, Ordering::SeqCst);
        harness.start_with(&job, options());
        numbers.push(4);
        harness.finish().expect("no fault");
        assert_eq!(sink.collect.records(), [1, 2, 3, 4]);
    }
}

/// A sink whose commits hang until the other end is dropped.
fn hanging() -> (Stubborn, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (sink, hears) = stubborn();
    let (release, released) = mpsc::channel();
    let hangs = Some(Arc::new(Mutex::new(released)));
    (Stubborn { hangs, ..sink }, hears, release)
}

/// A commit that hangs returns no error: its output was invisible for good, and the job called itself healthy.
#[test]
fn a_commit_that_hangs_ends_the_run_and_a_later_one_commits() {
    let (sink, hears, release) = hanging();
    let mut harness = Harness::new();
    let (numbers, output) = (harness.input::<u64>(), sink.clone());
    let job = flow! { capture numbers, output; source(numbers) -> sink(output) as output; };
    harness.start(&job);
    numbers.push_all([1, 2, 3]);
    let clock = harness.clock().clone();
    let time = thread::spawn(move || {
        hears.recv().expect("a commit is begun");
        clock.advance(Duration::from_secs(61));
        hears
    });
    let error = harness.settle().expect_err("the commit hangs");
    let _hears = time.join().expect("it only waits");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error
            .to_string()
            .starts_with("stage `output`: a commit has not got on for 61s"),
        "{error}"
    );
    assert!(sink.collect.records().is_empty());
    sink.refuses.store(false, Ordering::SeqCst);
    harness.start(&job);
    numbers.push(4);
    harness.finish().expect("no fault");
    assert_eq!(sink.collect.records(), [1, 2, 3, 4]);
    drop(release);
}

/// Behind the end of input nothing but time wakes the operator whose commit hangs.
#[test]
fn a_commit_that_hangs_at_the_end_of_input_ends_the_run() {
    let (sink, _hears, release) = hanging();
    let output = sink.clone();
    let job = Job::new("ends", move |flow| {
        flow.source("numbers", Memory::new(vec![1, 2, 3]))
            .sink(output.clone());
    });
    let mut options = Options::new().restart(RestartStrategy::None);
    options.checkpoints.commit_timeout = Duration::from_millis(200);
    let error = job.run(options).expect_err("the commit hangs");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("has not got on for"), "{error}");
    drop(release);
}
