//! What checkpoints are stored in: the operations as they take effect, and what a look from outside shows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use flowdsl_runtime::storage::{CheckpointStorage, Creation, FaultyDisk, LocalStorage};

use crate::request::{Act, Answer};

/// The checkpoint directory on a disk.
pub(crate) const ROOT: &str = "checkpoints";

pub(crate) enum Store {
    Objects(BTreeMap<String, Arc<[u8]>>),
    Disk(FaultyDisk),
}

impl Store {
    /// Performs an operation; on a disk through the storage of the process that asks. Deletes one name.
    pub(crate) fn perform(&mut self, act: &Act, local: Option<&LocalStorage>) -> Answer {
        match (self, local) {
            (Self::Objects(objects), _) => perform(objects, act),
            (Self::Disk(_), Some(local)) => match act {
                Act::Create { name, bytes } => Answer::Created(local.create(name, bytes)),
                Act::Write { name, bytes } => Answer::Done(local.write(name, bytes)),
                Act::Read { name } => Answer::Bytes(local.read(name)),
                Act::List { dir } => Answer::Names(local.list(dir)),
                Act::Delete { names } => Answer::Done(local.delete(names)),
                _ => unreachable!("an operation of the output"),
            },
            (Self::Disk(_), None) => unreachable!("each process on a disk has its storage"),
        }
    }

    /// The names in a directory, durable or not.
    pub(crate) fn names(&self, dir: &str) -> Vec<String> {
        let prefix = format!("{dir}/");
        match self {
            Self::Objects(objects) => objects
                .range(prefix.clone()..)
                .map(|(name, _)| name)
                .take_while(|name| name.starts_with(&prefix))
                .cloned()
                .collect(),
            Self::Disk(disk) => {
                let mut names: Vec<String> = disk
                    .paths()
                    .into_iter()
                    .chain(disk.durable_paths())
                    .filter_map(|path| {
                        let name = path.strip_prefix(ROOT).ok()?.to_str()?;
                        name.starts_with(&prefix).then(|| name.to_owned())
                    })
                    .collect();
                names.sort_unstable();
                names.dedup();
                names
            }
        }
    }

    /// The bytes of an object as a process reads them.
    pub(crate) fn live(&self, name: &str) -> Option<Arc<[u8]>> {
        match self {
            Self::Objects(objects) => objects.get(name).cloned(),
            Self::Disk(disk) => disk.peek(path(name)).map(Arc::from),
        }
    }

    /// The bytes of an object as a power loss would leave them.
    pub(crate) fn durable(&self, name: &str) -> Option<Arc<[u8]>> {
        match self {
            Self::Objects(objects) => objects.get(name).cloned(),
            Self::Disk(disk) => disk.peek_durable(path(name)).map(Arc::from),
        }
    }

    /// Replaces the bytes of an object, as rot does, or whoever mends it.
    pub(crate) fn put(&mut self, name: &str, bytes: &[u8]) {
        match self {
            Self::Objects(objects) => {
                objects.insert(name.to_owned(), bytes.into());
            }
            Self::Disk(disk) => disk.corrupt(path(name), bytes),
        }
    }
}

fn perform(objects: &mut BTreeMap<String, Arc<[u8]>>, act: &Act) -> Answer {
    match act {
        Act::Create { name, bytes } => {
            if objects.contains_key(name) {
                return Answer::Created(Ok(Creation::AlreadyExists));
            }
            objects.insert(name.clone(), bytes.as_slice().into());
            Answer::Created(Ok(Creation::Created))
        }
        Act::Write { name, bytes } => {
            objects.insert(name.clone(), bytes.as_slice().into());
            Answer::Done(Ok(()))
        }
        Act::Read { name } => Answer::Bytes(Ok(objects.get(name).map(|bytes| bytes.to_vec()))),
        Act::List { dir } => {
            let prefix = format!("{dir}/");
            let names = objects.keys().filter(|name| name.starts_with(&prefix));
            Answer::Names(Ok(names.cloned().collect()))
        }
        Act::Delete { names } => {
            for name in names {
                objects.remove(name);
            }
            Answer::Done(Ok(()))
        }
        _ => unreachable!("an operation of the output"),
    }
}

fn path(name: &str) -> std::path::PathBuf {
    Path::new(ROOT).join(name)
}
