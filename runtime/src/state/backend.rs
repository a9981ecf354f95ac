//! Where a run keeps its state, and where each of its stages does.

use crate::error::Result;

/// Where a run keeps its state.
#[derive(Clone, Debug, Default)]
pub enum Backend {
    /// In memory.
    #[default]
    Memory,
}

/// Where one stage keeps its state on one worker.
#[derive(Clone, Debug, Default)]
pub enum StageBackend {
    /// In memory.
    #[default]
    Memory,
}
