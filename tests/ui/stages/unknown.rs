//~ there is no stage `frobnicate`; stages are
use flowdsl::flow;

fn main() {
    flow! {
        source(flights()) -> frobnicate(3) -> sink(out());
    };
}
