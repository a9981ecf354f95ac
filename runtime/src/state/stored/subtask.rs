//! The stored state of one keyed subtask, in whichever backend it was: table by table, slice by slice.

use super::Stored;
use super::chain::{Live, StoredChain, is_of_rocksdb};
use super::database::StoredDatabase;
use super::pages::Pages;
use super::shape::{StageShape, Table};
use super::slices::{Extent, Slices};
use crate::error::{Error, Result};
use crate::protocol::SubtaskSnapshot;
use crate::state::frames::Namespace;
use crate::state::span::HashSpan;

/// The state of one subtask.
#[derive(Debug)]
pub(super) struct StoredSubtask<'a> {
    /// The hashes of its key groups.
    pub(super) span: HashSpan,
    chain: StoredChain<'a>,
    /// If there is one, all entries are in it, and the chain has the watermark only.
    database: Option<StoredDatabase>,
}

/// What of a table of a subtask is not read yet.
#[derive(Debug)]
pub(super) enum Rest {
    Frames {
        extents: Vec<Extent>,
        slices: Slices,
    },
    Database(Option<HashSpan>),
}

impl<'a> StoredSubtask<'a> {
    /// Verifies a snapshot, and opens it.
    ///
    /// # Errors
    ///
    /// `Corrupt`, with the place, where it is not what was written; `Invalid` if it is in RocksDB, and that is not
    /// built in; `Unavailable` if the storage does not answer.
    pub(super) fn open(
        Stored { storage, dirs }: Stored<'a, '_>,
        snapshot: &'a SubtaskSnapshot,
        span: HashSpan,
        shape: &StageShape<'_>,
    ) -> Result<Self> {
        let chain = StoredChain::open(storage, snapshot, shape)?;
        let has_database = snapshot.refs.iter().any(is_of_rocksdb);
        if has_database && chain.holds_entries() {
            return Err(Error::corrupt(format!(
                "the snapshot of {} holds entries in frames and a database",
                snapshot.subtask
            )));
        }
        let open = || StoredDatabase::open(storage, snapshot, dirs()?);
        Ok(Self {
            span,
            chain,
            database: has_database.then(open).transpose()?,
        })
    }

    pub(super) fn watermark(&self) -> Option<i64> {
        self.chain.watermark
    }

    /// The tables of which there is anything.
    pub(super) fn namespaces(&self, shape: &StageShape<'_>) -> Result<Vec<Namespace>> {
        let Some(database) = &self.database else {
            return Ok(self.chain.namespaces().collect());
        };
        let namespaces = database.namespaces()?;
        match namespaces
            .iter()
            .find(|found| shape.table(**found).is_none())
        {
            None => Ok(namespaces),
            Some(unknown) => Err(Error::corrupt(format!(
                "the database has a table, {unknown:?}, of which the schema in the manifest knows nothing"
            ))),
        }
    }

    /// What is wanted of a table.
    pub(super) fn begin(&self, namespace: Namespace, wanted: HashSpan) -> Rest {
        let Some(span) = self.span.common(wanted) else {
            return Rest::Database(None);
        };
        if self.database.is_some() {
            return Rest::Database(Some(span));
        }
        let extents = self.chain.extents(namespace);
        Rest::Frames {
            slices: Slices::of(span, &extents),
            extents,
        }
    }

    /// What is alive in the next slice of a table, in the order of the hashes; `None` if there is none.
    pub(super) fn next_slice(
        &self,
        pages: &mut Pages<'_>,
        table: &Table,
        rest: &mut Rest,
    ) -> Result<Option<Live>> {
        match (rest, &self.database) {
            (Rest::Database(rest), Some(database)) => {
                let Some(span) = rest.take() else {
                    return Ok(None);
                };
                let (live, more) = database.slice(table, span)?;
                *rest = more;
                Ok(Some(live))
            }
            (Rest::Frames { extents, slices }, _) => {
                let slice = slices.next(extents);
                slice
                    .map(|slice| self.chain.live(pages, table, slice.span, &slice.frames))
                    .transpose()
            }
            (Rest::Database(_), None) => Ok(None),
        }
    }

    /// What is alive of a table in a span.
    pub(super) fn live_within(
        &self,
        pages: &mut Pages<'_>,
        table: &Table,
        span: HashSpan,
    ) -> Result<Live> {
        match &self.database {
            Some(database) => database.live_within(table, span),
            None => self.chain.live_within(pages, table, span),
        }
    }
}
