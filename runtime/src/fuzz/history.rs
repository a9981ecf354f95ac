//! Entries of the history: bytes, JSON, and numbers that nobody measured, up to the advice that is made of them.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use super::golden_tests::golden;
use super::slots::with_checksums;
use super::{cases, changed};
use crate::checkpoints::Checkpoints;
use crate::error::ErrorKind;
use crate::ids::{Epoch, Generation};
use crate::protocol::{HistoryEvent, HistoryKey, Objectives, SlotNumber};
use crate::storage::frame::HEADER_LEN;
use crate::storage::{CheckpointStorage, MemoryStorage, names};

/// The golden entries: of the beginning of a run, of a checkpoint, of the end.
fn entries() -> Vec<Vec<u8>> {
    golden(".entry")
}

/// Replaces a number in JSON.
fn set_number(value: &mut Value, at: &mut usize, to: &Value) {
    match value {
        Value::Number(_) => {
            if *at == 0 {
                *value = to.clone();
            }
            *at = at.wrapping_sub(1);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| set_number(item, at, to)),
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|field| set_number(field, at, to)),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(0_u64.into()),
        Just(1_u64.into()),
        Just(u64::MAX.into()),
        Just(i64::MAX.into()),
        Just((-1_i64).into()),
        Just(1e300.into()),
        any::<u64>().prop_map(Value::from),
    ]
}

/// An entry with other bytes, or with other numbers.
fn entry() -> impl Strategy<Value = Vec<u8>> {
    let all = entries();
    let numbers = prop::collection::vec((any::<Index>(), number()), 1..5);
    let measured = (prop::sample::select(all.clone()), numbers).prop_map(|(entry, numbers)| {
        let (header, body) = entry.split_at(HEADER_LEN);
        let mut json: Value = serde_json::from_slice(body).expect("a golden entry is JSON");
        for (at, to) in numbers {
            set_number(&mut json, &mut at.index(20), &to);
        }
        [header, json.to_string().as_bytes()].concat()
    });
    let any_bytes = changed(all);
    prop_oneof![2 => measured, 1 => any_bytes].prop_map(with_checksums)
}

/// What an entry says that it is, under whose name it is not refused at once.
fn event_of(entry: &[u8]) -> Option<HistoryEvent> {
    let json: Value = serde_json::from_slice(entry.get(HEADER_LEN..)?).ok()?;
    let (what, of) = json.as_object()?.iter().next()?;
    match what.as_str() {
        "began" => Some(HistoryEvent::Began),
        "ended" => Some(HistoryEvent::Ended),
        _ => of["epoch"]
            .as_u64()
            .map(|epoch| HistoryEvent::Checkpoint(Epoch(epoch))),
    }
}

fn objectives() -> impl Strategy<Value = Objectives> {
    let time = || prop::option::of(any::<u64>().prop_map(Duration::from_micros));
    (time(), time(), prop::option::of(any::<u64>())).prop_map(
        |(recovery, output_delay, storage_bytes)| Objectives {
            recovery,
            output_delay,
            storage_bytes,
            ..Objectives::default()
        },
    )
}

proptest! {
    #![proptest_config(cases(1_500))]

    #[test]
    fn whatever_the_history_says_is_told_and_makes_advice_or_none(
        found in prop::collection::vec((entry(), 40..45_u64), 1..6),
        objectives in objectives(),
    ) {
        let storage = Arc::new(MemoryStorage::new());
        let write = |name: String, bytes: &[u8]| storage.write(&name, bytes).expect("memory answers");
        write(names::slot(SlotNumber(0)), &golden("claim.slot")[0]);
        write(names::slot(SlotNumber(1)), &golden("manifest.slot")[0]);
        for (bytes, otherwise) in &found {
            let event = event_of(bytes).unwrap_or(HistoryEvent::Checkpoint(Epoch(*otherwise)));
            let generation = Generation(3);
            write(names::history(HistoryKey { generation, event }), bytes);
        }
        let checkpoints = Checkpoints::open_in(storage).expect("a job has begun there");
        let history = checkpoints.history().expect("memory answers");
        let told = history.runs.len() + history.checkpoints.len() + history.damaged.len();
        prop_assert!(told > 0);
        drop(serde_json::to_string(&history).expect("plain data"));
        match checkpoints.advise(&objectives) {
            Ok(advice) => drop(format!("{advice} {advice:?}")),
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Invalid),
        }
    }
}
