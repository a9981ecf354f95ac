//~ there is no stream `fligths`; did you mean `flights`?
use flowdsl::flow;

fn main() {
    flow! {
        let flights = source(flights());
        fligths -> sink(out());
        flights -> map(|f| f.delay) -> sink(delays());
    };
}
