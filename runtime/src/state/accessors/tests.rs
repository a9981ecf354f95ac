//! The rules of names.
