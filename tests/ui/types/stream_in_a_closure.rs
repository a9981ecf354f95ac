//~ cannot find value `late` in this scope
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
        let late = source(flights()) -> filter(|f| f.delay > 15);
        late -> map(|f| (f, late)) -> sink(Discard::new());
    };
}
