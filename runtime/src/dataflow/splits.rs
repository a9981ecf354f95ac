//! The splits of one source subtask: which to read next, and the watermark over all of them.

use std::sync::Arc;

use crate::connector::{Fill, Source, SplitProgress, SplitReader};
use crate::error::{Error, Result};
use crate::protocol::Backlog;
use crate::record::RecordError;

/// The splits of a subtask, with their open readers.
pub(crate) struct Splits<S: Source> {
    source: Arc<S>,
    all: Vec<OpenSplit<S::Item>>,
    /// The bound on disorder, if the flow knows event times.
    lateness: Option<i64>,
    /// The most splits that are open at a time.
    most_open: usize,
    /// The split that was read last, and for how many more batches it is read without a new choice.
    current: Option<usize>,
    turns: u64,
}

struct OpenSplit<T> {
    progress: SplitProgress,
    reader: Option<Box<dyn SplitReader<Item = T>>>,
    /// Nothing to read at the last look.
    pending: bool,
    /// The turn of the last read, to close the reader that was not used for longest.
    read_at: u64,
}

/// What a read found.
pub(crate) enum Read {
    /// Records may have been read from this split.
    From(usize),
    /// No split has anything to read just now.
    Nothing,
    /// All splits have been read to their ends.
    Finished,
}

impl<S: Source> Splits<S> {
    pub(crate) fn new(
        source: Arc<S>,
        splits: Vec<SplitProgress>,
        lateness: Option<i64>,
        most_open: usize,
    ) -> Self {
        let all = splits
            .into_iter()
            .map(|progress| OpenSplit {
                progress,
                reader: None,
                pending: false,
                read_at: 0,
            })
            .collect();
        Self {
            source,
            all,
            lateness,
            most_open,
            current: None,
            turns: 0,
        }
    }

    /// Lets splits that had nothing to read be looked at again: one that is silent for a while must not
    /// be starved by others that never are.
    pub(crate) fn look_again(&mut self) {
        self.all.iter_mut().for_each(|split| split.pending = false);
    }

    /// Reads up to `limit` records of the split whose turn it is.
    pub(crate) fn read(
        &mut self,
        out: &mut Vec<S::Item>,
        errors: &mut Vec<RecordError>,
        limit: usize,
    ) -> Result<Read> {
        let at = match self.current.or_else(|| self.choose()) {
            Some(at) => at,
            None if self.is_finished() => return Ok(Read::Finished),
            None => return Ok(Read::Nothing),
        };
        self.open(at)?;
        self.turns += 1;
        let split = &mut self.all[at];
        split.read_at = self.turns;
        let reader = split.reader.as_mut().expect("the split was opened above");
        let fill = reader.fill(out, errors, limit)?;
        split.progress.promised_watermark =
            split.progress.promised_watermark.max(reader.watermark());
        match fill {
            Fill::More => self.current = self.lateness.is_none().then_some(at),
            Fill::Pending => {
                split.pending = true;
                self.current = None;
            }
            Fill::Finished => {
                split.progress.offset = Some(reader.offset());
                split.progress.finished = true;
                split.reader = None;
                self.current = None;
            }
        }
        Ok(Read::From(at))
    }

    /// The split that is furthest behind in event time, those not begun first: open windows, and
    /// so state, stay small. Without event time, one split after the other.
    fn choose(&self) -> Option<usize> {
        let lateness = self.lateness.unwrap_or(0);
        let readable = self
            .all
            .iter()
            .enumerate()
            .filter(|(_, s)| !s.progress.finished && !s.pending);
        if self.lateness.is_none() {
            return readable.map(|(at, _)| at).next();
        }
        readable
            .min_by_key(|(at, s)| (s.progress.watermark(lateness), *at))
            .map(|(at, _)| at)
    }

