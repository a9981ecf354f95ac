//~ `late` is used before it is made: move this statement behind its `let`
use flowdsl::flow;

fn main() {
    flow! {
        late -> sink(out());
        let late = source(flights()) -> filter(|f| f.delay > 15);
    };
}
