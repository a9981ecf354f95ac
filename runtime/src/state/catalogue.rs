//! The catalogue of a database: which names the files of a snapshot have for RocksDB.
//!
//! It is read without RocksDB, too: whoever verifies a checkpoint needs no code of its backend.

use std::collections::BTreeSet;

use crate::error::{Error, Result};

/// The names of a catalogue, in the order of the files behind it.
///
/// # Errors
///
/// `Corrupt` where the bytes are no catalogue, or a name is none of a file beside others.
pub(crate) fn names_of(catalogue: &[u8]) -> Result<Vec<String>> {
    let names: Vec<String> = bitcode::deserialize(catalogue)
        .map_err(|e| corrupt(format!("the catalogue of files does not decode: {e}")))?;
    let mut seen = BTreeSet::new();
    for name in &names {
        if !is_plain(name) {
            return Err(corrupt(format!(
                "`{name}` is not the name of a file of RocksDB"
            )));
        }
        // What is written under a name that is a link already would be written into the checkpoint.
        if !seen.insert(name) {
            return Err(corrupt(format!("the catalogue has `{name}` twice")));
        }
    }
    Ok(names)
}

/// Names in a catalogue are bytes, too.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && !name.starts_with('.') && name.chars().all(plain)
}

fn corrupt(what: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("state in RocksDB: {what}"))
}
