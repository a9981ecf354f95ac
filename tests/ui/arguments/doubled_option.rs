//~ `offset` is given twice
use flowdsl::flow;

fn main() {
    flow! {
        source(flights())
            -> event_time(|f| f.departure, lateness: 5 min)
            -> key_by(|f| f.origin.clone())
            -> window(tumbling(1 d), offset: 6 h, offset: 7 h)
            -> aggregate(count())
            -> sink(out());
    };
}
