//! A job whose code changes: each version goes on from the checkpoint of the one before.

mod chain;
mod expected;
mod flow;
mod migrations;
mod types;
mod versions;
