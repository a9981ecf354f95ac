//! Finding the files of a source, and finding them again after a restart.
//!
//! A split stores the file's name and length, not its path: input may move with its directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::ids::SplitId;

/// A file that was found.
pub(super) struct InputFile {
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) len: u64,
}

impl InputFile {
    /// The id of the split that begins at `position` (a byte or a row).
    pub(super) fn split_id(&self, position: u64) -> SplitId {
        SplitId::new(format!("{}@{position:012}", self.name))
    }
}

/// The file at `path`, or the files in the directory `path` that have the extension, by name.
/// Names that begin with `.` or `_` are left out, as other systems do.
pub(super) fn input_files(path: &Path, extension: &str) -> Result<Vec<InputFile>> {
    let metadata = fs::metadata(path).map_err(|e| failed(path, &e))?;
    if !metadata.is_dir() {
        let name = utf8_name(path)?.to_owned();
        return Ok(vec![InputFile {
            path: path.to_owned(),
            name,
            len: metadata.len(),
        }]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(|e| failed(path, &e))? {
        let path = entry.map_err(|e| failed(path, &e))?.path();
        if path.extension().is_none_or(|e| e != extension) {
            continue;
        }
        let name = utf8_name(&path)?.to_owned();
        let metadata = fs::metadata(&path).map_err(|e| failed(&path, &e))?;
        if metadata.is_file() && !name.starts_with(['.', '_']) {
            files.push(InputFile {
                path,
                name,
                len: metadata.len(),
            });
        }
    }
    if files.is_empty() {
        return Err(Error::invalid(format!(
            "there is no .{extension} file in {}",
            path.display()
        )));
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// Opens the file `name` of the source at `path`, which had `len` bytes when it was discovered.
pub(super) fn open_again(path: &Path, name: &str, len: u64) -> Result<(PathBuf, fs::File)> {
    let path = if path.is_dir() {
        path.join(name)
    } else {
        path.to_owned()
    };
    if utf8_name(&path)? != name {
        return Err(Error::invalid(format!(
            "the checkpoint reads `{name}`, but the flow now reads {}",
            path.display()
        )));
    }
    let file = fs::File::open(&path).map_err(|e| failed(&path, &e))?;
    let now = file.metadata().map_err(|e| failed(&path, &e))?.len();
    if now < len {
        return Err(shrunk(&path, len, now));
    }
    Ok((path, file))
}

/// The error of a file that lost bytes since its splits were discovered.
pub(super) fn shrunk(path: &Path, len: u64, now: u64) -> Error {
    Error::invalid(format!(
        "{} was changed while it was being read: it had {len} bytes when the job began, and now has {now}",
        path.display()
    ))
}

/// The error of a file operation on input.
pub(super) fn failed(path: &Path, error: &io::Error) -> Error {
    let message = format!("cannot read {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::PermissionDenied => Error::invalid(message),
        _ => Error::unavailable(message),
    }
}

fn utf8_name(path: &Path) -> Result<&str> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| Error::invalid(format!("{} has no name in UTF-8", path.display())))
}
