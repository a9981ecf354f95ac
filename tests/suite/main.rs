//! What crosses modules, as one binary.

mod flights;
mod language;
mod runs;
mod slow_sink;
mod tidy;
