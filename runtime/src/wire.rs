//! A codec between processes of one build, on the `abomonation` crate (feature `abomonation`).
//!
//! The bytes are the memory of the records: nothing is encoded, so that a batch of numbers costs a
//! copy. The price is trust. `abomonation` is unsound on bytes that it did not write itself
//! (RUSTSEC-2021-0120), and aborts on misaligned buffers; so this module
//!
//! - takes plain fixed-size types only: numbers, and arrays and tuples of them without padding (a
//!   sealed trait, whose every bit pattern is a value);
//! - reads from 16-byte aligned buffers only ([`Aligned`]);
//! - refuses bytes of another build, another type or another length before it looks at a record.
//!
//! **Never use it for snapshots**: the bytes mean nothing to another build or machine.

use abomonation::Abomonation;

use crate::error::{Error, Result};
use crate::storage::Disk;

const MAGIC: u64 = u64::from_le_bytes(*b"flowwire");
/// Magic, build, type and count, before the records.
const HEADER: usize = 32;

/// Which build wrote some bytes; processes compare it when they meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildId(u64);

impl BuildId {
    /// The id of the running executable: a checksum of its file.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the executable cannot be read.
    pub fn of_executable(disk: &dyn Disk) -> Result<Self> {
        let bytes = std::env::current_exe().and_then(|path| disk.read(&path));
        let bytes = bytes.map_err(|e| {
            Error::unavailable(format!("the running executable cannot be read: {e}"))
        })?;
        Ok(Self(xxhash_rust::xxh3::xxh3_64(&bytes)))
    }

    /// An id that two processes have agreed on otherwise.
    pub const fn new(id: u64) -> Self {
        Self(id)
    }
}

/// A plain fixed-size type: every bit pattern is a value, and no byte is padding.
pub trait Plain: sealed::Sealed + Abomonation + Copy {
    /// Fails to compile for a tuple with padding.
    const WITHOUT_PADDING: ();
    /// The shape, so that bytes of another type are refused.
    fn shape(into: &mut String);
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! plain_numbers {
    ($($t:ty),*) => {$(
        impl sealed::Sealed for $t {}
        impl Plain for $t {
            const WITHOUT_PADDING: () = ();
            fn shape(into: &mut String) {
                into.push_str(stringify!($t));
            }
        }
    )*};
}
plain_numbers!(u8, u16, u32, u64, i8, i16, i32, i64, f32, f64);

macro_rules! plain_tuples {
    ($($name:ident),+) => {
        impl<$($name: Plain),+> sealed::Sealed for ($($name,)+) {}
        impl<$($name: Plain),+> Plain for ($($name,)+) {
            const WITHOUT_PADDING: () = {
                $(let () = $name::WITHOUT_PADDING;)+
                assert!(
                    size_of::<Self>() == 0 $(+ size_of::<$name>())+,
                    "this tuple has padding, whose bytes have no value: order its parts by size, or widen them"
                );
            };
            fn shape(into: &mut String) {
                into.push('(');
                $($name::shape(into); into.push(',');)+
                into.push(')');
            }
        }
    };
}
plain_tuples!(A, B);
plain_tuples!(A, B, C);
plain_tuples!(A, B, C, D);

macro_rules! plain_arrays {
    ($($n:literal),*) => {$(
        impl<T: Plain> sealed::Sealed for [T; $n] {}
        impl<T: Plain> Plain for [T; $n] {
            const WITHOUT_PADDING: () = T::WITHOUT_PADDING;
            fn shape(into: &mut String) {
                into.push('[');
                T::shape(into);
                into.push_str(concat!(";", stringify!($n), "]"));
            }
        }
    )*};
}
plain_arrays!(1, 2, 3, 4, 8, 16, 32);

/// Bytes whose first one is 16-byte aligned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aligned {
    words: Vec<u128>,
    len: usize,
}

impl Aligned {
    /// A copy of some bytes, aligned.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let (chunks, rest) = bytes.as_chunks::<16>();
        let mut words: Vec<u128> = chunks
            .iter()
            .map(|chunk| u128::from_ne_bytes(*chunk))
            .collect();
        if !rest.is_empty() {
            let mut last = [0; 16];
            last[..rest.len()].copy_from_slice(rest);
            words.push(u128::from_ne_bytes(last));
        }
        Self {
            words,
            len: bytes.len(),
        }
    }

    /// The bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self
            .words
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        bytes.truncate(self.len);
        bytes
    }

    #[expect(unsafe_code, reason = "a view of words as bytes")]
    fn as_bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: every byte of a `u128` is initialised, `u8` has no alignment and every bit pattern
        // is one, the words are borrowed for as long as the view, and `len` is at most their bytes.
        let all = unsafe {
            std::slice::from_raw_parts_mut(
                self.words.as_mut_ptr().cast::<u8>(),
                self.words.len() * 16,
            )
        };
        &mut all[..self.len]
    }
}

