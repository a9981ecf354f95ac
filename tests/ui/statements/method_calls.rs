//~ stages are joined by `->`
use flowdsl::flow;

fn main() {
    flow! {
        source(flights()).filter(|f| f.delay > 15).sink(out());
    };
}
