//~ a stream is never mutable
use flowdsl::flow;

fn main() {
    flow! {
        let mut flights = source(flights());
        flights -> sink(out());
    };
}
