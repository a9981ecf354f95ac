//~ `f64` cannot be the key of a stream
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
        source(flights())
            -> key_by(|f| f.delay as f64)
            -> fold(0_u64, |count, _| *count += 1)
            -> sink(Discard::new());
    };
}
