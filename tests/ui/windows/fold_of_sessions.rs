//~ `fold` cannot follow session windows
//~ a session begins with its first record, so that `offset` means nothing here
use flowdsl::flow;

fn main() {
    flow! {
        source(flights())
            -> event_time(|f| f.departure, lateness: 5 min)
            -> key_by(|f| f.origin.clone())
            -> window(session(gap: 30 min), offset: 5 min)
            -> fold(0, |sum, f| *sum += f.delay)
            -> sink(out());
    };
}
