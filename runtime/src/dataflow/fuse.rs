//! Stateless stages in a row, composed by types into one loop.
//!
//! A row of stages is driven push-style over a batch, and ends in a closure: no boxed closure and
//! no intermediate buffer per record. The operator that owns the row moves it into locals for each
//! activation, or the compiler keeps a conditional store per record.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use crate::key::Key;
use crate::record::{Keyed, Rec, Timed, Unkeyed, Untimed};

/// A row of stateless stages.
pub trait Stages: 'static {
    /// The record that enters the row.
    type In: 'static;
    /// The record that leaves it.
    type Out: 'static;

    /// Drains `batch` through the row into `out`.
    fn drive(&mut self, batch: &mut Vec<Self::In>, out: &mut impl FnMut(Self::Out));

    /// The bound on disorder of the `event_time` stage in the row, in milliseconds.
    fn lateness(&self) -> Option<i64>;

    /// The greatest event time seen since the last call.
    fn take_greatest_event_time(&mut self) -> Option<i64>;
}

/// The name of a stage in panics.
#[derive(Clone, Debug)]
pub struct Label(Rc<str>);

impl Label {
    /// A label with this text.
    pub fn new(label: &str) -> Self {
        Self(label.into())
    }

    /// Runs a user's closure; if it panics, [`panicked_stage`] names this stage. Costs nothing on
    /// the normal path.
    #[inline(always)]
    pub(crate) fn guard<R>(&self, call: impl FnOnce() -> R) -> R {
        let guard = Guard(self);
        let result = call();
        std::mem::forget(guard);
        result
    }
}

struct Guard<'a>(&'a Label);

impl Drop for Guard<'_> {
    #[cold]
    fn drop(&mut self) {
        PANICKED.with_borrow_mut(|stage| {
            stage.get_or_insert_with(|| self.0.0.to_string());
        });
    }
}

thread_local! {
    static PANICKED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The innermost stage whose closure panicked on this thread since the last call.
pub(crate) fn panicked_stage() -> Option<String> {
    PANICKED.with_borrow_mut(Option::take)
}

/// The empty row.
#[derive(Debug)]
pub struct Start<R>(PhantomData<fn(R) -> R>);

impl<R> Default for Start<R> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<R: 'static> Stages for Start<R> {
    type In = R;
    type Out = R;

    #[inline(always)]
    fn drive(&mut self, batch: &mut Vec<R>, out: &mut impl FnMut(R)) {
        batch.drain(..).for_each(out);
    }

    fn lateness(&self) -> Option<i64> {
        None
    }

    fn take_greatest_event_time(&mut self) -> Option<i64> {
        None
    }
}

macro_rules! stage {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<S, F> {
            before: S,
            label: Label,
            f: F,
        }

        impl<S, F> $name<S, F> {
            /// The stage behind the row `before`.
            pub fn new(before: S, label: Label, f: F) -> Self {
                Self { before, label, f }
            }
        }
    };
}

macro_rules! delegate_event_time {
    () => {
        fn lateness(&self) -> Option<i64> {
            self.before.lateness()
        }

        fn take_greatest_event_time(&mut self) -> Option<i64> {
            self.before.take_greatest_event_time()
        }
    };
}

stage!(
    /// `map`.
    Map
);

impl<S, K, E, T, U, F> Stages for Map<S, F>
where
    S: Stages<Out = Rec<K, E, T>>,
    F: Fn(T) -> U + 'static,
    K: 'static,
    E: 'static,
    U: 'static,
{
    type In = S::In;
    type Out = Rec<K, E, U>;

    #[inline(always)]
    fn drive(&mut self, batch: &mut Vec<S::In>, out: &mut impl FnMut(Self::Out)) {
        let Self { before, label, f } = self;
        before.drive(batch, &mut |Rec { key, time, value }| {
            out(Rec {
                key,
                time,
                value: label.guard(|| f(value)),
            });
        });
    }

    delegate_event_time!();
}

stage!(
    /// `filter`.
    Filter
);

impl<S, K, E, T, F> Stages for Filter<S, F>
where
    S: Stages<Out = Rec<K, E, T>>,
    F: Fn(&T) -> bool + 'static,
    K: 'static,
    E: 'static,
    T: 'static,
{
    type In = S::In;
    type Out = S::Out;

    #[inline(always)]
    fn drive(&mut self, batch: &mut Vec<S::In>, out: &mut impl FnMut(Self::Out)) {
        let Self { before, label, f } = self;
        before.drive(batch, &mut |record| {
            if label.guard(|| f(&record.value)) {
                out(record);
            }
        });
    }

    delegate_event_time!();
}

stage!(
    /// `filter_map`.
    FilterMap
);

impl<S, K, E, T, U, F> Stages for FilterMap<S, F>
where
    S: Stages<Out = Rec<K, E, T>>,
    F: Fn(T) -> Option<U> + 'static,
    K: 'static,
    E: 'static,
    U: 'static,
{
    type In = S::In;
    type Out = Rec<K, E, U>;

    #[inline(always)]
    fn drive(&mut self, batch: &mut Vec<S::In>, out: &mut impl FnMut(Self::Out)) {
        let Self { before, label, f } = self;
        before.drive(batch, &mut |Rec { key, time, value }| {
            if let Some(value) = label.guard(|| f(value)) {
                out(Rec { key, time, value });
            }
        });
    }

    delegate_event_time!();
}

stage!(
    /// `flat_map`.
    FlatMap
);

