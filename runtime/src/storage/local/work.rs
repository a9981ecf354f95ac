//! Directories of a run's own, for state that is larger than memory. Nothing in them is durable, and
//! nothing in them outlives the run: what counts is in the checkpoint storage.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A directory that is removed, with all that is in it, when it goes.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
}

impl WorkDir {
    /// Makes a directory of this name, which must not be there.
    pub fn create(root: &Path, name: &str) -> Result<Self> {
        fs::create_dir_all(root).map_err(|e| unavailable("make", root, &e))?;
        let path = root.join(name);
        fs::create_dir(&path).map_err(|e| unavailable("make", &path, &e))?;
        Ok(Self { path })
    }

    /// Makes a directory of this name, which must not be there, for this user alone where the system knows that.
    pub fn create_private(root: &Path, name: &str) -> Result<Self> {
        let path = root.join(name);
        let mut dir = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut dir, 0o700);
        dir.create(&path)
            .map_err(|e| unavailable("make", &path, &e))?;
        Ok(Self { path })
    }

    /// Removes the directories in `root` whose names say that they are stale.
    pub fn remove_stale(root: &Path, is_stale: impl Fn(&str) -> bool) {
        for entry in fs::read_dir(root).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if is_stale(&name)
                && let Err(error) = fs::remove_dir_all(entry.path())
            {
                tracing::warn!(dir = name, %error, "the work directory of a run that has ended could not be removed");
            }
        }
    }

    /// Makes a directory in this one.
    pub fn make(&self, name: &str) -> Result<Self> {
        Self::create(&self.path, name)
    }

    /// A directory in this one that somebody else makes, and that is removed with the value.
    pub fn expect(&self, name: &str) -> Self {
        Self {
            path: self.path.join(name),
        }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the files in the directory, sorted.
    pub fn files(&self) -> Result<Vec<String>> {
        let list = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(&self.path)? {
                names.extend(entry?.file_name().into_string());
            }
            names.sort_unstable();
            Ok(names)
        };
        list().map_err(|e| unavailable("list", &self.path, &e))
    }

    /// The bytes of a file.
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.path.join(name);
        fs::read(&path).map_err(|e| unavailable("read", &path, &e))
    }

    /// Writes a file.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        fs::write(&path, bytes).map_err(|e| unavailable("write", &path, &e))
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        // What stays is removed when the job next starts.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// How many files the process may have open at a time, where the system says so.
#[cfg(feature = "rocksdb")]
pub(crate) fn open_file_limit() -> Option<u64> {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    return None;
}

fn unavailable(act: &str, path: &Path, error: &io::Error) -> Error {
    Error::unavailable(format!("cannot {act} {}: {error}", path.display()))
}
