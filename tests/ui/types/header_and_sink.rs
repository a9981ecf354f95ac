//~ the header of the flow says `=> u64`, but its last sink receives `i64`
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
        <Flight => u64>
        source(flights()) -> map(|f| f.delay) -> sink(Discard::new());
    };
}
