//~ there is no stage `fliter`; did you mean `filter`?
use flowdsl::flow;

fn main() {
    flow! {
        source(flights()) -> fliter(|f| f.delay > 15) -> sink(out());
    };
}
