//! Comparing outputs that have no order of their own.
//!
//! Workers write files in parallel, so an output is the multiset of its lines. Sorted, it has one
//! form, and one digest.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// SHA-256, in hexadecimal, of the lines in the order given, each ended by a newline.
pub fn digest_of(lines: &[String]) -> String {
    let mut hasher = Sha256::new();
    for line in lines {
        hasher.update(line.as_bytes());
        hasher.update(b"\n");
    }
    let mut hex = String::with_capacity(64);
    for byte in hasher.finalize() {
        write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
    }
    hex
}

/// All committed lines of a folder and the folders below it, sorted.
///
/// Names that begin with `.` or `_` are not committed output, and are passed over; a folder that
/// does not exist holds no lines.
///
/// # Errors
///
/// When a file cannot be read, is not UTF-8, or does not end with a newline: a reader of committed
/// output must never see part of a line.
pub fn sorted_lines(folder: &Path) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    collect_lines(folder, &mut lines)?;
    lines.sort_unstable();
    Ok(lines)
}

fn collect_lines(folder: &Path, lines: &mut Vec<String>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(['.', '_']) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect_lines(&entry.path(), lines)?;
        } else {
            let text = fs::read_to_string(entry.path())?;
            if !text.is_empty() && !text.ends_with('\n') {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("{} ends inside a line", entry.path().display()),
                ));
            }
            lines.extend(text.lines().map(str::to_owned));
        }
    }
    Ok(())
}

/// How two sorted outputs differ: the first few lines that only one of them has, and how many.
///
/// `None` when they are equal. A line that stands twice where it should stand once is one that
/// only the actual output has.
pub fn difference(expected: &[String], actual: &[String]) -> Option<String> {
    const SHOWN: usize = 5;
    let (mut missing, mut surplus) = (Vec::new(), Vec::new());
    let (mut e, mut a) = (0, 0);
    while e < expected.len() || a < actual.len() {
        match (expected.get(e), actual.get(a)) {
            (Some(left), Some(right)) if left == right => (e, a) = (e + 1, a + 1),
            (Some(left), right) if right.is_none_or(|right| left < right) => {
                missing.push(left);
                e += 1;
            }
            _ => {
                surplus.push(&actual[a]);
                a += 1;
            }
        }
    }
    if missing.is_empty() && surplus.is_empty() {
        return None;
    }
    Some(format!(
        "{} lines missing, such as {:?}; {} lines too many, such as {:?}",
        missing.len(),
        &missing[..missing.len().min(SHOWN)],
        surplus.len(),
        &surplus[..surplus.len().min(SHOWN)],
    ))
}
