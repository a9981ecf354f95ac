//! What a checkpoint costs: what each subtask says of its snapshot, what comes of it together, and who
//! was last and why.
//!
//! Times are of the clock that all workers of a process share; whoever measures reads it a few times
//! at a barrier, and never for a record. Here they are only put together.
//!
//! The time of a subtask is cut in three: until the barrier has passed (the *queue*: records before it
//! were still under way), until the frozen image is copied, and until it is durable. So it is known
//! what a subtask was late for. How long the *worker* was kept from records is another matter, the
//! pause: copying goes on in slices, between records.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{StageId, SubtaskId};
use crate::protocol::{Location, SnapshotRef};

/// What the snapshot of one subtask cost, as its answer carries it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotCost {
    /// When the barrier had passed on all inputs, by the clock of the process.
    pub passed_at: Duration,
    /// When all of the frozen image was copied.
    pub copied_at: Duration,
    /// When the snapshot was durable.
    pub durable_at: Duration,
    /// How long records of later epochs waited for the barrier: from the first one that did.
    pub stash: Duration,
    /// How long the worker was kept from records: the barrier itself, and the slices of copying.
    pub pause: Duration,
    /// How long the image was encoded; on RocksDB, written to the database.
    pub encode: Duration,
    /// How long the storage took.
    pub upload: Duration,
    /// What the snapshot holds.
    pub weight: Weight,
}

/// How much a snapshot holds, and how much of it is new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Weight {
    /// Bytes that no earlier checkpoint holds.
    pub new_bytes: u64,
    /// All bytes.
    pub total_bytes: u64,
    /// State objects that no earlier checkpoint names.
    pub new_files: u64,
    /// All state objects.
    pub total_files: u64,
}

impl Weight {
    /// Weighs a snapshot; `is_new` says whether an object is named for the first time. What stands in
    /// the manifest itself is new in every one.
    pub fn of(refs: &[SnapshotRef], is_new: impl Fn(&str) -> bool) -> Self {
        let mut weight = Self::default();
        for reference in refs {
            let bytes = reference.len();
            weight.total_bytes += bytes;
            match &reference.location {
                Location::Inline(_) => weight.new_bytes += bytes,
                Location::Object { name, .. } => {
                    weight.total_files += 1;
                    if is_new(name) {
                        weight.new_files += 1;
                        weight.new_bytes += bytes;
                    }
                }
            }
        }
        weight
    }

    fn add(&mut self, other: &Self) {
        self.new_bytes = self.new_bytes.saturating_add(other.new_bytes);
        self.total_bytes = self.total_bytes.saturating_add(other.total_bytes);
        self.new_files += other.new_files;
        self.total_files += other.total_files;
    }
}

/// What one subtask had to do with a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtaskCost {
    /// The stage.
    pub stage: StageId,
    /// The worker.
    pub worker: u32,
    /// From the trigger until the barrier had passed on its inputs.
    #[serde(default, rename = "start_delay_us", with = "micros")]
    pub start_delay: Duration,
    /// How long records of later epochs waited for the barrier.
    #[serde(default, rename = "stash_us", with = "micros")]
    pub stash: Duration,
    /// How long the worker was kept from records.
    #[serde(default, rename = "pause_us", with = "micros")]
    pub pause: Duration,
    /// From the barrier until the frozen image was copied, between records.
    #[serde(default, rename = "copy_us", with = "micros")]
    pub copy: Duration,
    /// How long the image was encoded, beside the worker.
    #[serde(default, rename = "encode_us", with = "micros")]
    pub encode: Duration,
    /// How long the storage took.
    #[serde(default, rename = "upload_us", with = "micros")]
    pub upload: Duration,
    /// From the trigger until the snapshot was durable.
    #[serde(default, rename = "took_us", with = "micros")]
    pub took: Duration,
    /// What the snapshot holds.
    #[serde(default, flatten)]
    pub weight: Weight,
}

