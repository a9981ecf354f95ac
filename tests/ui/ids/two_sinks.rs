//~ this stage's id would be `flights.sink`, as that of the `sink` before it, and their state could not be told apart
use flowdsl::flow;

fn main() {
    flow! {
        let flights = source(flights());
        flights -> sink(out());
        flights -> map(|f| f.delay) -> sink(delays());
    };
}
