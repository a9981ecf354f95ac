//! Frames of entries as RocksDB holds them: how state goes from there to another backend.

use super::{Namespace, RAW, Reader, check, frame, put_place};
use crate::error::Result;
use crate::key::{Key, hash_of};
use crate::state::rocks;
use crate::state::span::HashSpan;
use crate::state::types::State;

/// Entries as RocksDB holds them, on their way into a frame.
#[derive(Default)]
pub(crate) struct RawEntries {
    bytes: Vec<u8>,
    span: Option<HashSpan>,
    count: u32,
}

impl RawEntries {
    pub(crate) fn len(&self) -> usize {
        self.count as usize
    }

    pub(crate) fn push(&mut self, hash: u64, key: &[u8], value: &[u8]) {
        for part in [key, value] {
            self.bytes.extend((part.len() as u32).to_le_bytes());
            self.bytes.extend_from_slice(part);
        }
        self.span = Some(self.span.map_or(HashSpan::of(hash), |span| span.with(hash)));
        self.count += 1;
    }

    /// Appends the frame, and begins the next one.
    pub(crate) fn encode(&mut self, namespace: Namespace, bytes: &mut Vec<u8>) {
        let Self {
            bytes: entries,
            span,
            count,
        } = std::mem::take(self);
        if let Some(span) = span {
            frame(bytes, RAW, |bytes| {
                put_place(bytes, namespace, span);
                bytes.extend(count.to_le_bytes());
                bytes.extend(entries);
            });
        }
    }
}

impl Reader<'_> {
    pub(super) fn raw_items<K: Key, V: State>(
        &mut self,
        span: HashSpan,
    ) -> Result<Vec<(u64, K, V)>> {
        let count = self.u32()?;
        let mut entries = Vec::new();
        for _ in 0..count {
            let mut part = || {
                let length = self.u32()? as usize;
                self.take(length)
            };
            let (key, _) = rocks::take::<K>(part()?)?;
            let (value, _) = rocks::take(part()?)?;
            let hash = hash_of(&key);
            check(span, hash)?;
            entries.push((hash, key, value));
        }
        self.end()?;
        Ok(entries)
    }
}