impl<S, K, E, T, I, F> Stages for FlatMap<S, F>
where
    S: Stages<Out = Rec<K, E, T>>,
    F: Fn(T) -> I + 'static,
    I: IntoIterator<Item: 'static>,
    K: Clone + 'static,
    E: Clone + 'static,
{
    type In = S::In;
    type Out = Rec<K, E, I::Item>;

    #[inline(always)]
    fn drive(&mut self, batch: &mut Vec<S::In>, out: &mut impl FnMut(Self::Out)) {
        let Self { before, label, f } = self;
        before.drive(batch, &mut |Rec { key, time, value }| {
            let mut values = label.guard(|| f(value).into_iter());
            while let Some(value) = label.guard(|| values.next()) {
                out(Rec {
                    key: key.clone(),
                    time: time.clone(),
                    value,
                });
            }
        });
    }

    delegate_event_time!();
}

stage!(
    /// `inspect`.
    Inspect
);

impl<S, K, E, T, F> Stages for Inspect<S, F>
where
    S: Stages<Out = Rec<K, E, T>>,
    F: Fn(&T) + 'static,
    K: 'static,
    E: 'static,
    T: 'static,
{
    type In = S::In;
    type Out = S::Out;

    #[inline(always)]
    fn drive(&mut self, batch: &mut Vec<S::In>, out: &mut impl FnMut(Self::Out)) {
        let Self { before, label, f } = self;
        before.drive(batch, &mut |record| {
            label.guard(|| f(&record.value));
            out(record);
        });
    }

    delegate_event_time!();
}

stage!(
    /// `key_by`.
    KeyBy
);

impl<S, K0, E, T, K, F> Stages for KeyBy<S, F>
where
    S: Stages<Out = Rec<K0, E, T>>,
    F: Fn(&T) -> K + 'static,
    K: Key,
    K0: 'static,
    E: 'static,
    T: 'static,
{
    type In = S::In;
    type Out = Rec<Keyed<K>, E, T>;

    #[inline(always)]
    fn drive(&mut self, batch: &mut Vec<S::In>, out: &mut impl FnMut(Self::Out)) {
        let Self { before, label, f } = self;
        before.drive(batch, &mut |Rec { time, value, .. }| {
            let key = Keyed(label.guard(|| f(&value)));
            out(Rec { key, time, value });
        });
    }

    delegate_event_time!();
}

/// What an `event_time` closure may return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event time",
    label = "not an event time",
    note = "return milliseconds since the Unix epoch as `i64` or `u64`, or a `std::time::SystemTime`"
)]
pub trait IntoEventTime {
    /// Milliseconds since the Unix epoch.
    fn into_millis(self) -> i64;
}

impl IntoEventTime for i64 {
    #[inline]
    fn into_millis(self) -> i64 {
        self
    }
}

impl IntoEventTime for u64 {
    #[inline]
    fn into_millis(self) -> i64 {
        i64::try_from(self).unwrap_or(i64::MAX)
    }
}

impl IntoEventTime for std::time::SystemTime {
    fn into_millis(self) -> i64 {
        match self.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        }
    }
}

/// `event_time`.
#[derive(Debug)]
pub struct EventTime<S, F> {
    before: S,
    label: Label,
    f: F,
    lateness: i64,
    greatest: i64,
}

impl<S, F> EventTime<S, F> {
    /// The stage behind the row `before`; `lateness` bounds the disorder, in milliseconds.
    pub fn new(before: S, label: Label, f: F, lateness: i64) -> Self {
        Self {
            before,
            label,
            f,
            lateness,
            greatest: i64::MIN,
        }
    }
}

impl<S, K, T, R, F> Stages for EventTime<S, F>
where
    S: Stages<Out = Rec<K, Untimed, T>>,
    F: Fn(&T) -> R + 'static,
    R: IntoEventTime,
    K: 'static,
    T: 'static,
{
    type In = S::In;
    type Out = Rec<K, Timed, T>;

    #[inline(always)]
    fn drive(&mut self, batch: &mut Vec<S::In>, out: &mut impl FnMut(Self::Out)) {
        let Self {
            before,
            label,
            f,
            greatest,
            ..
        } = self;
        before.drive(batch, &mut |Rec { key, value, .. }| {
            // The last millisecond of time means "the end"; no record may claim it.
            let time = label.guard(|| f(&value)).into_millis().min(i64::MAX - 1);
            *greatest = time.max(*greatest);
            out(Rec {
                key,
                time: Timed(time),
                value,
            });
        });
    }

    fn lateness(&self) -> Option<i64> {
        Some(self.lateness)
    }

    fn take_greatest_event_time(&mut self) -> Option<i64> {
        let greatest = std::mem::replace(&mut self.greatest, i64::MIN);
        (greatest != i64::MIN).then_some(greatest)
    }
}

/// The row of a source: its items become records without key or event time.
#[derive(Debug)]
pub struct FromSource<T>(PhantomData<fn(T) -> T>);

impl<T> Default for FromSource<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: 'static> Stages for FromSource<T> {
    type In = T;
    type Out = Rec<Unkeyed, Untimed, T>;

    #[inline(always)]
    fn drive(&mut self, batch: &mut Vec<T>, out: &mut impl FnMut(Self::Out)) {
        batch.drain(..).for_each(|value| {
            out(Rec {
                key: Unkeyed,
                time: Untimed,
                value,
            });
        });
    }

    fn lateness(&self) -> Option<i64> {
        None
    }

    fn take_greatest_event_time(&mut self) -> Option<i64> {
        None
    }
}
