//~ `event_time` needs `lateness:`, as in `event_time(|x| x.time, lateness: 5 min)`
use flowdsl::flow;

fn main() {
    flow! {
        source(flights()) -> event_time(|f| f.departure) -> sink(out());
    };
}