/// Writes records for a process of the same build.
///
/// # Panics
///
/// Never: memory takes all that is written to it.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::wire::{BuildId, decode, encode};
///
/// let build = BuildId::new(7);
/// let bytes = encode(&[(1_u64, 2.5_f64), (3, 4.5)], build);
/// assert_eq!(decode::<(u64, f64)>(bytes, build)?, [(1, 2.5), (3, 4.5)]);
/// # Ok::<(), flowdsl_runtime::Error>(())
/// ```
pub fn encode<T: Plain>(records: &[T], build: BuildId) -> Aligned {
    let () = T::WITHOUT_PADDING;
    let mut bytes = Vec::with_capacity(HEADER + size_of_val(records));
    for word in [MAGIC, build.0, shape_of::<T>(), records.len() as u64] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    for record in records {
        #[expect(unsafe_code, reason = "what this feature is for")]
        // SAFETY: `T` is plain: it holds no pointers, and no byte of it is padding.
        let written = unsafe { abomonation::encode(record, &mut bytes) };
        written.expect("a vector takes all that is written to it");
    }
    Aligned::copy_of(&bytes)
}

/// Reads records that a process of the same build wrote.
///
/// # Errors
///
/// `Incompatible` for bytes of another build or type, `Corrupt` for bytes of another length.
pub fn decode<T: Plain>(mut bytes: Aligned, build: BuildId) -> Result<Vec<T>> {
    let () = T::WITHOUT_PADDING;
    const { assert!(align_of::<T>() <= 16) };
    let Some((header, mut records)) = bytes.as_bytes_mut().split_at_mut_checked(HEADER) else {
        return Err(Error::corrupt("a batch is shorter than its header"));
    };
    let word = |at: usize| {
        header
            .as_chunks::<8>()
            .0
            .get(at)
            .map_or(0, |bytes| u64::from_le_bytes(*bytes))
    };
    if word(0) != MAGIC || word(1) != build.0 || word(2) != shape_of::<T>() {
        return Err(Error::incompatible(
            "a batch was written by another build, or for another type: all processes of a job run one executable",
        ));
    }
    let count = usize::try_from(word(3))
        .ok()
        .filter(|count| count.checked_mul(size_of::<T>()) == Some(records.len()));
    let Some(count) = count else {
        return Err(Error::corrupt(format!(
            "a batch of {} records has {} bytes",
            word(3),
            records.len()
        )));
    };
    let mut decoded = Vec::with_capacity(count);
    for _ in 0..count {
        #[expect(unsafe_code, reason = "what this feature is for")]
        // SAFETY: `T` is plain, so that every bit pattern is a value and nothing is followed; the
        // buffer is aligned to 16, the header is 32 long, and records lie at multiples of their size,
        // which is a multiple of their alignment.
        let next = unsafe { abomonation::decode::<T>(records) };
        let Some((record, rest)) = next else {
            return Err(Error::corrupt("a batch ends within a record"));
        };
        decoded.push(*record);
        records = rest;
    }
    Ok(decoded)
}

fn shape_of<T: Plain>() -> u64 {
    let mut shape = String::new();
    T::shape(&mut shape);
    xxhash_rust::xxh3::xxh3_64(shape.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const BUILD: BuildId = BuildId::new(42);

    #[test]
    fn plain_records_come_back_as_they_were() {
        let pairs: Vec<(u64, f64)> = (0..1_000).map(|i| (i, i as f64 / 3.0)).collect();
        assert_eq!(
            decode::<(u64, f64)>(encode(&pairs, BUILD), BUILD).expect("own bytes"),
            pairs
        );
        let arrays = [[1_u16, 2, 3, 4], [5, 6, 7, 8]];
        assert_eq!(
            decode::<[u16; 4]>(encode(&arrays, BUILD), BUILD).expect("own bytes"),
            arrays
        );
        let none: [u8; 0] = [];
        assert_eq!(
            decode::<u8>(encode(&none, BUILD), BUILD).expect("own bytes"),
            none
        );
    }

    #[test]
    fn bytes_that_travelled_are_read_from_an_aligned_copy() {
        let bytes = encode(&[1_u32, 2, 3], BUILD).to_bytes();
        // As they lie in a receive buffer: one off.
        let received = [&[0], &bytes[..]].concat();
        assert_eq!(
            decode::<u32>(Aligned::copy_of(&received[1..]), BUILD).expect("own bytes"),
            [1, 2, 3]
        );
    }

    #[test]
    fn another_build_another_type_and_another_length_are_refused() {
        let bytes = encode(&[1_u64, 2], BUILD);
        let kind = |result: Result<Vec<u64>>| result.expect_err("refused").kind();
        assert_eq!(
            kind(decode(bytes.clone(), BuildId::new(43))),
            ErrorKind::Incompatible
        );
        assert_eq!(
            decode::<i64>(bytes.clone(), BUILD)
                .expect_err("refused")
                .kind(),
            ErrorKind::Incompatible
        );
        let all = bytes.to_bytes();
        for len in 0..all.len() {
            assert!(
                decode::<u64>(Aligned::copy_of(&all[..len]), BUILD).is_err(),
                "{len} bytes"
            );
        }
    }

    #[test]
    fn two_looks_at_one_executable_agree() {
        let disk = crate::storage::RealDisk;
        assert_eq!(
            BuildId::of_executable(&disk).expect("readable"),
            BuildId::of_executable(&disk).expect("readable")
        );
    }
}
