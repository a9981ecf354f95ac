//~ this stage's id would be `flights.sink`, as that of an earlier `sink`, and their state could not be told apart
use flowdsl::flow;

fn main() {
    flow! {
        let flights = source(flights());
        flights -> sink(out());
        flights -> map(|f| f.delay) -> sink(delays());
    };
}
