//~ nothing leaves this chain: end it with `-> sink(..)`
use flowdsl::flow;

fn main() {
    flow! {
        source(flights()) -> filter(|f| f.delay > 15);
    };
}