/// What a checkpoint cost, complete or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckpointCost {
    /// The subtasks that answered with a snapshot, in the order of their names.
    pub subtasks: Vec<SubtaskCost>,
    /// From all answers to the manifest; zero where it did not come to that.
    #[serde(rename = "publish_us", with = "micros")]
    pub publish: Duration,
    /// From the trigger to the end.
    #[serde(rename = "took_us", with = "micros")]
    pub took: Duration,
    /// What it should have taken: the slowest subtask, and the publication.
    #[serde(rename = "estimate_us", with = "micros")]
    pub estimate: Duration,
    /// Who was last, and why.
    pub last: Option<Last>,
    /// What its snapshots hold together.
    #[serde(flatten)]
    pub weight: Weight,
}

/// The subtask that a checkpoint waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// The stage.
    pub stage: StageId,
    /// The worker.
    pub worker: u32,
    /// What it was late for.
    pub why: Why,
}

/// What the last subtask of a checkpoint was late for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Records before the barrier were still under way to it.
    Queue,
    /// Its frozen state had to be copied.
    Freeze,
    /// Its state had to be encoded.
    Encode,
    /// Its snapshot had to be stored.
    Upload,
    /// It holds much more than the same stage does on other workers.
    Skew,
    /// Another version of flowdsl has a word for it.
    #[serde(other)]
    Other,
}

impl Why {
    /// The word that it is written with.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Freeze => "freeze",
            Self::Encode => "encode",
            Self::Upload => "upload",
            Self::Skew => "skew",
            Self::Other => "other",
        }
    }
}

/// When a checkpoint was triggered, published and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointTimes {
    /// When its epoch was closed.
    pub triggered: Duration,
    /// When its manifest was handed over, if it came to that.
    pub published: Option<Duration>,
    /// When its manifest was durable, or it was given up.
    pub ended: Duration,
}

impl CheckpointCost {
    /// Puts together what the subtasks say.
    pub fn of<'a>(
        times: CheckpointTimes,
        answers: impl IntoIterator<Item = (&'a SubtaskId, &'a SnapshotCost)>,
    ) -> Self {
        let mut subtasks: Vec<SubtaskCost> = answers
            .into_iter()
            .map(|(subtask, cost)| SubtaskCost::of(subtask, cost, times.triggered))
            .collect();
        subtasks.sort_by(|a, b| (&a.stage, a.worker).cmp(&(&b.stage, b.worker)));
        let publish = times
            .published
            .map_or(Duration::ZERO, |since| times.ended.saturating_sub(since));
        let slowest = subtasks.iter().map(|subtask| subtask.took).max();
        let mut weight = Weight::default();
        for subtask in &subtasks {
            weight.add(&subtask.weight);
        }
        Self {
            publish,
            took: times.ended.saturating_sub(times.triggered),
            estimate: slowest.unwrap_or_default() + publish,
            last: last_of(&subtasks),
            weight,
            subtasks,
        }
    }

    /// How long the worker that it kept longest was kept from records, where so much of the encoding
    /// beside the workers is taken from them: 1 if they have no core to spare, 0 if each has one.
    pub fn kept_from_records(&self, contention: f64) -> Duration {
        let mut workers: BTreeMap<u32, Duration> = BTreeMap::new();
        for subtask in &self.subtasks {
            let kept = workers.entry(subtask.worker).or_default();
            *kept += subtask.pause + subtask.encode.mul_f64(contention.clamp(0.0, 1.0));
        }
        workers.into_values().max().unwrap_or_default()
    }
}

/// How much of what is done beside the workers is taken from them: each has a thread beside it, and as many
/// cores are free as are left.
pub fn contention(worker_count: u32, cores: u32) -> f64 {
    let free = cores.saturating_sub(worker_count);
    1.0 - f64::from(free.min(worker_count)) / f64::from(worker_count.max(1))
}

