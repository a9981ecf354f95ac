//! A staged file that a worker writes while another thread makes it durable.
//!
//! The worker only queues chunks, and writes them itself while nobody else holds the file; an
//! fsync never stops it unless the queue is full. Whoever holds the file writes the queue first,
//! so chunks stay in order.

use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, TryLockError};

use super::place::failed;
use crate::error::{Error, Result};
use crate::storage::{Disk, DiskFile};

/// Bytes that may wait while the file is being synced.
const MAX_QUEUED_BYTES: usize = 4 << 20;

const NO_PANIC: &str = "nothing panics while it holds this lock";

/// A staged file and what has not been written to it yet.
pub(super) struct StagedFile {
    path: PathBuf,
    queue: Mutex<Queue>,
    file: Mutex<Written>,
}

#[derive(Default)]
struct Queue {
    chunks: Vec<Vec<u8>>,
    bytes: usize,
}

#[derive(Default)]
struct Written {
    /// The file, once there is something in it.
    file: Option<Box<dyn DiskFile>>,
    len: u64,
    synced: u64,
    /// Why it must not be used any more; the chunk of a failed write is gone.
    failed: Option<Error>,
}

impl StagedFile {
    /// A file that will be made at `path` when the first chunk is written.
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            queue: Mutex::default(),
            file: Mutex::default(),
        }
    }

    /// Queues a chunk behind all others.
    pub(super) fn push(&self, chunk: Vec<u8>) {
        let mut queue = self.queue.lock().expect(NO_PANIC);
        queue.bytes += chunk.len();
        queue.chunks.push(chunk);
    }

    /// Writes the queue, unless the file is being synced and the queue has room.
    pub(super) fn write_queued(&self, disk: &dyn Disk) -> Result<()> {
        match self.file.try_lock() {
            Ok(written) => self.drain(written, disk).map(drop),
            Err(TryLockError::WouldBlock)
                if self.queue.lock().expect(NO_PANIC).bytes <= MAX_QUEUED_BYTES =>
            {
                Ok(())
            }
            Err(_) => self
                .drain(self.file.lock().expect(NO_PANIC), disk)
                .map(drop),
        }
    }

    /// Writes the queue and makes at least the first `len` bytes durable.
    pub(super) fn sync(&self, len: u64, disk: &dyn Disk) -> Result<()> {
        let mut written = self.drain(self.file.lock().expect(NO_PANIC), disk)?;
        assert!(
            written.len >= len,
            "all bytes up to a barrier are queued before its commit is prepared"
        );
        if written.synced < len {
            let file = written
                .file
                .as_mut()
                .expect("a file with bytes has been made");
            let synced = file.sync().map_err(|e| failed("sync", &self.path, &e));
            written.keep_failure(synced)?;
            written.synced = written.len;
        }
        Ok(())
    }

    fn drain<'a>(
        &self,
        mut written: MutexGuard<'a, Written>,
        disk: &dyn Disk,
    ) -> Result<MutexGuard<'a, Written>> {
        if let Some(error) = &written.failed {
            return Err(error.clone());
        }
        let queue = mem::take(&mut *self.queue.lock().expect(NO_PANIC));
        for chunk in queue.chunks {
            let appended = written
                .append(&self.path, &chunk, disk)
                .map_err(|e| failed("write", &self.path, &e));
            written.keep_failure(appended)?;
        }
        Ok(written)
    }
}

impl Written {
    fn append(&mut self, path: &Path, chunk: &[u8], disk: &dyn Disk) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(disk.create(path)?),
        };
        file.write_all(chunk)?;
        self.len += chunk.len() as u64;
        Ok(())
    }

    fn keep_failure(&mut self, result: Result<()>) -> Result<()> {
        result.inspect_err(|error| self.failed = Some(error.clone()))
    }
}
