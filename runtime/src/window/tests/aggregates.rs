//! The built-in aggregates.

use crate::window::{Aggregate, Aggregates};

fn check<T, A: Aggregate<T>>(aggregate: A, values: Vec<T>, expected: A::Out)
where
    A::Out: PartialEq + std::fmt::Debug,
{
    // In one accumulator, and merged from one for each value.
    let mut acc = aggregate.init();
    let mut merged = aggregate.init();
    for value in &values {
        aggregate.add(&mut acc, value);
        let mut one = aggregate.init();
        aggregate.add(&mut one, value);
        aggregate.merge(&mut merged, one);
    }
    assert_eq!(aggregate.finish(&acc), expected);
    assert_eq!(aggregate.finish(&merged), expected);
}

#[test]
fn aggregates_say_what_their_names_say() {
    let a = Aggregates::<i32>::new();
    check(a.count(), vec![3, 1, 4], 3);
    check(
        a.sum(|v| *v),
        vec![i32::MAX, i32::MAX],
        2 * i64::from(i32::MAX),
    );
    check(a.sum(|v| f64::from(*v)), vec![1, 2], 3.0);
    check(a.min(|v| *v), vec![3, 1, 4], 1);
    check(a.max(|v| format!("{v}")), vec![3, 10], "3".to_owned());
    check(a.mean(|v| *v), vec![1, 2], 1.5);
    let all = (
        a.count(),
        a.sum(|v| *v),
        a.min(|v| *v),
        a.max(|v| *v),
        a.mean(|v| *v),
        a.count(),
        a.count(),
        a.count(),
    );
    check(all, vec![2, 4], (2, 6, 2, 4, 3.0, 2, 2, 2));
}

#[test]
fn floats_compare_by_their_total_order() {
    let a = Aggregates::<f64>::new();
    check(a.max(|v| *v), vec![1.0, f64::INFINITY, -1.0], f64::INFINITY);
    check(a.min(|v| *v), vec![1.0, -0.0, 0.0], -0.0);
}

#[test]
#[should_panic(expected = "a sum of `i64` values leaves `i64`")]
fn a_sum_that_leaves_its_type_panics_with_its_name() {
    check(Aggregates::<i64>::new().sum(|v| *v), vec![i64::MAX, 1], 0);
}
