//~ a flow cannot capture a `Rc<str>`
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
    let home: std::rc::Rc<str> = "ABE".into();
    let _ = flow! {
        capture home;
        source(flights()) -> filter(|f| *f.origin == *home) -> sink(Discard::new());
    };
}
