//! Real processes of a real job, killed at named points and at random, and disks that fill up, may not
//! be written or are not there any more.
//!
//! A test is the parent. Its children are this same program ([`child`]), which run the job of [`job`]
//! on the disk of this machine or on an S3 server in the parent. Every act on files and objects goes
//! through a [`gate`], which counts it and asks the parent where it was told to: the parent then kills
//! the child there, lets the act fail, or changes the world and lets it go on. Nothing depends on how
//! fast a machine is, and time-outs are for children that hang.
//!
//! `FLOWDSL_CRASH_SEEDS` says how many random histories each test tries, `FLOWDSL_SEED` the first seed,
//! and `FLOWDSL_CRASH_ALL=1` kills, and sends signals, at every named point under every policy.
#![cfg(unix)]

mod cancelled;
mod child;
mod disk;
mod expected;
mod gate;
mod history;
mod job;
mod life;
mod matrix;
mod mounts;
mod named;
mod parent;
mod points;
mod random;
mod signals;
mod storage;
mod terminal;
mod trouble;
mod world;

#[cfg(not(feature = "object-store"))]
#[test]
fn deaths_with_an_object_store() {
    flowdsl_tests::data::leave_out(
        "deaths of jobs with checkpoints in an object store",
        "the feature `object-store` is off",
    );
}
