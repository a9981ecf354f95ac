//~ `event_time` stands behind its source, before any `key_by`, `union` or `window`
use flowdsl::flow;

fn main() {
    flow! {
        source(flights())
            -> key_by(|f| f.origin.clone())
            -> event_time(|f| f.departure, lateness: 5 min)
            -> window(tumbling(1 h))
            -> aggregate(count())
            -> sink(out());
    };
}
