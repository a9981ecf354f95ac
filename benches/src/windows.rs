//! The open windows of W2 on one worker, shared by the plain loop and by hand-written timely.
//!
//! A careful author keeps one small table per open window, remembers which one the last record
//! went to, and reuses tables that have been emptied.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::work::{Checksum, Reading, WINDOW_MS};

type Table = FxHashMap<u64, (u64, u64)>;

/// Sums and counts per key of the windows that have not fired.
#[derive(Default)]
pub(crate) struct OpenWindows {
    by_start: BTreeMap<u64, Table>,
    emptied: Vec<Table>,
}

impl OpenWindows {
    /// Adds records to their windows, and calls `opened` with the start of each new window.
    #[inline]
    pub(crate) fn add(&mut self, readings: &[Reading], mut opened: impl FnMut(u64)) {
        let mut rest = readings;
        while let Some(first) = rest.first() {
            let start = first.at_ms - first.at_ms % WINDOW_MS;
            let table = self.by_start.entry(start).or_insert_with(|| {
                opened(start);
                self.emptied.pop().unwrap_or_default()
            });
            let mut taken = 0;
            for reading in rest {
                // One comparison a record: a start beyond the time wraps around to a large number.
                if reading.at_ms.wrapping_sub(start) >= WINDOW_MS {
                    break;
                }
                let (sum, count) = table.entry(reading.key).or_default();
                *sum += reading.value;
                *count += 1;
                taken += 1;
            }
            rest = &rest[taken..];
        }
    }

    /// Fires the first window if it ends at or before `watermark`, and gives its start and its
    /// results: key, sum, count.
    pub(crate) fn fire(
        &mut self,
        watermark: u64,
        mut emit: impl FnMut((u64, u64, u64)),
    ) -> Option<u64> {
        let first = self.by_start.first_entry()?;
        if *first.key() + WINDOW_MS > watermark {
            return None;
        }
        let (start, mut table) = first.remove_entry();
        for (key, (sum, count)) in table.drain() {
            emit((key, sum, count));
        }
        self.emptied.push(table);
        Some(start)
    }

    /// Fires all windows that end at or before `watermark` into a checksum.
    pub(crate) fn fire_all(&mut self, watermark: u64, checksum: &mut Checksum) {
        while self
            .fire(watermark, |(_, sum, _)| {
                checksum.sum = checksum.sum.wrapping_add(sum);
                checksum.results += 1;
            })
            .is_some()
        {}
    }
}
