//! Aggregates: what a window makes of its records, value by value, in any order.

use std::marker::PhantomData;

use crate::state::State;

use super::numbers::{Average, Ordered, Summand};

/// A value computed from the records of a window.
///
/// The accumulator stands in state, and so in snapshots; the aggregate itself (with its closures)
/// does not. Accumulators merge, because sessions do.
///
/// # Examples
///
/// An aggregate of one's own, the longest of some texts:
///
/// ```
/// use flowdsl_runtime::window::Aggregate;
///
/// struct Longest;
///
/// impl Aggregate<String> for Longest {
///     type Acc = String;
///     type Out = String;
///
///     fn init(&self) -> String {
///         String::new()
///     }
///
///     fn add(&self, longest: &mut String, text: &String) {
///         if text.len() > longest.len() {
///             longest.clone_from(text);
///         }
///     }
///
///     fn merge(&self, longest: &mut String, other: String) {
///         self.add(longest, &other);
///     }
///
///     fn finish(&self, longest: &String) -> String {
///         longest.clone()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no aggregate over `{T}`",
    label = "not an aggregate over the stream's items",
    note = "aggregates are `count()`, `sum(|x| ..)`, `min(|x| ..)`, `max(|x| ..)`, `mean(|x| ..)`, tuples of up to 8 aggregates, and types that implement `Aggregate<{T}>`"
)]
pub trait Aggregate<T>: 'static {
    /// What is remembered of the records so far.
    type Acc: State;
    /// The result.
    type Out: 'static;

    /// The accumulator of no record.
    fn init(&self) -> Self::Acc;

    /// Adds a record. Called at least once before [`finish`](Self::finish).
    fn add(&self, acc: &mut Self::Acc, value: &T);

    /// Adds the records of another accumulator.
    fn merge(&self, acc: &mut Self::Acc, other: Self::Acc);

    /// The result. The accumulator stays, since a late record may fire the window again.
    fn finish(&self, acc: &Self::Acc) -> Self::Out;
}

/// Makes the built-in aggregates over items of type `T`.
///
/// It knows the item type, so that closures need no annotation:
/// `stream.aggregate(|a| (a.count(), a.mean(|flight| flight.delay)))`.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::window::{Aggregate, Aggregates};
///
/// let a = Aggregates::<(String, i32)>::new();
/// let delays = (a.count(), a.sum(|f| f.1), a.max(|f| f.1), a.mean(|f| f.1));
/// let mut acc = delays.init();
/// for flight in [("ABE".to_owned(), 10), ("ORD".to_owned(), -4)] {
///     delays.add(&mut acc, &flight);
/// }
/// assert_eq!(delays.finish(&acc), (2, 6, 10, 3.0));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Aggregates<T>(PhantomData<fn(&T)>);

impl<T> Default for Aggregates<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Aggregates<T> {
    /// A maker of aggregates over `T`.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

// The methods take `&self` for the item type alone, which closures are inferred from.
impl<T: 'static> Aggregates<T> {
    /// The number of records.
    pub fn count(&self) -> impl Aggregate<T, Acc = u64, Out = u64> + use<T> {
        Count
    }

    /// The sum of a number in each record; see [`Summand`] for its type, and for overflow.
    pub fn sum<R: Summand, F: Fn(&T) -> R + 'static>(
        &self,
        of: F,
    ) -> impl Aggregate<T, Acc = R::Sum, Out = R::Sum> + use<T, R, F> {
        Sum {
            of,
            value: PhantomData,
        }
    }

    /// The least of a value in each record.
    pub fn min<R: Ordered, F: Fn(&T) -> R + 'static>(
        &self,
        of: F,
    ) -> impl Aggregate<T, Acc = Option<R>, Out = R> + use<T, R, F> {
        Extreme {
            of,
            replaces: |new: &R, old: &R| new.order(old).is_lt(),
        }
    }

    /// The greatest of a value in each record.
    pub fn max<R: Ordered, F: Fn(&T) -> R + 'static>(
        &self,
        of: F,
    ) -> impl Aggregate<T, Acc = Option<R>, Out = R> + use<T, R, F> {
        Extreme {
            of,
            replaces: |new: &R, old: &R| new.order(old).is_gt(),
        }
    }

    /// The mean of a number in each record.
    pub fn mean<R: Average, F: Fn(&T) -> R + 'static>(
        &self,
        of: F,
    ) -> impl Aggregate<T, Acc = (f64, u64), Out = f64> + use<T, R, F> {
        Mean {
            of,
            value: PhantomData,
        }
    }
}

struct Count;

