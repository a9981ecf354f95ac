//! The backends that state can be in, as tests run them.

use flowdsl::{RocksDbSettings, StateBackend};

/// RocksDB with so little memory that state comes and goes all the time.
pub fn tiny_rocksdb() -> StateBackend {
    in_rocksdb(64 << 10)
}

/// RocksDB with so much memory, if this program was built with it.
///
/// # Panics
///
/// If it is missing where all backends are required.
pub fn rocksdb(memory_budget: usize) -> Option<StateBackend> {
    let backend = in_rocksdb(memory_budget);
    is_built_in(&backend).then_some(backend)
}

fn in_rocksdb(memory_budget: usize) -> StateBackend {
    StateBackend::RocksDb(RocksDbSettings {
        memory_budget,
        work_dir: None,
    })
}

fn is_built_in(backend: &StateBackend) -> bool {
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
    let all = [StateBackend::Memory, tiny_rocksdb()];
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
