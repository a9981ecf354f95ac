//~ cannot move out of `homes`, a captured variable in an `Fn` closure
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
    let homes = vec!["ABE"];
    let _ = flow! {
        capture homes;
        source(flights()) -> map(|f| (f, homes)) -> sink(Discard::new());
    };
}
