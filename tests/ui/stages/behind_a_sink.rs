//~ nothing comes behind a sink
use flowdsl::flow;

fn main() {
    flow! {
        source(flights()) -> sink(out()) -> map(|f| f.delay) -> sink(delays()) as delays;
    };
}
