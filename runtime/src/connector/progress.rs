//! What sources and sinks leave in a snapshot.

use serde::{Deserialize, Serialize};

use super::{Committable, Offset, Split};
use crate::error::{Error, Result};
use crate::ids::Epoch;

/// How far a split has been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitProgress {
    /// The split.
    pub split: Split,
    /// The next record to read; `None` if the split has not been begun.
    pub offset: Option<Offset>,
    /// The greatest event time seen, so that the watermark does not fall after a restore.
    pub greatest_event_time: Option<i64>,
    /// The watermark that the split itself has promised, for the same reason.
    pub promised_watermark: Option<i64>,
    /// Whether the split has been read to its end.
    pub finished: bool,
}

impl SplitProgress {
    /// A split of which nothing has been read.
    pub fn unread(split: Split) -> Self {
        Self {
            split,
            offset: None,
            greatest_event_time: None,
            promised_watermark: None,
            finished: false,
        }
    }

    /// The watermark of the split under a bound on disorder: no record before it follows.
    ///
    /// A split that has not been begun holds the watermark back.
    pub fn watermark(&self, lateness: i64) -> i64 {
        if self.finished {
            return i64::MAX;
        }
        let least = self
            .split
            .least_event_time
            .max(self.promised_watermark)
            .unwrap_or(i64::MIN);
        self.greatest_event_time.map_or(least, |greatest| {
            greatest.saturating_sub(lateness).max(least)
        })
    }
}

/// The snapshot of a source subtask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSnapshot {
    /// The subtask's splits.
    pub splits: Vec<SplitProgress>,
}

/// The snapshot of a transactional sink's subtask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkSnapshot {
    /// Staged output whose commit has not been reported, with the epoch that it belongs to.
    pub committables: Vec<(Epoch, Committable)>,
    /// Output that goes on in the next epoch.
    pub unfinished: Option<Vec<u8>>,
}

macro_rules! codec {
    ($name:ident, $what:literal) => {
        impl $name {
            /// The bytes for a manifest.
            pub fn encode(&self) -> Vec<u8> {
                bitcode::serialize(self).expect("a snapshot of plain data serialises to memory")
            }

            /// Reads the bytes of a manifest.
            ///
            /// # Errors
            ///
            /// `Corrupt` if they are something else.
            pub fn decode(bytes: &[u8]) -> Result<Self> {
                bitcode::deserialize(bytes).map_err(|e| {
                    Error::corrupt(format!(
                        concat!("the snapshot of a ", $what, " does not decode: {}"),
                        e
                    ))
                })
            }
        }
    };
}
codec!(SourceSnapshot, "source");
codec!(SinkSnapshot, "sink");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SplitId;

    #[test]
    fn a_split_that_was_not_begun_holds_the_watermark_back() {
        let split = |least| Split {
            id: SplitId::new("s"),
            spec: Vec::new(),
            least_event_time: least,
        };
        let mut progress = SplitProgress::unread(split(None));
        assert_eq!(progress.watermark(5), i64::MIN);
        assert_eq!(SplitProgress::unread(split(Some(7))).watermark(5), 7);
        progress.greatest_event_time = Some(100);
        assert_eq!(
            progress.watermark(5),
            95,
            "a record 5 ms behind the greatest is not late"
        );
        progress.promised_watermark = Some(97);
        assert_eq!(
            progress.watermark(5),
            97,
            "the split knows more than its records say"
        );
        progress.greatest_event_time = Some(200);
        assert_eq!(progress.watermark(5), 195, "a promise holds nothing back");
        progress.finished = true;
        assert_eq!(progress.watermark(5), i64::MAX);
    }
}
