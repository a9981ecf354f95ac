//! Sources and sinks: how records enter and leave a flow.
//!
//! A connector knows nothing of timely or of when checkpoints happen. A source reads *splits* from
//! *offsets*; a sink writes records, and a transactional one stages what it wrote at each barrier
//! and makes it visible when it is given a permit.

mod sink;
mod source;

pub use sink::{
    Barrier, Committable, Committer, OutputFacts, PendingCommit, Prepared, Sink, SinkContext, SinkGuarantee, SinkWriter, Transactional,
};
pub use source::{Fill, Offset, Source, Split, SplitReader};
