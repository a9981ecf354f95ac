//! The disk of this machine, behind the gate.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flowdsl::runtime::storage::{Disk, DiskFile, RealDisk};

use crate::gate::{Gate, Side};
use crate::points;

/// The disk of this machine. All that changes it goes through the gate.
#[derive(Clone, Debug)]
pub(crate) struct GuardedDisk {
    pub(crate) gate: Arc<Gate>,
}

impl GuardedDisk {
    fn act<T>(&self, act: &str, perform: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.gate.pass(Side::Before, act)?;
        let performed = perform();
        if performed.is_err() {
            self.gate.failed();
        }
        self.gate.pass(Side::After, act)?;
        performed
    }

    fn guard(&self, path: &Path, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(GuardedFile {
            disk: self.clone(),
            write: points::act_on("write", path),
            sync: points::act_on("sync", path),
            file,
        })
    }
}

impl Disk for GuardedDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let act = points::act_on("make", dir);
        self.act(&act, || RealDisk.create_dir_all(dir))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.gate.look(&points::act_on("list", dir))?;
        RealDisk.list(dir)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.gate.look(&points::act_on("read", path))?;
        RealDisk.read(path)
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        RealDisk.len(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let act = points::act_on("create", path);
        let file = self.act(&act, || RealDisk.create(path))?;
        Ok(self.guard(path, file))
    }

    fn open_at(&self, path: &Path, len: u64) -> io::Result<Box<dyn DiskFile>> {
        let act = points::act_on("cut", path);
        let file = self.act(&act, || RealDisk.open_at(path, len))?;
        Ok(self.guard(path, file))
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let act = match points::act_on("create", to).as_str() {
            "create log" => points::create_slot(&fs::read(from).unwrap_or_default()).to_owned(),
            other => other.replace("create", "link"),
        };
        self.act(&act, || RealDisk.hard_link(from, to))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.act(&points::rename(from, to), || RealDisk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.act(&points::act_on("remove", path), || RealDisk.remove(path))
    }

    fn real_path(&self, path: &Path) -> Option<PathBuf> {
        RealDisk.real_path(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let act = points::act_on("sync names of", dir);
        self.act(&act, || RealDisk.sync_dir(dir))
    }
}

struct GuardedFile {
    disk: GuardedDisk,
    file: Box<dyn DiskFile>,
    write: String,
    sync: String,
}

impl DiskFile for GuardedFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Self {
            disk, file, write, ..
        } = self;
        disk.act(write, || {
            let (first, rest) = bytes.split_at(bytes.len() / 2);
            file.write_all(first)?;
            disk.gate.pass(Side::Within, write)?;
            file.write_all(rest)
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        let Self {
            disk, file, sync, ..
        } = self;
        disk.act(sync, || file.sync())
    }
}
