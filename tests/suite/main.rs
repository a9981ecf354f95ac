//! What crosses modules, as one binary.

mod flights;
mod language;
mod runs;
