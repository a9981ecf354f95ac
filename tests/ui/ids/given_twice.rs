//~ `out` is the id of an earlier `sink` already: choose another name
use flowdsl::flow;

fn main() {
    flow! {
        let flights = source(flights());
        flights -> sink(out()) as out;
        flights -> map(|f| f.delay) -> sink(delays()) as out;
    };
}
