//~ type mismatch resolving `<Memory<Flight> as Source>::Item == u64`
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
        <u64 => Flight>
        source(flights()) -> sink(Discard::new());
    };
}
