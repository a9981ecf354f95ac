//! The names of output files, made and read here and nowhere else.

use serde::{Deserialize, Serialize};

use crate::ids::{Epoch, Generation, WorkerIndex};

/// What makes a written file unique: who wrote it, and the how-manieth of that writer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Part {
    /// The run that began the file.
    pub(super) generation: Generation,
    /// The worker that wrote it.
    pub(super) worker: WorkerIndex,
    /// Its number among the files of that worker in that run.
    pub(super) number: u64,
}

impl Part {
    /// The name while the file is staged.
    pub(super) fn staged_name(self, extension: &str) -> String {
        let Self {
            generation,
            worker,
            number,
        } = self;
        format!(
            "g{:06}-w{:04}-n{number:06}.{extension}",
            generation.0, worker.0
        )
    }
}

/// The run that began a staged file, by its name; `None` for a name that is not ours.
pub(super) fn staged_by(name: &str) -> Option<Generation> {
    let (generation, _) = name.strip_prefix('g')?.split_once('-')?;
    generation.parse().ok().map(Generation)
}

/// A finished file with the epochs whose rows it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Finished {
    /// The file.
    pub(super) part: Part,
    /// The epoch of its first row.
    pub(super) first: Epoch,
    /// The epoch at whose barrier it was finished.
    pub(super) last: Epoch,
}

impl Finished {
    /// The name when the file is visible.
    pub(super) fn visible_name(self, extension: &str) -> String {
        let Self {
            part:
                Part {
                    generation,
                    worker,
                    number,
                },
            first,
            last,
        } = self;
        let (generation, worker) = (generation.0, worker.0);
        let (first, last) = (first.0, last.0);
        format!(
            "part-g{generation:06}-e{first:010}-{last:010}-w{worker:04}-n{number:06}.{extension}"
        )
    }

    /// Reads a visible name; `None` for any name that is not exactly ours.
    pub(super) fn parse(name: &str, extension: &str) -> Option<Self> {
        let mut fields = name
            .strip_prefix("part-")?
            .strip_suffix(extension)?
            .strip_suffix('.')?
            .split('-');
        let mut field = |prefix: &str| fields.next()?.strip_prefix(prefix)?.parse::<u64>().ok();
        let generation = Generation(field("g")?);
        let (first, last) = (Epoch(field("e")?), Epoch(field("")?));
        let worker = WorkerIndex(u32::try_from(field("w")?).ok()?);
        let number = field("n")?;
        let parsed = Self {
            part: Part {
                generation,
                worker,
                number,
            },
            first,
            last,
        };
        // Only what we would write ourselves is ours.
        (parsed.visible_name(extension) == name).then_some(parsed)
    }
}
