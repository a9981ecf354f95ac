//! The exactly-once file sink.
//!
//! ```text
//! alarms/
//!   part-g000001-e0000000001-0000000003-w0000-n000000.jsonl     committed, complete, never changed
//!   .flowdsl/
//!     owner                                                     the job and stage that write here
//!     staging/g000001-w0000-n000001.jsonl                       being written, or waiting for its commit
//! ```
//!
//! The rule: a name in the directory itself is made by one rename, of a file that is complete and
//! durable, after a manifest that names it. A staged name leaves epochs out, so that the visible
//! name of a file that must be taken back tells where it came from.

mod names;
mod owner;
mod place;
mod staged;
mod transactional;
mod writer;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

pub use writer::FileWriter;

use crate::connector::Transactional;

/// What a job does with the output in `dir` outside of the flow.
pub(super) fn transactional(dir: &Path, extension: &'static str) -> Arc<dyn Transactional> {
    Arc::new(transactional::FileOutput::new(dir, extension))
}
