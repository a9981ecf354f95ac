//! A list for each key, whose items are written one by one.
//!
//! An item is an entry of its own, under its place in the list; the bounds of the list are another.
//! A push so writes two entries, however long the list is. The bounds live as long as the last item.
//! Where they have expired the list begins anew, and writes over what is left of the old items.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::key::Key;
use crate::schema::Schema;
use crate::state::backend::StageBackend;
use crate::state::cells::Cells;
use crate::state::compaction::TableType;
use crate::state::frames::{Namespace, StoredTable};
use crate::state::logic::{FrozenChunk, SnapshotScope};
use crate::state::part::{Part, PartOf, part_hash};
use crate::state::span::HashSpan;
use crate::state::ttl::{Forever, Lifetime, Now, Ttl};
use crate::state::types::State;

use super::{ClearState, Declared, Kept, Known, Names, Present, checksum};

/// Declares a list for each key, by a name that is unique in the stage.
pub fn list_state<V: State>(name: &str) -> ListOf<V> {
    ListOf {
        name: name.to_owned(),
        lifetime: Forever,
        items: PhantomData,
    }
}

/// A declared list; see [`list_state`].
#[derive(Clone, Debug)]
pub struct ListOf<V, L = Forever> {
    name: String,
    lifetime: L,
    items: PhantomData<fn() -> V>,
}

impl<V: State> ListOf<V> {
    /// Gives each item a time-to-live of its own.
    pub fn ttl(self, ttl: Ttl) -> ListOf<V, Ttl> {
        ListOf {
            name: self.name,
            lifetime: ttl,
            items: PhantomData,
        }
    }
}

impl<K: Key, V: State, L: Lifetime> Declared<K> for ListOf<V, L> {
    type Kept = KeptList<K, V, L>;

    fn keep(self) -> Self::Kept {
        let name = checksum(&self.name);
        KeptList {
            bounds: Cells::new(Namespace::Bounds(name), self.lifetime),
            items: Cells::new(Namespace::Items(name), self.lifetime),
            name: self.name,
        }
    }
}

/// The places of a list's items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Bounds {
    first: u64,
    /// The place behind the last item.
    behind: u64,
}

impl State for Bounds {
    fn schema() -> Schema {
        let place = |name: &str| (name.to_owned(), u64::schema());
        Schema::of_fields("Bounds", [place("first"), place("behind")])
    }
}

/// The lists of all keys.
pub struct KeptList<K, V: State, L: Lifetime> {
    name: String,
    bounds: Cells<K, Bounds, L>,
    items: Cells<Part<K, u64>, V, L>,
}

#[expect(
    private_interfaces,
    reason = "nobody outside calls what is hidden in the trait"
)]
impl<K: Key, V: State, L: Lifetime> Kept<K> for KeptList<K, V, L> {
    type View<'a> = ListState<'a, K, V, L>;

    #[inline]
    fn view<'a>(&'a mut self, present: &'a Present<'a, K>) -> Self::View<'a> {
        ListState {
            bounds: &mut self.bounds,
            items: &mut self.items,
            present,
        }
    }

    fn describe(&self, names: &mut Names) {
        let lifetime = &self.items.lifetime;
        let parts = vec![("item".to_owned(), lifetime.schema(V::schema()))];
        names.add(&self.name, lifetime, "ListState", parts);
    }

    fn open(&mut self, backend: &StageBackend) {
        self.bounds.open(backend);
        self.items.open(backend);
    }

    fn resume(&mut self, namespace: Namespace) -> Result<Known> {
        match self.bounds.resume_if(namespace)? {
            Known::Yes => Ok(Known::Yes),
            Known::No => self.items.resume_if(namespace),
        }
    }

    fn look_ahead<'k>(&mut self, keys: impl Iterator<Item = &'k K> + Clone) -> usize
    where
        K: 'k,
    {
        self.bounds.look_ahead(keys)
    }

    fn entry_count(&self) -> usize {
        self.items.len()
    }

    fn clean_up(&mut self, now: &Now) {
        self.bounds.clean_up(now);
        self.items.clean_up(now);
    }

    fn give_back(&mut self) {
        self.bounds.give_back();
        self.items.give_back();
    }

    fn freeze(
        &mut self,
        scope: SnapshotScope,
        now: &Now,
        cleared: &mut Vec<(Namespace, HashSpan)>,
    ) {
        self.bounds.freeze(scope, now, cleared);
        self.items.freeze(scope, now, cleared);
    }

    fn copy_frozen(&mut self, budget: usize) -> Option<FrozenChunk> {
        let bounds = self.bounds.copy_frozen(budget);
        bounds.or_else(|| self.items.copy_frozen(budget))
    }

    fn table_types(&self, tables: &mut Vec<(Namespace, TableType)>) {
        tables.extend([self.bounds.table_type(), self.items.table_type()]);
    }

    fn restore<'s>(
        &mut self,
        stored: StoredTable<'s>,
        owned: HashSpan,
    ) -> Result<Option<StoredTable<'s>>> {
        if stored.namespace == self.bounds.namespace() {
            return self.bounds.restore(stored, owned).map(|()| None);
        }
        if stored.namespace == self.items.namespace() {
            return self.items.restore(stored, owned).map(|()| None);
        }
        Ok(Some(stored))
    }
}

