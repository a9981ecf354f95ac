//~ `Totals` cannot be kept in state
use flowdsl::prelude::*;

#[derive(Clone, Debug)]
struct Totals {
    delay: i64,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Flight {
    origin: String,
    delay: i64,
}

fn main() {
    let _ = flow! {
        source(Memory::new(Vec::<Flight>::new()))
            -> key_by(|f| f.delay)
            -> fold(Totals { delay: 0 }, |sum, f| sum.delay += f.delay)
            -> sink(Discard::new());
    };
}
