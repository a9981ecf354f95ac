//! What the tests that cross crates share: where the data is, what the right answer is, and how
//! two answers are compared.
//!
//! The reference shares no code with the runtime: it reads the Parquet files itself and computes
//! from the definition of a window. A bug of ours can therefore not agree with itself here.

pub mod backends;
pub mod contract;
pub mod data;
pub mod digest;
pub mod reference;
#[cfg(feature = "object-store")]
pub mod s3;
pub mod streams;

#[cfg(test)]
mod tests;
