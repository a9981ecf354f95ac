//~ a chain that ends in a sink makes no stream: remove `let alarms =`
use flowdsl::flow;

fn main() {
    flow! {
        let alarms = source(flights()) -> sink(out());
    };
}
