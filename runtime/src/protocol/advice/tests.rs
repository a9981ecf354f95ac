use super::*;

const HOUR: f64 = 3_600.0;

/// `−ln(1 − u) − u` is what `u = 1 + W₀(−e^{−(1 + x)})` has to be `x` in; as a series it loses no digits.
fn residual(u: f64) -> f64 {
    let (mut sum, mut power) = (0.0, u);
    for k in 2..100_000 {
        power *= u;
        let term = power / f64::from(k);
        sum += term;
        if term < sum * 1e-17 {
            break;
        }
    }
    sum
}

#[test]
fn lamberts_w_keeps_its_digits_from_the_branch_point_to_the_far_end() {
    let mut x = 1e-14;
    while x < 6.0 {
        let u = one_and_w0(x);
        let off = (residual(u) / x - 1.0).abs();
        assert!(off < 1e-10, "x = {x:e}: 1 + W0 = {u:e}, off by {off:e}");
        x *= 1.07;
    }
    assert!(one_and_w0(0.0).abs() < f64::EPSILON);
    for far in [40.0, 700.0, 1e6] {
        assert!((one_and_w0(far) - 1.0).abs() < 1e-15, "{far}");
    }
}

#[test]
fn the_optimum_of_rare_failures_is_that_of_young() {
    for scaled in [1e-12, 1e-10, 1e-8, 1e-6] {
        let cost = 0.5_f64;
        let rate = scaled / cost;
        let young = f64::sqrt(2.0 * cost / rate);
        let off = (optimal_interval(cost, rate) / young - 1.0).abs();
        // The next term is C/3 for one interval: √(λC/2) ⋅ 2/3 of it.
        assert!(off < scaled.sqrt(), "λC = {scaled:e}: off by {off:e}");
    }
}

#[test]
fn no_interval_beside_the_optimum_is_more_useful() {
    for (cost, rate) in [
        (1e-3, 1e-6),
        (1.0, 1.0 / HOUR),
        (60.0, 1.0 / 60.0),
        (5.0, 2.0),
    ] {
        let best = optimal_interval(cost, rate);
        let useful = |interval| useful_share(interval, cost, rate, 3.0);
        for factor in [0.5, 0.9, 0.999, 1.001, 1.1, 2.0] {
            assert!(
                useful(best) >= useful(best * factor),
                "cost {cost}, rate {rate}: {best} is worse than {factor} of it"
            );
        }
    }
}

fn observed(failures: u64, hours: f64) -> Observed {
    Observed {
        failures,
        running: Duration::from_secs_f64(hours * HOUR),
    }
}

#[test]
fn the_failure_rate_begins_with_what_is_supposed_and_ends_with_what_was_seen() {
    let hours_between = |failures, hours| 1.0 / (failure_rate(&observed(failures, hours)) * HOUR);
    let about = |found: f64, expected: f64| {
        assert!((found / expected - 1.0).abs() < 0.01, "{found}, {expected}");
    };
    about(hours_between(0, 0.0), 48.0);
    about(hours_between(0, 24.0 * 30.0), 31.0 * 24.0 * 2.0);
    about(hours_between(1_000, 10_000.0), 10.0);
    assert!(
        hours_between(3, 1.0) < 8.0,
        "a young job that fails often is believed"
    );
}

/// A job whose checkpoints cost 20 ms, take 2 s and write 1 GB of 10, of which one a minute is kept three times.
fn facts() -> AdviceFacts {
    AdviceFacts {
        measured: 100,
        cost: Duration::from_millis(20),
        took: Duration::from_secs(2),
        restore: Duration::from_secs(30),
        new_bytes: 1 << 30,
        total_bytes: 10 << 30,
        retained: 3,
        interval: Some(Duration::from_secs(60)),
        observed: observed(10, 1_000.0),
    }
}

#[track_caller]
fn check(objectives: Objectives, interval_secs: f64, bound: Bound, unmet: &[Bound]) {
    let advice = advise(&facts(), &objectives);
    assert_eq!((advice.bound, &*advice.unmet), (bound, unmet), "{advice:?}");
    let found = advice.interval.as_secs_f64();
    assert!(
        (found - interval_secs).abs() < 0.05,
        "{found} instead of {interval_secs}"
    );
}

#[test]
fn nothing_binds_where_nothing_else_is_wanted() {
    let rate: f64 = 10.5 / (1_024.0 * HOUR);
    check(
        Objectives::default(),
        (2.0 * 0.02 / rate).sqrt(),
        Bound::Optimum,
        &[],
    );
}

