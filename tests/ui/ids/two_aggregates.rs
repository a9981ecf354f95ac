//~ this stage's id would be `busy.aggregate`
use flowdsl::flow;

fn main() {
    flow! {
        let busy = source(flights())
            -> event_time(|f| f.departure, lateness: 5 min)
            -> key_by(|f| f.origin.clone())
            -> window(tumbling(1 h))
            -> aggregate(count())
            -> key_by(|w| w.key.clone())
            -> window(tumbling(1 d))
            -> aggregate(max(|w| w.value));
        busy -> sink(out());
    };
}
