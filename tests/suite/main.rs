//! What crosses modules, as one binary.

mod damage;
mod failed_checkpoints;
mod flights;
mod language;
mod panics;
mod power;
mod rescale;
mod runs;
mod semantics;
mod slow_sink;
mod small;
mod tidy;
mod watermarks;
