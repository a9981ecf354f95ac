//! What crosses modules, as one binary.

mod flights;
mod runs;
