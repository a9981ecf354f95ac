//~ `self` cannot be captured
use flowdsl::flow;

fn main() {
    flow! {
        capture self;
        source(flights()) -> filter(|f| f.delay > self.limit) -> sink(out());
    };
}
