//~ `map` cannot follow `window`: say first what to make of a window's records
use flowdsl::flow;

fn main() {
    flow! {
        source(flights())
            -> event_time(|f| f.departure, lateness: 5 min)
            -> key_by(|f| f.origin.clone())
            -> window(tumbling(1 h))
            -> map(|w| w.value)
            -> sink(out());
    };
}
