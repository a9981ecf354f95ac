//! Sources and sinks: how records enter and leave a flow.
//!
//! A connector knows nothing of timely or of when checkpoints happen. A source reads *splits* from
//! *offsets*; a sink writes records, and a transactional one stages what it wrote at each barrier
//! and makes it visible when it is given a permit.

mod collect;
mod file;
mod generator;
mod memory;
mod plain;
mod progress;
mod sink;
mod source;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use collect::{Collect, CollectWriter};
#[cfg(feature = "parquet")]
pub use file::Parquet;
pub use file::{Csv, File, FileWriter, Jsonl, Roll, RowEncoder, RowFormat};
pub use generator::Generator;
pub use memory::Memory;
pub use plain::{Discard, Displayed, ForEach, JsonLines, LineFormat, LineWriter, Stdout};
pub use progress::{SinkSnapshot, SourceSnapshot, SplitProgress};
pub use sink::{
    Barrier, Committable, Committer, OutputFacts, PendingCommit, Prepared, Sink, SinkContext,
    SinkGuarantee, SinkWriter, Transactional,
};
pub use source::{Fill, Offset, Source, Split, SplitReader};
