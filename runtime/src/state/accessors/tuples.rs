//! Several states of one stage, as a tuple.

use crate::error::Result;
use crate::key::Key;
use crate::state::backend::StageBackend;
use crate::state::compaction::TableType;
use crate::state::frames::{Namespace, StoredTable};
use crate::state::logic::{FrozenChunk, SnapshotScope};
use crate::state::span::HashSpan;
use crate::state::ttl::Now;

use super::{ClearState, Declared, Kept, Known, Names, Present};

impl<K: Key> Declared<K> for () {
    type Kept = ();

    fn keep(self) {}
}

#[expect(
    private_interfaces,
    reason = "nobody outside calls what is hidden in the trait"
)]
impl<K: Key> Kept<K> for () {
    type View<'a> = ();

    fn view<'a>(&'a mut self, _: &'a Present<'a, K>) {}

    fn describe(&self, _: &mut Names) {}

    fn open(&mut self, _: &StageBackend) {}

    fn resume(&mut self, _: Namespace) -> Result<Known> {
        Ok(Known::No)
    }

    fn look_ahead<'k>(&mut self, _: impl Iterator<Item = &'k K> + Clone) -> usize
    where
        K: 'k,
    {
        usize::MAX
    }

    fn entry_count(&self) -> usize {
        0
    }

    fn clean_up(&mut self, _: &Now) {}

    fn give_back(&mut self) {}

    fn freeze(&mut self, _: SnapshotScope, _: &Now, _: &mut Vec<(Namespace, HashSpan)>) {}

    fn copy_frozen(&mut self, _: usize) -> Option<FrozenChunk> {
        None
    }

    fn table_types(&self, _: &mut Vec<(Namespace, TableType)>) {}

    fn restore<'s>(
        &mut self,
        stored: StoredTable<'s>,
        _: HashSpan,
    ) -> Result<Option<StoredTable<'s>>> {
        Ok(Some(stored))
    }
}

impl ClearState for () {
    fn clear(&mut self) {}
}

macro_rules! tuples {
    ($($name:ident . $at:tt),*) => {
        impl<K: Key, $($name: Declared<K>),*> Declared<K> for ($($name,)*) {
            type Kept = ($($name::Kept,)*);

            fn keep(self) -> Self::Kept {
                ($(self.$at.keep(),)*)
            }
        }

        #[expect(
            private_interfaces,
            reason = "nobody outside calls what is hidden in the trait"
        )]
        impl<K: Key, $($name: Kept<K>),*> Kept<K> for ($($name,)*) {
            type View<'a> = ($($name::View<'a>,)*);

            #[inline]
            fn view<'a>(&'a mut self, present: &'a Present<'a, K>) -> Self::View<'a> {
                ($(self.$at.view(present),)*)
            }

            fn describe(&self, names: &mut Names) {
                $(self.$at.describe(names);)*
            }

            fn open(&mut self, backend: &StageBackend) {
                $(self.$at.open(backend);)*
            }

            fn resume(&mut self, namespace: Namespace) -> Result<Known> {
                $(if self.$at.resume(namespace)? == Known::Yes {
                    return Ok(Known::Yes);
                })*
                Ok(Known::No)
            }

            #[inline]
            fn look_ahead<'k>(&mut self, keys: impl Iterator<Item = &'k K> + Clone) -> usize
            where
                K: 'k,
            {
                usize::MAX $(.min(self.$at.look_ahead(keys.clone())))*
            }

            fn entry_count(&self) -> usize {
                0 $(+ self.$at.entry_count())*
            }

            fn clean_up(&mut self, now: &Now) {
                $(self.$at.clean_up(now);)*
            }

            fn give_back(&mut self) {
                $(self.$at.give_back();)*
            }

            fn freeze(
                &mut self,
                scope: SnapshotScope,
                now: &Now,
                cleared: &mut Vec<(Namespace, HashSpan)>,
            ) {
                $(self.$at.freeze(scope, now, cleared);)*
            }

            fn copy_frozen(&mut self, budget: usize) -> Option<FrozenChunk> {
                None$(.or_else(|| self.$at.copy_frozen(budget)))*
            }

            fn table_types(&self, tables: &mut Vec<(Namespace, TableType)>) {
                $(self.$at.table_types(tables);)*
            }

            fn restore<'s>(
                &mut self,
                stored: StoredTable<'s>,
                owned: HashSpan,
            ) -> Result<Option<StoredTable<'s>>> {
                $(let Some(stored) = self.$at.restore(stored, owned)? else {
                    return Ok(None);
                };)*
                Ok(Some(stored))
            }
        }

        impl<$($name: ClearState),*> ClearState for ($($name,)*) {
            fn clear(&mut self) {
                $(self.$at.clear();)*
            }
        }
    };
}
tuples!(A.0);
tuples!(A.0, B.1);
tuples!(A.0, B.1, C.2);
tuples!(A.0, B.1, C.2, D.3);
tuples!(A.0, B.1, C.2, D.3, E.4);
tuples!(A.0, B.1, C.2, D.3, E.4, F.5);
tuples!(A.0, B.1, C.2, D.3, E.4, F.5, G.6);
tuples!(A.0, B.1, C.2, D.3, E.4, F.5, G.6, H.7);
