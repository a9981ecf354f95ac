//~ cannot move out of `home`, a captured variable in an `Fn` closure
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
    let home = "ABE".to_owned();
    let _ = flow! {
        capture home;
        source(flights()) -> map(|f| (f, home)) -> sink(Discard::new());
    };
}
