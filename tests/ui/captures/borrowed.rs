//~ does not live long enough
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
    let text = String::from("ABE");
    let home = text.as_str();
    let _ = flow! {
        capture home;
        source(flights()) -> filter(|f| f.origin == home) -> sink(Discard::new());
    };
}
