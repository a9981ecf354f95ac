//~ a stage takes no type arguments
use flowdsl::flow;

fn main() {
    flow! {
        source::<Flight>(flights()) -> sink(out());
    };
}
