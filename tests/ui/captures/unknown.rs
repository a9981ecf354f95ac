//~ cannot find value `hoem` in this scope
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
    let home = 3;
    let _ = home;
    let _ = flow! {
        source(flights()) -> filter(|f| f.origin == hoem) -> sink(Discard::new());
    };
}