#[test]
fn the_recovery_objective_holds_the_restore_and_what_is_read_again() {
    let within = |secs, replay_speed| Objectives {
        recovery: Some(Duration::from_secs(secs)),
        replay_speed,
        ..Objectives::default()
    };
    check(within(60, 1.0), 28.0, Bound::Recovery, &[]);
    check(within(60, 2.0), 58.0, Bound::Recovery, &[]);
    check(within(30, 9.0), 2.0, Bound::Duration, &[Bound::Recovery]);
}

#[test]
fn output_becomes_visible_with_the_checkpoint_behind_it() {
    let within = |millis| Objectives {
        output_delay: Some(Duration::from_millis(millis)),
        ..Objectives::default()
    };
    check(within(10_000), 8.0, Bound::OutputDelay, &[]);
    check(within(3_000), 2.0, Bound::Duration, &[Bound::OutputDelay]);
}

#[test]
fn the_storage_budget_holds_a_checkpoint_and_what_each_kept_one_wrote() {
    let within = |gigabytes: u64| Objectives {
        storage_bytes: Some(gigabytes << 30),
        ..Objectives::default()
    };
    // 10 GB, and 1 GB a minute three times.
    check(within(13), 60.0, Bound::Storage, &[]);
    check(within(11), 20.0, Bound::Storage, &[]);
    check(within(9), 2.0, Bound::Duration, &[Bound::Storage]);
}

#[test]
fn of_several_objectives_the_one_that_allows_least_binds() {
    let objectives = Objectives {
        recovery: Some(Duration::from_secs(42)),
        output_delay: Some(Duration::from_secs(60)),
        storage_bytes: Some(13 << 30),
        ..Objectives::default()
    };
    check(objectives, 10.0, Bound::Recovery, &[]);
}

#[test]
fn no_interval_is_shorter_than_a_checkpoint() {
    let facts = AdviceFacts {
        took: Duration::from_secs(1_000),
        ..facts()
    };
    let advice = advise(&facts, &Objectives::default());
    assert_eq!(
        (advice.interval, advice.bound),
        (facts.took, Bound::Duration)
    );
    assert!(advice.unmet.is_empty(), "nobody has asked for less");
}

#[test]
fn what_cannot_be_measured_gives_advice_without_a_panic() {
    let nothing = AdviceFacts::default();
    let objectives = Objectives {
        recovery: Some(Duration::MAX),
        output_delay: Some(Duration::ZERO),
        storage_bytes: Some(0),
        replay_speed: f64::INFINITY,
    };
    for objectives in [Objectives::default(), objectives] {
        let advice = advise(&nothing, &objectives);
        assert!(advice.interval >= Duration::from_millis(1));
    }
}

#[test]
fn the_share_of_time_that_checkpoints_cost_is_told_for_both_intervals() {
    let advice = advise(&facts(), &Objectives::default());
    let present = advice.present.expect("an interval is set");
    assert!((present.checkpoints - 0.02 / 60.0).abs() < 1e-9);
    assert!(advice.advised.checkpoints < present.checkpoints);
    let lost = |losses: Losses| losses.checkpoints + losses.failures;
    assert!(lost(advice.advised) < lost(present));
    let text = advice.to_string();
    let expected = "\
take a checkpoint every 1.98 min: least time is lost there
  at present    60.0 s  checkpoints cost 0.033 % of the time, failures 0.017 %
  advised     1.98 min  checkpoints cost 0.017 % of the time, failures 0.025 %
from 100 checkpoints, which keep the busiest worker from records for 20.0 ms and take 2.00 s in the mean,
and 10 failures in 41.7 d of running: one in 4.06 d is reckoned with";
    assert_eq!(text, expected);
}

/// Nothing was said of either: a time of zero read again at any speed was any time, and a state that does not grow was
/// within any budget.
#[test]
fn what_is_beyond_reach_is_unmet_however_fast_and_however_little_is_new() {
    let unmet = |facts: AdviceFacts, objectives: Objectives| advise(&facts, &objectives).unmet;
    let at_once = Objectives {
        recovery: Some(Duration::from_secs(10)),
        replay_speed: f64::INFINITY,
        ..Objectives::default()
    };
    assert_eq!(unmet(facts(), at_once), [Bound::Recovery]);
    let nothing_new = AdviceFacts {
        new_bytes: 0,
        ..facts()
    };
    let no_interval = AdviceFacts {
        interval: None,
        ..facts()
    };
    let within = |storage_bytes| Objectives {
        storage_bytes: Some(storage_bytes),
        ..Objectives::default()
    };
    for facts in [facts(), nothing_new, no_interval] {
        assert_eq!(unmet(facts, within(1 << 30)), [Bound::Storage]);
        assert_eq!(unmet(facts, within(1 << 40)), []);
    }
}
