//! The disk as one run sees it: when the run's process has crashed, nothing of it reaches the disk
//! any more, also not from threads that have not noticed yet.

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use flowdsl_runtime::storage::{Disk, DiskFile, FaultyDisk};

use crate::JobHandle;

/// Whether the pretended process of a run is alive.
#[derive(Debug)]
pub(super) struct Process {
    /// Held for reading during each operation, so that none is under way when the process has died.
    alive: RwLock<bool>,
    handle: JobHandle,
    disk: FaultyDisk,
}

impl Process {
    pub(super) fn new(disk: FaultyDisk, handle: JobHandle) -> Arc<Self> {
        Arc::new(Self {
            alive: RwLock::new(true),
            handle,
            disk,
        })
    }

    /// Ends the process; nothing of it reaches the disk behind this call.
    pub(super) fn die(&self) {
        *self.alive.write().unwrap_or_else(PoisonError::into_inner) = false;
        self.handle.crash();
    }

    fn operate<T>(&self, act: impl FnOnce(&FaultyDisk) -> io::Result<T>) -> io::Result<T> {
        let alive = self.alive.read().unwrap_or_else(PoisonError::into_inner);
        if !*alive {
            return Err(io::Error::other("the process has crashed"));
        }
        let result = act(&self.disk);
        if self.disk.is_without_power() {
            // Without power there is no process that could try again.
            self.handle.crash();
        }
        result
    }
}

/// The disk of a process.
#[derive(Debug)]
pub(super) struct ProcessDisk(pub(super) Arc<Process>);

impl ProcessDisk {
    fn file(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(ProcessFile {
            process: Arc::clone(&self.0),
            file,
        })
    }
}

impl Disk for ProcessDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.0.operate(|disk| disk.create_dir_all(dir))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.0.operate(|disk| disk.list(dir))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.operate(|disk| disk.read(path))
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        self.0.operate(|disk| disk.len(path))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0
            .operate(|disk| disk.create(path))
            .map(|file| self.file(file))
    }

    fn open_at(&self, path: &Path, len: u64) -> io::Result<Box<dyn DiskFile>> {
        self.0
            .operate(|disk| disk.open_at(path, len))
            .map(|file| self.file(file))
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.operate(|disk| disk.hard_link(from, to))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.operate(|disk| disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.operate(|disk| disk.remove(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.operate(|disk| disk.sync_dir(dir))
    }
}

struct ProcessFile {
    process: Arc<Process>,
    file: Box<dyn DiskFile>,
}

impl DiskFile for ProcessFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Self { process, file } = self;
        process.operate(|_| file.write_all(bytes))
    }

    fn sync(&mut self) -> io::Result<()> {
        let Self { process, file } = self;
        process.operate(|_| file.sync())
    }
}
