//! The directory of a file sink: its paths, what is in it, and what its errors say.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::names::{Finished, Part};
use crate::connector::SinkContext;
use crate::error::{Error, Result};
use crate::storage::Disk;

/// An output directory on a disk.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) extension: &'static str,
}

impl Place {
    pub(super) fn new(context: &SinkContext, dir: &Path, extension: &'static str) -> Self {
        Self {
            disk: Arc::clone(&context.disk),
            dir: context.path(dir).to_owned(),
            extension,
        }
    }

    /// The directory that hides what is not visible.
    pub(super) fn hidden(&self) -> PathBuf {
        self.dir.join(".flowdsl")
    }

    pub(super) fn staging(&self) -> PathBuf {
        self.hidden().join("staging")
    }

    pub(super) fn staged_path(&self, part: Part) -> PathBuf {
        self.staging().join(part.staged_name(self.extension))
    }

    pub(super) fn visible_path(&self, file: Finished) -> PathBuf {
        self.dir.join(file.visible_name(self.extension))
    }

    /// The visible files of this output; other files in the directory are not ours.
    pub(super) fn visible(&self) -> Result<Vec<Finished>> {
        let names = self.list(&self.dir)?;
        Ok(names
            .iter()
            .filter_map(|name| Finished::parse(name, self.extension))
            .collect())
    }

    /// The names in a directory, none if it does not exist.
    pub(super) fn list(&self, dir: &Path) -> Result<Vec<String>> {
        match self.disk.list(dir) {
            Ok(names) => Ok(names),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(failed("list", dir, &e)),
        }
    }

    /// The length of a file, if it exists.
    pub(super) fn len(&self, path: &Path) -> Result<Option<u64>> {
        match self.disk.len(path) {
            Ok(len) => Ok(Some(len)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed("look at", path, &e)),
        }
    }

    /// Removes a file, if it exists.
    pub(super) fn remove(&self, path: &Path) -> Result<()> {
        match self.disk.remove(path) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(failed("remove", path, &e)),
        }
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.disk
            .rename(from, to)
            .map_err(|e| failed("rename", from, &e))
    }

    pub(super) fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.disk.sync_dir(dir).map_err(|e| failed("sync", dir, &e))
    }
}

/// The error of a file operation on output.
pub(super) fn failed(action: &str, path: &Path, error: &io::Error) -> Error {
    let message = format!("cannot {action} {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::NotADirectory
        | io::ErrorKind::AlreadyExists
        | io::ErrorKind::PermissionDenied => Error::invalid(message),
        _ => Error::unavailable(message),
    }
}
