//! The typed builder: what `flow!` expands to, and what can be written by hand.
//!
//! Streams know the types of their records, and whether they have a key and an event time;
//! stages that need them are refused at compile time where they are missing. Nothing runs while a
//! graph is built.

mod bounds;
mod flow;
mod keyed;
mod label;
mod process;
mod stream;
mod union;
mod window;

pub use bounds::{AtSource, HasEventTime, HasKey, WithoutEventTime};
pub use flow::Flow;
pub use keyed::{IntoKeyedStream, KeyedEdge};
pub use process::{ExpiringStream, Processed};
pub use stream::{Folded, Shared, SourceFor, Stream};
pub use union::Union;
pub use window::{
    LateWindowedStream, ResultsAndLate, WindowResults, WindowedStream, Windows, session, sliding,
    tumbling,
};
