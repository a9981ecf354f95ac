//! Checkpoints in an object store: a real S3 server in this process, with faults on the way to it.

#[cfg(feature = "object-store")]
mod access;
#[cfg(feature = "object-store")]
mod faults;
#[cfg(feature = "object-store")]
mod jobs;
#[cfg(feature = "object-store")]
mod log;
#[cfg(feature = "object-store")]
#[path = "../suite/small.rs"]
mod small;

#[cfg(not(feature = "object-store"))]
#[test]
fn checkpoints_in_an_object_store() {
    flowdsl_tests::data::leave_out(
        "checkpoints in an object store",
        "the feature `object-store` is off",
    );
}
