//! What a job does with file output outside of the flow: look, take back, discard, finish, commit.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::names::{Finished, staged_by};
use super::owner;
use super::place::{Place, failed};
use super::writer::{FileCommittable, Unfinished};
use crate::connector::{Committable, Committer, OutputFacts, SinkContext, Transactional};
use crate::error::{Error, Result};
use crate::ids::{Epoch, Generation};
use crate::protocol::CommitPermit;

/// The output of a file sink.
pub(super) struct FileOutput {
    dir: PathBuf,
    extension: &'static str,
}

impl FileOutput {
    pub(super) fn new(dir: &Path, extension: &'static str) -> Self {
        Self {
            dir: dir.to_owned(),
            extension,
        }
    }

    /// The directory, which must not belong to anyone else.
    fn place(&self, context: &SinkContext) -> Result<Place> {
        let place = Place::new(context, &self.dir, self.extension);
        owner::check(&place, context)?;
        Ok(place)
    }
}

impl Transactional for FileOutput {
    fn inspect(&self, context: &SinkContext) -> Result<OutputFacts> {
        let place = self.place(context)?;
        let visible = place.visible()?;
        let staged = place.list(&place.staging())?;
        let generations = visible.iter().map(|file| file.part.generation);
        let generations = generations.chain(staged.iter().filter_map(|name| staged_by(name)));
        Ok(OutputFacts {
            place: place.dir.display().to_string(),
            visible: visible.len(),
            newest_epoch: visible.iter().map(|file| file.last).max(),
            newest_generation: generations.max(),
        })
    }

    fn take_back(&self, context: &SinkContext, kept: Epoch) -> Result<()> {
        let place = self.place(context)?;
        let (later, within): (Vec<_>, Vec<_>) = place
            .visible()?
            .into_iter()
            .filter(|file| file.last > kept && file.part.generation <= context.generation)
            .partition(|file| file.first > kept);
        if !within.is_empty() {
            hide(&place, &within)?;
        }
        for file in &later {
            place.remove(&place.visible_path(*file))?;
        }
        if later.is_empty() {
            Ok(())
        } else {
            place.sync_dir(&place.dir)
        }
    }

    fn clear(&self, context: &SinkContext) -> Result<()> {
        let place = self.place(context)?;
        // Staged files first: what is visible then, no older run can add to.
        remove_staged(&place, context.generation, &BTreeSet::new())?;
        let mut visible = place.visible()?;
        visible.retain(|file| file.part.generation <= context.generation);
        for file in &visible {
            place.remove(&place.visible_path(*file))?;
        }
        if visible.is_empty() {
            Ok(())
        } else {
            place.sync_dir(&place.dir)
        }
    }

    fn discard_staged(
        &self,
        context: &SinkContext,
        named: &[Committable],
        unfinished: &[Vec<u8>],
    ) -> Result<()> {
        let place = self.place(context)?;
        let mut kept = BTreeSet::new();
        for committable in named {
            kept.insert(
                FileCommittable::decode(committable)?
                    .file
                    .part
                    .staged_name(self.extension),
            );
        }
        for unfinished in unfinished {
            kept.insert(
                Unfinished::decode(unfinished)?
                    .0
                    .file
                    .part
                    .staged_name(self.extension),
            );
        }
        remove_staged(&place, context.generation, &kept)
    }

    fn finish(&self, context: &SinkContext, unfinished: &[u8]) -> Result<Vec<Committable>> {
        let place = self.place(context)?;
        let Unfinished(held) = Unfinished::decode(unfinished)?;
        let staged = place.staged_path(held.file.part);
        match place.len(&staged)? {
            Some(len) if len < held.len => Err(cut_short(&staged, held.len, len)),
            Some(_) => {
                let cut = place
                    .disk
                    .open_at(&staged, held.len)
                    .and_then(|mut file| file.sync());
                cut.map_err(|e| failed("cut", &staged, &e))?;
                Ok(vec![held.encode()])
            }
            // A run before this one finished and committed it, and ended before its next checkpoint.
            None if place.len(&place.visible_path(held.file))?.is_some() => Ok(vec![held.encode()]),
            None => Err(lost(&place, held.file)),
        }
    }

