//~ `State` is derived for structs and enums
//~ `Key` is derived for structs and enums
use flowdsl::{Key, State};

#[derive(State, Key)]
union Number {
    whole: u64,
    real: f64,
}

fn main() {}
