//~ there is no stage `keyBy`; did you mean `key_by`?
//~ there is no stage `flatMap`; did you mean `flat_map`?
use flowdsl::flow;

fn main() {
    flow! {
        source(flights()) -> keyBy(|f| f.origin.clone()) -> flatMap(|f| f.legs) -> sink(out());
    };
}
