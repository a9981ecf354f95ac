//! What each version of the job is.

use flowdsl::State;
use flowdsl::prelude::*;

use crate::types::{self, Counts, Keys, Totals, Visits};

/// A version of the job.
pub(crate) trait Version: Send + Sync + 'static {
    const N: usize;
    type Key: Keys;
    type Total: Totals;
    type Acc: Totals;
    type Visit: Visits;
    type Slot: Key + Send + Sync + From<u8>;
    type Times: Counts;
    type Item: State + Sync + From<i16>;
    /// The name of the list of a `process` stage.
    const LIST: &'static str = "marks";
    /// The names of the source, of the stage that folds, and of its sink.
    const NAMES: [&'static str; 3] = ["rows", "totals", "totals_out"];

    /// What this version says of those before.
    fn changes(job: Job) -> Job {
        job
    }
    /// Stages whose state it gives up.
    const DROPPED: &'static [&'static str] = &[];
}

macro_rules! version {
    ($name:ident = $n:literal: $key:ty, $total:ident, $acc:ident, $visit:ident, $slot:ty, $times:ty, $item:ty; $($more:item)*) => {
        pub(crate) struct $name;

        impl Version for $name {
            const N: usize = $n;
            type Key = $key;
            type Total = types::$total::Total;
            type Acc = types::$acc;
            type Visit = types::$visit;
            type Slot = $slot;
            type Times = $times;
            type Item = $item;
            $($more)*
        }
    };
}

version!(First = 1: types::FirstKey, total_1, FirstAcc, FirstVisit, u8, u32, i16;);
version!(FieldAdded = 2: types::FirstKey, total_2, Acc, Visit, u8, u32, i16;);
version!(FieldRemoved = 3: types::FirstKey, total_3, Acc, Visit, u8, u32, i16;);
version!(Reordered = 4: types::TurnedKey, total_4, Acc, Visit, u8, u32, i16;);
version!(Widened = 5: types::WideKey, total_5, WideAcc, Visit, u16, u64, i64;);
version!(VariantAdded = 6: types::WideKey, total_6, WideAcc, Visit, u16, u64, i64;);
version!(StageAdded = 7: types::WideKey, total_6, WideAcc, Visit, u16, u64, i64;
    const LIST: &'static str = "recent";
    const DROPPED: &'static [&'static str] = &["notes", "never there"];
);
version!(StageRemoved = 8: types::WideKey, total_6, WideAcc, Visit, u16, u64, i64;
    const LIST: &'static str = "recent";
    const DROPPED: &'static [&'static str] = &["gone", "gone_out"];
);
version!(Renamed = 9: types::WideKey, total_6, WideAcc, Visit, u16, u64, i64;
    const LIST: &'static str = "recent";
    const NAMES: [&'static str; 3] = ["readings", "sums", "sums_out"];
    fn changes(job: Job) -> Job {
        renamed(job)
    }
);
version!(KeyMigrated = 10: String, total_6, WideAcc, Visit, u16, u64, i64;
    const LIST: &'static str = "recent";
    const NAMES: [&'static str; 3] = ["readings", "sums", "sums_out"];
    fn changes(job: Job) -> Job {
        ["sums", "windows", "visits", "notes", "largest"]
            .into_iter()
            .fold(renamed(job), |job, stage| {
                let key = |old: types::WideKey| format!("key {}", old.id);
                job.migrate(stage, Migration::key(key))
            })
    }
);

fn renamed(job: Job) -> Job {
    job.renamed("rows", "readings")
        .renamed("totals", "sums")
        .renamed("totals_out", "sums_out")
}
