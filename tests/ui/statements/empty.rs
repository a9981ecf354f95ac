//~ this flow is empty
use flowdsl::flow;

fn main() {
    flow! {
    };
}
