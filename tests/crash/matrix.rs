//! What the job is run with: policies, places of checkpoints and backends.

use crate::life::{Backend, Mode, Policy, Restart};

/// How a job is run over all its lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) policy: Policy,
    pub(crate) place: Place,
    pub(crate) backend: Backend,
    /// The number of workers of each life in turn.
    pub(crate) workers: &'static [usize],
}

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

/// The backends that this build can keep state in.
pub(crate) fn backends() -> impl Iterator<Item = Backend> {
    let built_in = flowdsl_tests::backends::backends();
    [Backend::Memory, Backend::RocksDb]
        .into_iter()
        .filter(move |backend| built_in.contains(&backend.of_state()))
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
pub(crate) fn policies_of(place: Place, backend: Backend) -> impl Iterator<Item = Setting> {
    POLICIES.iter().map(move |(policy, workers)| Setting {
        policy: *policy,
        place,
        backend,
        workers,
    })
}

/// Every policy in every place and with every backend.
pub(crate) fn settings() -> impl Iterator<Item = Setting> {
    let places = PLACES.iter().copied();
    let both = places.flat_map(|place| backends().map(move |backend| (place, backend)));
    both.flat_map(|(place, backend)| policies_of(place, backend))
}
