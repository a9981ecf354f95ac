//! [`CheckpointStorage`] in a directory of any [`Disk`].

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::storage::Disk;
use crate::storage::names;
use crate::storage::nonce::fresh_nonce;
use crate::storage::objects::{CheckpointStorage, Creation};

/// How often a create starts again because its temporary file was cleaned away by another run.
const MAX_ATTEMPTS: usize = 3;

/// Checkpoint storage in a directory.
#[derive(Debug)]
pub struct LocalStorage {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// Tells the temporary files of this run from those of others.
    unique: u64,
    temporary_count: AtomicU64,
    /// Directories that this run knows to be durable.
    durable_dirs: Mutex<BTreeSet<String>>,
}

impl LocalStorage {
    /// Opens a checkpoint directory, making nothing until something is written.
    pub fn new(disk: Arc<dyn Disk>, root: impl Into<PathBuf>) -> Self {
        Self {
            disk,
            root: root.into(),
            unique: fresh_nonce(),
            temporary_count: AtomicU64::new(0),
            durable_dirs: Mutex::default(),
        }
    }

    /// Opens a checkpoint directory to run a job on it, and removes the unfinished files of former runs.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the disk fails.
    pub fn open(disk: Arc<dyn Disk>, root: impl Into<PathBuf>) -> Result<Self> {
        let storage = Self::new(disk, root);
        let dir = storage.root.join(names::TEMPORARY_DIR);
        let unfinished = storage
            .disk
            .list(&dir)
            .map_err(|e| unavailable("list", &dir, &e))?;
        // The place may be a mistyped one, with files of others in a directory of that name.
        for name in unfinished
            .into_iter()
            .filter(|name| names::is_temporary(name))
        {
            // A temporary file is nobody's only copy; one that stays is removed by the next run.
            if let Err(e) = storage.disk.remove(&dir.join(&name)) {
                tracing::warn!(file = name, error = %e, "an unfinished file could not be removed");
            }
        }
        Ok(storage)
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        if names::is_plain(name) {
            Ok(self.root.join(name))
        } else {
            Err(Error::corrupt(format!(
                "`{name}` is not the name of an object in a checkpoint directory"
            )))
        }
    }

    fn make_dir_of(&self, name: &str) -> Result<PathBuf> {
        let dir_name = name.split_once('/').map_or("", |(dir, _)| dir);
        let dir = self.root.join(dir_name);
        let mut durable = self
            .durable_dirs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !durable.contains(dir_name) {
            // CRASH: durable before anything in it is called durable; `create_dir_all` sees to the
            // parents, too. Both directories, as a former run may have died before its fsync.
            self.disk
                .create_dir_all(&self.root)
                .map_err(|e| unavailable("make", &self.root, &e))?;
            self.disk
                .create_dir_all(&dir)
                .map_err(|e| unavailable("make", &dir, &e))?;
            durable.insert(dir_name.to_owned());
        }
        Ok(dir)
    }

    /// Writes all bytes to a file and syncs them, but not its name.
    fn write_synced(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let write = || {
            let mut file = self.disk.create(path)?;
            file.write_all(bytes)?;
            file.sync()
        };
        write().map_err(|e| unavailable("write", path, &e))
    }

    fn link_from_temporary(&self, path: &Path, bytes: &[u8]) -> Result<Link> {
        let count = self.temporary_count.fetch_add(1, Ordering::Relaxed);
        let name = names::temporary(self.unique, count);
        self.make_dir_of(&name)?;
        let temporary = self.root.join(name);
        // CRASH: the bytes before the name. A link to a file that is not synced could come back as
        // an empty slot, which would look like a damaged checkpoint.
        self.write_synced(&temporary, bytes)?;
        let linked = self.disk.hard_link(&temporary, path);
        // The temporary name has done its work, whatever came of the link; the next run cleans up.
        let _ = self.disk.remove(&temporary);
        match linked {
            Ok(()) => Ok(Link::Made),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(Link::Taken),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Link::TemporaryGone),
            Err(e) => Err(unavailable("link", path, &e)),
        }
    }
}

