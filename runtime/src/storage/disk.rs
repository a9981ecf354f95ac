//! The file operations that durability rests on, behind one trait, so that one fake covers
//! checkpoints and file sinks alike.
//!
//! The contract is POSIX's, taken literally: bytes are durable after [`DiskFile::sync`], names
//! after [`Disk::sync_dir`] of their directory, and nothing else is promised.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::storage::objects::part_of;

/// A file system, or a fake of one that loses power.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Makes a directory and its parents; those that it makes are durable on return.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// The names of the files (not directories) in `dir`, sorted; empty if there is no such directory.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// The whole content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Bytes of a file, fewer where it ends before the range does.
    fn read_range(&self, path: &Path, range: Range<u64>) -> io::Result<Vec<u8>> {
        Ok(part_of(&self.read(path)?, range))
    }

    /// The length of a file in bytes.
    fn len(&self, path: &Path) -> io::Result<u64>;

    /// Makes an empty file, or empties the one that is there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file, cuts it to `len` bytes and appends from there; an error if it is shorter.
    fn open_at(&self, path: &Path, len: u64) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file a second name; `AlreadyExists` if the name is taken. The base of "create if absent".
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames a file, replacing what has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; `NotFound` if there is none.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Where others in this process find the file, if this is a file system of the machine.
    fn real_path(&self, _path: &Path) -> Option<PathBuf> {
        None
    }

    /// Makes the names in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// An open file that is written from its start, or from where [`Disk::open_at`] cut it.
pub trait DiskFile: Send {
    /// Appends all of `bytes`.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes all that was written durable. After an error the file must not be used again.
    fn sync(&mut self) -> io::Result<()>;
}