/// The list of the present key.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::state::ListState;
///
/// /// The mean of the last ten.
/// fn mean(last: &mut ListState<'_, u64, f64>, next: f64) -> f64 {
///     last.push(next);
///     if last.len() > 10 {
///         last.pop_first();
///     }
///     last.iter().sum::<f64>() / last.len() as f64
/// }
/// ```
pub struct ListState<'a, K, V: State, L: Lifetime = Forever> {
    bounds: &'a mut Cells<K, Bounds, L>,
    items: &'a mut Cells<Part<K, u64>, V, L>,
    present: &'a Present<'a, K>,
}

impl<K: Key, V: State, L: Lifetime> ListState<'_, K, V, L> {
    /// Adds an item at the end.
    pub fn push(&mut self, item: V) {
        let Present { key, hash, now } = self.present;
        self.skip_expired();
        let bounds = self.bounds.prolong(*hash, *key, Bounds::default, now);
        let at = bounds.behind;
        bounds.behind += 1;
        self.items
            .put(part_hash(*hash, &at), PartOf::new(*key, &at), item, now);
    }

    /// Removes the first item, and returns it.
    pub fn pop_first(&mut self) -> Option<V> {
        self.skip_expired();
        let Bounds { first, behind } = self.places()?;
        if first == behind {
            return None;
        }
        let item = self.remove(first);
        self.begin_at(first + 1);
        item
    }

    /// The items, in the order in which they were pushed.
    pub fn iter(&self) -> impl Iterator<Item = &V> {
        let Bounds { first, behind } = self.places().unwrap_or_default();
        (first..behind).filter_map(|at| self.item(at))
    }

    /// The number of items. Where they expire, it is counted.
    pub fn len(&self) -> usize {
        let Bounds { first, behind } = self.places().unwrap_or_default();
        if L::EXPIRES {
            self.iter().count()
        } else {
            (behind - first) as usize
        }
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    fn places(&self) -> Option<Bounds> {
        let Present { key, hash, now } = self.present;
        let bounds = self.bounds.get(*hash, *key, now)?;
        // Damaged bounds must not make a length that wraps around.
        (bounds.first <= bounds.behind).then_some(*bounds)
    }

    fn item(&self, at: u64) -> Option<&V> {
        let Present { key, hash, now } = self.present;
        self.items
            .get(part_hash(*hash, &at), PartOf::new(*key, &at), now)
    }

    fn remove(&mut self, at: u64) -> Option<V> {
        let Present { key, hash, now } = self.present;
        let part = Part::new((*key).clone(), at);
        self.items.remove(part_hash(*hash, &at), &part, now)
    }

    /// Lets the list begin behind the items at its beginning that have expired, or nobody could pass
    /// them quickly.
    fn skip_expired(&mut self) {
        if !L::EXPIRES {
            return;
        }
        let Some(Bounds { first, behind }) = self.places() else {
            return;
        };
        let gone = (first..behind)
            .take_while(|at| self.item(*at).is_none())
            .count() as u64;
        for at in first..first + gone {
            self.remove(at);
        }
        if gone > 0 {
            self.begin_at(first + gone);
        }
    }

    /// Lets the list begin at a place, without giving it a longer life.
    fn begin_at(&mut self, first: u64) {
        let Present { key, hash, .. } = self.present;
        if let Some(bounds) = self.bounds.touch(*hash, *key) {
            bounds.first = first;
        }
    }
}

impl<K: Key, V: State, L: Lifetime> ClearState for ListState<'_, K, V, L> {
    fn clear(&mut self) {
        let Present { key, hash, now } = self.present;
        // Items of bounds that have expired are cleaned up as what they are: expired.
        let Some(Bounds { first, behind }) = self.bounds.remove(*hash, key, now) else {
            return;
        };
        for at in first..behind {
            self.remove(at);
        }
    }
}
