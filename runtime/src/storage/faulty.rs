//! A disk in memory that fails and loses power where it is told to.
//!
//! It takes POSIX literally: bytes that were not synced and names whose directory was not synced are
//! gone after a power loss. With [`FaultyDisk::survivors`] some of them, chosen by a seed, are there
//! all the same, files torn at any length: a real disk may do either, so recovery must bear both.

mod image;
mod rng;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use image::{Image, InodeId};
use rng::Rng;

use super::{Disk, DiskFile};

/// A disk in memory with faults; clones share one image.
///
/// # Examples
///
/// ```
/// use std::path::Path;
/// use flowdsl_runtime::storage::{Disk, FaultyDisk};
///
/// let disk = FaultyDisk::new();
/// disk.create_dir_all(Path::new("out"))?;
/// let mut file = disk.create(Path::new("out/a"))?;
/// file.write_all(b"synced")?;
/// file.sync()?;
/// disk.sync_dir(Path::new("out"))?;
/// file.write_all(b", not synced")?;
///
/// disk.lose_power_at(disk.operations() + 1);
/// assert!(file.sync().is_err());
/// disk.restart();
/// assert_eq!(disk.read(Path::new("out/a"))?, b"synced");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct FaultyDisk {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    image: Image,
    /// Operations begun since the disk was made, failed ones included.
    operations: u64,
    fault: Option<Fault>,
    without_power: bool,
    /// Counts restarts: files opened before one cannot be used after it.
    incarnation: u64,
    survivors: Option<Rng>,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The operation does nothing and returns an error.
    FailAt(u64),
    /// The operation takes effect and returns an error all the same.
    FailAfter(u64),
    /// The operation and all later ones fail until the restart.
    LosePowerAt(u64),
}

impl FaultyDisk {
    /// An empty disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of operations begun so far. The first one is number 1.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Makes operation number `n` do nothing and return an error; later ones work.
    pub fn fail_at(&self, n: u64) {
        self.lock().fault = Some(Fault::FailAt(n));
    }

    /// Makes operation number `n` take effect and return an error all the same: the ambiguous case.
    pub fn fail_after(&self, n: u64) {
        self.lock().fault = Some(Fault::FailAfter(n));
    }

    /// Makes operation number `n` and all later ones fail, until [`FaultyDisk::restart`].
    pub fn lose_power_at(&self, n: u64) {
        self.lock().fault = Some(Fault::LosePowerAt(n));
    }

    /// From now on, some of what was not synced survives a power loss, chosen by `seed`.
    pub fn survivors(&self, seed: u64) {
        self.lock().survivors = Some(Rng::new(seed));
    }

    /// Takes a planned fault away.
    pub fn heal(&self) {
        self.lock().fault = None;
    }

    /// Whether the power is lost.
    pub fn is_without_power(&self) -> bool {
        self.lock().without_power
    }

    /// Loses power, if it is not lost yet, and comes back with what was durable.
    pub fn restart(&self) {
        let mut shared = self.lock();
        let Shared {
            image, survivors, ..
        } = &mut *shared;
        if let Some(rng) = survivors {
            image.let_some_survive(rng);
        }
        image.keep_what_is_durable();
        shared.without_power = false;
        shared.fault = None;
        shared.incarnation += 1;
    }

    /// The paths of all files, sorted; not an operation.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.lock().image.paths()
    }

    /// The content of a file, if it is there; not an operation.
    pub fn peek(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        self.lock()
            .image
            .read(path.as_ref())
            .ok()
            .map(<[u8]>::to_vec)
    }

    /// The paths of all files that a power loss would leave, sorted; not an operation.
    pub fn durable_paths(&self) -> Vec<PathBuf> {
        self.lock().image.durable_paths()
    }

    /// What a power loss would leave of a file; not an operation.
    pub fn peek_durable(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        self.lock().image.durable(path.as_ref()).map(<[u8]>::to_vec)
    }

    /// Replaces the content of a file durably, as a failing disk would; not an operation.
    pub fn corrupt(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        self.lock().image.corrupt(path.as_ref(), bytes);
    }

    /// Loses a file durably; not an operation.
    pub fn lose(&self, path: impl AsRef<Path>) {
        self.lock().image.lose(path.as_ref());
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // No operation panics half-way through a change of the image.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn operate<T>(&self, act: impl FnOnce(&mut Image) -> io::Result<T>) -> io::Result<T> {
        let mut shared = self.lock();
        shared.operations += 1;
        let now = shared.operations;
        if shared.without_power || matches!(shared.fault, Some(Fault::LosePowerAt(n)) if n <= now) {
            shared.without_power = true;
            return Err(io::Error::other(format!(
                "the power is lost (operation {now})"
            )));
        }
        match shared.fault {
            Some(Fault::FailAt(n)) if n == now => Err(injected(now)),
            Some(Fault::FailAfter(n)) if n == now => act(&mut shared.image).and(Err(injected(now))),
            Some(Fault::FailAt(_) | Fault::FailAfter(_) | Fault::LosePowerAt(_)) | None => {
                act(&mut shared.image)
            }
        }
    }

    fn open(&self, inode: InodeId) -> Box<dyn DiskFile> {
        Box::new(FaultyFile {
            disk: self.clone(),
            inode,
            incarnation: self.lock().incarnation,
        })
    }
}

fn injected(operation: u64) -> io::Error {
    io::Error::other(format!("injected fault (operation {operation})"))
}

impl Disk for FaultyDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.operate(|image| {
            image.create_dir_all(dir);
            Ok(())
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.operate(|image| Ok(image.list(dir)))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.operate(|image| image.read(path).map(<[u8]>::to_vec))
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        self.operate(|image| image.read(path).map(|bytes| bytes.len() as u64))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.operate(|image| image.create(path))?;
        Ok(self.open(inode))
    }

    fn open_at(&self, path: &Path, len: u64) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.operate(|image| image.open_at(path, len))?;
        Ok(self.open(inode))
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate(|image| image.hard_link(from, to))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate(|image| image.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.operate(|image| image.remove(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.operate(|image| image.sync_dir(dir))
    }
}

struct FaultyFile {
    disk: FaultyDisk,
    inode: InodeId,
    incarnation: u64,
}

impl FaultyFile {
    fn operate(&self, act: impl FnOnce(&mut Image) -> io::Result<()>) -> io::Result<()> {
        if self.disk.lock().incarnation != self.incarnation {
            return Err(io::Error::other(
                "the file was open when the power was lost",
            ));
        }
        self.disk.operate(act)
    }
}

impl DiskFile for FaultyFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.operate(|image| {
            image.append(self.inode, bytes);
            Ok(())
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.operate(|image| {
            image.sync(self.inode);
            Ok(())
        })
    }
}
