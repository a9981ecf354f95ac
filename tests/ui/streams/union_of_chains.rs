//~ expected the name of a stream: give the chain a name first
use flowdsl::flow;

fn main() {
    flow! {
        let a = source(flights());
        union(a, source(others())) -> sink(out());
    };
}
