//! What the job is run with: policies, places of checkpoints and backends.

use flowdsl_tests::backends::is_built_in;

use crate::life::{Backend, Mode, Policy, Restart};

/// How a job is run over all its lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) policy: Policy,
    pub(crate) place: Place,
    /// The backend of each life in turn.
    pub(crate) backends: Backends,
    /// The number of workers of each life in turn.
    pub(crate) workers: &'static [usize],
}

/// One backend throughout, or another one in each life.
pub(crate) type Backends = &'static [Backend];

/// Where checkpoints are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Directory,
    #[cfg(feature = "object-store")]
    Bucket,
}

/// The places that this build can keep checkpoints in.
const PLACES: &[Place] = &[
    Place::Directory,
    #[cfg(feature = "object-store")]
    Place::Bucket,
];

/// The backends that this build can keep state in, each by itself.
pub(crate) fn backends() -> impl Iterator<Item = Backends> {
    let all: [Backends; 2] = [&[Backend::Memory], &[Backend::RocksDb]];
    all.into_iter().filter(|backends| are_built_in(backends))
}

/// The same, and every change from one to another.
pub(crate) fn backends_in_turn() -> impl Iterator<Item = Backends> {
    let both: Backends = &[Backend::RocksDb, Backend::Memory, Backend::Memory];
    backends().chain([both].into_iter().filter(|backends| are_built_in(backends)))
}

/// The backends that keep nothing where checkpoints are.
pub(crate) fn backends_apart() -> impl Iterator<Item = Backends> {
    let all: [Backends; 2] = [&[Backend::Memory], &[Backend::RocksDbApart]];
    all.into_iter().filter(|backends| are_built_in(backends))
}

pub(crate) fn are_built_in(backends: Backends) -> bool {
    let mut states = backends.iter().map(|backend| backend.of_state());
    states.all(|state| is_built_in(&state))
}

const PLAIN: Policy = Policy {
    mode: Mode::ExactlyOnce,
    interval_ms: 1,
    min_pause_ms: 0,
    max_concurrent: 1,
    retained: 3,
    tolerable_failures: 3,
    restart: Restart::Never,
};

/// Each with the number of workers of each life in turn.
const POLICIES: &[(Policy, &[usize])] = &[
    (PLAIN, &[1]),
    (
        Policy {
            max_concurrent: 2,
            retained: 1,
            restart: Restart::Exponential,
            ..PLAIN
        },
        &[2],
    ),
    (
        Policy {
            min_pause_ms: 2,
            restart: Restart::Fixed { attempts: 3 },
            ..PLAIN
        },
        &[2, 3, 1],
    ),
    (
        Policy {
            mode: Mode::AtLeastOnce,
            retained: 1,
            restart: Restart::Rate,
            ..PLAIN
        },
        &[2, 1],
    ),
    (
        Policy {
            max_concurrent: 2,
            tolerable_failures: 0,
            restart: Restart::Fixed { attempts: 3 },
            ..PLAIN
        },
        &[1, 2],
    ),
];

/// Every policy in a place and with a backend.
pub(crate) fn policies_of(place: Place, backends: Backends) -> impl Iterator<Item = Setting> {
    POLICIES.iter().map(move |(policy, workers)| Setting {
        policy: *policy,
        place,
        backends,
        workers,
    })
}

/// Every policy in every place and with every backend.
pub(crate) fn settings() -> impl Iterator<Item = Setting> {
    let places = PLACES.iter().copied();
    let both = places.flat_map(|place| backends().map(move |backends| (place, backends)));
    both.flat_map(|(place, backends)| policies_of(place, backends))
}
