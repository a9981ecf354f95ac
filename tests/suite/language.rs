//! `flow!` and the builder by hand mean the same (invariant 8).

use std::time::Duration;

use flowdsl::prelude::*;
use flowdsl::runtime::protocol::StoredPlan;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Flight {
    origin: String,
    departure: i64,
    delay: i64,
}

fn flights() -> Vec<Flight> {
    let flight = |i: i64| Flight {
        origin: ["ABE", "JFK", "ORD"][i as usize % 3].to_owned(),
        departure: i * 60_000,
        delay: i % 50,
    };
    (0..500).map(flight).collect()
}

type Delay = Windowed<String, (u64, f64)>;

fn written_as_a_flow(results: &Collect<Delay>, late: &Collect<Flight>) -> Job {
    let (results, late) = (results.clone(), late.clone());
    flow! { <Flight => Delay>
        capture results, late;

        let flights = source(Memory::new(flights()))
            -> event_time(|f| f.departure, lateness: 5 min);

        let busy = flights
            -> filter(|f| f.delay >= 0)
            -> key_by(|f| f.origin.clone())
            -> window(sliding(1 h, every: 15 min), late: too_late)
            -> aggregate((count(), mean(|f| f.delay))) as hourly_delay
            -> filter(|w| w.value.1 > 10.0);

        too_late -> sink(late);
        busy -> sink(results);
    }
}

fn written_by_hand(results: &Collect<Delay>, late: &Collect<Flight>) -> Job {
    let (results, late) = (results.clone(), late.clone());
    Job::new(module_path!(), move |flow| {
        let (busy, too_late) = flow
            .source("flights.source", Memory::new(flights()))
            .at("flights.event_time")
            .event_time(|f| f.departure, Duration::from_secs(300))
            .at("busy.filter")
            .filter(|f| f.delay >= 0)
            .at("busy.key_by")
            .key_by(|f| f.origin.clone())
            .window(sliding(
                Duration::from_secs(3_600),
                Duration::from_secs(900),
            ))
            .with_late()
            .at("hourly_delay")
            .aggregate(|a| (a.count(), a.mean(|f| f.delay)));
        too_late.at("too_late.sink").sink(late.clone());
        busy.at("busy.filter")
            .filter(|w| w.value.1 > 10.0)
            .at("busy.sink")
            .sink(results.clone());
    })
}

/// The edges by the ids of their ends, in order.
fn edges(plan: &StoredPlan) -> Vec<(String, String, bool)> {
    let id = |at: usize| plan.stages[at].id.to_string();
    let mut edges: Vec<_> = plan
        .edges
        .iter()
        .map(|e| (id(e.from), id(e.to), e.exchange))
        .collect();
    edges.sort();
    edges
}

#[test]
fn a_flow_and_the_builder_by_hand_give_the_same_graph_and_the_same_results() {
    let (by_macro, by_hand) = (Collect::new(), Collect::new());
    let late = [Collect::new(), Collect::new()];
    let jobs = [
        written_as_a_flow(&by_macro, &late[0]),
        written_by_hand(&by_hand, &late[1]),
    ];
    let [mut plan, mut other] = jobs
        .each_ref()
        .map(|job| job.plan().expect("the flow has no mistakes"));
    assert_eq!(edges(&plan), edges(&other));
    // Stages are listed as they are built: the sinks of two chains may change places.
    for plan in [&mut plan, &mut other] {
        plan.stages.sort_by(|a, b| {
            (&a.id, &a.operation, &a.detail).cmp(&(&b.id, &b.operation, &b.detail))
        });
    }
    assert_eq!(plan.stages, other.stages);
    for job in &jobs {
        job.run(Options::new().workers(2)).expect("the job runs");
    }
    let sorted = |results: &Collect<Delay>| {
        let mut rows: Vec<_> = results
            .take()
            .into_iter()
            .map(|w| format!("{w:?}"))
            .collect();
        rows.sort();
        rows
    };
    let rows = sorted(&by_macro);
    assert!(!rows.is_empty());
    assert_eq!(rows, sorted(&by_hand));
}

#[test]
fn a_flow_that_captures_runs() {
    let counts = Collect::new();
    let factor = 3_u64;
    let job = flow! { <u64 => KeyValue<u64, u64>>
        capture counts, factor;

        let numbers = source(Generator::new(1_000, |i| i)) -> map(|n| n * factor);
        numbers -> key_by(|n| n % 10) -> fold(0_u64, |count, _| *count += 1) -> sink(counts);
    };
    job.run(
        Options::new()
            .workers(2)
            .checkpoint_interval(Duration::from_millis(5)),
    )
    .expect("the job runs");
    assert_eq!(counts.take().len(), 1_000);
}
