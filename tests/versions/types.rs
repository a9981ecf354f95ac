//! The types of the job's state, as each version has them.

use std::fmt::Display;

use flowdsl::State;
use flowdsl::prelude::*;
use serde::{Deserialize, Serialize};

/// Key, event time, value.
pub(crate) type Row = (u32, i64, i64);

pub(crate) trait Keys: Key + Send + Sync {
    fn of(row: &Row) -> Self;
    fn id(&self) -> String;
}

/// The running value of a `fold`.
pub(crate) trait Totals: State + Sync {
    fn empty() -> Self;
    fn add(&mut self, row: &Row);
    fn show(&self) -> String;
}

/// A record that sessions merge.
pub(crate) trait Visits: State + Sync {
    fn of(row: &Row) -> Self;
    fn merge(&mut self, other: Self);
    fn show(&self) -> String;
}

/// A count of some width.
pub(crate) trait Counts: State + Sync {
    fn zero() -> Self;
    fn one_more(&mut self);
    fn shown(&self) -> impl Display;
}

macro_rules! counts {
    ($($t:ty),*) => {$(
        impl Counts for $t {
            fn zero() -> Self {
                0
            }
            fn one_more(&mut self) {
                *self += 1;
            }
            fn shown(&self) -> impl Display {
                *self
            }
        }
    )*};
}
counts!(u32, u64);

pub(crate) fn narrow<T: TryFrom<i64>>(value: i64) -> T {
    T::try_from(value)
        .ok()
        .expect("the values of the test are small")
}

fn or_dash<T: Display>(value: Option<T>) -> String {
    value.map_or("-".to_owned(), |value| value.to_string())
}

/// A key as it was first.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, State, Key)]
pub(crate) struct FirstKey {
    id: u32,
    even: bool,
}

impl Keys for FirstKey {
    fn of(row: &Row) -> Self {
        Self {
            id: row.0,
            even: row.0.is_multiple_of(2),
        }
    }
    fn id(&self) -> String {
        self.id.to_string()
    }
}

/// Its fields stand in another order, so that its hash is another; and it is called something else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, State, Key)]
pub(crate) struct TurnedKey {
    even: bool,
    id: u32,
}

impl Keys for TurnedKey {
    fn of(row: &Row) -> Self {
        let FirstKey { id, even } = FirstKey::of(row);
        Self { even, id }
    }
    fn id(&self) -> String {
        self.id.to_string()
    }
}

/// It is wider, so that its hash is the same.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, State, Key)]
pub(crate) struct WideKey {
    even: bool,
    pub(crate) id: u64,
}

impl Keys for WideKey {
    fn of(row: &Row) -> Self {
        let FirstKey { id, even } = FirstKey::of(row);
        let id = id.into();
        Self { even, id }
    }
    fn id(&self) -> String {
        self.id.to_string()
    }
}

/// It is a text, by a migration.
impl Keys for String {
    fn of(row: &Row) -> Self {
        format!("key {}", row.0)
    }
    fn id(&self) -> String {
        self.trim_start_matches("key ").to_owned()
    }
}

