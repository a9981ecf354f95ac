//~ `aggregate` needs windows: put `-> window(tumbling(1 h))` before it
use flowdsl::flow;

fn main() {
    flow! {
        source(flights()) -> key_by(|f| f.origin.clone()) -> aggregate(count()) -> sink(out());
    };
}
