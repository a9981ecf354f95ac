//! The types of a stage's tables: all that it takes to merge their snapshots without the stage.

use std::sync::Arc;

use crate::key::Key;
use crate::state::frames::{LogicKind, Namespace};
use crate::state::types::State;

use super::merge::{Merge, Merging, TableMerge};

/// The types of the tables of a stage, to be used beside it.
#[derive(Clone)]
pub struct TableTypes {
    pub(super) kind: LogicKind,
    tables: Tables,
}

/// Makes the merge of a table.
type MakeMerge = fn(Merging) -> Box<dyn Merge>;

#[derive(Clone)]
enum Tables {
    /// All of one type.
    Alike(MakeMerge),
    /// Each of its own.
    Named(Arc<[(Namespace, MakeMerge)]>),
}

/// The type of a table.
#[derive(Clone, Copy)]
pub(crate) struct TableType(MakeMerge);

impl TableType {
    pub(crate) fn of<K: Key, V: State>() -> Self {
        Self(|merging| Box::new(TableMerge::<K, V>::new(merging)))
    }
}

impl TableTypes {
    /// Those of a stage whose tables are all of one type.
    pub(crate) fn alike<K: Key, V: State>(kind: LogicKind) -> Self {
        let TableType(make) = TableType::of::<K, V>();
        Self {
            kind,
            tables: Tables::Alike(make),
        }
    }

    /// Those of a stage that knows its tables by name.
    pub(crate) fn named(kind: LogicKind, tables: Vec<(Namespace, TableType)>) -> Self {
        let tables = tables
            .into_iter()
            .map(|(name, TableType(make))| (name, make));
        Self {
            kind,
            tables: Tables::Named(tables.collect()),
        }
    }

    /// The merge of a table; `None` if the stage has no such table.
    pub(super) fn merge(&self, merging: Merging) -> Option<Box<dyn Merge>> {
        let is_it = |(name, _): &&(Namespace, MakeMerge)| *name == merging.namespace;
        let make = match &self.tables {
            Tables::Alike(make) => *make,
            Tables::Named(tables) => tables.iter().find(is_it)?.1,
        };
        Some(make(merging))
    }
}

impl std::fmt::Debug for TableTypes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableTypes")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
