//! Golden files as bytes to begin with.

use std::fs;
use std::path::Path;

/// The golden files of a kind.
pub(super) fn golden(ends: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/formats/v1");
    let entries = fs::read_dir(&dir).expect("the golden files are there");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.to_string_lossy().ends_with(ends))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{ends}");
    paths
        .iter()
        .map(|path| fs::read(path).expect("it reads"))
        .collect()
}
