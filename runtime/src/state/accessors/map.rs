//! A map for each key, whose entries change one by one.

use std::marker::PhantomData;

use crate::error::Result;
use crate::key::Key;
use crate::state::backend::StageBackend;
use crate::state::cells::Cells;
use crate::state::compaction::TableType;
use crate::state::frames::{Namespace, StoredTable};
use crate::state::logic::{FrozenChunk, SnapshotScope};
use crate::state::part::{Part, PartOf, part_hash, parts_span};
use crate::state::span::HashSpan;
use crate::state::ttl::{Forever, Lifetime, Now, Ttl};
use crate::state::types::State;

use super::{ClearState, Declared, Kept, Known, Names, Present, checksum};

/// Declares a map for each key, by a name that is unique in the stage.
pub fn map_state<MK: Key, MV: State>(name: &str) -> MapOf<MK, MV> {
    MapOf {
        name: name.to_owned(),
        lifetime: Forever,
        entries: PhantomData,
    }
}

/// A declared map; see [`map_state`].
#[derive(Clone, Debug)]
pub struct MapOf<MK, MV, L = Forever> {
    name: String,
    lifetime: L,
    entries: PhantomData<fn() -> (MK, MV)>,
}

impl<MK: Key, MV: State> MapOf<MK, MV> {
    /// Gives each entry a time-to-live of its own.
    pub fn ttl(self, ttl: Ttl) -> MapOf<MK, MV, Ttl> {
        MapOf {
            name: self.name,
            lifetime: ttl,
            entries: PhantomData,
        }
    }
}

impl<K: Key, MK: Key, MV: State, L: Lifetime> Declared<K> for MapOf<MK, MV, L> {
    type Kept = KeptMap<K, MK, MV, L>;

    fn keep(self) -> Self::Kept {
        KeptMap {
            cells: Cells::new(Namespace::Map(checksum(&self.name)), self.lifetime),
            name: self.name,
        }
    }
}

/// The maps of all keys: one table, in which each entry of a map is one.
pub struct KeptMap<K, MK, MV: State, L: Lifetime> {
    name: String,
    cells: Cells<Part<K, MK>, MV, L>,
}

#[expect(
    private_interfaces,
    reason = "nobody outside calls what is hidden in the trait"
)]
impl<K: Key, MK: Key, MV: State, L: Lifetime> Kept<K> for KeptMap<K, MK, MV, L> {
    type View<'a> = MapState<'a, K, MK, MV, L>;

    #[inline]
    fn view<'a>(&'a mut self, present: &'a Present<'a, K>) -> Self::View<'a> {
        MapState {
            cells: &mut self.cells,
            present,
        }
    }

    fn describe(&self, names: &mut Names) {
        let lifetime = &self.cells.lifetime;
        let parts = vec![
            ("key".to_owned(), MK::schema()),
            ("value".to_owned(), lifetime.schema(MV::schema())),
        ];
        names.add(&self.name, lifetime, "MapState", parts);
    }

    fn open(&mut self, backend: &StageBackend) {
        self.cells.open(backend);
    }

    fn resume(&mut self, namespace: Namespace) -> Result<Known> {
        self.cells.resume_if(namespace)
    }

    fn look_ahead<'k>(&mut self, _: impl Iterator<Item = &'k K> + Clone) -> usize
    where
        K: 'k,
    {
        // Which of its parts a record asks for is known to the handler only.
        usize::MAX
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

/// The map of the present key.
///
/// A look-up or change costs what one entry costs, and an increment holds the entries that changed.
/// What goes over the whole map ([`iter`](Self::iter), [`is_empty`](Self::is_empty), clearing) also passes
/// about one in 65,536 of the worker's entries of other keys.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::state::MapState;
///
/// fn spent(by_shop: &mut MapState<'_, u64, String, f64>, shop: &str, amount: f64) -> f64 {
///     *by_shop.or_insert_with(&shop.to_owned(), || 0.0) += amount;
///     by_shop.iter().map(|(_, spent)| spent).sum()
/// }
/// ```
pub struct MapState<'a, K, MK, MV: State, L: Lifetime = Forever> {
    cells: &'a mut Cells<Part<K, MK>, MV, L>,
    present: &'a Present<'a, K>,
}

impl<K: Key, MK: Key, MV: State, L: Lifetime> MapState<'_, K, MK, MV, L> {
    /// The value of a key of the map, if it is there.
    #[inline]
    pub fn get(&self, of: &MK) -> Option<&MV> {
        let Present { key, hash, now } = self.present;
        self.cells
            .get(part_hash(*hash, of), PartOf::new(*key, of), now)
    }

    /// The value of a key of the map, if it is there, to be changed.
    #[inline]
    pub fn get_mut(&mut self, of: &MK) -> Option<&mut MV> {
        let Present { key, hash, now } = self.present;
        self.cells
            .get_mut(part_hash(*hash, of), PartOf::new(*key, of), now)
    }

    /// Whether the map holds a key.
    #[inline]
    pub fn contains(&self, of: &MK) -> bool {
        self.get(of).is_some()
    }

    /// The value of a key of the map, to be changed; what `init` makes if it is not there.
    #[inline]
    pub fn or_insert_with(&mut self, of: &MK, init: impl FnOnce() -> MV) -> &mut MV {
        let Present { key, hash, now } = self.present;
        self.cells
            .upsert(part_hash(*hash, of), PartOf::new(*key, of), init, now)
    }

    /// Sets the value of a key of the map; returns the one before.
    #[inline]
    pub fn insert(&mut self, of: MK, value: MV) -> Option<MV> {
        let Present { key, hash, now } = self.present;
        let part = PartOf::new(*key, &of);
        self.cells.set(part_hash(*hash, &of), part, value, now)
    }

    /// Removes a key of the map; returns its value.
    pub fn remove(&mut self, of: &MK) -> Option<MV> {
        let Present { key, hash, now } = self.present;
        let part = Part::new((*key).clone(), of.clone());
        self.cells.remove(part_hash(*hash, of), &part, now)
    }

    /// The entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&MK, &MV)> {
        let Present { key, hash, now } = self.present;
        self.cells
            .near(parts_span(*hash), now)
            .filter(|(part, _)| part.key() == *key)
            .map(|(part, value)| (part.part(), value))
    }

    /// Whether the map holds nothing.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl<K: Key, MK: Key, MV: State, L: Lifetime> ClearState for MapState<'_, K, MK, MV, L> {
    fn clear(&mut self) {
        let Present { key, hash, now } = self.present;
        let parts: Vec<_> = self
            .cells
            .keys_near(parts_span(*hash))
            .filter(|part| part.key() == *key)
            .cloned()
            .collect();
        for part in parts {
            self.cells.remove(part_hash(*hash, part.part()), &part, now);
        }
    }
}
