//! The chain of versions, in each backend and on changing numbers of workers.

use flowdsl::prelude::*;
use flowdsl::testing::{Harness, Input};
use flowdsl::{Outcome, StateBackend};
use flowdsl_tests::backends::backends_in_turn;
use flowdsl_tests::streams::{Shape, readings};

use crate::expected::{Read, expected};
use crate::flow::{DIRS, DISORDER_MS, job};
use crate::types::Row;
use crate::versions::{
    FieldAdded, FieldRemoved, First, KeyMigrated, Renamed, Reordered, StageAdded, StageRemoved,
    VariantAdded, Version, Widened,
};

const VERSIONS: usize = 10;
const WORKERS: [usize; VERSIONS] = [2, 1, 3, 2, 2, 3, 1, 2, 3, 2];

fn rows() -> Vec<Row> {
    let shape = Shape {
        seed: 41,
        records: 2_000,
        keys: 150,
        start_ms: -700,
        step_ms: 3,
        disorder_ms: DISORDER_MS,
    };
    let rows = readings(shape);
    let row = |r: &flowdsl_tests::streams::Reading| (r.key, r.at_ms, r.value.rem_euclid(200) - 100);
    rows.iter().map(row).collect()
}

/// The job in its world, through its versions.
struct History {
    harness: Harness,
    input: Input<Row>,
    rows: Vec<Row>,
    reads: Vec<Read>,
    backends: Vec<StateBackend>,
}

/// How a version ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Stopped,
    /// It crashes behind a checkpoint.
    Crashed,
}

impl History {
    fn new(backends: Vec<StateBackend>) -> Self {
        let mut harness = Harness::new();
        Self {
            input: harness.input(),
            harness,
            rows: rows(),
            reads: Vec::new(),
            backends,
        }
    }

    fn start<V: Version>(&mut self) {
        let mut options = Options::new()
            .workers(WORKERS[V::N - 1])
            .backend(self.backends[V::N - 1].clone());
        for stage in V::DROPPED {
            options = options.allow_dropped(stage);
        }
        self.harness.start_with(&job::<V>(&self.input), options);
    }

    /// Gives a version its part of the records.
    fn read<V: Version>(&mut self) {
        let part = self.rows.len() / VERSIONS;
        let of_version = &self.rows[(V::N - 1) * part..V::N * part];
        self.input.push_all(of_version.iter().copied());
        self.reads.extend(of_version.iter().map(|row| (V::N, *row)));
    }

    fn run<V: Version>(&mut self, end: End) {
        let context = format!("version {} on {:?}", V::N, self.backends[V::N - 1]);
        self.start::<V>();
        self.read::<V>();
        self.harness
            .settle()
            .unwrap_or_else(|e| panic!("{context}: {e}"));
        if V::N == VERSIONS {
            let report = self.harness.finish();
            let report = report.unwrap_or_else(|e| panic!("{context}: {e}"));
            assert_eq!(report.outcome, Outcome::Finished);
        } else if end == End::Stopped {
            let report = self.harness.stop();
            report.unwrap_or_else(|e| panic!("{context}: {e}"));
        } else {
            self.harness.crash();
        }
    }

    #[track_caller]
    fn check(&self) {
        let expected = expected(&self.reads);
        for (dir, expected) in DIRS.iter().zip(expected) {
            // A line is one text.
            let lines = self.harness.lines(dir).into_iter();
            let mut lines: Vec<_> = lines.map(|line| line.replace('"', "")).collect();
            lines.sort();
            let (mut visible, mut wanted) = (lines.iter(), expected.iter());
            let differs = |(line, wanted): &(Option<&String>, Option<&String>)| line != wanted;
            let first = std::iter::from_fn(|| Some((visible.next(), wanted.next())))
                .take(lines.len().max(expected.len()))
                .find(differs);
            assert_eq!(first, None, "{dir}: what is visible, and what is expected");
        }
    }
}

#[track_caller]
fn check_all(end: impl Fn(usize) -> End) {
    for backends in backends_in_turn(VERSIONS) {
        let mut history = History::new(backends);
        history.run::<First>(end(1));
        history.run::<FieldAdded>(end(2));
        history.run::<FieldRemoved>(end(3));
        history.run::<Reordered>(end(4));
        history.run::<Widened>(end(5));
        history.run::<VariantAdded>(end(6));
        history.run::<StageAdded>(end(7));
        history.run::<StageRemoved>(end(8));
        history.run::<Renamed>(end(9));
        history.run::<KeyMigrated>(end(10));
        history.check();
    }
}

#[test]
fn ten_versions_of_a_job_go_on_from_each_other() {
    check_all(|n| {
        if n % 2 == 0 {
            End::Stopped
        } else {
            End::Crashed
        }
    });
}

/// A migration writes nothing, and so has nothing to finish: whatever its first checkpoint leaves behind, the one
/// before is there, in the schema of the version before.
#[test]
fn a_power_loss_before_the_first_checkpoint_of_a_version_leaves_that_of_the_one_before() {
    for (backends, step) in backends_in_turn(VERSIONS).into_iter().zip([7, 41, 41, 41]) {
        for n in (1..).step_by(step) {
            let mut history = History::new(backends.clone());
            history.run::<First>(End::Stopped);
            let disk = history.harness.disk();
            disk.survivors(n);
            disk.lose_power_at(disk.operations() + n);
            history.start::<FieldAdded>();
            history.read::<FieldAdded>();
            let undisturbed = history.harness.finish().is_ok();
            if !undisturbed {
                history.harness.lose_power();
                history.start::<FieldAdded>();
                let finished = history.harness.finish();
                finished.unwrap_or_else(|e| panic!("behind the power loss at operation {n}: {e}"));
            }
            history.check();
            if undisturbed {
                println!("{n} operations");
                break;
            }
        }
    }
}