    fn open(&mut self, at: usize) -> Result<()> {
        if self.all[at].reader.is_some() {
            return Ok(());
        }
        if self.all.iter().filter(|s| s.reader.is_some()).count() >= self.most_open {
            let oldest = self
                .all
                .iter_mut()
                .filter(|s| s.reader.is_some())
                .min_by_key(|s| s.read_at);
            if let Some(split) = oldest {
                split.progress.offset = split.reader.as_ref().map(|r| r.offset());
                split.reader = None;
            }
        }
        let SplitProgress { split, offset, .. } = &self.all[at].progress;
        let reader = self
            .source
            .open(split, offset.as_ref())
            .map_err(|e: Error| e.context(format!("split `{}`", split.id)))?;
        self.all[at].reader = Some(reader);
        Ok(())
    }

    /// Notes the greatest event time of the records that were just read from a split.
    #[inline]
    pub(crate) fn saw_event_time(&mut self, at: usize, greatest: Option<i64>) {
        let progress = &mut self.all[at].progress;
        progress.greatest_event_time = progress.greatest_event_time.max(greatest);
    }

    /// The watermark over all splits; the end of time when all have been read.
    pub(crate) fn watermark(&self) -> i64 {
        let lateness = self.lateness;
        let of = |s: &OpenSplit<_>| match lateness {
            Some(lateness) => s.progress.watermark(lateness),
            None if s.progress.finished => i64::MAX,
            None => i64::MIN,
        };
        self.all.iter().map(of).min().unwrap_or(i64::MAX)
    }

    /// Whether any split works off input that has waited for it.
    pub(crate) fn backlog(&self) -> Backlog {
        let mut readers = self.all.iter().filter_map(|split| split.reader.as_ref());
        if readers.any(|reader| reader.backlog() == Backlog::Some) {
            Backlog::Some
        } else {
            Backlog::None
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.all.iter().all(|s| s.progress.finished)
    }

    /// How far each split has been read, for the snapshot.
    pub(crate) fn progress(&mut self) -> Vec<SplitProgress> {
        let now = |split: &mut OpenSplit<_>| {
            if let Some(reader) = &split.reader {
                split.progress.offset = Some(reader.offset());
            }
            split.progress.clone()
        };
        self.all.iter_mut().map(now).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::{Offset, Split};
    use crate::ids::SplitId;

    /// A split that never ends, and one that is silent the first time.
    struct Talkers;

    struct Talker {
        name: SplitId,
        silent: bool,
    }

    impl Source for Talkers {
        type Item = SplitId;

        fn describe(&self) -> String {
            "talkers".to_owned()
        }

        fn discover(&self) -> Result<Vec<Split>> {
            Ok(["a", "b"]
                .map(|name| Split::new(SplitId::new(name), &()))
                .into())
        }

        fn open(
            &self,
            split: &Split,
            _: Option<&Offset>,
        ) -> Result<Box<dyn SplitReader<Item = SplitId>>> {
            Ok(Box::new(Talker {
                name: split.id.clone(),
                silent: split.id == SplitId::new("a"),
            }))
        }
    }

    impl SplitReader for Talker {
        type Item = SplitId;

        fn fill(
            &mut self,
            out: &mut Vec<SplitId>,
            _: &mut Vec<RecordError>,
            _: usize,
        ) -> Result<Fill> {
            if std::mem::take(&mut self.silent) {
                return Ok(Fill::Pending);
            }
            out.push(self.name.clone());
            Ok(Fill::More)
        }

        fn offset(&self) -> Offset {
            Offset::default()
        }
    }

    /// One that was silent once was not looked at again as long as another went on, and held the
    /// watermark back for ever.
    #[test]
    fn a_split_that_was_silent_is_looked_at_again_in_the_next_slice() {
        let progress = Talkers
            .discover()
            .expect("two splits")
            .into_iter()
            .map(SplitProgress::unread)
            .collect();
        let mut splits = Splits::new(Arc::new(Talkers), progress, Some(0), 64);
        let mut slice = || {
            splits.look_again();
            let (mut out, mut errors) = (Vec::new(), Vec::new());
            for time in 0..3 {
                if let Read::From(at) = splits
                    .read(&mut out, &mut errors, 1)
                    .expect("talkers do not fail")
                {
                    splits.saw_event_time(at, Some(time));
                }
            }
            out
        };
        assert!(!slice().contains(&SplitId::new("a")), "silent at first");
        assert!(slice().contains(&SplitId::new("a")));
    }
}
