//! Reading the bytes of frames: nothing in them is trusted.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, SeqAccess, Visitor};

use super::{FRAME_LIMIT, HashSpan, LAYOUT, LogicKind, Namespace, corrupt};
use crate::error::{Error, Result};

/// The bytes not yet read.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(n)
            .ok_or_else(|| corrupt("it ends in the middle of a frame"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self
            .0
            .split_first_chunk()
            .ok_or_else(|| corrupt("it ends in the middle of a frame"))?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub(super) fn end(&self) -> Result<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(corrupt("a frame is longer than what it holds"))
        }
    }

    pub(super) fn header(&mut self, kind: LogicKind) -> Result<i64> {
        let (layout, logic, watermark) = (self.u8()?, self.u8()?, self.i64()?);
        self.end()?;
        if layout != LAYOUT {
            let message = format!(
                "keyed snapshot: layout {layout} is not known, this version reads layout {LAYOUT}"
            );
            return Err(Error::incompatible(message));
        }
        if logic != kind as u8 {
            let message = format!(
                "keyed snapshot: written by a stage of kind {logic}, read by one of kind {}",
                kind as u8
            );
            return Err(Error::incompatible(message));
        }
        Ok(watermark)
    }

    pub(super) fn place(&mut self) -> Result<(Namespace, HashSpan)> {
        let (table, end) = (self.u8()?, self.i64()?);
        let namespace = match (table, end) {
            (0, 0) => Namespace::Whole,
            (1, end) => Namespace::Waiting(end),
            (2, end) => Namespace::Fired(end),
            (3, name) => Namespace::Value(name.cast_unsigned()),
            (4, name) => Namespace::Map(name.cast_unsigned()),
            (5, name) => Namespace::Bounds(name.cast_unsigned()),
            (6, name) => Namespace::Items(name.cast_unsigned()),
            (7, 0) => Namespace::Timers,
            _ => return Err(corrupt(format!("there is no table {table}"))),
        };
        let span = HashSpan {
            first: self.u64()?,
            last: self.u64()?,
        };
        if span.first > span.last {
            return Err(corrupt("a span is empty"));
        }
        Ok((namespace, span))
    }

    pub(super) fn items<T: DeserializeOwned>(&mut self) -> Result<Vec<T>> {
        let count = self.u32()? as usize;
        if count == 0 || count > FRAME_LIMIT {
            return Err(corrupt(format!("a frame holds {count} items")));
        }
        let UpToLimit(items) = bitcode::deserialize(self.0)
            .map_err(|e| corrupt(format!("an item does not decode: {e}")))?;
        if items.len() != count {
            return Err(corrupt(format!(
                "a frame holds {} items and says {count}",
                items.len()
            )));
        }
        Ok(items)
    }
}

/// The items of a frame: no more than a frame may hold are read, whatever the bytes say. Items without a byte would
/// otherwise be read as often as a number in them says.
struct UpToLimit<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for UpToLimit<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items(PhantomData)).map(Self)
    }
}

struct Items<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut items = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(FRAME_LIMIT));
        while let Some(item) = seq.next_element()? {
            if items.len() == FRAME_LIMIT {
                return Err(A::Error::custom(format!(
                    "there are more than {FRAME_LIMIT} items"
                )));
            }
            items.push(item);
        }
        Ok(items)
    }
}
