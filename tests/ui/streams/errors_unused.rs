//~ the stream `malformed` goes nowhere: write `malformed -> sink(..);`, or leave `errors:` out
use flowdsl::flow;

fn main() {
    flow! {
        source(flights(), errors: malformed) -> sink(out());
    };
}
