//~ there is a stream `flights` already: choose another name
use flowdsl::flow;

fn main() {
    flow! {
        let flights = source(flights());
        let flights = flights -> filter(|f| f.delay > 15);
        flights -> sink(out());
    };
}
