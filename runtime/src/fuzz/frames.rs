//! Keyed snapshots: read by the stages that wrote them, by others, and without any types.

use proptest::prelude::*;

use super::golden_tests::golden;
use super::{cases, changed, is_refused_well};
use crate::key::Key;
use crate::record::{Keyed, Rec, Timed};
use crate::state::frames::index::Index;
use crate::state::frames::untyped::scan;
use crate::state::frames::{LogicKind, read};
use crate::state::testing::{share_of_all, snapshot};
use crate::state::{Fold, KeyedLogic, Reduce, SnapshotScope, State};
use crate::window::{ByFold, ByReduce, Session, Tumbling, WindowSpec};

type Row = Rec<Keyed<u64>, Timed, i64>;

fn rows() -> Vec<Row> {
    let row = |key: u64| Rec {
        key: Keyed(key % 40),
        time: Timed(key as i64 * 3),
        value: key as i64,
    };
    (0..100).map(row).collect()
}

fn add(sum: &mut (u64, i64), value: i64) {
    sum.0 += 1;
    sum.1 = sum.1.wrapping_add(value);
}

fn fold() -> impl KeyedLogic<In = Row> {
    Fold::new((0, 0), add)
}

fn reduce() -> impl KeyedLogic<In = Row> {
    Reduce::new(|sum: &mut i64, value: i64| *sum = sum.wrapping_add(value))
}

fn panes() -> impl KeyedLogic<In = Row> {
    let windows = Tumbling::new(10).expect("a size");
    WindowSpec::<u64, i64, _>::logic(windows, 5, ByFold::new((0, 0), add))
}

fn sessions() -> impl KeyedLogic<In = Row> {
    let windows = Session::new(10).expect("a gap");
    WindowSpec::<u64, i64, _>::logic(
        windows,
        5,
        ByReduce(|sum: &mut i64, value: i64| *sum = sum.wrapping_add(value)),
    )
}

fn written(mut logic: impl KeyedLogic<In = Row>) -> Vec<u8> {
    logic.process(&mut rows(), i64::MIN, &mut Vec::new(), &mut Vec::new());
    snapshot(&mut logic, SnapshotScope::Full)
}

fn bodies() -> Vec<Vec<u8>> {
    let mut bodies = golden(".body");
    bodies.extend([
        written(fold()),
        written(reduce()),
        written(panes()),
        written(sessions()),
    ]);
    bodies
}

/// What a stage makes of a body; what it takes, it hands on.
fn restore(mut logic: impl KeyedLogic<In = Row>, body: &[u8]) {
    if is_refused_well(logic.restore(body, share_of_all())).is_some() {
        let again = snapshot(&mut logic, SnapshotScope::Full);
        assert!(again.len() < body.len() * 64 + (1 << 16), "{}", again.len());
    }
}

fn as_types<K: Key, V: State>(body: &[u8], kind: LogicKind) {
    let _ = is_refused_well(read::<K, V>(body, kind, share_of_all(), drop));
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn a_keyed_snapshot_is_restored_or_refused_by_whoever_reads_it(body in changed(bodies())) {
        let _ = is_refused_well(scan(&body, |_, _| Ok(())));
        for kind in [LogicKind::Values, LogicKind::Panes, LogicKind::Sessions, LogicKind::Process] {
            let _ = is_refused_well(Index::of(&body, kind));
            as_types::<u64, i64>(&body, kind);
            as_types::<String, Vec<Option<String>>>(&body, kind);
            as_types::<(), ()>(&body, kind);
        }
        restore(fold(), &body);
        restore(reduce(), &body);
        restore(panes(), &body);
        restore(sessions(), &body);
    }
}
