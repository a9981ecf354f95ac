//~ `Sum: serde::Serialize`
use flowdsl::State;

#[derive(Clone, State)]
struct Sum {
    count: u64,
}

fn main() {}
