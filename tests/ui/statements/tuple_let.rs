//~ `let` names one stream
use flowdsl::flow;

fn main() {
    flow! {
        let (flights, errors) = source(flights());
        flights -> sink(out());
        errors -> sink(out());
    };
}
