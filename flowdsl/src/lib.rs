//! Stateful stream processing in Rust: a flow is checked by the compiler, becomes a timely-dataflow
//! graph, and counts every record exactly once, also through `kill -9`.
//!
//! ```
//! use flowdsl::prelude::*;
//!
//! let counts = Collect::new();
//! let seen = counts.clone();
//! let job = Job::new("words", move |flow| {
//!     flow.source("words", Memory::new(["to", "be", "or", "not", "to", "be"].map(String::from).to_vec()))
//!         .key_by(|word| word.clone())
//!         .fold(0_u64, |count, _| *count += 1)
//!         .sink(counts.clone());
//! });
//! job.run(Options::new())?;
//! let to: Vec<u64> = seen.take().into_iter().filter(|w| w.key == "to").map(|w| w.value).collect();
//! assert_eq!(to, [1, 2]);
//! # Ok::<(), flowdsl::Error>(())
//! ```

pub mod builder;
#[cfg(feature = "cli")]
pub mod cli;
mod job;
pub mod plan;
pub mod prelude;
pub mod testing;

pub use flowdsl_runtime as runtime;
pub use flowdsl_runtime::checkpoints;
pub use flowdsl_runtime::job::{
    Drain, Environment, Health, JobClient, JobHandle, JobReport, Outcome, Restoration, restore,
};
pub use flowdsl_runtime::protocol::{
    Allowance, Difference, Migration, PlanDiff, StageChange, StageDiff,
};
pub use flowdsl_runtime::settings::{
    CheckpointMode, Options, RestartStrategy, RestoreFrom, RestoreMode, RocksDbSettings,
    StateBackend,
};
pub use flowdsl_runtime::storage::CheckpointLocation;
pub use flowdsl_runtime::{Error, ErrorKind, Result};

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

/// The flow of the README compiles.
#[cfg(all(doctest, feature = "cli", feature = "parquet"))]
#[doc = include_str!("../../README.md")]
struct Readme;

pub use builder::Flow;
/// A flow: a pipeline that reads as its diagram, checked by the compiler. It is a [`Job`].
///
/// ```
/// use flowdsl::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, Serialize, Deserialize)]
/// struct Flight {
///     origin: String,
///     departure: i64,
///     delay: i64,
/// }
///
/// # fn flights() -> Memory<Flight> {
/// #     let flight = |minute: i64, delay| Flight { origin: "ABE".into(), departure: minute * 60_000, delay };
/// #     Memory::new(vec![flight(5, 10), flight(20, 30), flight(70, 90)])
/// # }
/// let (alarms, late) = (Collect::new(), Collect::new());
/// let threshold = 15.0;
///
/// let job = flow! { <Flight => String>
///     capture threshold, alarms, late;
///
///     let flights = source(flights())
///         -> event_time(|f| f.departure, lateness: 5 min);
///
///     let busy = flights
///         -> filter(|f| f.delay >= 0)
///         -> key_by(|f| f.origin.clone())
///         -> window(tumbling(1 h), late: too_late)
///         -> aggregate((count(), mean(|f| f.delay))) as hourly_delay
///         -> filter(|w| w.value.1 > threshold);
///
///     too_late -> sink(late);
///     busy -> map(|w| format!("{}: {} flights", w.key, w.value.0)) -> sink(alarms);
/// };
/// job.run(Options::new())?;
/// assert_eq!(alarms.take(), ["ABE: 2 flights", "ABE: 1 flights"]);
/// # Ok::<(), flowdsl::Error>(())
/// ```
///
/// # Statements
///
/// | statement | meaning |
/// |---|---|
/// | `<In => Out>` | the header, which may be left out: what the first source makes and the last sink receives |
/// | `capture a, b;` | variables from around the flow that its arguments use; each worker gets a clone |
/// | `let name = chain;` | names the stream at the chain's end; used twice, it gives every record to each use |
/// | `chain;` | a chain that ends in a sink |
///
/// A chain is `source(..)`, `union(a, b, ..)` or a stream's name, and stages behind it, joined by `->`.
///
/// # Stages
///
/// | stage | what it does |
/// |---|---|
/// | `source(s, errors: name)` | begins with a [source](runtime::connector::Source); `errors:` names the stream of records that cannot be read, which end the job otherwise |
/// | `union(a, b, ..)` | begins with the records of several streams |
/// | `map(f)`, `filter(f)`, `filter_map(f)`, `flat_map(f)` | as of iterators |
/// | `inspect(f)` | shows each record to a closure |
/// | `event_time(f, lateness: 5 min)` | gives records their time; it stands at the source. Records within `lateness` of the latest one are never late |
/// | `key_by(f)` | gives records their [`Key`] |
/// | `window(w, offset: d, allowed_lateness: d, late: name)` | `w` is `tumbling(1 h)`, `sliding(1 h, every: 15 min)` or `session(gap: 30 min)`. What comes too late goes to `late:`, or is dropped and counted |
/// | `aggregate(a)` | behind `window`: `count()`, `sum(f)`, `min(f)`, `max(f)`, `mean(f)`, an [`Aggregate`](runtime::window::Aggregate) of your own, or a tuple of them |
/// | `reduce(f)`, `fold(init, f)` | behind `window`, or running for each key |
/// | `sink(s)` | ends the chain in a [sink](runtime::connector::Sink) |
///
/// Closures see variables from around the flow if these are `Copy` or captured, and change none of them:
/// state belongs in `fold`. Durations are `5 ms`, `5 s`, `5 min`, `1.5 h`, `2 d`, or an expression of type
/// [`Duration`](std::time::Duration). The flow's body runs once for each worker and once for the plan.
///
/// # Stage ids
///
/// What a stage keeps is found again by its id: the name of the stream and that of the stage,
/// `busy.filter`, or what stands behind `as`. A chain without `let` has the name of the stream or the
/// origin that it begins with; a window and the stage behind it have one id, that of the latter. Two
/// stages with state may not have one id: name one with `as`.
pub use flowdsl_macros::flow;
pub use flowdsl_macros::{Key, State};
// A trait and a derive of one name each.
pub use flowdsl_runtime::key::Key;
pub use flowdsl_runtime::state::State;
pub use job::Job;
