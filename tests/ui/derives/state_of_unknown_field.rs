//~ `Clock` cannot be kept in state
use flowdsl::State;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Clock;

#[derive(Clone, Serialize, Deserialize, State)]
struct Sum {
    count: u64,
    clock: Clock,
}

fn main() {}
