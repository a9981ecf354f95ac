//! What is wrong with a place or with its rights: one clear error each, and never a secret.

use std::env;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use flowdsl::prelude::*;
use flowdsl::runtime::storage::{CheckpointStorage, RealDisk, TransferLimits};
use flowdsl::{CheckpointLocation, ErrorKind, Outcome, Result};
use flowdsl_tests::s3::{ACCESS_KEY, BUCKET, Fault, Operation, S3, SECRET_KEY};

const SLOT: &str = "log/00000000000000000000";
/// Names the server in the environment of a child process.
const CHILD: &str = "FLOWDSL_TEST_CHILD";

fn open(location: &CheckpointLocation) -> Result<Arc<dyn CheckpointStorage>> {
    location.open(Arc::new(RealDisk), &TransferLimits::default())
}

/// For servers that never give what is asked for: retries go on for half of the time-out.
fn open_impatiently(location: &CheckpointLocation) -> Result<Arc<dyn CheckpointStorage>> {
    let limits = TransferLimits {
        timeout: Duration::from_secs(16),
        ..TransferLimits::default()
    };
    location.open(Arc::new(RealDisk), &limits)
}

#[track_caller]
fn check_invalid<T>(outcome: Result<T>, expected: &str) {
    let error = outcome.err().expect("it is wrong");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.message().contains(expected), "{error}");
    assert!(error.message().contains("s3://"), "{error} names no place");
    assert!(!error.message().contains(SECRET_KEY), "{error}");
}

#[test]
fn a_bucket_that_is_not_there_is_named() {
    let s3 = S3::start();
    let location = CheckpointLocation::from("s3://other/x")
        .with("aws_endpoint", s3.endpoint())
        .with("aws_allow_http", "true")
        .with("aws_access_key_id", ACCESS_KEY)
        .with("aws_secret_access_key", SECRET_KEY);
    check_invalid(open(&location), "no such bucket");
}

#[test]
fn credentials_that_are_wrong_or_do_not_suffice_are_named_without_them() {
    let s3 = S3::start();
    let wrong = s3
        .location("x")
        .with("aws_secret_access_key", "another-secret");
    let error = open(&wrong).expect_err("refused");
    assert!(!error.message().contains("another-secret"), "{error}");
    check_invalid::<()>(Err(error), "credentials");
    let storage = open(&s3.location("x")).expect("it may list");
    s3.wire().next(Operation::Create, Fault::Refuse(403));
    check_invalid(storage.create(SLOT, b"x"), "the right to write objects");
}

#[test]
fn a_store_without_conditional_puts_is_refused_before_anything_is_published() {
    for refuses in [false, true] {
        let s3 = S3::start();
        if refuses {
            for _ in 0..20 {
                s3.wire().next(Operation::Create, Fault::Refuse(501));
            }
        } else {
            s3.wire().ignore_conditions();
        }
        let storage = open_impatiently(&s3.location("x")).expect("nothing is written yet");
        check_invalid(storage.create(SLOT, b"x"), "conditional puts");
        assert_eq!(storage.read(SLOT).expect("read"), None);
    }
}

#[test]
fn a_place_that_was_only_opened_is_left_as_it_was() {
    let s3 = S3::start();
    let storage = open(&s3.location("x")).expect("opened");
    assert_eq!(storage.list("log").expect("listed"), Vec::<String>::new());
    assert_eq!(s3.wire().begun(Operation::Create), 0);
    assert_eq!(s3.wire().begun(Operation::Put), 0);
}

#[test]
fn a_server_that_is_not_there_is_unavailable() {
    let endpoint = S3::start().endpoint();
    let location = CheckpointLocation::from("s3://bucket/x")
        .with("aws_endpoint", endpoint)
        .with("aws_allow_http", "true")
        .with("aws_access_key_id", ACCESS_KEY)
        .with("aws_secret_access_key", SECRET_KEY);
    let error = open_impatiently(&location).expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[test]
fn a_setting_that_no_store_knows_is_named() {
    let location = CheckpointLocation::from("s3://bucket/x").with("aws_endpiont", "x");
    check_invalid(open(&location), "`aws_endpiont`");
}

/// The settings come from the environment, which belongs to the whole process: so the job runs in
/// a process of its own, which is this test again.
#[test]
fn settings_come_from_the_environment() {
    let name = "access::settings_come_from_the_environment";
    if env::var_os(CHILD).is_some() {
        return run_in_child();
    }
    let s3 = S3::start();
    let output = Command::new(env::current_exe().expect("this test is a program"))
        .args(["--exact", name])
        .env(CHILD, "1")
        .env("AWS_ENDPOINT", s3.endpoint())
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    let storage = open(&s3.location("env")).expect("opened");
    let log = storage.list("log").expect("listed");
    assert!(log.len() >= 2, "a claim and a manifest: {log:?}");
}

fn run_in_child() {
    let job = Job::new("env", |flow| {
        flow.source("numbers", Memory::new(vec![1_u64, 2, 3]))
            .at("out")
            .sink(Collect::new());
    });
    let url = format!("s3://{BUCKET}/env");
    let report = job
        .run(Options::new().checkpoint_dir(url))
        .expect("it runs");
    assert_eq!(report.outcome, Outcome::Finished);
}
