//! Bytes of state objects, read page by page: a walk goes through several objects side by side, each
//! from its beginning to its end.

use std::collections::VecDeque;

use crate::error::{Error, Result};
use crate::storage::CheckpointStorage;

/// So much is read at once, unless a frame is longer.
const PAGE: u64 = 1 << 20;

/// So many pages are kept.
const KEPT: usize = 32;

/// Pages of the objects of a storage, the last used ones.
#[derive(Debug)]
pub(super) struct Pages<'a> {
    storage: &'a dyn CheckpointStorage,
    /// The last used one in front.
    kept: VecDeque<Page>,
}

#[derive(Debug)]
struct Page {
    object: String,
    start: u64,
    bytes: Vec<u8>,
}

impl Page {
    fn get(&self, object: &str, at: u64, len: usize) -> Option<&[u8]> {
        let from = usize::try_from(at.checked_sub(self.start)?).ok()?;
        (self.object == object)
            .then(|| self.bytes.get(from..from.checked_add(len)?))
            .flatten()
    }
}

impl<'a> Pages<'a> {
    pub(super) fn of(storage: &'a dyn CheckpointStorage) -> Self {
        Self {
            storage,
            kept: VecDeque::new(),
        }
    }

    /// Some bytes of an object.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the storage does not answer, or the object was deleted meanwhile.
    pub(super) fn get(&mut self, object: &str, at: u64, len: usize) -> Result<&[u8]> {
        let holds = |page: &Page| page.get(object, at, len).is_some();
        if let Some(found) = self.kept.iter().position(holds) {
            self.kept.make_contiguous()[..=found].rotate_right(1);
        } else {
            let page = self.read(object, at, len)?;
            self.kept.truncate(KEPT - 1);
            self.kept.push_front(page);
        }
        let page = self.kept.front().and_then(|page| page.get(object, at, len));
        page.ok_or_else(|| {
            Error::unavailable(format!(
                "the state object `{object}` ends before byte {}, and was longer when it was verified",
                at + len as u64
            ))
        })
    }

    fn read(&self, object: &str, at: u64, len: usize) -> Result<Page> {
        // A page begins at a round place, so that what is in front of the first frame that is asked for is
        // not read twice.
        let start = at - at % PAGE;
        let end = (start + PAGE).max(at.saturating_add(len as u64));
        let range = start..end;
        let bytes = self.storage.read_range(object, range)?.ok_or_else(|| {
            Error::unavailable(format!(
                "the state object `{object}` is gone: has the job deleted this checkpoint meanwhile?"
            ))
        })?;
        Ok(Page {
            object: object.to_owned(),
            start,
            bytes,
        })
    }
}
