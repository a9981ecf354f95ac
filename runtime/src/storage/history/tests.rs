use super::*;
use crate::protocol::{CheckpointRecord, RunBegan, RunEnd, RunEnded};
use crate::storage::{FaultyDisk, LocalStorage, MemoryStorage};

fn checkpoint(epoch: u64) -> HistoryEntry {
    HistoryEntry::Checkpoint(Box::new(CheckpointRecord {
        epoch: Epoch(epoch),
        generation: Generation(1),
        ..CheckpointRecord::default()
    }))
}

fn writer(storage: &Arc<dyn CheckpointStorage>, generation: u64, keep: usize) -> HistoryWriter {
    HistoryWriter::new(Arc::clone(storage), (Generation(generation), 7), keep)
}

fn memory() -> Arc<dyn CheckpointStorage> {
    Arc::new(MemoryStorage::new())
}

fn write(writer: &mut HistoryWriter, entry: &HistoryEntry) {
    writer.write(entry).expect("memory takes everything");
}

#[test]
fn what_was_written_is_read_in_the_order_of_what_happened() {
    let storage = memory();
    let began = HistoryEntry::Began(RunBegan::default());
    let ended = HistoryEntry::Ended(RunEnded {
        at_unix_ms: 9,
        how: RunEnd::Stopped,
    });
    let mut second = writer(&storage, 2, 100);
    write(&mut second, &began);
    let mut first = writer(&storage, 1, 100);
    for entry in [&ended, &checkpoint(10), &checkpoint(9), &began] {
        write(&mut first, entry);
    }
    let history = read_history(&*storage).expect("memory answers");
    assert_eq!(history.damaged, []);
    let one = Generation(1);
    assert_eq!(
        history.entries,
        [
            (one, began.clone()),
            (one, checkpoint(9)),
            (one, checkpoint(10)),
            (one, ended),
            (Generation(2), began)
        ]
    );
}

#[test]
fn damaged_entries_are_told_and_the_others_read() {
    let storage = memory();
    let mut writer = writer(&storage, 1, 100);
    for epoch in 1..=4 {
        write(&mut writer, &checkpoint(epoch));
    }
    let name = |epoch| {
        names::history(HistoryKey {
            generation: Generation(1),
            event: HistoryEvent::Checkpoint(Epoch(epoch)),
        })
    };
    let whole = storage
        .read(&name(1))
        .expect("memory answers")
        .expect("it was written");
    let mut flipped = whole.clone();
    *flipped.last_mut().expect("it has bytes") ^= 1;
    let damages = [flipped, whole[..whole.len() - 1].to_vec(), whole];
    for (epoch, bytes) in (2..).zip(damages) {
        storage
            .note(&name(epoch), &bytes)
            .expect("memory takes everything");
    }
    storage
        .note("history/who-knows", b"what")
        .expect("memory takes everything");
    let history = read_history(&*storage).expect("memory answers");
    assert_eq!(history.entries.len(), 1);
    let damaged: Vec<_> = history.damaged.iter().map(|d| d.name.clone()).collect();
    assert_eq!(damaged, [name(2), name(3), name(4)]);
    assert_eq!(
        history.damaged[2].reason,
        "it is another entry than its name says"
    );
}

#[test]
fn surplus_entries_are_looked_for_at_the_beginning_and_now_and_then() {
    let storage = memory();
    let mut writer = writer(&storage, 1, 4);
    let mut looks = Vec::new();
    for epoch in 1..=40 {
        write(&mut writer, &checkpoint(epoch));
        let surplus = writer.surplus().expect("memory answers");
        if !surplus.is_empty() {
            looks.push((epoch, surplus.len()));
            storage.delete(&surplus).expect("memory answers");
        }
    }
    assert_eq!(looks, [(17, 13), (33, 16)]);
    let kept = list(&*storage).expect("memory answers");
    assert_eq!(kept.len(), 11);
    assert_eq!(kept[0].event, HistoryEvent::Checkpoint(Epoch(30)));
}

#[test]
fn no_entry_is_synced() {
    let disk = FaultyDisk::new();
    let storage: Arc<dyn CheckpointStorage> =
        Arc::new(LocalStorage::new(Arc::new(disk.clone()), "/checkpoints"));
    let mut writer = writer(&storage, 1, 100);
    write(&mut writer, &checkpoint(1));
    let history = read_history(&*storage).expect("the disk answers");
    assert_eq!(history.entries.len(), 1);
    let files = disk.durable_paths();
    assert!(files.is_empty(), "{files:?}");
}
