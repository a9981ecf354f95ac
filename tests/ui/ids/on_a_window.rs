//~ a window and the stage behind it have one id: write `as hourly` behind that stage
use flowdsl::flow;

fn main() {
    flow! {
        source(flights())
            -> event_time(|f| f.departure, lateness: 5 min)
            -> key_by(|f| f.origin.clone())
            -> window(tumbling(1 h)) as hourly
            -> aggregate(count())
            -> sink(out());
    };
}
