//~ a stream is never mutable
//~ there is no stage `keyBy`; did you mean `key_by`?
//~ `m` is no unit
//~ the stream `unused` is never used
//~ `late:`
use flowdsl::flow;

fn main() {
    flow! {
        let mut flights = source(flights());
        let others = source(others())
            -> event_time(|f| f.departure, lateness: 5 m)
            -> keyBy(|f| f.origin.clone())
            -> window(tumbling(1 h), late: too_late)
            -> aggregate(count());
        let unused = flights -> map(|f| f.delay, 3);
        others -> sink(out());
    };
}
