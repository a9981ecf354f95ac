//~ the header is `<In => Out>`
use flowdsl::flow;

fn main() {
    flow! {
        <Flight, Alarm>
        source(flights()) -> sink(out());
    };
}
