//~ `union` begins a chain and cannot follow a stage: name both streams and write `union(a, b) -> ..`
use flowdsl::flow;

fn main() {
    flow! {
        let other = source(others());
        source(flights()) -> union(other) -> sink(out());
    };
}
