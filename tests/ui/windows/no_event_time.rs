//~ `window` needs event time: put `-> event_time(
use flowdsl::flow;

fn main() {
    flow! {
        source(flights())
            -> key_by(|f| f.origin.clone())
            -> window(tumbling(1 h))
            -> aggregate(count())
            -> sink(out());
    };
}
