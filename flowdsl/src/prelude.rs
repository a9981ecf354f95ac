//! What a file with a flow in it usually needs.

#[cfg(feature = "parquet")]
pub use flowdsl_runtime::connector::Parquet;
pub use flowdsl_runtime::connector::{
    Collect, Csv, Discard, File, ForEach, Generator, Jsonl, Memory, Roll, Stdout,
};
pub use flowdsl_runtime::protocol::Migration;
pub use flowdsl_runtime::record::{KeyValue, RecordError, Windowed};
pub use flowdsl_runtime::settings::Options;
pub use flowdsl_runtime::state::{
    ClearState, ListState, MapState, Timer, TimerKind, Ttl, ValueState, list_state, map_state,
    value_state,
};
pub use flowdsl_runtime::window::{Aggregate, Aggregates};

pub use crate::builder::{Flow, session, sliding, tumbling};
pub use crate::{Error, ErrorKind, Job, Key, State, flow};
