//~ `bool` cannot be summed
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
            -> event_time(|f| f.departure, lateness: 5 min)
            -> key_by(|f| f.origin.clone())
            -> window(tumbling(1 h))
            -> aggregate(sum(|f| f.delay > 0))
            -> sink(Discard::new());
    };
}