    fn committer(&self, context: &SinkContext) -> Arc<dyn Committer> {
        Arc::new(FileCommitter {
            place: Place::new(context, &self.dir, self.extension),
        })
    }
}

/// Makes visible files staged again, so that they can be cut to what a checkpoint held.
fn hide(place: &Place, files: &[Finished]) -> Result<()> {
    let staging = place.staging();
    place
        .disk
        .create_dir_all(&staging)
        .map_err(|e| failed("make", &staging, &e))?;
    for file in files {
        let visible = place.visible_path(*file);
        place.rename(&visible, &place.staged_path(file.part))?;
        // A rename between two names of one file, which a power loss may leave, does nothing.
        place.remove(&visible)?;
    }
    // CRASH: the new names first; the other way round the files could have no name at all.
    place.sync_dir(&staging)?;
    place.sync_dir(&place.dir)
}

/// Removes staged files but those whose names are kept and those of later runs, and what an interrupted
/// claim left.
fn remove_staged(place: &Place, generation: Generation, kept: &BTreeSet<String>) -> Result<()> {
    let (hidden, staging) = (place.hidden(), place.staging());
    for name in place
        .list(&hidden)?
        .iter()
        .filter(|name| name.starts_with("owner-"))
    {
        place.remove(&hidden.join(name))?;
    }
    let mut removed = false;
    let is_later = |name: &str| staged_by(name).is_some_and(|by| by > generation);
    for name in place
        .list(&staging)?
        .iter()
        .filter(|name| !kept.contains(*name) && !is_later(name))
    {
        place.remove(&staging.join(name))?;
        removed = true;
    }
    if removed {
        place.sync_dir(&staging)
    } else {
        Ok(())
    }
}

/// Gives staged files their visible names.
struct FileCommitter {
    place: Place,
}

impl Committer for FileCommitter {
    fn commit(&self, permit: &CommitPermit, committable: &Committable) -> Result<()> {
        let held = FileCommittable::decode(committable)?;
        let (last, permitted) = (held.file.last, permit.epoch());
        assert!(
            last <= permitted,
            "the output of epoch {last} is committed with a permit for epoch {permitted}"
        );
        let place = &self.place;
        let (staged, visible) = (
            place.staged_path(held.file.part),
            place.visible_path(held.file),
        );
        match place.len(&staged)? {
            Some(len) if len != held.len => return Err(cut_short(&staged, held.len, len)),
            // CRASH: the file is whole and durable since its barrier, so a reader sees all of it or nothing.
            Some(_) => {
                let renamed = place.rename(&staged, &visible);
                // A run that has been overtaken may have committed it at this very moment.
                if renamed.is_err() && place.len(&visible)?.is_none() {
                    return renamed;
                }
            }
            // It is visible already; but the sync of that commit may have failed.
            None if place.len(&visible)?.is_some() => {}
            None => return Err(lost(place, held.file)),
        }
        place.sync_dir(&place.dir)
    }
}

fn cut_short(path: &Path, expected: u64, found: u64) -> Error {
    Error::corrupt(format!(
        "{} has {found} bytes, but a checkpoint holds {expected} bytes of it",
        path.display()
    ))
}

fn lost(place: &Place, file: Finished) -> Error {
    Error::corrupt(format!(
        "{} is lost: a checkpoint names it, but it is neither visible nor staged as {}. If it was moved away after \
         it had become visible, put it back until the job has started; if the job has moved to another place, copy the \
         output directory there, with `.flowdsl` in it",
        place.visible_path(file).display(),
        place.staged_path(file.part).display()
    ))
}