impl SubtaskCost {
    fn of(subtask: &SubtaskId, cost: &SnapshotCost, triggered: Duration) -> Self {
        Self {
            stage: subtask.stage.clone(),
            worker: subtask.worker.0,
            start_delay: cost.passed_at.saturating_sub(triggered),
            stash: cost.stash,
            pause: cost.pause,
            copy: cost.copied_at.saturating_sub(cost.passed_at),
            encode: cost.encode,
            upload: cost.upload,
            took: cost.durable_at.saturating_sub(triggered),
            weight: cost.weight,
        }
    }

    /// From the copied image to the durable snapshot.
    fn storing(&self) -> Duration {
        self.took.saturating_sub(self.start_delay + self.copy)
    }
}

/// Of a stage, a subtask that holds more than so many times what the others hold in the mean is one
/// with skew.
const SKEW: u64 = 2;
/// Less than this takes nobody long, whatever the others hold.
const WORTH_A_WORD: u64 = 64 << 10;

/// Who was last, and why:
///
/// | the longest part of its time | and | why |
/// |---|---|---|
/// | until the barrier had passed | | queue |
/// | behind the barrier | it stores more than twice the mean of the others of its stage, and more than a few KB | skew |
/// | until the image was copied | | freeze |
/// | until it was durable | it was encoded for most of it | encode |
/// | until it was durable | | upload |
///
/// Waiting for the thread that stores counts as storing: other snapshots of the worker are stored there.
fn last_of(subtasks: &[SubtaskCost]) -> Option<Last> {
    let last = subtasks.iter().max_by_key(|subtask| subtask.took)?;
    let (copying, storing) = (last.copy, last.storing());
    let why = if last.start_delay > copying.max(storing) {
        Why::Queue
    } else if is_skewed(last, subtasks) {
        Why::Skew
    } else if copying > storing {
        Why::Freeze
    } else if last.encode > storing.saturating_sub(last.encode) {
        Why::Encode
    } else {
        Why::Upload
    };
    Some(Last {
        stage: last.stage.clone(),
        worker: last.worker,
        why,
    })
}

fn is_skewed(last: &SubtaskCost, subtasks: &[SubtaskCost]) -> bool {
    let others = subtasks
        .iter()
        .filter(|other| other.stage == last.stage && other.worker != last.worker);
    let (count, bytes) = others.fold((0_u64, 0_u64), |(count, bytes), other| {
        (count + 1, bytes.saturating_add(other.weight.new_bytes))
    });
    let new_bytes = last.weight.new_bytes;
    count > 0
        && new_bytes >= WORTH_A_WORD
        && new_bytes.saturating_mul(count) > bytes.saturating_mul(SKEW)
}

/// The objects that the last answer of a subtask named, so that the next one knows what is new.
#[derive(Clone, Debug, Default)]
pub struct NamedBefore(Option<BTreeSet<String>>);

impl NamedBefore {
    /// Weighs the references of an answer, and keeps their names. Before the first answer of a run, what
    /// `is_of_this_run` is new.
    pub fn weigh(&mut self, refs: &[SnapshotRef], is_of_this_run: impl Fn(&str) -> bool) -> Weight {
        let weight = match &self.0 {
            Some(names) => Weight::of(refs, |name| !names.contains(name)),
            None => Weight::of(refs, is_of_this_run),
        };
        let names = refs
            .iter()
            .filter_map(|reference| match &reference.location {
                Location::Inline(_) => None,
                Location::Object { name, .. } => Some(name.clone()),
            });
        self.0 = Some(names.collect());
        weight
    }
}

/// Durations in JSON: whole microseconds.
pub(crate) mod micros {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        whole(*time).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_micros)
    }

    fn whole(time: Duration) -> u64 {
        u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
    }

    /// The same where there may be none.
    pub(crate) mod option {
        use super::{Deserialize, Deserializer, Duration, Serialize, Serializer, whole};

        #[expect(clippy::ref_option, reason = "serde calls it so")]
        pub(crate) fn serialize<S: Serializer>(
            time: &Option<Duration>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            time.map(whole).serialize(to)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<Duration>, D::Error> {
            Ok(Option::<u64>::deserialize(from)?.map(Duration::from_micros))
        }
    }
}
