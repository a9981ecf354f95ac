//! Checkpoints with damaged files, and checkpoint directories that are not the right one.

use std::path::PathBuf;

use flowdsl::testing::FaultyDisk;
use flowdsl::{ErrorKind, Outcome, StateBackend};
use flowdsl_tests::backends::backends;

use crate::small::Small;

/// What happens to a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Missing,
    Empty,
    CutInHalf,
    FlippedBit(usize),
}

const ALL: [Damage; 6] = [
    Damage::Missing,
    Damage::Empty,
    Damage::CutInHalf,
    Damage::FlippedBit(3),
    Damage::FlippedBit(40 * 8),
    Damage::FlippedBit(usize::MAX),
];

fn damage(disk: &FaultyDisk, path: &PathBuf, damage: Damage) {
    let mut bytes = disk.peek(path).expect("the file is there");
    match damage {
        Damage::Missing => return disk.lose(path),
        Damage::Empty => bytes.clear(),
        Damage::CutInHalf => bytes.truncate(bytes.len() / 2),
        Damage::FlippedBit(bit) => {
            let bit = bit.min(bytes.len() * 8 - 1);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
    disk.corrupt(path, &bytes);
}

/// The files of a directory of the checkpoints, in the order of their names, which is that of epochs.
fn files_in(disk: &FaultyDisk, dir: &str) -> Vec<PathBuf> {
    let mut paths = disk.paths();
    paths.retain(|path| path.starts_with(PathBuf::from("checkpoints").join(dir)));
    paths
}

/// Three checkpoints, and a crash.
fn crashed() -> Small {
    crashed_with(StateBackend::Memory)
}

fn crashed_with(backend: StateBackend) -> Small {
    let mut small = Small::new(2, 4);
    small.options.backend = backend;
    small.start();
    for _ in 0..3 {
        small.next_part().expect("no fault yet");
    }
    small.harness.crash();
    small
}

/// The run behind a damage falls back: later output is taken back, and written again.
fn check_falls_back(what: &str, small: &mut Small) {
    let visible = small.visible();
    small.start();
    let report = small.finish().unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(report.outcome, Outcome::Finished, "{what}");
    assert_eq!(
        report.restored_from.map(|epoch| epoch.0),
        Some(2),
        "{what}: from the checkpoint before the newest"
    );
    small.check_complete();
    assert!(
        visible[1].len() < small.visible()[1].len(),
        "{what}: the last part was still to come"
    );
}

#[test]
fn a_run_falls_back_from_a_damaged_manifest_and_doubles_no_line() {
    for kind in ALL {
        let mut small = crashed();
        let newest = files_in(small.harness.disk(), "log")
            .pop()
            .expect("a manifest");
        damage(small.harness.disk(), &newest, kind);
        check_falls_back(&format!("{kind:?} of {}", newest.display()), &mut small);
    }
}

#[test]
fn a_run_falls_back_from_a_damaged_state_file_and_doubles_no_line() {
    for (backend, kind) in backends()
        .into_iter()
        .flat_map(|backend| ALL.map(|kind| (backend.clone(), kind)))
    {
        let mut small = crashed_with(backend);
        let newest = files_in(small.harness.disk(), "state")
            .pop()
            .expect("a state object");
        damage(small.harness.disk(), &newest, kind);
        check_falls_back(&format!("{kind:?} of {}", newest.display()), &mut small);
    }
}

#[test]
fn a_run_with_nothing_whole_to_fall_back_to_is_refused_and_names_the_file() {
    for kind in ALL {
        let mut small = crashed();
        let oldest = files_in(small.harness.disk(), "state").remove(0);
        damage(small.harness.disk(), &oldest, kind);
        let visible = small.visible();
        small.start();
        let error = small
            .finish()
            .expect_err("every checkpoint rests on the first snapshot");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{kind:?}: {error}");
        let name = oldest
            .file_name()
            .and_then(|name| name.to_str())
            .expect("plain names");
        assert!(
            error.to_string().contains(name),
            "{kind:?}: {error} does not name {name}"
        );
        assert_eq!(small.visible(), visible, "a refused run changes nothing");
    }
}

/// A run in a directory without checkpoints, beside output of the job.
fn mistyped() -> Small {
    let mut small = crashed();
    small.options.checkpoint_dir = Some("chekpoints".into());
    small
}

#[test]
fn a_mistyped_checkpoint_directory_is_refused_and_the_right_one_still_works() {
    let mut small = mistyped();
    let visible = small.visible();
    small.start();
    let error = small.finish().expect_err("output would be written again");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("mistyped"), "{error}");
    assert_eq!(small.visible(), visible);
    let paths = small.harness.disk().paths();
    let written = paths.iter().find(|path| path.starts_with("chekpoints"));
    assert_eq!(written, None, "a refused start claims nothing");
    small.options.checkpoint_dir = None;
    small.start();
    small.finish().expect("the right directory");
    small.check_complete();
}

#[test]
fn a_fresh_start_removes_the_output_that_the_job_owns() {
    let mut small = mistyped();
    small.options.fresh = true;
    small.start();
    let report = small.finish().expect("it was told to start anew");
    assert_eq!(report.restored_from, None);
    small.check_complete();
}

#[test]
fn duplicates_appear_only_where_they_are_accepted() {
    let mut small = mistyped();
    let before: usize = small.visible().iter().map(Vec::len).sum();
    small.options.accept_duplicates = true;
    small.start();
    small.push();
    small.harness.finish().expect("duplicates are accepted");
    let after: usize = small.visible().iter().map(Vec::len).sum();
    let mut undisturbed = crashed();
    undisturbed.start();
    undisturbed.finish().expect("no fault");
    let once: usize = undisturbed.visible().iter().map(Vec::len).sum();
    assert_eq!(after, before + once);
}
