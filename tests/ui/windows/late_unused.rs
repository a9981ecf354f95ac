//~ the late records `too_late` go nowhere: write `too_late -> sink(..);`
use flowdsl::flow;

fn main() {
    flow! {
        source(flights())
            -> event_time(|f| f.departure, lateness: 5 min)
            -> key_by(|f| f.origin.clone())
            -> window(tumbling(1 h), late: too_late)
            -> aggregate(count())
            -> sink(out());
    };
}
