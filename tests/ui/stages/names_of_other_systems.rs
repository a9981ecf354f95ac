//~ there is no stage `group_by`; did you mean `key_by`?
//~ there is no stage `window_all`; did you mean `window`?
//~ there is no stage `add_sink`; did you mean `sink`?
use flowdsl::flow;

fn main() {
    flow! {
        source(flights()) -> group_by(|f| f.origin.clone()) -> window_all(tumbling(1 h)) -> add_sink(out());
    };
}
