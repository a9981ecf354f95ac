//! The directory that a run may have for its own.

use std::path::PathBuf;

use xxhash_rust::xxh3::xxh3_64;

use super::recovery::Beginning;
use crate::error::Result;
use crate::ids::Generation;
use crate::protocol::StageKind;
use crate::settings::StateBackend;
use crate::state::{Backend, WorkPlace};
use crate::storage::{CheckpointLocation, WorkDir, names};

/// Starts the backend of a run that has claimed the log, and removes what older runs left behind.
pub(super) fn start(begin: Beginning<'_>, author: (Generation, u64)) -> Result<Backend> {
    let place = clear(begin, author);
    let stages = &begin.blueprint.plan.stages;
    let keyed = stages.iter().filter(|stage| stage.kind == StageKind::Keyed);
    Backend::start(
        &begin.options.backend,
        place,
        keyed.count() * begin.worker_count,
    )
}

/// Removes what older runs left behind, and says where a run that has claimed the log may have its directory.
pub(super) fn clear(begin: Beginning<'_>, (generation, nonce): (Generation, u64)) -> WorkPlace {
    let Beginning {
        job,
        options,
        environment,
        ..
    } = begin;
    let location = options.checkpoint_dir.as_ref();
    let location = location.filter(|_| environment.storage.is_none());
    let checkpoints = location
        .and_then(CheckpointLocation::dir)
        .and_then(|dir| environment.disk.real_path(&dir))
        .map(|dir| std::path::absolute(&dir).unwrap_or(dir));
    let place = match (&checkpoints, location) {
        (Some(dir), _) => xxh3_64(dir.as_os_str().as_encoded_bytes()),
        (None, Some(location)) if location.is_remote() => xxh3_64(location.to_string().as_bytes()),
        // Checkpoints in memory, or on a disk of a test's own, end with the process: nobody comes later
        // who could say that the directory is stale.
        (None, _) => nonce,
    };
    let wanted: Option<&PathBuf> = match &options.backend {
        StateBackend::Memory => None,
        StateBackend::RocksDb(settings) => settings.work_dir.as_ref(),
    };
    let root = wanted
        .cloned()
        .or_else(|| checkpoints.map(|dir| dir.join(names::WORK_DIR)))
        .unwrap_or_else(|| std::env::temp_dir().join("flowdsl-work"));
    WorkDir::remove_stale(&root, |name| {
        names::is_stale_work_dir(name, job, place, generation)
    });
    let name = names::work_dir(job, place, generation, nonce);
    WorkPlace { root, name }
}