impl<T> Aggregate<T> for Count {
    type Acc = u64;
    type Out = u64;

    #[inline]
    fn init(&self) -> u64 {
        0
    }

    #[inline]
    fn add(&self, count: &mut u64, _: &T) {
        *count += 1;
    }

    fn merge(&self, count: &mut u64, other: u64) {
        *count += other;
    }

    fn finish(&self, count: &u64) -> u64 {
        *count
    }
}

struct Sum<R, F> {
    of: F,
    value: PhantomData<fn() -> R>,
}

impl<T, R: Summand, F: Fn(&T) -> R + 'static> Aggregate<T> for Sum<R, F> {
    type Acc = R::Sum;
    type Out = R::Sum;

    #[inline]
    fn init(&self) -> R::Sum {
        R::Sum::default()
    }

    #[inline]
    fn add(&self, sum: &mut R::Sum, value: &T) {
        (self.of)(value).add_to(sum);
    }

    fn merge(&self, sum: &mut R::Sum, other: R::Sum) {
        R::merge(sum, other);
    }

    fn finish(&self, sum: &R::Sum) -> R::Sum {
        sum.clone()
    }
}

/// The least or the greatest value: the first of those that no other one `replaces`.
struct Extreme<F, C> {
    of: F,
    replaces: C,
}

impl<T, R, F, C> Aggregate<T> for Extreme<F, C>
where
    R: Ordered,
    F: Fn(&T) -> R + 'static,
    C: Fn(&R, &R) -> bool + 'static,
{
    type Acc = Option<R>;
    type Out = R;

    #[inline]
    fn init(&self) -> Option<R> {
        None
    }

    #[inline]
    fn add(&self, extreme: &mut Option<R>, value: &T) {
        let new = (self.of)(value);
        if extreme
            .as_ref()
            .is_none_or(|old| (self.replaces)(&new, old))
        {
            *extreme = Some(new);
        }
    }

    fn merge(&self, extreme: &mut Option<R>, other: Option<R>) {
        let Some(new) = other else { return };
        if extreme
            .as_ref()
            .is_none_or(|old| (self.replaces)(&new, old))
        {
            *extreme = Some(new);
        }
    }

    fn finish(&self, extreme: &Option<R>) -> R {
        extreme
            .clone()
            .expect("a window that fires has at least one record")
    }
}

struct Mean<R, F> {
    of: F,
    value: PhantomData<fn() -> R>,
}

impl<T, R: Average, F: Fn(&T) -> R + 'static> Aggregate<T> for Mean<R, F> {
    type Acc = (f64, u64);
    type Out = f64;

    #[inline]
    fn init(&self) -> (f64, u64) {
        (0.0, 0)
    }

    #[inline]
    fn add(&self, acc: &mut (f64, u64), value: &T) {
        acc.0 += (self.of)(value).to_f64();
        acc.1 += 1;
    }

    fn merge(&self, acc: &mut (f64, u64), other: (f64, u64)) {
        acc.0 += other.0;
        acc.1 += other.1;
    }

    fn finish(&self, acc: &(f64, u64)) -> f64 {
        acc.0 / acc.1 as f64
    }
}

macro_rules! tuple_aggregates {
    ($($name:ident . $at:tt),+) => {
        impl<T, $($name: Aggregate<T>),+> Aggregate<T> for ($($name,)+) {
            type Acc = ($($name::Acc,)+);
            type Out = ($($name::Out,)+);

            #[inline]
            fn init(&self) -> Self::Acc {
                ($(self.$at.init(),)+)
            }

            #[inline]
            fn add(&self, acc: &mut Self::Acc, value: &T) {
                $(self.$at.add(&mut acc.$at, value);)+
            }

            fn merge(&self, acc: &mut Self::Acc, other: Self::Acc) {
                $(self.$at.merge(&mut acc.$at, other.$at);)+
            }

            fn finish(&self, acc: &Self::Acc) -> Self::Out {
                ($(self.$at.finish(&acc.$at),)+)
            }
        }
    };
}
tuple_aggregates!(A.0);
tuple_aggregates!(A.0, B.1);
tuple_aggregates!(A.0, B.1, C.2);
tuple_aggregates!(A.0, B.1, C.2, D.3);
tuple_aggregates!(A.0, B.1, C.2, D.3, E.4);
tuple_aggregates!(A.0, B.1, C.2, D.3, E.4, F.5);
tuple_aggregates!(A.0, B.1, C.2, D.3, E.4, F.5, G.6);
tuple_aggregates!(A.0, B.1, C.2, D.3, E.4, F.5, G.6, H.7);
