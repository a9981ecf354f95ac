//! The merge of one table: of each key the newest word stays.

use crate::error::Result;
use crate::key::Key;
use crate::state::frames::index::{put_entries, put_removed};
use crate::state::frames::{FRAME_LIMIT, Frame, Namespace, StoredTable};
use crate::state::span::HashSpan;
use crate::state::types::State;

use super::inputs::Cleared;

/// Words about keys, or their bytes as they were stored, that wait before those are sought that nothing can
/// change any more.
const ENOUGH: usize = 8 * FRAME_LIMIT;
const ENOUGH_BYTES: usize = 4 << 20;

/// Which table is merged, and to what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Merging {
    pub(super) namespace: Namespace,
    /// Whether there is nothing older that would have to be told of removals.
    pub(super) stands_alone: bool,
    /// Bytes beyond which the result goes on in another object.
    pub(super) part_bytes: usize,
}

/// The merge of a table, whatever its types are.
pub(super) trait Merge: Send {
    /// Takes in a frame: the `sequence`-th of the chain.
    fn take(&mut self, sequence: u64, stored: StoredTable<'_>, cleared: &[Cleared]) -> Result<()>;

    /// Writes what is known of the hashes below one; of all of them for `None`. May wait until there is more.
    fn settle(&mut self, below: Option<u64>, bytes: &mut Vec<u8>) -> Result<()>;

    /// The entries that were written.
    fn entries(&self) -> u64;

    /// The words in memory.
    #[cfg(test)]
    fn waiting(&self) -> usize;
}

/// The merge of a table with these types.
pub(super) struct TableMerge<K, V> {
    merging: Merging,
    waiting: Vec<Word<K, V>>,
    /// So many words have to wait before they are looked at.
    enough: usize,
    /// The bytes that have come since.
    bytes: usize,
    entries: Vec<(K, V)>,
    removed: Vec<K>,
    written: u64,
}

/// Which frames are written.
#[derive(Clone, Copy)]
enum Frames {
    All,
    Whole,
}

/// What one snapshot says of a key.
struct Word<K, V> {
    hash: u64,
    sequence: u64,
    key: K,
    /// `None` if it is gone.
    value: Option<V>,
}

impl<K: Key, V: State> TableMerge<K, V> {
    pub(super) fn new(merging: Merging) -> Self {
        Self {
            merging,
            waiting: Vec::new(),
            enough: ENOUGH,
            bytes: 0,
            entries: Vec::new(),
            removed: Vec::new(),
            written: 0,
        }
    }

    /// The words that nothing can change any more, the newest of each key.
    fn newest(&mut self, below: Option<u64>) -> Vec<Word<K, V>> {
        // Frames come nearly in order: a sort that sees that has little to do.
        self.waiting
            .sort_by(|a, b| (a.hash, b.sequence).cmp(&(b.hash, a.sequence)));
        let end = below.map_or(self.waiting.len(), |below| {
            self.waiting.partition_point(|word| word.hash < below)
        });
        let mut newest: Vec<Word<K, V>> = Vec::with_capacity(end);
        for word in self.waiting.drain(..end) {
            let mut same = newest.iter().rev().take_while(|n| n.hash == word.hash);
            if !same.any(|newer| newer.key == word.key) {
                newest.push(word);
            }
        }
        newest
    }

    /// Writes all that is settled, or whole frames only.
    fn write(&mut self, frames: Frames, bytes: &mut Vec<u8>) -> Result<()> {
        let ready = |len: usize| match frames {
            Frames::All => len,
            Frames::Whole => len - len % FRAME_LIMIT,
        };
        let (entries, removed) = (ready(self.entries.len()), ready(self.removed.len()));
        put_removed(bytes, self.merging.namespace, &self.removed[..removed])?;
        self.removed.drain(..removed);
        put_entries(bytes, self.merging.namespace, &self.entries[..entries])?;
        self.entries.drain(..entries);
        self.written += entries as u64;
        Ok(())
    }
}

impl<K: Key, V: State> Merge for TableMerge<K, V> {
    fn take(&mut self, sequence: u64, stored: StoredTable<'_>, cleared: &[Cleared]) -> Result<()> {
        let stays = |hash: u64| {
            !cleared
                .iter()
                .any(|later| later.sequence > sequence && later.span.contains(hash))
        };
        self.bytes += stored.len();
        match stored.decode::<K, V>(HashSpan::ALL)? {
            Frame::Watermark(_) | Frame::Clear(..) => {}
            Frame::Removed(_, keys) => {
                let words = keys.into_iter().filter(|(hash, _)| stays(*hash));
                self.waiting.extend(words.map(|(hash, key)| Word {
                    hash,
                    sequence,
                    key,
                    value: None,
                }));
            }
            Frame::Entries(_, entries) => {
                let words = entries.into_iter().filter(|(hash, ..)| stays(*hash));
                self.waiting.extend(words.map(|(hash, key, value)| Word {
                    hash,
                    sequence,
                    key,
                    value: Some(value),
                }));
            }
        }
        Ok(())
    }

    fn settle(&mut self, below: Option<u64>, bytes: &mut Vec<u8>) -> Result<()> {
        let is_large = self.bytes >= self.merging.part_bytes.min(ENOUGH_BYTES);
        if below.is_some() && self.waiting.len() < self.enough && !is_large {
            return Ok(());
        }
        for word in self.newest(below) {
            match word.value {
                Some(value) => self.entries.push((word.key, value)),
                None if self.merging.stands_alone => {}
                None => self.removed.push(word.key),
            }
        }
        self.enough = ENOUGH + 2 * self.waiting.len();
        self.bytes = 0;
        // Where entries are large, few of them make a frame.
        let frames = if below.is_none() || is_large {
            Frames::All
        } else {
            Frames::Whole
        };
        self.write(frames, bytes)
    }

    fn entries(&self) -> u64 {
        self.written
    }

    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.waiting.len() + self.entries.len() + self.removed.len()
    }
}
