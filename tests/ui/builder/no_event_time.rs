//~ this stage needs a stream with event time
use std::time::Duration;

use flowdsl::prelude::*;

fn main() {
    let _ = Job::new("sums", |flow| {
        flow.source("numbers", Memory::new(vec![1_u64]))
            .key_by(|n| n % 7)
            .window(tumbling(Duration::from_secs(60)))
            .aggregate(|a| a.count())
            .sink(Discard::new());
    });
}
