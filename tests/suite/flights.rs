//! The golden queries over real flights: through files, on 1, 2 and 4 workers.

use std::path::Path;
use std::time::Duration;

use flowdsl::prelude::*;
use flowdsl_tests::data::{self, Golden};
use flowdsl_tests::digest::{digest_of, sorted_lines};
use flowdsl_tests::reference::Windows;
use serde::{Deserialize, Serialize};

const HOUR: Duration = Duration::from_secs(3_600);
const QUARTER: Duration = Duration::from_secs(900);

#[derive(Clone, Serialize, Deserialize)]
struct Flight {
    date: i64,
    delay: i64,
    origin: String,
}

/// A row of a golden query.
#[derive(Serialize)]
struct Row {
    origin: String,
    window_start_ms: i64,
    count: u64,
    sum_delay: i64,
    max_delay: i64,
}

impl From<Windowed<String, (u64, i64, i64)>> for Row {
    fn from(window: Windowed<String, (u64, i64, i64)>) -> Self {
        let (count, sum_delay, max_delay) = window.value;
        Self {
            origin: window.key,
            window_start_ms: window.start,
            count,
            sum_delay,
            max_delay,
        }
    }
}

fn queries(input: &Path, output: &Path) -> Job {
    let (input, output) = (input.to_owned(), output.to_owned());
    Job::new("flights", move |flow| {
        let flights = flow
            .source("flights", File::parquet::<Flight>(&input))
            .event_time(|f| f.date, Duration::ZERO)
            .key_by(|f| f.origin.clone())
            .shared();
        flights
            .branch()
            .window(tumbling(HOUR))
            .at("hourly")
            .aggregate(|a| (a.count(), a.sum(|f| f.delay), a.max(|f| f.delay)))
            .map(Row::from)
            .at("hourly_out")
            .sink(File::csv(output.join("hourly")).no_header());
        flights
            .branch()
            .window(sliding(HOUR, QUARTER))
            .at("sliding")
            .aggregate(|a| (a.count(), a.sum(|f| f.delay), a.max(|f| f.delay)))
            .map(Row::from)
            .at("sliding_out")
            .sink(File::csv(output.join("sliding")).no_header());
    })
}

fn check(input: &Path, golden: impl Fn(Windows) -> Golden, worker_count: usize) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = dir.path().join("out");
    let options = Options::new()
        .workers(worker_count)
        .checkpoint_dir(dir.path().join("checkpoints"))
        .checkpoint_interval(Duration::from_millis(50));
    queries(input, &output).run(options).expect("the job runs");
    for (query, windows) in [("hourly", Windows::Hourly), ("sliding", Windows::Sliding)] {
        let lines = sorted_lines(&output.join(query)).expect("whole files");
        let golden = golden(windows);
        assert_eq!(
            lines.len(),
            golden.rows,
            "rows of {query} with {worker_count} workers"
        );
        assert_eq!(
            digest_of(&lines),
            golden.digest,
            "{query} with {worker_count} workers"
        );
    }
}

#[test]
fn the_extract_gives_the_golden_digests_on_any_number_of_workers() {
    for worker_count in [1, 2, 4] {
        check(&data::extract(), Golden::of_extract, worker_count);
    }
}

#[test]
fn all_three_million_flights_give_the_golden_digests_on_any_number_of_workers() {
    let Some(input) = data::full_file() else {
        data::leave_out(
            "the golden queries over 3,000,000 flights",
            "the full file is not there",
        );
        return;
    };
    for worker_count in [1, 2, 4] {
        check(&input, Golden::of_full_file, worker_count);
    }
}
