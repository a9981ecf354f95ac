//~ the stream `late` is never used: write `late -> .. -> sink(..);`, or remove it
use flowdsl::flow;

fn main() {
    flow! {
        let flights = source(flights());
        let late = flights -> filter(|f| f.delay > 15);
        flights -> sink(out());
    };
}
