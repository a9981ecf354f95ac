//! Verification misses no byte: whatever is changed in a file that belongs to a checkpoint, the file is named.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flowdsl::StateBackend;
use flowdsl::checkpoints::{Checkpoints, Verified};
use flowdsl::runtime::storage::LocalStorage;
use flowdsl::testing::FaultyDisk;
use flowdsl_tests::backends::backends;

use crate::small::Small;

const PLACE: &str = "checkpoints";

/// Single bytes that are changed, for each backend.
const CHANGES: u64 = 1_000;

/// Numbers from a seed (xorshift).
struct Dice(u64);

impl Dice {
    /// `FLOWDSL_SEED` repeats a run; otherwise each one is another.
    fn cast() -> Self {
        let given = std::env::var("FLOWDSL_SEED").ok();
        let given = given.and_then(|seed| seed.parse().ok());
        let by_chance = u64::from(std::process::id()).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let seed = given.unwrap_or(by_chance).max(1);
        eprintln!("FLOWDSL_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// Several checkpoints of two runs, and every file that belongs to one of them.
fn stored(backend: StateBackend) -> (Small, Vec<PathBuf>) {
    let mut small = Small::new(2, 6);
    small.options.backend = backend;
    small.options.checkpoints.retained = 3;
    for parts in [3, 2] {
        small.start();
        for _ in 0..parts {
            small.next_part().expect("no fault");
        }
        small.harness.crash();
    }
    let checkpoints = open(small.harness.disk());
    let objects = checkpoints.files().into_iter().map(|file| file.name);
    let manifests = checkpoints
        .iter()
        .map(|checkpoint| checkpoint.summary().slot);
    let slots = manifests.chain(checkpoints.claims().map(|(slot, _)| slot));
    let names = objects.chain(slots.map(Checkpoints::name_of));
    let files: Vec<PathBuf> = names.map(|name| Path::new(PLACE).join(name)).collect();
    assert!(files.len() > 8, "{files:?}");
    assert_eq!(reported(small.harness.disk()), BTreeSet::new());
    (small, files)
}

fn open(disk: &FaultyDisk) -> Checkpoints {
    let storage = LocalStorage::new(Arc::new(disk.clone()), PLACE);
    Checkpoints::open_in(Arc::new(storage)).expect("it answers")
}

/// The files that verification says something about.
fn reported(disk: &FaultyDisk) -> BTreeSet<PathBuf> {
    let checkpoints = open(disk);
    let slots = checkpoints
        .damaged_slots()
        .into_iter()
        .map(|slot| slot.name);
    let mut verified = Verified::default();
    let files = checkpoints.iter().flat_map(|checkpoint| {
        let damaged = checkpoint.verify_beside(&mut verified);
        damaged
            .expect("it answers")
            .into_iter()
            .map(|file| file.name)
    });
    let names: BTreeSet<String> = slots.chain(files).collect();
    names
        .iter()
        .map(|name| Path::new(PLACE).join(name))
        .collect()
}

/// Puts other bytes into a file, and says what verification makes of it; then all is as before.
fn with(disk: &FaultyDisk, changed: &[(&PathBuf, Vec<u8>)]) -> BTreeSet<PathBuf> {
    let before: Vec<_> = changed
        .iter()
        .map(|(path, _)| disk.peek(path).expect("there"))
        .collect();
    for (path, bytes) in changed {
        disk.corrupt(path, bytes);
    }
    let reported = reported(disk);
    for ((path, _), bytes) in changed.iter().zip(before) {
        disk.corrupt(path, &bytes);
    }
    reported
}

#[test]
fn each_of_a_thousand_changed_bytes_is_found_and_its_file_named() {
    let mut dice = Dice::cast();
    for backend in backends() {
        let (small, files) = stored(backend.clone());
        let disk = small.harness.disk();
        for change in 0..CHANGES {
            let path = &files[dice.below(files.len())];
            let mut bytes = disk.peek(path).expect("it is there");
            let at = dice.below(bytes.len());
            let was = bytes[at];
            bytes[at] = was.wrapping_add(1 + dice.below(255) as u8);
            assert_ne!(bytes[at], was);
            let reported = with(disk, &[(path, bytes)]);
            assert!(
                reported.contains(path),
                "{backend:?}, change {change}: byte {at} of {} was {was}: {reported:?}",
                path.display()
            );
        }
    }
}

#[test]
fn each_changed_byte_of_a_header_is_found() {
    let (small, files) = stored(StateBackend::Memory);
    let disk = small.harness.disk();
    let slots = files
        .iter()
        .filter(|path| path.starts_with(Path::new(PLACE).join("log")));
    for path in slots {
        for at in 0..64 {
            let mut bytes = disk.peek(path).expect("it is there");
            bytes[at] ^= 1 << (at % 8);
            let reported = with(disk, &[(path, bytes)]);
            assert!(reported.contains(path), "byte {at} of {}", path.display());
        }
    }
}

#[test]
fn a_file_that_is_a_byte_shorter_or_longer_is_found() {
    for backend in backends() {
        let (small, files) = stored(backend);
        let disk = small.harness.disk();
        for path in &files {
            let whole = disk.peek(path).expect("it is there");
            let shorter = whole[..whole.len() - 1].to_vec();
            let mut longer = whole.clone();
            longer.push(0);
            for bytes in [shorter, longer, Vec::new()] {
                let len = bytes.len();
                let reported = with(disk, &[(path, bytes)]);
                assert!(
                    reported.contains(path),
                    "{} with {len} bytes",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn two_files_that_have_changed_places_are_found() {
    for backend in backends() {
        let (small, files) = stored(backend);
        let disk = small.harness.disk();
        for (at, one) in files.iter().enumerate() {
            for other in &files[..at] {
                let [a, b] = [one, other].map(|path| disk.peek(path).expect("it is there"));
                if a == b {
                    continue;
                }
                let reported = with(disk, &[(one, b), (other, a)]);
                assert!(
                    reported.contains(one) || reported.contains(other),
                    "{} and {}: {reported:?}",
                    one.display(),
                    other.display()
                );
            }
        }
    }
}
