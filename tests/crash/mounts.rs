//! Mounts of a test's own: of a small file system, and of one that may not be written.
//!
//! They need a mount namespace, which ends with the processes in it, so that nothing is left behind
//! whatever becomes of the test. Root may make one, and on many machines everybody.

use std::env;
use std::path::Path;
use std::process::Command;

/// Set in a process that has a mount namespace of its own.
const INSIDE: &str = "FLOWDSL_CRASH_MOUNTS";

/// The ways to a mount namespace: for everybody where the machine allows it, and for root.
const WAYS: [&[&str]; 2] = [&["--user", "--map-root-user", "--mount"], &["--mount"]];

/// Runs the body of the test of this name in a process that may mount, if this machine allows that.
pub(crate) fn with_own_mounts(test: &str, body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    let Some(way) = WAYS.into_iter().find(|way| is_open(way)) else {
        // No setting of the tests brings a privilege that the machine does not give.
        eprintln!("left out: {test}: this machine allows no mounts");
        return;
    };
    let inside = Command::new("unshare")
        .args(way)
        .arg(env::current_exe().expect("this test is a program"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("it has just been started for a trial");
    let said = String::from_utf8_lossy(&inside.stdout);
    let complained = String::from_utf8_lossy(&inside.stderr);
    assert!(inside.status.success(), "{said}\n{complained}");
    assert!(said.contains("1 passed"), "there is no test {test}: {said}");
}

fn is_open(way: &[&str]) -> bool {
    let script = "mount -t tmpfs -o size=64k tmpfs /tmp";
    let tried = Command::new("unshare")
        .args(way)
        .args(["sh", "-c", script])
        .output();
    tried.is_ok_and(|tried| tried.status.success())
}

/// Runs `mount` with these options.
pub(crate) fn mount(options: &[&str], target: &Path) {
    let mounted = Command::new("mount").args(options).arg(target).output();
    let mounted = mounted.expect("it was there for the trial");
    let complained = String::from_utf8_lossy(&mounted.stderr);
    assert!(mounted.status.success(), "{options:?}: {complained}");
}
