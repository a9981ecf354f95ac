//! What a handler of a `process` stage sees and does beside its states.

use crate::key::Key;
use crate::record::{Rec, Timed, Unkeyed, Untimed};

use super::accessors::Present;
use super::timers::{Timer, TimerKind, Timers};

/// Whether records have an event time: [`Timed`] or [`Untimed`].
pub trait RecordTime: Copy + 'static {
    /// Whether they have.
    const IS_TIMED: bool;

    /// The time, if there is one.
    fn event_time(self) -> Option<i64>;

    /// That of a result with an event time.
    fn at(event_time: i64) -> Self;
}

impl RecordTime for Timed {
    const IS_TIMED: bool = true;

    #[inline]
    fn event_time(self) -> Option<i64> {
        Some(self.0)
    }

    #[inline]
    fn at(event_time: i64) -> Self {
        Self(event_time)
    }
}

impl RecordTime for Untimed {
    const IS_TIMED: bool = false;

    #[inline]
    fn event_time(self) -> Option<i64> {
        None
    }

    #[inline]
    fn at(_: i64) -> Self {
        Self
    }
}

/// What a handler of a `process` stage may do beside reading and writing state.
pub struct Context<'a, K, E, U> {
    pub(super) present: &'a Present<'a, K>,
    pub(super) time: E,
    /// `None` where the stage has no handler for them.
    pub(super) timers: Option<&'a mut Timers<K>>,
    pub(super) out: &'a mut Vec<Rec<Unkeyed, E, U>>,
}

impl<'a, K: Key, E: RecordTime, U> Context<'a, K, E, U> {
    /// The key whose record or timer this is.
    pub fn key(&self) -> &'a K {
        self.present.key
    }

    /// Emits a result. Its event time is that of the record, or the time of the event-time timer; one of a
    /// processing-time timer has the watermark.
    #[inline]
    pub fn emit(&mut self, value: U) {
        self.out.push(Rec {
            key: Unkeyed,
            time: self.time,
            value,
        });
    }

    /// The processing time, in milliseconds since the Unix epoch. It stands still while a batch is
    /// handled.
    pub fn processing_time(&self) -> i64 {
        self.present.now.processing
    }

    /// Sets a timer of this key for a processing time. If it is set already, it stays one.
    ///
    /// One that is not due at the end of the input does not fire.
    ///
    /// # Panics
    ///
    /// If the stage has no handler for timers.
    pub fn set_processing_timer(&mut self, at_ms: i64) {
        self.set(Timer {
            time: at_ms,
            kind: TimerKind::Processing,
        });
    }

    /// Takes a timer of this key back, if it is set.
    ///
    /// # Panics
    ///
    /// If the stage has no handler for timers.
    pub fn delete_processing_timer(&mut self, at_ms: i64) {
        self.delete(Timer {
            time: at_ms,
            kind: TimerKind::Processing,
        });
    }

    fn set(&mut self, timer: Timer) {
        let Present { key, hash, .. } = *self.present;
        self.timers().set(hash, key, timer);
    }

    fn delete(&mut self, timer: Timer) {
        let Present { key, hash, .. } = *self.present;
        self.timers().delete(hash, key, timer);
    }

    fn timers(&mut self) -> &mut Timers<K> {
        let timers = self.timers.as_deref_mut();
        timers.expect("a stage that sets timers has a handler for them: `process_with_timers`")
    }
}

impl<K: Key, U> Context<'_, K, Timed, U> {
    /// The event time of the record, or the time of the timer, in milliseconds since the Unix epoch.
    pub fn event_time(&self) -> i64 {
        self.time.0
    }

    /// The watermark, in milliseconds since the Unix epoch: `i64::MIN` before there is one, `i64::MAX`
    /// at the end of the input.
    pub fn watermark(&self) -> i64 {
        self.present.now.watermark
    }

    /// Sets a timer of this key for an event time. If it is set already, it stays one.
    ///
    /// It is due when the watermark reaches its time. One for the past is due when the watermark next
    /// moves. At the end of the input the watermark reaches every time: a handler that sets the next of
    /// endless timers asks [`watermark`](Self::watermark) first.
    ///
    /// # Panics
    ///
    /// If the stage has no handler for timers.
    pub fn set_timer(&mut self, at_ms: i64) {
        self.set(Timer {
            time: at_ms,
            kind: TimerKind::Event,
        });
    }

    /// Takes a timer of this key back, if it is set.
    ///
    /// # Panics
    ///
    /// If the stage has no handler for timers.
    pub fn delete_timer(&mut self, at_ms: i64) {
        self.delete(Timer {
            time: at_ms,
            kind: TimerKind::Event,
        });
    }
}
