//! What a snapshot gives back, to whom, and what is refused.

use std::time::Duration;

use proptest::prelude::*;

use super::stage::{Op, Workers, rec, stage};
use crate::error::{Error, ErrorKind};
use crate::record::{Keyed, Rec, Timed, Untimed};
use crate::state::testing::{share_of_all, snapshot};
use crate::state::{
    Context, Declared, Kept, KeyedLogic, NoTimers, Process, SnapshotScope, Timer, TimerKind, Ttl,
    list_state, map_state, value_state,
};

/// A stage that does nothing with its states.
fn idle<D: Declared<u64>>(declared: D) -> impl KeyedLogic {
    Process::new(
        declared,
        |_: &mut Context<'_, u64, Untimed, ()>,
         _: &mut <D::Kept as Kept<u64>>::View<'_>,
         (): ()| {},
        NoTimers,
    )
}

/// A stage with a handler for timers that does nothing.
fn with_timers<D, F>(declared: D, on_record: F) -> impl KeyedLogic<In = Rec<Keyed<u64>, Timed, u64>>
where
    D: Declared<u64>,
    F: Fn(&mut Context<'_, u64, Timed, ()>, &mut <D::Kept as Kept<u64>>::View<'_>, u64) + 'static,
{
    let idle = |_: &mut Context<'_, u64, Timed, ()>,
                _: &mut <D::Kept as Kept<u64>>::View<'_>,
                _: Timer| {};
    Process::new(declared, on_record, idle)
}

fn written() -> Vec<u8> {
    let mut logic = with_timers(
        (value_state::<u64>("a"), list_state::<u64>("b")),
        |ctx, (a, b), to| {
            a.set(to);
            b.push(to);
            ctx.set_timer(5);
        },
    );
    let mut batch = (0..100)
        .map(|key| Rec {
            key: Keyed(key),
            time: Timed(0),
            value: key,
        })
        .collect();
    logic.process(&mut batch, i64::MIN, &mut Vec::new(), &mut Vec::new());
    snapshot(&mut logic, SnapshotScope::Full)
}

fn restored<D: Declared<u64>>(declared: D) -> Result<usize, Error> {
    let mut logic = idle(declared);
    logic.restore(&written(), share_of_all())?;
    Ok(logic.len())
}

#[test]
fn states_are_found_by_their_names_in_whatever_order_they_are_declared() {
    let kept = restored((list_state::<u64>("b"), value_state::<u64>("a")));
    assert_eq!(kept.expect("the same states"), 300);
    let schema = |logic: &dyn Fn() -> crate::schema::Schema| logic().to_string();
    assert_eq!(
        schema(&|| idle((list_state::<u64>("b"), value_state::<u64>("a"))).schema()),
        schema(&|| idle((value_state::<u64>("a"), list_state::<u64>("b"))).schema()),
    );
}

#[test]
fn states_of_other_names_and_kinds_are_refused_and_the_declared_ones_named() {
    let check = |kept: Result<usize, Error>, says: &str| {
        let error = kept.expect_err("the states differ");
        assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    };
    check(restored(value_state::<u64>("a")), "`a`");
    check(
        restored((value_state::<u64>("a"), value_state::<u64>("b"))),
        "`b`: ValueState",
    );
    check(
        restored((value_state::<u64>("x"), list_state::<u64>("b"))),
        "`x`",
    );
    check(restored(()), "no state");
}

#[test]
fn the_schema_says_name_kind_types_and_clock() {
    let ttl = Ttl::on_write(Duration::from_secs(1));
    let logic = idle((
        value_state::<u64>("v"),
        map_state::<String, i64>("m").ttl(ttl),
        list_state::<bool>("l").ttl(ttl.in_event_time()),
    ));
    assert_eq!(
        logic.schema().to_string(),
        "Process { key: u64, states: States { \
         l: ListState { item: Stamped { stamp: event time, value: bool } }, \
         m: MapState { key: String, value: Stamped { stamp: processing time, value: i64 } }, \
         v: ValueState { value: u64 } } }"
    );
}

