//! The backends that state can be in, as tests run them.

use std::path::PathBuf;

use flowdsl::{RocksDbSettings, StateBackend};

/// RocksDB with so little memory that state comes and goes all the time, in a directory of its own or
/// where it is by default.
pub fn tiny_rocksdb(work_dir: Option<PathBuf>) -> StateBackend {
    StateBackend::RocksDb(RocksDbSettings {
        memory_budget: 64 << 10,
        work_dir,
    })
}

/// RocksDB with so much memory, if this program was built with it.
///
/// # Panics
///
/// If it is missing where all backends are required.
pub fn rocksdb(memory_budget: usize) -> Option<StateBackend> {
    let backend = StateBackend::RocksDb(RocksDbSettings {
        memory_budget,
        work_dir: None,
    });
    is_built_in(&backend).then_some(backend)
}

/// Whether this program was built with a backend.
///
/// # Panics
///
/// If it is missing where all backends are required.
pub fn is_built_in(backend: &StateBackend) -> bool {
    let required = std::env::var_os("FLOWDSL_REQUIRE_ALL").is_some();
    let is_available = backend.is_available();
    assert!(is_available || !required, "{backend:?} is not built in");
    is_available
}

/// The backends that this program was built with. Where everything is to be tested
/// (`FLOWDSL_REQUIRE_ALL`), that is each there is.
///
/// No feature of the tests decides it, since the tests of the macro compile every feature of this
/// crate once more; `cargo test -p flowdsl-tests --features flowdsl/rocksdb` builds it in.
///
/// # Panics
///
/// If a backend is missing where all are required.
pub fn backends() -> Vec<StateBackend> {
    let all = [StateBackend::Memory, tiny_rocksdb(None)];
    all.into_iter().filter(is_built_in).collect()
}

/// Backends for runs one after the other: each one throughout, and every change between two.
pub fn backends_in_turn(runs: usize) -> Vec<Vec<StateBackend>> {
    let backends = backends();
    let mut turns: Vec<Vec<StateBackend>> = backends
        .iter()
        .map(|backend| vec![backend.clone(); runs])
        .collect();
    if backends.len() > 1 {
        for first in 0..backends.len() {
            let turn = (first..)
                .take(runs)
                .map(|at| backends[at % backends.len()].clone());
            turns.push(turn.collect());
        }
    }
    turns
}
