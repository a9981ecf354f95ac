//! A function of the user's between values that are known by their schemas.

use std::fmt;
use std::sync::Arc;

use super::Datum;
use crate::error::Result;

/// Makes a value of one schema of one of another.
#[derive(Clone)]
pub(crate) struct Convert(Arc<Function>);

type Function = dyn Fn(Datum) -> Result<Datum> + Send + Sync;

impl Convert {
    pub(crate) fn new(convert: impl Fn(Datum) -> Result<Datum> + Send + Sync + 'static) -> Self {
        Self(Arc::new(convert))
    }

    /// What becomes of a value.
    ///
    /// # Errors
    ///
    /// `Incompatible` if it is none of the first schema; `Invalid` if what is made refuses to be encoded.
    pub(crate) fn apply(&self, datum: Datum) -> Result<Datum> {
        (self.0)(datum)
    }
}

impl fmt::Debug for Convert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a function")
    }
}
