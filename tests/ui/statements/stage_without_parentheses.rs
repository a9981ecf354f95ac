//~ `sink` is not called: write its arguments behind it, `sink(..)`
use flowdsl::flow;

fn main() {
    flow! {
        source(flights()) -> sink;
    };
}
