//~ `event_time` stands behind its source, before any `key_by`, `union` or `window`
use flowdsl::flow;

fn main() {
    flow! {
        let a = source(flights());
        let b = source(others());
        union(a, b) -> event_time(|f| f.departure, lateness: 5 min) -> sink(out());
    };
}
