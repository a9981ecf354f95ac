//~ `m` is no unit: units are ms, s, min, h, d; did you mean `min`?
//~ a duration needs its unit, as in `60 min`
//~ this duration must be longer than zero
//~ this duration cannot be negative
//~ `hours` is no unit
use flowdsl::flow;

fn main() {
    flow! {
        source(flights())
            -> event_time(|f| f.departure, lateness: 5 m)
            -> key_by(|f| f.origin.clone())
            -> window(sliding(60, every: 0 min), allowed_lateness: -1 h, offset: 6 hours)
            -> aggregate(count())
            -> sink(out());
    };
}
