//~ `f64` cannot be the key of a stream
use flowdsl::{Key, State};
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Serialize, Deserialize, State, Key)]
struct Place {
    name: String,
    latitude: f64,
}

impl Eq for Place {}

fn main() {}
