//~ expected a window: `tumbling(1 h)`, `sliding(1 h, every: 15 min)`, `session(gap: 30 min)`
use flowdsl::flow;

fn main() {
    flow! {
        source(flights())
            -> event_time(|f| f.departure, lateness: 5 min)
            -> key_by(|f| f.origin.clone())
            -> window(1 h)
            -> aggregate(count())
            -> sink(out());
    };
}
