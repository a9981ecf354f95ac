//~ mismatched types
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
        let a = source(flights());
        let b = source(flights()) -> map(|f| f.delay);
        union(a, b) -> sink(Discard::new());
    };
}
