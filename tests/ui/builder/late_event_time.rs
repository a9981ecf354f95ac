//~ `event_time` stands behind the source
use std::time::Duration;

use flowdsl::prelude::*;

fn main() {
    let _ = Job::new("numbers", |flow| {
        let numbers = flow.source("numbers", Memory::new(vec![1_u64])).shared();
        numbers.branch().event_time(|n| *n, Duration::ZERO).sink(Discard::new());
    });
}
