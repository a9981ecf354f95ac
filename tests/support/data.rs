//! Where the test data is.
//!
//! The extract is part of the repository. The file of all 3,000,000 flights is not: it stands in
//! `shared/data` beside the checkout on the machines that have it, and tests over it are left out
//! on the others.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::reference::Windows;

const FULL_FILE: &str = "shared/data/flights-3m.parquet";

/// The root of the workspace.
pub fn workspace_root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The extract of 50,000 real flights, in five row groups.
pub fn extract() -> PathBuf {
    workspace_root().join("examples/data/flights-50k.parquet")
}

/// All 3,000,000 flights, if this machine has them.
///
/// `FLOWDSL_FLIGHTS` names the file; without it, `shared/data` is looked for beside the checkout
/// and beside each folder above it, so that a worktree finds it too.
pub fn full_file() -> Option<PathBuf> {
    if let Some(named) = env::var_os("FLOWDSL_FLIGHTS") {
        return Some(PathBuf::from(named));
    }
    // Not the package and not the workspace, but what is above them.
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .skip(2)
        .map(|folder| folder.join(FULL_FILE))
        .find(|file| file.is_file())
}

/// Says on standard error that a part of the tests is left out, and why.
///
/// # Panics
///
/// Where `FLOWDSL_REQUIRE_ALL=1` says that nothing may be left out.
pub fn leave_out(part: &str, reason: &str) {
    let all_required = env::var("FLOWDSL_REQUIRE_ALL").is_ok_and(|value| value == "1");
    assert!(
        !all_required,
        "{part} may not be left out here, but {reason}"
    );
    eprintln!("left out: {part}: {reason}");
}

/// What a golden query must give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Golden {
    /// Number of rows.
    pub rows: usize,
    /// SHA-256 of the sorted rows, each ended by a newline.
    pub digest: String,
}

impl Golden {
    /// The committed golden of a query over the extract.
    ///
    /// # Panics
    ///
    /// When the file in `tests/golden` is missing or is not `rows digest`.
    pub fn of_extract(windows: Windows) -> Self {
        let path = workspace_root().join("tests/golden").join(match windows {
            Windows::Hourly => "flights-50k.hourly.golden",
            Windows::Sliding => "flights-50k.sliding.golden",
        });
        let text = fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("golden {}: {error}", path.display()));
        let (rows, digest) = text
            .trim_end()
            .split_once(' ')
            .unwrap_or_else(|| panic!("golden {} is not `rows digest`", path.display()));
        Self {
            rows: rows
                .parse()
                .unwrap_or_else(|_| panic!("golden {}: `{rows}` is no number", path.display())),
            digest: digest.to_owned(),
        }
    }

    /// The golden of a query over all flights, as `shared/data/README.md` gives it.
    pub fn of_full_file(windows: Windows) -> Self {
        let (rows, digest) = match windows {
            Windows::Hourly => (
                424_259,
                "480cf780fa810eedffc4ad95d6258ef14d21cdb60887295a8e37bffdc521d39d",
            ),
            Windows::Sliding => (
                1_690_665,
                "0be1bf5ec804bf5ce47e33b64310827cacb49a9235fdeac056a2120075462ca7",
            ),
        };
        Self {
            rows,
            digest: digest.to_owned(),
        }
    }
}
