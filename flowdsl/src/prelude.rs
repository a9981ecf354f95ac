//! What a file with a flow in it usually needs.

pub use flowdsl_runtime::connector::{Collect, Csv, Discard, File, ForEach, Generator, Jsonl, Memory, Roll, Stdout};
#[cfg(feature = "parquet")]
pub use flowdsl_runtime::connector::Parquet;
pub use flowdsl_runtime::key::Key;
pub use flowdsl_runtime::record::{KeyValue, RecordError, Windowed};
pub use flowdsl_runtime::settings::Options;
pub use flowdsl_runtime::state::State;
pub use flowdsl_runtime::window::{Aggregate, Aggregates};

pub use crate::builder::{Flow, session, sliding, tumbling};
pub use crate::{Error, ErrorKind, Job};
// The derives share their names with the traits.
pub use flowdsl_macros::{Key, State, flow};