enum Link {
    Made,
    Taken,
    /// Another run that was just starting has cleaned it away.
    TemporaryGone,
}

impl CheckpointStorage for LocalStorage {
    fn create(&self, name: &str, bytes: &[u8]) -> Result<Creation> {
        let path = self.path(name)?;
        let dir = self.make_dir_of(name)?;
        for _ in 0..MAX_ATTEMPTS {
            let creation = match self.link_from_temporary(&path, bytes)? {
                Link::Made => Creation::Created,
                Link::Taken => Creation::AlreadyExists,
                Link::TemporaryGone => continue,
            };
            // CRASH: the name must be durable before anyone acts on it, also when another writer or a
            // failed attempt of ours made it: commits follow a manifest that was merely found.
            // (Repeating a failed sync of a *directory* is sound: where its journal cannot be written,
            // a file system fails every later sync, too. Bytes are never synced twice, but written again.)
            self.disk
                .sync_dir(&dir)
                .map_err(|e| unavailable("sync", &dir, &e))?;
            return Ok(creation);
        }
        Err(Error::unavailable(format!(
            "the temporary file for {} is removed again and again",
            path.display()
        )))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name)?;
        let dir = self.make_dir_of(name)?;
        // The object has its final name at once: nothing refers to it before a manifest does.
        self.write_synced(&path, bytes)?;
        // CRASH: a manifest that names an object whose name is not durable would be a damaged checkpoint.
        self.disk
            .sync_dir(&dir)
            .map_err(|e| unavailable("sync", &dir, &e))
    }

    fn note(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name)?;
        self.make_dir_of(name)?;
        let count = self.temporary_count.fetch_add(1, Ordering::Relaxed);
        let temporary = names::temporary(self.unique, count);
        self.make_dir_of(&temporary)?;
        let temporary = self.root.join(temporary);
        let write = || {
            self.disk.create(&temporary)?.write_all(bytes)?;
            self.disk.rename(&temporary, &path)
        };
        write().map_err(|e| {
            // What was written of it is of no use.
            let _ = self.disk.remove(&temporary);
            unavailable("write", &path, &e)
        })
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path(name)?;
        found(&path, self.disk.read(&path))
    }

    fn read_range(&self, name: &str, range: Range<u64>) -> Result<Option<Vec<u8>>> {
        let path = self.path(name)?;
        found(&path, self.disk.read_range(&path, range))
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        let path = self.root.join(dir);
        let files = self
            .disk
            .list(&path)
            .map_err(|e| unavailable("list", &path, &e))?;
        Ok(files
            .into_iter()
            .map(|file| format!("{dir}/{file}"))
            .collect())
    }

    fn delete(&self, names: &[String]) -> Result<()> {
        let mut dirs = BTreeSet::new();
        for name in names {
            let path = self.path(name)?;
            match self.disk.remove(&path) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(unavailable("remove", &path, &e)),
            }
            dirs.extend(path.parent().map(Path::to_owned));
        }
        // CRASH: a manifest that comes back after its objects are gone would be a damaged checkpoint.
        dirs.iter()
            .try_for_each(|dir| match self.disk.sync_dir(dir) {
                Ok(()) => Ok(()),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(e) => Err(unavailable("sync", dir, &e)),
            })
    }

    fn link(&self, name: &str, to: &Path) -> Result<bool> {
        let Some(from) = self.disk.real_path(&self.path(name)?) else {
            return Ok(false);
        };
        // It may be another file system, or one without links: then it is copied.
        Ok(self.disk.hard_link(&from, to).is_ok())
    }

    fn place(&self) -> String {
        self.root.display().to_string()
    }
}

/// What was read, if there is anything to read.
fn found(path: &Path, read: io::Result<Vec<u8>>) -> Result<Option<Vec<u8>>> {
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(unavailable("read", path, &e)),
    }
}

fn unavailable(act: &str, path: &Path, error: &io::Error) -> Error {
    Error::unavailable(format!("cannot {act} {}: {error}", path.display()))
}
