//~ this stream has event time already
use flowdsl::flow;

fn main() {
    flow! {
        source(flights())
            -> event_time(|f| f.departure, lateness: 5 min)
            -> event_time(|f| f.arrival, lateness: 5 min)
            -> sink(out());
    };
}
