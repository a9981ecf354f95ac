//~ `Flight: serde::Serialize`
use flowdsl::prelude::*;

#[derive(Clone, Debug)]
struct Flight {
    origin: String,
    delay: i64,
}

fn main() {
    let _ = flow! {
        source(Memory::new(Vec::<Flight>::new())) -> sink(File::jsonl("flights"));
    };
}
