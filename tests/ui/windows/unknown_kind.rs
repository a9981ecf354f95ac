//~ there is no window `hopping`; did you mean `sliding`?
use flowdsl::flow;

fn main() {
    flow! {
        source(flights())
            -> event_time(|f| f.departure, lateness: 5 min)
            -> key_by(|f| f.origin.clone())
            -> window(hopping(1 h, every: 15 min))
            -> aggregate(count())
            -> sink(out());
    };
}
