//! `flow!` and the builder by hand mean the same.

use std::time::Duration;

use flowdsl::flow;
use flowdsl::prelude::*;

#[test]
fn a_flow_runs() {
    let counts = Collect::new();
    let seen = counts.clone();
    let factor = 3_u64;
    let job = flow! { <u64 => KeyValue<u64, u64>>
        capture counts, factor;

        let numbers = source(Generator::new(1_000, |i| i)) -> map(|n| n * factor);
        numbers -> key_by(|n| n % 10) -> fold(0_u64, |count, _| *count += 1) -> sink(counts);
    };
    job.run(
        Options::new()
            .workers(2)
            .checkpoint_interval(Duration::from_millis(5)),
    )
    .expect("the job runs");
    assert_eq!(seen.take().len(), 1_000);
}
