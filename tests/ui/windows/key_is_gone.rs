//~ `fold` needs a stream with a key: put `-> key_by(|x| ..)` before it
use flowdsl::flow;

fn main() {
    flow! {
        source(flights())
            -> event_time(|f| f.departure, lateness: 5 min)
            -> key_by(|f| f.origin.clone())
            -> window(tumbling(1 h))
            -> aggregate(count())
            -> fold(0, |max, w| *max = w.value.max(*max))
            -> sink(out());
    };
}
