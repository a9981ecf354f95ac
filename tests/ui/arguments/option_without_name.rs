//~ write which option this is, `lateness: ..`
//~ write which option this is, `every: ..`
use flowdsl::flow;

fn main() {
    flow! {
        source(flights())
            -> event_time(|f| f.departure, 5 min)
            -> key_by(|f| f.origin.clone())
            -> window(sliding(1 h, 15 min))
            -> aggregate(count())
            -> sink(out());
    };
}
