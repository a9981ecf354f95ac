//! What crosses modules, as one binary.

mod runs;
