//! The rules of `process`.
