//! The disk as one process sees it: after its death it does nothing more.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flowdsl_runtime::storage::{Disk, DiskFile, FaultyDisk};

/// A disk that does so many more operations.
#[derive(Clone, Debug)]
pub(crate) struct MortalDisk {
    disk: FaultyDisk,
    left: Arc<AtomicU64>,
}

impl MortalDisk {
    pub(crate) fn new(disk: FaultyDisk) -> Self {
        Self {
            disk,
            left: Arc::new(AtomicU64::new(u64::MAX)),
        }
    }

    /// The process dies at its `n`-th operation from now.
    pub(crate) fn die_at(&self, n: u64) {
        self.left.store(n - 1, Ordering::SeqCst);
    }

    /// The operation that was to be the last one has not come.
    pub(crate) fn live_on(&self) {
        self.left.store(u64::MAX, Ordering::SeqCst);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }

    fn act(&self) -> io::Result<()> {
        match self.left.load(Ordering::SeqCst) {
            0 => Err(io::Error::other("the process is dead")),
            u64::MAX => Ok(()),
            left => {
                self.left.store(left - 1, Ordering::SeqCst);
                Ok(())
            }
        }
    }

    fn file(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(MortalFile {
            disk: self.clone(),
            file,
        })
    }
}

impl Disk for MortalDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.act()?;
        self.disk.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.act()?;
        self.disk.list(dir)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.act()?;
        self.disk.read(path)
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        self.act()?;
        self.disk.len(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.act()?;
        self.disk.create(path).map(|file| self.file(file))
    }

    fn open_at(&self, path: &Path, len: u64) -> io::Result<Box<dyn DiskFile>> {
        self.act()?;
        self.disk.open_at(path, len).map(|file| self.file(file))
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.act()?;
        self.disk.hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.act()?;
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.act()?;
        self.disk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.act()?;
        self.disk.sync_dir(dir)
    }
}

struct MortalFile {
    disk: MortalDisk,
    file: Box<dyn DiskFile>,
}

impl DiskFile for MortalFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.act()?;
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.act()?;
        self.file.sync()
    }
}
