//~ the language has no `join` yet
use flowdsl::flow;

fn main() {
    flow! {
        source(flights()) -> join(airports) -> sink(out());
    };
}
