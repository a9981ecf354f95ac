//! The values that `sum`, `mean`, `min` and `max` understand.

use std::cmp::Ordering;

use crate::state::State;

/// A value that `sum` adds up.
///
/// Signed integers of up to 64 bits sum up in an `i64`, unsigned ones in a `u64`, 128-bit ones and
/// floats in their own type. A sum of integers that leaves its type panics, and so ends the job: a
/// wrapped sum would be silently wrong. Sums of floats depend in their last bits on the order.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be summed",
    label = "not a number that `sum` adds up",
    note = "`sum(|x| ..)` takes a closure that returns an integer or a float by value"
)]
pub trait Summand: 'static {
    /// The type of the sum.
    type Sum: State + Default;

    /// Adds the value to a sum.
    fn add_to(self, sum: &mut Self::Sum);

    /// Adds a sum to a sum.
    fn merge(sum: &mut Self::Sum, other: Self::Sum);
}

macro_rules! integer_summands {
    ($sum:ty: $($t:ty),*) => {$(
        impl Summand for $t {
            type Sum = $sum;

            #[inline]
            fn add_to(self, sum: &mut $sum) {
                Self::merge(sum, <$sum>::from(self));
            }

            #[inline]
            fn merge(sum: &mut $sum, other: $sum) {
                let total = sum.checked_add(other);
                *sum = total.expect(concat!("a sum of `", stringify!($t), "` values leaves `", stringify!($sum), "`: sum a wider type, such as `i128`"));
            }
        }
    )*};
}
integer_summands!(i64: i8, i16, i32, i64);
integer_summands!(u64: u8, u16, u32, u64);
integer_summands!(i128: i128);
integer_summands!(u128: u128);

macro_rules! float_summands {
    ($($t:ty),*) => {$(
        impl Summand for $t {
            type Sum = $t;

            #[inline]
            fn add_to(self, sum: &mut $t) {
                *sum += self;
            }

            #[inline]
            fn merge(sum: &mut $t, other: $t) {
                *sum += other;
            }
        }
    )*};
}
float_summands!(f32, f64);

macro_rules! size_summands {
    ($($t:ty => $wide:ty),*) => {$(
        impl Summand for $t {
            type Sum = $wide;

            #[inline]
            fn add_to(self, sum: &mut $wide) {
                (self as $wide).add_to(sum);
            }

            #[inline]
            fn merge(sum: &mut $wide, other: $wide) {
                <$wide as Summand>::merge(sum, other);
            }
        }
    )*};
}
size_summands!(usize => u64, isize => i64);

/// A value that `mean` takes the average of.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no mean",
    label = "not a number that `mean` averages",
    note = "`mean(|x| ..)` takes a closure that returns an integer or a float by value"
)]
pub trait Average: 'static {
    /// The value as a float.
    fn to_f64(self) -> f64;
}

macro_rules! averages {
    ($($t:ty),*) => {$(
        impl Average for $t {
            #[inline]
            fn to_f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}
macro_rules! exact_averages {
    ($($t:ty),*) => {$(
        impl Average for $t {
            #[inline]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
        }
    )*};
}
exact_averages!(u8, u16, u32, i8, i16, i32, f32, f64);
averages!(u64, usize, i64, isize, u128, i128);

/// A value that `min` and `max` compare: as [`Ord`] does, and floats by their total order.
///
/// # Examples
///
/// ```
/// # use flowdsl_runtime::schema::Schema;
/// # use flowdsl_runtime::state::State;
/// use flowdsl_runtime::window::Ordered;
///
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
/// enum Severity { Low, High }
///
/// # impl State for Severity { fn schema() -> Schema { Schema::plain("Severity") } }
/// impl Ordered for Severity {
///     fn order(&self, other: &Self) -> std::cmp::Ordering {
///         self.cmp(other)
///     }
/// }
/// assert!(Severity::Low.order(&Severity::High).is_lt());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no order that `min` and `max` know",
    label = "cannot be compared",
    note = "`min(|x| ..)` and `max(|x| ..)` take a closure that returns an owned value: a number, a `String`, a tuple of them; clone what is borrowed",
    note = "for a type of your own: `impl Ordered for {Self} {{ fn order(&self, other: &Self) -> Ordering {{ self.cmp(other) }} }}`"
)]
pub trait Ordered: State {
    /// How the two values compare.
    fn order(&self, other: &Self) -> Ordering;
}

macro_rules! ordered {
    ($by:ident: $($t:ty),*) => {$(
        impl Ordered for $t {
            #[inline]
            fn order(&self, other: &Self) -> Ordering {
                self.$by(other)
            }
        }
    )*};
}
ordered!(cmp: u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, bool, char, String, ());
ordered!(total_cmp: f32, f64);

impl<T: Ordered> Ordered for Option<T> {
    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Some(a), Some(b)) => a.order(b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        }
    }
}

macro_rules! ordered_tuples {
    ($($name:ident . $at:tt),+) => {
        impl<$($name: Ordered),+> Ordered for ($($name,)+) {
            fn order(&self, other: &Self) -> Ordering {
                Ordering::Equal$(.then_with(|| self.$at.order(&other.$at)))+
            }
        }
    };
}
ordered_tuples!(A.0);
ordered_tuples!(A.0, B.1);
ordered_tuples!(A.0, B.1, C.2);
ordered_tuples!(A.0, B.1, C.2, D.3);
