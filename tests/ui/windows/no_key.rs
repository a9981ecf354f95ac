//~ `window` needs a stream with a key: put `-> key_by(|x| ..)` before it
use flowdsl::flow;

fn main() {
    flow! {
        source(flights())
            -> event_time(|f| f.departure, lateness: 5 min)
            -> window(tumbling(1 h))
            -> aggregate(count())
            -> sink(out());
    };
}
