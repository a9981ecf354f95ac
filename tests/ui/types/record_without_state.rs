//~ `Flight` cannot be kept in state
//~ put `#[derive(Clone, Serialize, Deserialize, State)]` on the type
use flowdsl::prelude::*;

#[derive(Clone, Debug)]
struct Flight {
    origin: String,
    delay: i64,
}

fn main() {
    let _ = flow! {
        source(Memory::new(Vec::<Flight>::new()))
            -> key_by(|f| f.delay)
            -> reduce(|sum, f| sum.delay += f.delay)
            -> sink(Discard::new());
    };
}
