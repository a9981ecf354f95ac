//! Pieces of frozen tables, whichever backend they are from.

use crate::error::Result;
use crate::key::Key;
use crate::state::frames::{FrozenPiece, Namespace};
#[cfg(feature = "rocksdb")]
use crate::state::rocks::RocksPiece;
use crate::state::types::State;

/// Some of a frozen table, on its way to where the backend keeps snapshots.
pub(crate) enum Piece<K, V> {
    /// To be encoded.
    Memory(FrozenPiece<K, V>),
    /// To be written to RocksDB.
    #[cfg(feature = "rocksdb")]
    Rocks(RocksPiece<K, V>),
}

impl<K: Key, V: State> Piece<K, V> {
    /// How much of its budget the piece took.
    pub(crate) fn cost(&self) -> usize {
        match self {
            Self::Memory(piece) => piece.cost,
            #[cfg(feature = "rocksdb")]
            Self::Rocks(piece) => piece.len(),
        }
    }

    /// The bytes of keys and values, beside what they hold on the heap.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Memory(piece) => piece.size(),
            #[cfg(feature = "rocksdb")]
            Self::Rocks(piece) => piece.len() * size_of::<(K, V)>(),
        }
    }

    /// Leaves out entries that nobody asks for any more, where the piece is part of all there is.
    pub(crate) fn retain(&mut self, is_live: impl Fn(&V) -> bool) {
        match self {
            Self::Memory(piece) => {
                for entries in &mut piece.entries {
                    entries.retain(|(_, value)| is_live(value));
                }
            }
            // What RocksDB has of them is not taken back by leaving them out.
            #[cfg(feature = "rocksdb")]
            Self::Rocks(_) => drop(is_live),
        }
    }

    /// Appends the encoding of the piece to `bytes`, or writes it to RocksDB.
    pub(crate) fn encode(self, namespace: Namespace, bytes: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Memory(piece) => piece.encode(namespace, bytes),
            #[cfg(feature = "rocksdb")]
            Self::Rocks(piece) => piece.write(),
        }
    }
}
