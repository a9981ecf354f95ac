//~ `bool` is not an event time
use flowdsl::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize, State)]
struct Flight {
    origin: String,
    departure: i64,
    delay: i64,
}

fn flights() -> Memory<Flight> {
    Memory::new(Vec::new())
}

fn main() {
    let _ = flow! {
        source(flights()) -> event_time(|f| f.delay > 0, lateness: 5 min) -> sink(Discard::new());
    };
}
