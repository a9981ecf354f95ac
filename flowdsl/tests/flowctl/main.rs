//! `flowctl` as people run it: exit codes, what it says, and JSON that programs read.

#![cfg(feature = "cli")]

mod changes;
mod looks;
mod refusals;
mod stored;
