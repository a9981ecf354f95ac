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
pub use flowdsl_runtime::job::{Environment, JobHandle, JobReport, Outcome};
pub use flowdsl_runtime::settings::Options;
pub use flowdsl_runtime::{Error, ErrorKind, Result};

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

/// The flow of the README compiles.
#[cfg(all(doctest, feature = "cli", feature = "parquet"))]
#[doc = include_str!("../../README.md")]
struct Readme;

pub use builder::Flow;
pub use flowdsl_macros::{Key, State, flow};
// A trait and a derive of one name each.
pub use flowdsl_runtime::key::Key;
pub use flowdsl_runtime::state::State;
pub use job::Job;
