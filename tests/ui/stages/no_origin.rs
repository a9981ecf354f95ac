//~ `filter` needs a stream before it: `stream -> filter(
use flowdsl::flow;

fn main() {
    flow! {
        filter(|f| f.delay > 15) -> sink(out());
    };
}
