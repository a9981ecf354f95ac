//~ this value comes from outside of the flow, and is not captured
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
        source(flights()) -> map(|f| format!("{} of {homes:?}", f.delay)) -> sink(Discard::new());
    };
}
