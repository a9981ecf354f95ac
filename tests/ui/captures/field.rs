//~ only variables are captured: bind the field first
use flowdsl::flow;

fn main() {
    flow! {
        capture settings.limit;
        source(flights()) -> filter(|f| f.delay > limit) -> sink(out());
    };
}
