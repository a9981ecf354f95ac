//! Whole jobs, against what a loop says.

use std::collections::BTreeMap;
use std::time::Duration;

use flowdsl::prelude::*;

#[test]
fn a_running_count_emits_every_value_of_every_key_on_any_number_of_workers() {
    for worker_count in [1, 2, 4] {
        let counts = Collect::new();
        let seen = counts.clone();
        let job = Job::new("count", move |flow| {
            flow.source("numbers", Generator::new(50_000, |i| i).splits(3))
                .map(|n| n * 7)
                .key_by(|n| n % 1_000)
                .fold(0_u64, |count, _| *count += 1)
                .sink(counts.clone());
        });
        job.run(
            Options::new()
                .workers(worker_count)
                .checkpoint_interval(Duration::from_millis(5)),
        )
        .expect("the job runs");
        let mut by_key = BTreeMap::<u64, Vec<u64>>::new();
        for KeyValue { key, value } in seen.take() {
            by_key.entry(key).or_default().push(value);
        }
        assert_eq!(by_key.len(), 1_000);
        for (key, values) in by_key {
            assert_eq!(
                values,
                (1..=50).collect::<Vec<_>>(),
                "key {key} with {worker_count} workers"
            );
        }
    }
}
