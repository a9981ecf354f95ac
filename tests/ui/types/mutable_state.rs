//~ cannot assign to `count`, as it is a captured variable in a `Fn` closure
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
    let mut count = 0;
    let _ = flow! {
        capture count;
        source(flights()) -> inspect(|_| count += 1) -> sink(Discard::new());
    };
}
