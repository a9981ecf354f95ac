//! Session windows: for each key, the spans of time in which its records follow each other closely.
//!
//! Each session has one timer, at or before the time when something is due for it. A timer that
//! comes too early is set again; one whose session has been merged away does nothing. So timers need
//! no deletion, stand in no snapshot, and are made anew from the sessions after a restore.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::key::{Key, hash_of};
use crate::record::{Keyed, Rec, Timed, Unkeyed, Windowed};
use crate::schema::Schema;
use crate::state::frames::{self, Frame, LogicKind, Namespace, Preamble};
use crate::state::share::Share;
use crate::state::{
    Extra, FrozenChunk, KeyedLogic, Piece, Progress, SnapshotScope, StageBackend, State,
    StateTable, TableTypes,
};

use super::aggregator::MergingAggregator;

/// One session of a key, as snapshots hold it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionState<A> {
    /// The time of the first record.
    start: i64,
    /// The time of the last record, plus the gap.
    end: i64,
    /// Whether the session has fired with all its records.
    fired: bool,
    /// What is remembered of its records.
    acc: A,
    /// The time of the session's timer.
    #[serde(skip)]
    timer: i64,
}

impl<A: State> State for SessionState<A> {
    fn schema() -> Schema {
        let plain = |name: &str, of: &str| (name.to_owned(), Schema::plain(of));
        let fields = vec![
            plain("start", "i64"),
            plain("end", "i64"),
            plain("fired", "bool"),
            ("acc".to_owned(), A::schema()),
        ];
        Schema::of_fields("Session", fields)
    }
}

impl<A> SessionState<A> {
    /// When the session next needs attention: to fire, then to close.
    fn due(&self, lateness: i64) -> i64 {
        if self.fired {
            self.end.saturating_add(lateness)
        } else {
            self.end
        }
    }
}

/// The timers of a key's sessions, which stand in no snapshot.
const fn timers<A>() -> Extra<Vec<SessionState<A>>> {
    Extra {
        save: |sessions, bytes| {
            for session in sessions {
                bytes.extend(session.timer.to_le_bytes());
            }
        },
        load: |sessions, bytes| {
            for (session, timer) in sessions.iter_mut().zip(bytes.as_chunks().0) {
                session.timer = i64::from_le_bytes(*timer);
            }
        },
    }
}

/// The stage of session windows.
///
/// Its state is the open sessions of each key, and the watermark; with allowed lateness also the
/// sessions that may fire again.
pub struct SessionWindows<K, T, G: MergingAggregator<T>> {
    gap: i64,
    lateness: i64,
    aggregator: G,
    watermark: i64,
    table: StateTable<K, Vec<SessionState<G::Acc>>>,
    timers: BTreeMap<i64, Vec<K>>,
    preamble: Option<Preamble>,
    records: PhantomData<fn(T)>,
}

