//! What a window does with its records: one contract over `aggregate`, `reduce` and `fold`.

use std::marker::PhantomData;

use crate::state::State;

use super::aggregate::Aggregate;

/// Collects the records of a window, one by one.
///
/// Users write an [`Aggregate`], or the closure of a `reduce` or a `fold`; this is what the three have
/// in common for windows.
pub trait Aggregator<T>: 'static {
    /// What is remembered of the records so far.
    type Acc: State;
    /// The result.
    type Out: 'static;

    /// The accumulator of one record.
    fn first(&self, value: T) -> Self::Acc;

    /// Adds a record.
    fn add(&self, acc: &mut Self::Acc, value: T);

    /// The accumulator of one record that other windows need too.
    fn first_shared(&self, value: &T) -> Self::Acc;

    /// Adds a record that other windows need too.
    fn add_shared(&self, acc: &mut Self::Acc, value: &T);

    /// The result. The accumulator stays.
    fn finish(&self, acc: &Self::Acc) -> Self::Out;
}

/// An aggregator whose accumulators merge, as those of sessions do.
#[diagnostic::on_unimplemented(
    message = "`fold` does not work on session windows",
    label = "session windows merge, and so must what is computed in them",
    note = "use `reduce(..)`, or `aggregate(..)` with a type that implements `Aggregate`, whose `merge` joins two accumulators"
)]
pub trait MergingAggregator<T>: Aggregator<T> {
    /// Adds the records of another accumulator.
    fn merge(&self, acc: &mut Self::Acc, other: Self::Acc);
}

/// The aggregator of `aggregate(..)`.
#[derive(Clone, Copy, Debug)]
pub struct ByAggregate<A>(pub A);

impl<T, A: Aggregate<T>> Aggregator<T> for ByAggregate<A> {
    type Acc = A::Acc;
    type Out = A::Out;

    #[inline]
    fn first(&self, value: T) -> A::Acc {
        self.first_shared(&value)
    }

    #[inline]
    fn add(&self, acc: &mut A::Acc, value: T) {
        self.0.add(acc, &value);
    }

    #[inline]
    fn first_shared(&self, value: &T) -> A::Acc {
        let mut acc = self.0.init();
        self.0.add(&mut acc, value);
        acc
    }

    #[inline]
    fn add_shared(&self, acc: &mut A::Acc, value: &T) {
        self.0.add(acc, value);
    }

    fn finish(&self, acc: &A::Acc) -> A::Out {
        self.0.finish(acc)
    }
}

impl<T, A: Aggregate<T>> MergingAggregator<T> for ByAggregate<A> {
    fn merge(&self, acc: &mut A::Acc, other: A::Acc) {
        self.0.merge(acc, other);
    }
}

/// The aggregator of `reduce(..)`: merges its second argument into its first.
#[derive(Clone, Copy, Debug)]
pub struct ByReduce<F>(pub F);

impl<T: State, F: Fn(&mut T, T) + 'static> Aggregator<T> for ByReduce<F> {
    type Acc = T;
    type Out = T;

    #[inline]
    fn first(&self, value: T) -> T {
        value
    }

    #[inline]
    fn add(&self, acc: &mut T, value: T) {
        (self.0)(acc, value);
    }

    #[inline]
    fn first_shared(&self, value: &T) -> T {
        value.clone()
    }

    #[inline]
    fn add_shared(&self, acc: &mut T, value: &T) {
        (self.0)(acc, value.clone());
    }

    fn finish(&self, acc: &T) -> T {
        acc.clone()
    }
}

impl<T: State, F: Fn(&mut T, T) + 'static> MergingAggregator<T> for ByReduce<F> {
    fn merge(&self, acc: &mut T, other: T) {
        (self.0)(acc, other);
    }
}

/// The aggregator of `fold(..)`: adds each record to a value that begins as `init`.
#[derive(Clone, Copy, Debug)]
pub struct ByFold<A, F, T> {
    init: A,
    fold: F,
    records: PhantomData<fn(T)>,
}

impl<A: State, F: Fn(&mut A, T) + 'static, T> ByFold<A, F, T> {
    /// A fold from `init`, by `fold`.
    pub const fn new(init: A, fold: F) -> Self {
        Self {
            init,
            fold,
            records: PhantomData,
        }
    }
}

impl<T: Clone + 'static, A: State, F: Fn(&mut A, T) + 'static> Aggregator<T> for ByFold<A, F, T> {
    type Acc = A;
    type Out = A;

    #[inline]
    fn first(&self, value: T) -> A {
        let mut acc = self.init.clone();
        (self.fold)(&mut acc, value);
        acc
    }

    #[inline]
    fn add(&self, acc: &mut A, value: T) {
        (self.fold)(acc, value);
    }

    #[inline]
    fn first_shared(&self, value: &T) -> A {
        self.first(value.clone())
    }

    #[inline]
    fn add_shared(&self, acc: &mut A, value: &T) {
        (self.fold)(acc, value.clone());
    }

    fn finish(&self, acc: &A) -> A {
        acc.clone()
    }
}
