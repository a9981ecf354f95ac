//! The example of the language's page, as it stands there.

use flowdsl::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Flight {
    origin: String,
    departure: i64,
    delay: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Alarm {
    origin: String,
    flights: u64,
    mean_delay: f64,
}

impl From<Windowed<String, (u64, f64)>> for Alarm {
    fn from(w: Windowed<String, (u64, f64)>) -> Self {
        Self { origin: w.key, flights: w.value.0, mean_delay: w.value.1 }
    }
}

fn job(threshold: f64) -> Job {
    flow! { <Flight => Alarm>
        capture threshold;                                   // cloned once per worker; closures may use it

        let flights = source(File::parquet("flights.parquet"))
            -> event_time(|f| f.departure, lateness: 5 min);

        let busy = flights
            -> filter(|f| f.delay >= 0)
            -> key_by(|f| f.origin.clone())
            -> window(sliding(1 h, every: 15 min), late: too_late)
            -> aggregate((count(), mean(|f| f.delay))) as hourly_delay
            -> filter(|w| w.value.1 > threshold);

        too_late -> sink(File::jsonl("late"));
        busy -> map(Alarm::from) -> sink(File::jsonl("alarms"));
    }
}

fn main() {
    let plan = job(15.0).plan().expect("a flow without mistakes");
    let ids: Vec<&str> = plan.stages.iter().map(|stage| stage.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "flights.source",
            "flights.event_time",
            "busy.filter",
            "busy.key_by",
            "hourly_delay",
            "busy.filter",
            "too_late.sink",
            "busy.map",
            "busy.sink"
        ]
    );
}