/// `Total { count, sum, kind }`, and what became of it.
macro_rules! total {
    ($version:ident: $count:ty, [$($sum:ident)?], [$($high:ident)?], [$($huge:ident)?], $($field:ident: $of:ty $(= $default:literal)?),*) => {
        pub(crate) mod $version {
            use super::*;

            #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, State)]
            pub(crate) enum Kind {
                Low,
                High,
                $($huge,)?
            }

            #[derive(Clone, Serialize, Deserialize, State)]
            pub(crate) struct Total {
                $($(#[serde(default = $default)])? $field: $of,)*
            }

            impl Totals for Total {
                fn empty() -> Self {
                    Self { count: 0, $($sum: 0,)? $($high: 0,)? kind: Kind::Low }
                }

                fn add(&mut self, (_, _, value): &Row) {
                    self.count += 1;
                    $(self.$sum += narrow::<i32>(*value);)?
                    $(self.$high += u32::from(*value > 0);)?
                    let kind = if *value < 0 { Kind::Low } else { Kind::High };
                    $(let kind = if *value > 80 { Kind::$huge } else { kind };)?
                    if kind > self.kind {
                        self.kind = kind;
                    }
                }

                fn show(&self) -> String {
                    let (sum, high): (Option<i32>, Option<u32>) = (None, None);
                    $(let sum = sum.or(Some(self.$sum));)?
                    $(let high = high.or(Some(self.$high));)?
                    format!("{},{},{},{}", self.count, or_dash(sum), or_dash(high), self.kind as u8)
                }
            }
        }
    };
}

/// How many values were high before anybody looked.
fn ten() -> u32 {
    10
}

total!(total_1: u16, [sum], [], [], count: u16, sum: i32, kind: Kind);
total!(total_2: u16, [sum], [high], [], count: u16, high: u32 = "super::ten", sum: i32, kind: Kind);
total!(total_3: u16, [], [high], [], count: u16, high: u32, kind: Kind);
total!(total_4: u16, [], [high], [], kind: Kind, high: u32, count: u16);
total!(total_5: u64, [], [high], [], kind: Kind, high: u32, count: u64);
total!(total_6: u64, [], [high], [Huge], kind: Kind, high: u32, count: u64);

/// What a window folds.
#[derive(Clone, Serialize, Deserialize, State)]
pub(crate) struct FirstAcc {
    n: u32,
}

impl Totals for FirstAcc {
    fn empty() -> Self {
        Self { n: 0 }
    }
    fn add(&mut self, _: &Row) {
        self.n += 1;
    }
    fn show(&self) -> String {
        format!("{},-", self.n)
    }
}

/// It has one more field, that needs no attribute.
#[derive(Clone, Serialize, Deserialize, State)]
pub(crate) struct Acc {
    max: Option<i64>,
    n: u32,
}

impl Totals for Acc {
    fn empty() -> Self {
        Self { max: None, n: 0 }
    }
    fn add(&mut self, (_, _, value): &Row) {
        self.n += 1;
        self.max = self.max.max(Some(*value));
    }
    fn show(&self) -> String {
        format!("{},{}", self.n, or_dash(self.max))
    }
}

/// It is wider.
#[derive(Clone, Serialize, Deserialize, State)]
pub(crate) struct WideAcc {
    max: Option<i64>,
    n: i64,
}

impl Totals for WideAcc {
    fn empty() -> Self {
        Self { max: None, n: 0 }
    }
    fn add(&mut self, (_, _, value): &Row) {
        self.n += 1;
        self.max = self.max.max(Some(*value));
    }
    fn show(&self) -> String {
        format!("{},{}", self.n, or_dash(self.max))
    }
}

/// What a session reduces.
#[derive(Clone, Serialize, Deserialize, State)]
pub(crate) struct FirstVisit {
    n: u16,
    sum: i64,
    noise: String,
}

impl Visits for FirstVisit {
    fn of((key, _, value): &Row) -> Self {
        Self {
            n: 1,
            sum: *value,
            noise: format!("noise of {key}"),
        }
    }
    fn merge(&mut self, other: Self) {
        self.n += other.n;
        self.sum += other.sum;
    }
    fn show(&self) -> String {
        format!("{},{},-", self.n, self.sum)
    }
}

/// It has lost a field, has a new one, and all of its fields have defaults.
#[derive(Clone, Serialize, Deserialize, State)]
#[serde(default)]
pub(crate) struct Visit {
    top: i64,
    n: u64,
    sum: i64,
}

impl Default for Visit {
    fn default() -> Self {
        Self {
            top: i64::MIN,
            n: 0,
            sum: 0,
        }
    }
}

impl Visits for Visit {
    fn of((_, _, value): &Row) -> Self {
        Self {
            top: *value,
            n: 1,
            sum: *value,
        }
    }
    fn merge(&mut self, other: Self) {
        self.n += other.n;
        self.sum += other.sum;
        self.top = self.top.max(other.top);
    }
    fn show(&self) -> String {
        let top = (self.top > i64::MIN).then_some(self.top);
        format!("{},{},{}", self.n, self.sum, or_dash(top))
    }
}