#[test]
fn two_states_of_one_name_and_what_cannot_be_counted_are_wrong() {
    let check = |error: Option<Error>, says: &str| {
        let error = error.expect("something is wrong");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(says), "{error}");
    };
    let twice = (value_state::<u64>("a"), map_state::<u64, u64>("a"));
    check(
        Process::new(twice, |_: &mut Ctx<'_>, _, (): ()| {}, NoTimers).error(),
        "two states are named `a`",
    );
    let nothing = value_state::<u64>("a").ttl(Ttl::on_write(Duration::from_micros(999)));
    check(
        Process::new(nothing, |_: &mut Ctx<'_>, _, (): ()| {}, NoTimers).error(),
        "less than a millisecond",
    );
    let ttl = Ttl::on_write(Duration::from_secs(1)).in_event_time();
    let untimed = value_state::<u64>("a").ttl(ttl);
    check(
        Process::new(untimed, |_: &mut Ctx<'_>, _, (): ()| {}, NoTimers).error(),
        "`event_time`",
    );
}

#[test]
fn timers_ring_once_in_the_order_of_time_whatever_the_number_of_workers() {
    let mut workers = Workers::new(stage, 2);
    for key in 0..50 {
        let logic = workers.of(key);
        for at in [31, 10, 31, 20, 41] {
            let op = Op::Set(TimerKind::Event, at + key.cast_signed() % 2);
            let batch = &mut vec![rec(key, 0, op)];
            logic.process(batch, i64::MIN, &mut Vec::new(), &mut Vec::new());
        }
        let op = Op::Delete(TimerKind::Event, 20 + key.cast_signed() % 2);
        let batch = &mut vec![rec(key, 0, op)];
        logic.process(batch, i64::MIN, &mut Vec::new(), &mut Vec::new());
    }
    workers.freeze(SnapshotScope::Full);
    while workers.copy(5) {}
    for worker_count in [1, 3] {
        let mut after = Workers::restored(stage, &workers.chains, worker_count);
        let mut rung = 0;
        for logic in &mut after.logics {
            let mut out = Vec::new();
            while logic.fire(40, &mut out, 1) == crate::state::Progress::More {}
            let times: Vec<i64> = out.iter().map(|rec| rec.time.0).collect();
            assert!(times.is_sorted(), "{times:?}");
            rung += times.len();
        }
        assert_eq!(rung, 100, "of {worker_count} workers");
    }
}

#[test]
#[should_panic(expected = "process_with_timers")]
fn a_timer_that_nobody_handles_is_not_set_in_silence() {
    let mut logic = Process::new(
        (),
        |ctx: &mut Context<'_, u64, Timed, ()>, (), (): ()| ctx.set_timer(1),
        NoTimers,
    );
    let rec = Rec {
        key: Keyed(1),
        time: Timed(0),
        value: (),
    };
    logic.process(&mut vec![rec], 0, &mut Vec::new(), &mut Vec::new());
}

type Ctx<'a> = Context<'a, u64, Untimed, ()>;

/// The bytes of a snapshot of version 1: a change of them is a new version.
#[test]
fn a_snapshot_is_these_bytes() {
    let mut logic = with_timers(
        (
            value_state::<u64>("a").ttl(Ttl::on_write(Duration::from_secs(1))),
            list_state::<u64>("b"),
        ),
        |ctx, (a, b), to| {
            a.set(to);
            b.push(to);
            ctx.set_timer(5);
        },
    );
    let _ = logic.tick(258, &mut Vec::new(), 1);
    let rec = Rec {
        key: Keyed(7),
        time: Timed(0),
        value: 9,
    };
    logic.process(&mut vec![rec], 3, &mut Vec::new(), &mut Vec::new());
    let hex: Vec<String> = snapshot(&mut logic, SnapshotScope::Full)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let frames = [
        // A header: layout 1, process, watermark 3.
        "010a0000000104 0300000000000000",
        // The value `a` of the key 7: written at 258, and 9.
        "0425000000 03 1f4e961eb632c6e6 49bd294dbfcd3a63 49bd294dbfcd3a63 01000000 01060704020106 09",
        // The list `b`: its places from 0 to before 1, and its item at 0.
        "0424000000 05 3f84d8441c0b5a57 49bd294dbfcd3a63 49bd294dbfcd3a63 01000000 010607060006 01",
        "0424000000 06 3f84d8441c0b5a57 4d7ca4072e9e3a63 4d7ca4072e9e3a63 01000000 010600060706 09",
        // The timer for the event time 5.
        "0423000000 07 0000000000000000 04b664fe97d73a63 04b664fe97d73a63 01000000 0100060506 07",
    ];
    assert_eq!(hex.join(""), frames.concat().replace(' ', ""));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn wrong_bytes_never_panic(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let mut workers = Workers::new(stage, 1);
        for key in 0..20 {
            for op in [
                Op::SetValue(1),
                Op::Insert(1, 2),
                Op::InsertTimed(1, 2),
                Op::Push(3),
                Op::Set(TimerKind::Event, 9),
            ] {
                let batch = &mut vec![rec(key, 0, op)];
                workers.of(key).process(batch, 0, &mut Vec::new(), &mut Vec::new());
            }
        }
        let mut object = snapshot(&mut workers.logics[0], SnapshotScope::Full);
        let at = at.index(object.len());
        object[at] ^= flip;
        let _ = stage().restore(&object, share_of_all());
        object.truncate(at);
        let _ = stage().restore(&object, share_of_all());
    }
}
