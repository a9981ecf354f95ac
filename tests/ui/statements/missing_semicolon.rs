//~ a statement ends with `;`: write it behind this
use flowdsl::flow;

fn main() {
    flow! {
        let flights = source(flights())
        let late = flights -> filter(|f| f.delay > 15);
        late -> sink(out());
    };
}
