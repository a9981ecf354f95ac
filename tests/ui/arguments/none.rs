//~ `map` needs an argument: `map(|x| ..)`
use flowdsl::flow;

fn main() {
    flow! {
        source(flights()) -> map() -> sink(out());
    };
}
