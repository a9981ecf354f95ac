//~ `window` has no option `latenes`; did you mean `allowed_lateness`?
//~ `filter` has no options: `filter(
use flowdsl::flow;

fn main() {
    flow! {
        source(flights())
            -> event_time(|f| f.departure, lateness: 5 min)
            -> filter(|f| f.delay > 15, late: too_late)
            -> key_by(|f| f.origin.clone())
            -> window(tumbling(1 h), latenes: 1 h)
            -> aggregate(count())
            -> sink(out());
    };
}
