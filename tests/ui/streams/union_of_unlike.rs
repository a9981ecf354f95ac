//~ `b` has no event time, but `a` has
use flowdsl::flow;

fn main() {
    flow! {
        let a = source(flights()) -> event_time(|f| f.departure, lateness: 5 min);
        let b = source(others());
        union(a, b) -> sink(out());
    };
}