impl<K: Key, T: 'static, G: MergingAggregator<T>> SessionWindows<K, T, G> {
    pub(super) fn new(gap: i64, lateness: i64, aggregator: G) -> Self {
        Self {
            gap,
            lateness: lateness.max(0),
            aggregator,
            watermark: i64::MIN,
            table: StateTable::new(&StageBackend::default(), Namespace::Whole),
            timers: BTreeMap::new(),
            preamble: None,
            records: PhantomData,
        }
    }

    /// Adds a record to its session, or returns it if it is late.
    fn add(
        &mut self,
        rec: Rec<Keyed<K>, Timed, T>,
        out: &mut Vec<<Self as KeyedLogic>::Out>,
    ) -> Option<Rec<Keyed<K>, Timed, T>> {
        let (start, end) = (rec.time.0, rec.time.0.saturating_add(self.gap));
        let hash = hash_of(&rec.key.0);
        let (watermark, lateness) = (self.watermark, self.lateness);
        let is_closed = |end: i64| end.saturating_add(lateness) <= watermark;
        // A session that is closed is gone, also where its timer has not come yet.
        let meets = |s: &SessionState<G::Acc>| s.start < end && start < s.end && !is_closed(s.end);

        let known = self.table.get(hash, &rec.key.0);
        let first = known.and_then(|sessions| sessions.iter().position(meets));
        let place = self.table.find(hash, &rec.key.0);
        let Some((place, first)) = place.zip(first) else {
            if is_closed(end) {
                return Some(rec);
            }
            self.begin(hash, rec, out);
            return None;
        };

        let sessions = self.table.at(place);
        let mut at = first + 1;
        while at < sessions.len() {
            if meets(&sessions[at]) {
                let other = sessions.remove(at);
                let session = &mut sessions[first];
                session.start = session.start.min(other.start);
                session.end = session.end.max(other.end);
                session.fired |= other.fired;
                session.timer = session.timer.min(other.timer);
                self.aggregator.merge(&mut session.acc, other.acc);
            } else {
                at += 1;
            }
        }
        let session = &mut sessions[first];
        session.start = session.start.min(start);
        session.end = session.end.max(end);
        self.aggregator.add(&mut session.acc, rec.value);
        // A session that has fired fires again at once, unless it has grown beyond the watermark.
        session.fired &= session.end <= watermark;
        let due = session.due(lateness);
        if due < session.timer {
            // It waited to be closed, and now is to fire again before that.
            session.timer = due;
            self.timers.entry(due).or_default().push(rec.key.0.clone());
        }
        if session.fired {
            out.push(result(
                rec.key.0,
                session,
                self.aggregator.finish(&session.acc),
            ));
        }
        // The order in time, which merging goes by.
        sessions.sort_by_key(|session| session.start);
        None
    }

    /// Begins a session with its first record; one that is due already fires at once.
    fn begin(
        &mut self,
        hash: u64,
        rec: Rec<Keyed<K>, Timed, T>,
        out: &mut Vec<<Self as KeyedLogic>::Out>,
    ) {
        let (start, end) = (rec.time.0, rec.time.0.saturating_add(self.gap));
        let mut session = SessionState {
            start,
            end,
            fired: end <= self.watermark,
            acc: self.aggregator.first(rec.value),
            timer: 0,
        };
        session.timer = session.due(self.lateness);
        if session.fired {
            out.push(result(
                rec.key.0.clone(),
                &session,
                self.aggregator.finish(&session.acc),
            ));
        }
        self.timers
            .entry(session.timer)
            .or_default()
            .push(rec.key.0.clone());
        let sessions = self.table.upsert(hash, &rec.key.0, Vec::new);
        let at = sessions.partition_point(|other| other.start <= start);
        sessions.insert(at, session);
    }

    /// Does what is due for the sessions of a key whose timer is at `time`.
    fn ring(&mut self, time: i64, key: K, out: &mut Vec<<Self as KeyedLogic>::Out>) {
        let hash = hash_of(&key);
        let known = self.table.get(hash, &key);
        // The session of this timer may have been merged away.
        if !known.is_some_and(|sessions| sessions.iter().any(|session| session.timer == time)) {
            return;
        }
        let (watermark, lateness) = (self.watermark, self.lateness);
        let (aggregator, timers) = (&self.aggregator, &mut self.timers);
        let sessions = self.table.upsert(hash, &key, Vec::new);
        sessions.retain_mut(|session| {
            if session.timer != time {
                return true;
            }
            if !session.fired && session.end <= watermark {
                session.fired = true;
                out.push(result(
                    key.clone(),
                    session,
                    aggregator.finish(&session.acc),
                ));
            }
            session.timer = session.due(lateness);
            let stays = session.timer > watermark;
            if stays {
                timers.entry(session.timer).or_default().push(key.clone());
            }
            stays
        });
        if sessions.is_empty() {
            self.table.remove(hash, &key);
        }
    }
}

/// The record that says what a session made of its records.
fn result<K, A, V>(
    key: K,
    session: &SessionState<A>,
    value: V,
) -> Rec<Unkeyed, Timed, Windowed<K, V>> {
    let windowed = Windowed {
        key,
        start: session.start,
        end: session.end,
        value,
    };
    Rec {
        key: Unkeyed,
        time: Timed(session.end.saturating_sub(1)),
        value: windowed,
    }
}

