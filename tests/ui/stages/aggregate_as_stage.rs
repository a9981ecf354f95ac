//~ `count` is an aggregate: write `-> aggregate(count(..))` behind a `window`
use flowdsl::flow;

fn main() {
    flow! {
        source(flights()) -> key_by(|f| f.origin.clone()) -> count() -> sink(out());
    };
}
