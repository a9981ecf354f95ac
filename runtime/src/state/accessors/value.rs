//! One value for each key.

use std::marker::PhantomData;

use crate::error::Result;
use crate::key::Key;
use crate::state::backend::StageBackend;
use crate::state::cells::Cells;
use crate::state::compaction::TableType;
use crate::state::frames::{Namespace, StoredTable};
use crate::state::logic::{FrozenChunk, SnapshotScope};
use crate::state::span::HashSpan;
use crate::state::ttl::{Forever, Lifetime, Now, Ttl};
use crate::state::types::State;

use super::{ClearState, Declared, Kept, Known, Names, Present, checksum};

/// Declares a value for each key, by a name that is unique in the stage.
pub fn value_state<V: State>(name: &str) -> ValueOf<V> {
    ValueOf {
        name: name.to_owned(),
        lifetime: Forever,
        values: PhantomData,
    }
}

/// A declared value; see [`value_state`].
#[derive(Clone, Debug)]
pub struct ValueOf<V, L = Forever> {
    name: String,
    lifetime: L,
    values: PhantomData<fn() -> V>,
}

impl<V: State> ValueOf<V> {
    /// Gives the value a time-to-live.
    pub fn ttl(self, ttl: Ttl) -> ValueOf<V, Ttl> {
        ValueOf {
            name: self.name,
            lifetime: ttl,
            values: PhantomData,
        }
    }
}

impl<K: Key, V: State, L: Lifetime> Declared<K> for ValueOf<V, L> {
    type Kept = KeptValue<K, V, L>;

    fn keep(self) -> Self::Kept {
        KeptValue {
            cells: Cells::new(Namespace::Value(checksum(&self.name)), self.lifetime),
            name: self.name,
        }
    }
}

/// The values of all keys.
pub struct KeptValue<K, V: State, L: Lifetime> {
    name: String,
    cells: Cells<K, V, L>,
}

#[expect(
    private_interfaces,
    reason = "nobody outside calls what is hidden in the trait"
)]
impl<K: Key, V: State, L: Lifetime> Kept<K> for KeptValue<K, V, L> {
    type View<'a> = ValueState<'a, K, V, L>;

    #[inline]
    fn view<'a>(&'a mut self, present: &'a Present<'a, K>) -> Self::View<'a> {
        ValueState {
            cells: &mut self.cells,
            present,
        }
    }

    fn describe(&self, names: &mut Names) {
        let lifetime = &self.cells.lifetime;
        let parts = vec![("value".to_owned(), lifetime.schema(V::schema()))];
        names.add(&self.name, lifetime, "ValueState", parts);
    }

    fn open(&mut self, backend: &StageBackend) {
        self.cells.open(backend);
    }

    fn resume(&mut self, namespace: Namespace) -> Result<Known> {
        self.cells.resume_if(namespace)
    }

    fn look_ahead<'k>(&mut self, keys: impl Iterator<Item = &'k K> + Clone) -> usize
    where
        K: 'k,
    {
        self.cells.look_ahead(keys)
    }

    fn entry_count(&self) -> usize {
        self.cells.len()
    }

    fn clean_up(&mut self, now: &Now) {
        self.cells.clean_up(now);
    }

    fn give_back(&mut self) {
        self.cells.give_back();
    }

    fn freeze(
        &mut self,
        scope: SnapshotScope,
        now: &Now,
        cleared: &mut Vec<(Namespace, HashSpan)>,
    ) {
        self.cells.freeze(scope, now, cleared);
    }

    fn copy_frozen(&mut self, budget: usize) -> Option<FrozenChunk> {
        self.cells.copy_frozen(budget)
    }

    fn table_types(&self, tables: &mut Vec<(Namespace, TableType)>) {
        tables.push(self.cells.table_type());
    }

    fn restore<'s>(
        &mut self,
        stored: StoredTable<'s>,
        owned: HashSpan,
    ) -> Result<Option<StoredTable<'s>>> {
        if stored.namespace != self.cells.namespace() {
            return Ok(Some(stored));
        }
        self.cells.restore(stored, owned).map(|()| None)
    }
}

/// The value of the present key.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::state::ValueState;
///
/// fn count(visits: &mut ValueState<'_, String, u64>) -> u64 {
///     *visits.or_insert(0) += 1;
///     *visits.get().unwrap_or(&0)
/// }
/// ```
pub struct ValueState<'a, K, V: State, L: Lifetime = Forever> {
    cells: &'a mut Cells<K, V, L>,
    present: &'a Present<'a, K>,
}

impl<K: Key, V: State, L: Lifetime> ValueState<'_, K, V, L> {
    /// The value, if there is one.
    #[inline]
    pub fn get(&self) -> Option<&V> {
        let Present { key, hash, now } = self.present;
        self.cells.get(*hash, *key, now)
    }

    /// The value, if there is one, to be changed.
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut V> {
        let Present { key, hash, now } = self.present;
        self.cells.get_mut(*hash, *key, now)
    }

    /// The value, to be changed; `value` if there is none.
    #[inline]
    pub fn or_insert(&mut self, value: V) -> &mut V {
        self.or_insert_with(|| value)
    }

    /// The value, to be changed; what `init` makes if there is none.
    #[inline]
    pub fn or_insert_with(&mut self, init: impl FnOnce() -> V) -> &mut V {
        let Present { key, hash, now } = self.present;
        self.cells.upsert(*hash, *key, init, now)
    }

    /// Sets the value; returns the one before.
    #[inline]
    pub fn set(&mut self, value: V) -> Option<V> {
        let Present { key, hash, now } = self.present;
        self.cells.set(*hash, *key, value, now)
    }

    /// Forgets the value, and returns it.
    pub fn take(&mut self) -> Option<V> {
        let Present { key, hash, now } = self.present;
        self.cells.remove(*hash, key, now)
    }
}

impl<K: Key, V: State, L: Lifetime> ClearState for ValueState<'_, K, V, L> {
    fn clear(&mut self) {
        self.take();
    }
}
