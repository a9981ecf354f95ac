//! What a disk holds, twice: as programs see it, and as a power loss leaves it.
//!
//! No faults here: [`super::FaultyDisk`] decides which operations happen.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::rng::Rng;

/// A position in the list of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InodeId(usize);

#[derive(Debug, Default)]
pub(super) struct Image {
    inodes: Vec<Inode>,
    /// Directories are durable when they are made (the contract of `create_dir_all`).
    dirs: BTreeSet<PathBuf>,
    live: BTreeMap<PathBuf, InodeId>,
    durable: BTreeMap<PathBuf, InodeId>,
    /// What happened to names since their directory was synced, oldest first.
    unsynced: Vec<NameChange>,
}

#[derive(Debug, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// How many bytes at the start of both are known to be the same.
    same: usize,
}

#[derive(Clone, Debug)]
enum NameChange {
    Link(PathBuf, InodeId),
    Unlink(PathBuf),
    Rename {
        from: PathBuf,
        to: PathBuf,
        inode: InodeId,
    },
}

impl Image {
    pub(super) fn create_dir_all(&mut self, dir: &Path) {
        self.dirs.extend(dir.ancestors().map(Path::to_owned));
    }

    pub(super) fn list(&self, dir: &Path) -> Vec<String> {
        self.live
            .keys()
            .filter(|path| path.parent() == Some(dir))
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect()
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.live.keys().cloned().collect()
    }

    pub(super) fn durable_paths(&self) -> Vec<PathBuf> {
        self.durable.keys().cloned().collect()
    }

    pub(super) fn durable(&self, path: &Path) -> Option<&[u8]> {
        let inode = self.durable.get(path)?;
        Some(&self.inodes[inode.0].durable)
    }

    pub(super) fn read(&self, path: &Path) -> io::Result<&[u8]> {
        Ok(&self.inodes[self.find(path)?.0].live)
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<InodeId> {
        self.need_parent(path)?;
        if let Some(&inode) = self.live.get(path) {
            self.cut(inode, 0);
            return Ok(inode);
        }
        let inode = InodeId(self.inodes.len());
        self.inodes.push(Inode::default());
        self.change(NameChange::Link(path.to_owned(), inode));
        Ok(inode)
    }

    pub(super) fn open_at(&mut self, path: &Path, len: u64) -> io::Result<InodeId> {
        let inode = self.find(path)?;
        let found = self.inodes[inode.0].live.len();
        if (found as u64) < len {
            let message = format!("{} has {found} bytes, fewer than {len}", path.display());
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        self.cut(inode, len as usize);
        Ok(inode)
    }

    pub(super) fn hard_link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.find(from)?;
        self.need_parent(to)?;
        if self.live.contains_key(to) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                to.display().to_string(),
            ));
        }
        self.change(NameChange::Link(to.to_owned(), inode));
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.find(from)?;
        self.need_parent(to)?;
        self.change(NameChange::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
            inode,
        });
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.find(path)?;
        self.change(NameChange::Unlink(path.to_owned()));
        Ok(())
    }

    pub(super) fn append(&mut self, inode: InodeId, bytes: &[u8]) {
        self.inodes[inode.0].live.extend_from_slice(bytes);
    }

    pub(super) fn sync(&mut self, inode: InodeId) {
        let Inode {
            live,
            durable,
            same,
        } = &mut self.inodes[inode.0];
        durable.truncate(*same);
        durable.extend_from_slice(&live[*same..]);
        *same = live.len();
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        if !is_top(dir) && !self.dirs.contains(dir) {
            return Err(not_found(dir));
        }
        let is_here = |path: &Path| path.parent() == Some(dir);
        for change in std::mem::take(&mut self.unsynced) {
            let (synced, left) = change.split(is_here);
            if let Some(change) = synced {
                change.apply(&mut self.durable);
            }
            self.unsynced.extend(left);
        }
        Ok(())
    }

    /// Makes some of what was not synced durable, torn where it is bytes.
    pub(super) fn let_some_survive(&mut self, rng: &mut Rng) {
        for change in std::mem::take(&mut self.unsynced) {
            // A rename survives whole or not at all, as on every file system with a journal.
            if rng.flip() {
                change.apply(&mut self.durable);
            }
        }
        for Inode {
            live,
            durable,
            same,
        } in &mut self.inodes
        {
            if live.len() > *same && rng.flip() {
                durable.truncate(*same);
                let torn = *same + rng.up_to(live.len() - *same);
                durable.extend_from_slice(&live[*same..torn]);
                // Some file systems make the new length durable before the bytes.
                if rng.flip() {
                    durable.resize(live.len(), 0);
                }
            }
        }
    }

    pub(super) fn keep_what_is_durable(&mut self) {
        self.unsynced.clear();
        self.live.clone_from(&self.durable);
        for inode in &mut self.inodes {
            inode.live.clone_from(&inode.durable);
            inode.same = inode.live.len();
        }
    }

    pub(super) fn corrupt(&mut self, path: &Path, bytes: &[u8]) {
        if let Ok(inode) = self.find(path) {
            self.inodes[inode.0] = Inode {
                live: bytes.to_vec(),
                durable: bytes.to_vec(),
                same: bytes.len(),
            };
        }
    }

    pub(super) fn lose(&mut self, path: &Path) {
        self.live.remove(path);
        self.durable.remove(path);
    }

    fn change(&mut self, change: NameChange) {
        change.clone().apply(&mut self.live);
        self.unsynced.push(change);
    }

    fn cut(&mut self, inode: InodeId, len: usize) {
        let inode = &mut self.inodes[inode.0];
        inode.live.truncate(len);
        inode.same = inode.same.min(len);
    }

    fn find(&self, path: &Path) -> io::Result<InodeId> {
        self.live.get(path).copied().ok_or_else(|| not_found(path))
    }

    fn need_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) if is_top(parent) || self.dirs.contains(parent) => Ok(()),
            Some(_) | None => Err(not_found(path)),
        }
    }
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<PathBuf, InodeId>) {
        match self {
            Self::Link(path, inode) => {
                names.insert(path, inode);
            }
            Self::Unlink(path) => {
                names.remove(&path);
            }
            Self::Rename { from, to, inode } => {
                names.remove(&from);
                names.insert(to, inode);
            }
        }
    }

    /// The part in the directory that is synced, and the part elsewhere. A rename between two
    /// directories becomes durable in halves: whoever syncs only the first one loses the file.
    fn split(self, is_here: impl Fn(&Path) -> bool) -> (Option<Self>, Option<Self>) {
        match self {
            Self::Rename { from, to, inode } => match (is_here(&from), is_here(&to)) {
                (true, false) => (Some(Self::Unlink(from)), Some(Self::Link(to, inode))),
                (false, true) => (Some(Self::Link(to, inode)), Some(Self::Unlink(from))),
                (true, true) => (Some(Self::Rename { from, to, inode }), None),
                (false, false) => (None, Some(Self::Rename { from, to, inode })),
            },
            Self::Link(path, inode) if is_here(&path) => (Some(Self::Link(path, inode)), None),
            Self::Unlink(path) if is_here(&path) => (Some(Self::Unlink(path)), None),
            elsewhere @ (Self::Link(..) | Self::Unlink(_)) => (None, Some(elsewhere)),
        }
    }
}

/// The working directory and the root are always there.
fn is_top(dir: &Path) -> bool {
    dir.as_os_str().is_empty() || dir.parent().is_none()
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("{} does not exist", path.display()),
    )
}
