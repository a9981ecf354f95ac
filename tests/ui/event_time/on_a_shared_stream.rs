//~ before the stream is used twice
use flowdsl::flow;

fn main() {
    flow! {
        let flights = source(flights());
        flights -> event_time(|f| f.departure, lateness: 5 min) -> sink(timed());
        flights -> sink(out()) as raw;
    };
}
