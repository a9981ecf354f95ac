//! How long state is kept: for ever, or until its time-to-live is over.
//!
//! An entry with a time-to-live carries a stamp. It is asked at each look, so that what has expired
//! is never seen, whenever it is cleaned up; and there is no stamp, and no question, where nothing
//! expires.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::schema::Schema;

use super::types::State;

/// How long an entry of state is kept.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use flowdsl_runtime::state::Ttl;
///
/// let forgotten_a_day_after_the_last_change = Ttl::on_write(Duration::from_secs(86_400));
/// let an_hour_of_the_data = Ttl::on_create(Duration::from_secs(3_600)).in_event_time();
/// # let _ = (forgotten_a_day_after_the_last_change, an_hour_of_the_data);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl {
    after_ms: i64,
    since: Since,
    clock: TtlClock,
}

/// What begins the time of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Create,
    Write,
}

/// The clock by which entries expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TtlClock {
    Processing,
    Event,
}

/// The times that a stage knows while it handles a record or a timer, in milliseconds since the
/// Unix epoch.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The processing time.
    pub(crate) processing: i64,
    /// The watermark.
    pub(crate) watermark: i64,
    /// The event time of what is handled; the watermark where it has none.
    pub(crate) event_time: i64,
}

impl Ttl {
    /// An entry lives for this long from its creation on, however often it changes.
    pub fn on_create(after: Duration) -> Self {
        Self::new(after, Since::Create)
    }

    /// An entry lives for this long from its last change on.
    pub fn on_write(after: Duration) -> Self {
        Self::new(after, Since::Write)
    }

    fn new(after: Duration, since: Since) -> Self {
        Self {
            after_ms: i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            since,
            clock: TtlClock::Processing,
        }
    }

    /// Counts in event time instead of processing time: from the event time of the record or timer
    /// that made or changed the entry, until the watermark is that much later.
    pub const fn in_event_time(mut self) -> Self {
        self.clock = TtlClock::Event;
        self
    }

    const fn reading(&self, now: &Now) -> i64 {
        match self.clock {
            TtlClock::Processing => now.processing,
            TtlClock::Event => now.watermark,
        }
    }

    const fn stamp(&self, now: &Now) -> i64 {
        match self.clock {
            TtlClock::Processing => now.processing,
            TtlClock::Event => now.event_time,
        }
    }
}

/// For how long the entries of a state live: [`Forever`], or a [`Ttl`].
pub trait Lifetime: Copy + Send + sealed::Sealed + 'static {
    /// What a table holds for a value.
    type Cell<V: State>: State;

    /// Whether anything ever expires.
    #[doc(hidden)]
    const EXPIRES: bool;

    /// A cell for a value that is written now.
    #[doc(hidden)]
    fn cell<V: State>(&self, value: V, now: &Now) -> Self::Cell<V>;

    /// The value of a cell, unless it has expired.
    #[doc(hidden)]
    fn live<'c, V: State>(&self, cell: &'c Self::Cell<V>, now: &Now) -> Option<&'c V>;

    /// The value of a cell that has not expired, to be written now.
    #[doc(hidden)]
    fn write<'c, V: State>(&self, cell: &'c mut Self::Cell<V>, now: &Now) -> &'c mut V;

    /// As [`write`](Self::write), for what lives as long as the last that was written to it.
    #[doc(hidden)]
    fn renew<'c, V: State>(&self, cell: &'c mut Self::Cell<V>, now: &Now) -> &'c mut V;

    /// The value of a cell, expired or not.
    #[doc(hidden)]
    fn open<V: State>(cell: Self::Cell<V>) -> V;

    /// The value of a cell, expired or not, to be changed without giving it a longer life.
    #[doc(hidden)]
    fn inner<V: State>(cell: &mut Self::Cell<V>) -> &mut V;

    /// The schema of a cell.
    #[doc(hidden)]
    fn schema(&self, value: Schema) -> Schema;

    /// What is wrong with it, for a stage with event time or without.
    #[doc(hidden)]
    fn check(&self, is_timed: bool) -> Result<()>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Forever {}
    impl Sealed for super::Ttl {}
}

/// State that is kept until it is cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forever;

impl Lifetime for Forever {
    type Cell<V: State> = V;
    const EXPIRES: bool = false;

    #[inline]
    fn cell<V: State>(&self, value: V, _: &Now) -> V {
        value
    }

    #[inline]
    fn live<'c, V: State>(&self, cell: &'c V, _: &Now) -> Option<&'c V> {
        Some(cell)
    }

    #[inline]
    fn write<'c, V: State>(&self, cell: &'c mut V, _: &Now) -> &'c mut V {
        cell
    }

    #[inline]
    fn renew<'c, V: State>(&self, cell: &'c mut V, _: &Now) -> &'c mut V {
        cell
    }

    #[inline]
    fn open<V: State>(cell: V) -> V {
        cell
    }

    #[inline]
    fn inner<V: State>(cell: &mut V) -> &mut V {
        cell
    }

    fn schema(&self, value: Schema) -> Schema {
        value
    }

    fn check(&self, _: bool) -> Result<()> {
        Ok(())
    }
}

/// A value and when its time began, in milliseconds since the Unix epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stamped<V> {
    stamp: i64,
    value: V,
}

impl<V: State> State for Stamped<V> {
    fn schema() -> Schema {
        stamped("i64", V::schema())
    }
}

fn stamped(stamp: &str, value: Schema) -> Schema {
    let fields = vec![
        ("stamp".to_owned(), Schema::plain(stamp)),
        ("value".to_owned(), value),
    ];
    Schema::of_fields("Stamped", fields)
}

impl Lifetime for Ttl {
    type Cell<V: State> = Stamped<V>;
    const EXPIRES: bool = true;

    #[inline]
    fn cell<V: State>(&self, value: V, now: &Now) -> Stamped<V> {
        Stamped {
            stamp: self.stamp(now),
            value,
        }
    }

    #[inline]
    fn live<'c, V: State>(&self, cell: &'c Stamped<V>, now: &Now) -> Option<&'c V> {
        let is_live = cell.stamp.saturating_add(self.after_ms) > self.reading(now);
        is_live.then_some(&cell.value)
    }

    #[inline]
    fn write<'c, V: State>(&self, cell: &'c mut Stamped<V>, now: &Now) -> &'c mut V {
        match self.since {
            Since::Create => &mut cell.value,
            Since::Write => self.renew(cell, now),
        }
    }

    #[inline]
    fn renew<'c, V: State>(&self, cell: &'c mut Stamped<V>, now: &Now) -> &'c mut V {
        cell.stamp = cell.stamp.max(self.stamp(now));
        &mut cell.value
    }

    #[inline]
    fn open<V: State>(cell: Stamped<V>) -> V {
        cell.value
    }

    #[inline]
    fn inner<V: State>(cell: &mut Stamped<V>) -> &mut V {
        &mut cell.value
    }

    fn schema(&self, value: Schema) -> Schema {
        // Stamps of one clock mean nothing by the other.
        stamped(
            match self.clock {
                TtlClock::Processing => "processing time",
                TtlClock::Event => "event time",
            },
            value,
        )
    }

    fn check(&self, is_timed: bool) -> Result<()> {
        if self.after_ms == 0 {
            return Err(Error::invalid(
                "a time-to-live of less than a millisecond keeps nothing: give it a longer one",
            ));
        }
        if self.clock == TtlClock::Event && !is_timed {
            return Err(Error::invalid(
                "a time-to-live in event time needs a stream with event time: put `event_time` behind the source, or leave out `in_event_time()`",
            ));
        }
        Ok(())
    }
}
