//~ a stream's type is not written here
use flowdsl::flow;

fn main() {
    flow! {
        let flights: Stream<Flight> = source(flights());
        flights -> sink(out());
    };
}
