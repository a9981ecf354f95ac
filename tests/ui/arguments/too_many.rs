//~ one argument too many: `filter(
use flowdsl::flow;

fn main() {
    flow! {
        source(flights()) -> filter(|f| f.delay > 15, |f| f.delay < 30) -> sink(out());
    };
}
