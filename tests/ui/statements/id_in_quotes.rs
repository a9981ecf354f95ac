//~ a stage's id is a name without quotes: `as hourly`
use flowdsl::flow;

fn main() {
    flow! {
        source(flights()) -> sink(out()) as "alarms";
    };
}