impl<K: Key, T: 'static, G: MergingAggregator<T>> KeyedLogic for SessionWindows<K, T, G> {
    type In = Rec<Keyed<K>, Timed, T>;
    type Out = Rec<Unkeyed, Timed, Windowed<K, G::Out>>;

    fn schema(&self) -> Schema {
        let parts = vec![
            ("gap_ms".to_owned(), Schema::plain(&self.gap.to_string())),
            ("key".to_owned(), K::schema()),
            ("value".to_owned(), <Vec<SessionState<G::Acc>>>::schema()),
        ];
        Schema::of_fields("Sessions", parts)
    }

    fn open(&mut self, backend: &StageBackend) {
        self.table = StateTable::new(backend, Namespace::Whole).keeping(timers());
    }

    fn resume(&mut self) -> Result<()> {
        self.table.resume()?;
        let timers = &mut self.timers;
        self.table.for_each_stored(|key, sessions| {
            for session in sessions {
                timers.entry(session.timer).or_default().push(key.clone());
            }
        })
    }

    fn process(
        &mut self,
        batch: &mut Vec<Self::In>,
        watermark: i64,
        out: &mut Vec<Self::Out>,
        late: &mut Vec<Self::In>,
    ) {
        self.watermark = self.watermark.max(watermark);
        self.table.look_ahead(batch.iter().map(|rec| &rec.key.0));
        for rec in batch.drain(..) {
            late.extend(self.add(rec, out));
        }
    }

    fn fire(&mut self, watermark: i64, out: &mut Vec<Self::Out>, budget: usize) -> Progress {
        self.watermark = self.watermark.max(watermark);
        // A timer that emits nothing counts as well: it is work.
        for _ in 0..budget.max(1) {
            let Some(mut first) = self.timers.first_entry() else {
                return Progress::Done;
            };
            let time = *first.key();
            if time > self.watermark {
                return Progress::Done;
            }
            let key = first.get_mut().pop();
            if first.get().is_empty() {
                first.remove();
            }
            if let Some(key) = key {
                self.ring(time, key, out);
            }
        }
        Progress::More
    }

    fn freeze(&mut self, scope: SnapshotScope) {
        let cleared = self
            .table
            .freeze(scope)
            .map(|span| (Namespace::Whole, span))
            .into_iter()
            .collect();
        self.preamble = Some(Preamble {
            kind: LogicKind::Sessions,
            watermark: self.watermark,
            cleared,
        });
    }

    fn copy_frozen(&mut self, budget: usize) -> Option<FrozenChunk> {
        let preamble = self.preamble.take();
        let piece = self.table.copy_frozen(budget);
        let size = piece.as_ref().map_or(0, Piece::size);
        (preamble.is_some() || piece.is_some()).then(|| {
            FrozenChunk::new(move |bytes| {
                if let Some(preamble) = preamble {
                    preamble.encode(bytes);
                }
                piece.map_or(Ok(()), |piece| piece.encode(Namespace::Whole, bytes))
            })
            .of_size(size)
        })
    }

    fn table_types(&self) -> Option<TableTypes> {
        Some(TableTypes::alike::<K, Vec<SessionState<G::Acc>>>(
            LogicKind::Sessions,
        ))
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn watermark(&mut self) -> Option<&mut i64> {
        Some(&mut self.watermark)
    }

    fn restore(&mut self, object: &[u8], share: Share<'_>) -> Result<()> {
        let (table, timers, watermark) = (&mut self.table, &mut self.timers, &mut self.watermark);
        let lateness = self.lateness;
        frames::read::<K, Vec<SessionState<G::Acc>>>(object, LogicKind::Sessions, share, |frame| {
            match frame {
                Frame::Watermark(stored) => *watermark = stored.max(*watermark),
                Frame::Clear(_, span) => table.restore_clear(span),
                Frame::Removed(_, keys) => keys
                    .iter()
                    .for_each(|(hash, key)| table.restore_removal(*hash, key)),
                Frame::Entries(_, mut entries) => {
                    for (_, key, sessions) in &mut entries {
                        for session in sessions {
                            session.timer = session.due(lateness);
                            timers.entry(session.timer).or_default().push(key.clone());
                        }
                    }
                    table.restore_entries(entries);
                }
            }
        })
    }
}
