//! What a checkpoint holds, compared with a naive fold over exactly the records before its barrier.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flowdsl_runtime::connector::{SinkSnapshot, SourceSnapshot};
use flowdsl_runtime::ids::{Generation, WorkerIndex};
use flowdsl_runtime::job::internals::restore_keyed;
use flowdsl_runtime::protocol::{Location, Manifest, SnapshotRef, objects_of};
use flowdsl_runtime::record::{Keyed as Key, Rec, Untimed};
use flowdsl_runtime::state::{KeyedLogic, StateStore};
use flowdsl_runtime::storage::{CheckpointStorage, MemoryStorage};

use crate::build::{KEYED, SINK, SOURCE};
use crate::keyed::{logic, mix};
use crate::oracle::Check;
use crate::output::{Output, Part, Row};
use crate::scenario::{Record, Scenario};
use crate::source::{offset_of, split_number};
use crate::store::Store;

/// Invariant 5: state and output of a manifest are those of the records before its barrier, of all of
/// them and of no other.
pub(crate) fn check(
    manifest: &Manifest,
    scenario: &Scenario,
    store: &Store,
    output: &Output,
) -> Check {
    let read = records_before(manifest, scenario)?;
    state_is(manifest, scenario, store, &read)?;
    output_is(manifest, output, &read)
}

/// Invariant 5 of a manifest, whatever is visible: it may be an older one than the output.
pub(crate) fn is_of_its_records(manifest: &Manifest, scenario: &Scenario, store: &Store) -> Check {
    let read = records_before(manifest, scenario)?;
    state_is(manifest, scenario, store, &read)
}

fn refs_of<'a>(manifest: &'a Manifest, stage: &str) -> impl Iterator<Item = &'a SnapshotRef> {
    let snapshots = manifest.snapshots.iter();
    snapshots
        .filter(move |snapshot| snapshot.subtask.stage.as_str() == stage)
        .flat_map(|snapshot| &snapshot.refs)
}

fn inline(reference: &SnapshotRef) -> Result<&[u8], String> {
    match &reference.location {
        Location::Inline(bytes) => Ok(bytes),
        Location::Object { name, .. } => Err(format!("{name} should be inline")),
    }
}

/// The records before the barrier, by the offsets of the splits.
fn records_before(manifest: &Manifest, scenario: &Scenario) -> Result<Vec<Record>, String> {
    let mut read = Vec::new();
    let mut seen = BTreeSet::new();
    for reference in refs_of(manifest, SOURCE) {
        let snapshot =
            SourceSnapshot::decode(inline(reference)?).map_err(|error| error.to_string())?;
        for progress in &snapshot.splits {
            let split = split_number(progress);
            if !seen.insert(split) {
                return Err(format!("two subtasks read split {split}"));
            }
            read.extend_from_slice(&scenario.input[split][..offset_of(progress)]);
        }
    }
    if seen.len() == scenario.input.len() {
        Ok(read)
    } else {
        Err(format!("only {} splits are read", seen.len()))
    }
}

/// The id of the record by which the state of a key is asked for.
const PROBE: u32 = u32::MAX;

fn state_is(manifest: &Manifest, scenario: &Scenario, store: &Store, read: &[Record]) -> Check {
    let mut naive: BTreeMap<u32, (u32, u64)> = BTreeMap::new();
    for record in read {
        let (count, mixed) = naive.entry(record.key).or_default();
        *count += 1;
        *mixed = mixed.wrapping_add(mix(record.id));
    }
    let objects = MemoryStorage::new();
    for name in objects_of(manifest) {
        let bytes = store.live(name).ok_or_else(|| format!("{name} is gone"))?;
        objects
            .write(name, &bytes)
            .map_err(|error| error.to_string())?;
    }
    let former: Vec<_> = manifest
        .snapshots
        .iter()
        .filter(|snapshot| snapshot.subtask.stage.as_str() == KEYED)
        .map(|snapshot| (snapshot.subtask.worker, snapshot.refs.clone()))
        .collect();
    let mut logic = logic(scenario.padding);
    restore_keyed(
        &mut logic,
        manifest.key_groups,
        (WorkerIndex(0), 1),
        (&former, manifest.worker_count as usize),
        &StateStore::new(Arc::new(objects), Generation(0), 0),
    )
    .map_err(|error| error.to_string())?;
    if logic.len() != naive.len() {
        return Err(format!(
            "invariant 5: {} keys instead of {}",
            logic.len(),
            naive.len()
        ));
    }
    let probe = |key| Rec {
        key: Key(key),
        time: Untimed,
        value: PROBE,
    };
    let mut probes: Vec<_> = (0..scenario.keys).map(probe).collect();
    let mut out = Vec::new();
    logic.process(&mut probes, i64::MIN, &mut out, &mut Vec::new());
    for rec in out {
        let (key, sum) = (rec.value.key, rec.value.value);
        let expected = naive.get(&key).copied().unwrap_or_default();
        let found = (sum.count - 1, sum.mixed.wrapping_sub(mix(PROBE)));
        if found != expected {
            return Err(format!(
                "invariant 5: the state of key {key} is {found:?} instead of {expected:?} behind {} records",
                read.len()
            ));
        }
    }
    Ok(())
}

/// The parts that a manifest names.
pub(crate) fn named_parts(manifest: &Manifest) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    for reference in refs_of(manifest, SINK) {
        let snapshot =
            SinkSnapshot::decode(inline(reference)?).map_err(|error| error.to_string())?;
        for (_, committable) in &snapshot.committables {
            parts.push(Part::decode(committable).map_err(|error| error.to_string())?);
        }
    }
    Ok(parts)
}

/// What is visible, with what the manifest names, is the output of the records before the barrier.
fn output_is(manifest: &Manifest, output: &Output, read: &[Record]) -> Check {
    let mut rows: Vec<Row> = output.visible.values().flatten().copied().collect();
    for part in named_parts(manifest)? {
        match (output.staged.get(&part), output.visible.get(&part)) {
            (Some(staged), None) => rows.extend(staged),
            (None, Some(_)) => {}
            (None, None) => return Err(format!("invariant 4: {part} is named, and lost")),
            (Some(_), Some(_)) => return Err(format!("{part} is staged and visible")),
        }
    }
    rows_are(&rows, read)
}

/// Whether rows are the output of exactly these records: each once, and the records of each key counted
/// from 1 on without a gap.
pub(crate) fn rows_are(rows: &[Row], records: &[Record]) -> Check {
    let mut found: Vec<(u32, u32)> = rows.iter().map(|row| (row.id, row.key)).collect();
    let mut expected: Vec<(u32, u32)> = records.iter().map(|r| (r.id, r.key)).collect();
    found.sort_unstable();
    expected.sort_unstable();
    if found != expected {
        let missing: Vec<_> = expected.iter().filter(|e| !found.contains(e)).collect();
        let extra: Vec<_> = found.iter().filter(|f| !expected.contains(f)).collect();
        return Err(format!(
            "exactly once: {} records gave {} rows; missing {missing:?}, not expected {extra:?}",
            expected.len(),
            found.len()
        ));
    }
    let mut counts: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for row in rows {
        counts.entry(row.key).or_default().push(row.count);
    }
    for (key, mut counts) in counts {
        counts.sort_unstable();
        if !counts.iter().copied().eq(1..=counts.len() as u32) {
            return Err(format!("exactly once: key {key} was counted {counts:?}"));
        }
    }
    Ok(())
}
