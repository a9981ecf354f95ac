//! What one seed sets up: the input, the settings, and how much goes wrong.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use flowdsl_runtime::ids::KeyGroupCount;
use flowdsl_runtime::job::internals::ChainLimits;
use flowdsl_runtime::settings::CheckpointSettings;

use crate::keyed::OBJECT;
use crate::rng::Rng;

/// A record of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) id: u32,
    pub(crate) key: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// The records of each split.
    pub(crate) input: Arc<Vec<Vec<Record>>>,
    pub(crate) keys: u32,
    /// Bytes that each value carries, so that some snapshots are objects and some stand inline.
    pub(crate) padding: usize,
    pub(crate) key_groups: KeyGroupCount,
    pub(crate) shape: Shape,
    pub(crate) place: Place,
    pub(crate) settings: CheckpointSettings,
    pub(crate) retained: NonZeroUsize,
    /// When chains of snapshots are compacted.
    pub(crate) chain: ChainLimits,
    pub(crate) faults: Faults,
    /// Records that a source reads at a time, and how long it waits before it reads on.
    pub(crate) piece: u64,
    pub(crate) pause: u64,
    /// Behind this time nothing goes wrong any more.
    calm_at: Duration,
    /// Faults come in spells: the length of one, and which are bad.
    spell: Duration,
    bad_spells: u64,
}

/// Where the sink stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Fused behind the keyed stage: one operator answers for both.
    Fused,
    /// An operator of its own.
    Apart,
}

/// What checkpoints are stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// An object store: every object is there as a whole, and durably.
    Objects,
    /// A directory on a disk that forgets what was not synced.
    Disk,
}

/// How often things go wrong, in a thousand operations (or in a thousand processes).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// An operation fails, and does nothing.
    pub(crate) fail: u64,
    /// An operation takes effect, and is answered by an error.
    pub(crate) ambiguous: u64,
    /// An operation takes long.
    pub(crate) slow: u64,
    /// An operation hangs until a time-out; whether it takes effect, and when, is open.
    pub(crate) hang: u64,
    /// The process dies just before or behind an operation's effect.
    pub(crate) death: u64,
    /// A process falls asleep while an operation is under way.
    pub(crate) sleep: u64,
    /// Another process is started beside one that has just begun.
    pub(crate) twice: u64,
    /// The machine loses power.
    pub(crate) power: u64,
    /// Somebody asks a process for a savepoint.
    pub(crate) savepoint: u64,
    /// Before a process starts, an older checkpoint or a savepoint is restored.
    pub(crate) restore: u64,
    /// A byte of the newest checkpoint goes bad when a process has died or sleeps.
    pub(crate) damage: u64,
}

impl Scenario {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let keys = rng.between(1, 10) as u32;
        let mut id = 0;
        let mut split = |rng: &mut Rng| -> Vec<Record> {
            let most = rng.pick(&[6, 16, 40]);
            let len = rng.between(0, most);
            let record = |_| {
                id += 1;
                let key = rng.below(u64::from(keys)) as u32;
                Record { id, key }
            };
            (0..len).map(record).collect()
        };
        let splits = rng.between(1, 5);
        let input = (0..splits).map(|_| split(rng)).collect();
        let retained = rng.between(1, 3) as usize;
        let settings = CheckpointSettings {
            interval: Some(rng.millis(15, 120)),
            timeout: rng.millis(80, 1_500),
            tolerable_failures: rng.pick(&[0, 3, 1_000]),
            retained,
            commit_timeout: rng.millis(500, 10_000),
            max_concurrent: rng.pick(&[1, 2, 3, 4]),
            ..CheckpointSettings::default()
        };
        Self {
            input: Arc::new(input),
            keys,
            padding: rng.pick(&[0, 1_500, 4_200, 4_200]),
            key_groups: KeyGroupCount::new(rng.pick(&[4, 16, 256])).expect("powers of two"),
            shape: rng.pick(&[Shape::Fused, Shape::Apart]),
            place: rng.pick(&[Place::Objects, Place::Objects, Place::Disk]),
            settings,
            chain: chain_limits(rng),
            retained: NonZeroUsize::new(retained).expect("at least 1"),
            faults: Faults::new(rng),
            piece: rng.between(1, 4),
            pause: rng.between(5, 60),
            calm_at: rng.millis(300, 4_000),
            spell: rng.millis(40, 300),
            bad_spells: rng.next(),
        }
    }

    /// The same, with savepoints and restores. What one seed chooses without them stays as it was.
    pub(crate) fn with_restores(mut self, seed: u64) -> Self {
        let mut rng = Rng::new(!seed);
        if rng.below(2) == 0 {
            self.faults.savepoint = rng.pick(&[300, 1_000]);
            self.faults.restore = rng.pick(&[0, 150, 400]);
        }
        self
    }

    /// Whether nothing goes wrong at this time.
    pub(crate) fn is_calm(&self, now: Duration) -> bool {
        let spell = (now.as_micros() / self.spell.as_micros()) % 64;
        now >= self.calm_at || self.bad_spells >> spell & 1 == 0
    }
}

/// With the limits of a real job, chains so short would never be compacted.
fn chain_limits(rng: &mut Rng) -> ChainLimits {
    ChainLimits {
        floor: rng.pick(&[50, 3_000, 30_000]),
        width: rng.pick(&[2, 2, 3, 4]),
        most_increments: rng.pick(&[4, 8, 20]),
        part_bytes: OBJECT,
    }
}

impl Faults {
    /// Each kind of fault is often absent: what one hides, another seed shows.
    fn new(rng: &mut Rng) -> Self {
        Self {
            fail: rng.pick(&[0, 0, 30, 150]),
            ambiguous: rng.pick(&[0, 0, 20, 150]),
            slow: rng.pick(&[0, 0, 50, 200]),
            hang: rng.pick(&[0, 0, 10, 60]),
            death: rng.pick(&[0, 0, 10, 40]),
            sleep: rng.pick(&[0, 0, 10, 40]),
            twice: rng.pick(&[0, 0, 100, 400]),
            power: rng.pick(&[0, 500, 1_000]),
            damage: rng.pick(&[0, 0, 200, 600]),
            savepoint: 0,
            restore: 0,
        }
    }
}
