//! The small job that the tests of failures run, and what a plain loop says of it.
//!
//! Its state is larger than what stands in a manifest, so that there are state objects; it has
//! windows, a running count and two file sinks, of which one begins a new file at every checkpoint
//! and one goes on with its file.

use std::collections::BTreeMap;
use std::time::Duration;

use flowdsl::prelude::*;
use flowdsl::testing::{Harness, Input};
use flowdsl::{JobReport, Result};
use flowdsl_tests::streams::{Shape, readings};

/// Key, event time, value.
pub(crate) type Row = (u32, i64, i64);

const WINDOW_MS: i64 = 250;
const DISORDER_MS: u32 = 30;
const DIRS: [&str; 2] = ["out/windows", "out/counts"];

/// The job in its world, with an input that is pushed in parts.
pub(crate) struct Small {
    pub(crate) harness: Harness,
    pub(crate) job: Job,
    pub(crate) options: Options,
    input: Input<Row>,
    parts: Vec<Vec<Row>>,
    pushed: usize,
    expected: Vec<Vec<String>>,
}

impl Small {
    /// The job on this many workers, with its input in this many parts.
    pub(crate) fn new(worker_count: usize, parts: usize) -> Self {
        let shape = Shape {
            seed: 11,
            records: 1_200,
            keys: 900,
            start_ms: -700,
            step_ms: 4,
            disorder_ms: DISORDER_MS,
        };
        let rows: Vec<Row> = readings(shape)
            .iter()
            .map(|r| (r.key, r.at_ms, r.value))
            .collect();
        let mut harness = Harness::new();
        let input = harness.input();
        let job = job(input.clone());
        let expected = vec![windows_of(&rows), counts_of(&rows)];
        let parts = rows
            .chunks(rows.len().div_ceil(parts))
            .map(<[Row]>::to_vec)
            .collect();
        let options = Options::new().workers(worker_count);
        Self {
            harness,
            job,
            options,
            input,
            parts,
            pushed: 0,
            expected,
        }
    }

    /// Starts the job, as the options say.
    pub(crate) fn start(&mut self) {
        self.harness.start_with(&self.job, self.options.clone());
    }

    /// Pushes the next part, if any is left, and takes a checkpoint of it.
    pub(crate) fn next_part(&mut self) -> Result<()> {
        self.push();
        self.harness.settle()
    }

    /// Pushes the next part, if any is left.
    pub(crate) fn push(&mut self) {
        if let Some(part) = self.parts.get(self.pushed) {
            self.input.push_all(part.iter().copied());
            self.pushed += 1;
        }
    }

    /// Pushes what is left, a checkpoint behind each part, and finishes. A checkpoint may fail.
    pub(crate) fn finish(&mut self) -> Result<JobReport> {
        while self.pushed < self.parts.len() {
            let _ = self.next_part();
            self.check_visible();
        }
        let finished = self.harness.finish();
        self.check_visible();
        finished
    }

    /// What is visible, by directory.
    pub(crate) fn visible(&self) -> Vec<Vec<String>> {
        DIRS.iter().map(|dir| self.harness.lines(dir)).collect()
    }

    /// Checks that every visible line is one of an undisturbed run, and none is there twice.
    #[track_caller]
    pub(crate) fn check_visible(&self) {
        for (visible, expected) in self.visible().iter().zip(&self.expected) {
            let mut expected = expected.iter();
            for line in visible {
                assert!(
                    expected.any(|e| e == line),
                    "`{line}` is half a line, or there twice, or wrong"
                );
            }
        }
    }

    /// Checks that what is visible is what an undisturbed run makes visible.
    #[track_caller]
    pub(crate) fn check_complete(&self) {
        self.check_visible();
        for (visible, expected) in self.visible().iter().zip(&self.expected) {
            assert_eq!(
                visible.len(),
                expected.len(),
                "all visible lines are right, but not all lines are visible"
            );
        }
    }
}

fn job(input: Input<Row>) -> Job {
    Job::new("small", move |flow| {
        let keyed = flow
            .source("rows", input.clone())
            .event_time(
                |row: &Row| row.1,
                Duration::from_millis(u64::from(DISORDER_MS)),
            )
            .key_by(|row| row.0)
            .shared();
        keyed
            .branch()
            .window(tumbling(Duration::from_millis(WINDOW_MS as u64)))
            .at("windows")
            .aggregate(|a| (a.count(), a.sum(|row: &Row| row.2)))
            .map(|w| (w.key, w.start, w.value.0, w.value.1))
            .at("windows_out")
            .sink(File::csv(DIRS[0]).no_header().roll(Roll::Size(1_500)));
        keyed
            .branch()
            .at("counts")
            .fold((0_u64, String::new()), |(count, text), row: Row| {
                *count += 1;
                *text = format!("{:60}", row.2);
            })
            .map(|count| (count.key, count.value.0))
            .at("counts_out")
            .sink(File::csv(DIRS[1]).no_header());
    })
}

fn windows_of(rows: &[Row]) -> Vec<String> {
    let mut windows = BTreeMap::<(u32, i64), (u64, i64)>::new();
    for (key, at, value) in rows {
        let of_window = windows
            .entry((*key, at - at.rem_euclid(WINDOW_MS)))
            .or_default();
        *of_window = (of_window.0 + 1, of_window.1 + value);
    }
    sorted(
        windows
            .into_iter()
            .map(|((key, start), (count, sum))| format!("{key},{start},{count},{sum}")),
    )
}

fn counts_of(rows: &[Row]) -> Vec<String> {
    let mut counts = BTreeMap::<u32, u64>::new();
    sorted(rows.iter().map(|(key, _, _)| {
        let count = counts.entry(*key).or_default();
        *count += 1;
        format!("{key},{count}")
    }))
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines
}
