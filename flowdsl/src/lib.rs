//! flowdsl
pub use flowdsl_runtime as runtime;
