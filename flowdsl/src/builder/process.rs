//! Stages that the user writes, with named states and timers; and `fold` and `reduce` that forget.

use flowdsl_runtime::dataflow::{Data, Origin, Stages};
use flowdsl_runtime::key::Key;
use flowdsl_runtime::record::{KeyValue, Keyed, Rec, Unkeyed};
use flowdsl_runtime::state::{
    Context, Declared, Kept, KeyedLogic, NoTimers, OnTimer, Process, RecordTime, State, Ttl,
    value_state,
};

use super::bounds::HasKey;
use super::keyed::IntoKeyedStream;
use super::stream::{StageStream, Stream};

/// The stream of a `process` stage, with the states `S` and the handlers `F` and `G`.
pub type Processed<'s, Q, E, T, U, S, F, G> =
    StageStream<'s, Process<Q, E, T, U, S, F, G>, Unkeyed, E, U>;

impl<'s, O, S, K, E, T> Stream<'s, O, S, K, E, T> {
    /// Hands each record to a handler, with the states of its key.
    ///
    /// `states` declares what is kept for each key, by name: one of `value_state`, `list_state` and
    /// `map_state`, or a tuple of them. The handler sees those of the present key, and emits any number of
    /// results. States are found again by their names when the job is restored, in whatever order
    /// the program declares them; a checkpoint with one that is not declared any more, or whose type cannot be
    /// read as the new one, is refused (`Incompatible`).
    ///
    /// # Examples
    ///
    /// ```
    /// use flowdsl::prelude::*;
    ///
    /// // (card, shop, amount): the first time that a card is seen in a shop.
    /// let payments = vec![(1_u64, 'N', 5), (1, 'S', 9), (1, 'N', 2), (2, 'N', 1)];
    /// let firsts = Collect::new();
    /// # let seen = firsts.clone();
    /// let job = Job::new("first visits", move |flow| {
    ///     flow.source("payments", Memory::new(payments.clone()))
    ///         .key_by(|payment| payment.0)
    ///         .process(
    ///             (value_state::<u64>("payments"), map_state::<char, i64>("spent")),
    ///             |ctx, (payments, spent), (_, shop, amount)| {
    ///                 *payments.or_insert(0) += 1;
    ///                 if !spent.contains(&shop) {
    ///                     ctx.emit((*ctx.key(), shop, *payments.or_insert(0)));
    ///                 }
    ///                 *spent.or_insert_with(&shop, || 0) += amount;
    ///             },
    ///         )
    ///         .sink(firsts.clone());
    /// });
    /// job.run(Options::new())?;
    /// # let mut firsts = seen.take();
    /// # firsts.sort();
    /// assert_eq!(firsts, [(1, 'N', 1), (1, 'S', 2), (2, 'N', 1)]);
    /// # Ok::<(), flowdsl::Error>(())
    /// ```
    pub fn process<Q, D, U, F>(
        self,
        states: D,
        on_record: F,
    ) -> Processed<'s, Q, E, T, U, D::Kept, F, NoTimers>
    where
        O: Origin<'s>,
        S: Stages<In = O::Item, Out = Rec<K, E, T>>,
        K: HasKey<Key = Q>,
        Q: Key,
        D: Declared<Q>,
        F: Fn(&mut Context<'_, Q, E, U>, &mut <D::Kept as Kept<Q>>::View<'_>, T) + 'static,
        T: Data,
        E: Data + RecordTime,
        U: 'static,
        Stream<'s, O, S, K, E, T>: IntoKeyedStream<'s, Q, E, T>,
    {
        self.process_stage("process", Process::new(states, on_record, NoTimers))
    }

    /// As [`process`](Self::process), with timers, which have a handler of their own.
    ///
    /// A timer belongs to a key and stands in checkpoints. One for an event time is due when the
    /// watermark reaches it, one for a processing time when the clock does; they fire in the order of their
    /// times. What is set twice fires once.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use flowdsl::prelude::*;
    ///
    /// // Says of each sensor when it has been silent for a minute.
    /// let readings = vec![('a', 0), ('b', 5_000), ('a', 50_000), ('b', 90_000)];
    /// let silent = Collect::new();
    /// # let seen = silent.clone();
    /// let job = Job::new("silence", move |flow| {
    ///     flow.source("readings", Memory::new(readings.clone()))
    ///         .event_time(|reading| reading.1, Duration::ZERO)
    ///         .key_by(|reading| reading.0)
    ///         .process_with_timers(
    ///             value_state::<i64>("timer"),
    ///             |ctx, timer, (_, at)| {
    ///                 // The watermark may be far behind: a timer before the record stays due.
    ///                 if let Some(before) = timer.set(at + 60_000) && before > at {
    ///                     ctx.delete_timer(before);
    ///                 }
    ///                 ctx.set_timer(at + 60_000);
    ///             },
    ///             |ctx, timer, due: Timer| {
    ///                 if timer.get() == Some(&due.time) {
    ///                     timer.clear();
    ///                 }
    ///                 ctx.emit((*ctx.key(), due.time));
    ///             },
    ///         )
    ///         .sink(silent.clone());
    /// });
    /// job.run(Options::new())?;
    /// # let mut silent = seen.take();
    /// # silent.sort();
    /// assert_eq!(silent, [('a', 110_000), ('b', 65_000), ('b', 150_000)]);
    /// # Ok::<(), flowdsl::Error>(())
    /// ```
    pub fn process_with_timers<Q, D, U, F, G>(
        self,
        states: D,
        on_record: F,
        on_timer: G,
    ) -> Processed<'s, Q, E, T, U, D::Kept, F, G>
    where
        O: Origin<'s>,
        S: Stages<In = O::Item, Out = Rec<K, E, T>>,
        K: HasKey<Key = Q>,
        Q: Key,
        D: Declared<Q>,
        F: Fn(&mut Context<'_, Q, E, U>, &mut <D::Kept as Kept<Q>>::View<'_>, T) + 'static,
        G: Fn(
                &mut Context<'_, Q, E, U>,
                &mut <D::Kept as Kept<Q>>::View<'_>,
                flowdsl_runtime::state::Timer,
            ) + 'static,
        T: Data,
        E: Data + RecordTime,
        U: 'static,
        Stream<'s, O, S, K, E, T>: IntoKeyedStream<'s, Q, E, T>,
    {
        self.process_stage("process", Process::new(states, on_record, on_timer))
    }

    /// Gives what the next `fold` or `reduce` keeps for each key a time-to-live.
    ///
    /// A value that has expired is never seen again: the next record of its key begins anew. What nobody
    /// asks for is cleaned up a little at a time.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use flowdsl::prelude::*;
    ///
    /// let counts = Collect::new();
    /// # let seen = counts.clone();
    /// let job = Job::new("visits of late", move |flow| {
    ///     flow.source("visits", Memory::new(vec!['a', 'b', 'a']))
    ///         .key_by(|visitor| *visitor)
    ///         .ttl(Ttl::on_write(Duration::from_secs(3_600)))
    ///         .fold(0_u64, |count, _| *count += 1)
    ///         .sink(counts.clone());
    /// });
    /// job.run(Options::new())?;
    /// # let mut seen: Vec<_> = seen.take().into_iter().map(|count| (count.key, count.value)).collect();
    /// # seen.sort();
    /// assert_eq!(seen, [('a', 1), ('a', 2), ('b', 1)]);
    /// # Ok::<(), flowdsl::Error>(())
    /// ```
    pub fn ttl(self, ttl: Ttl) -> ExpiringStream<'s, O, S, K, E, T>
    where
        K: HasKey,
    {
        ExpiringStream { stream: self, ttl }
    }

    fn process_stage<Q, U, N, F, G>(
        self,
        operation: &str,
        logic: Process<Q, E, T, U, N, F, G>,
    ) -> Processed<'s, Q, E, T, U, N, F, G>
    where
        Q: Key,
        N: Kept<Q>,
        F: Fn(&mut Context<'_, Q, E, U>, &mut N::View<'_>, T) + 'static,
        G: OnTimer<Q, E, U, N>,
        T: Data,
        E: Data + RecordTime,
        U: 'static,
        Stream<'s, O, S, K, E, T>: IntoKeyedStream<'s, Q, E, T>,
    {
        self.report(logic.error());
        IntoKeyedStream::into_keyed_stream(self).keyed_stage(operation, String::new(), logic)
    }
}

/// A keyed stream of which a `fold` or `reduce` follows that forgets; see [`Stream::ttl`].
#[must_use = "a time-to-live is that of a `fold` or `reduce` behind it"]
pub struct ExpiringStream<'s, O, S, K, E, T> {
    stream: Stream<'s, O, S, K, E, T>,
    ttl: Ttl,
}

impl<'s, O, S, K, E, T> ExpiringStream<'s, O, S, K, E, T>
where
    O: Origin<'s>,
    S: Stages<In = O::Item, Out = Rec<K, E, T>>,
    T: Data,
    E: Data + RecordTime,
{
    /// Names the next stage: the id of its state.
    pub fn at(mut self, id: &str) -> Self {
        self.stream = self.stream.at(id);
        self
    }

    /// As [`Stream::fold`], with a value that expires.
    #[expect(clippy::type_complexity, reason = "users never write it")]
    pub fn fold<V, F, Q>(
        self,
        init: V,
        f: F,
    ) -> StageStream<
        's,
        impl KeyedLogic<In = Rec<Keyed<Q>, E, T>, Out = Rec<Unkeyed, E, KeyValue<Q, V>>>,
        Unkeyed,
        E,
        KeyValue<Q, V>,
    >
    where
        F: Fn(&mut V, T) + 'static,
        K: HasKey<Key = Q>,
        Q: Key,
        V: State,
        Stream<'s, O, S, K, E, T>: IntoKeyedStream<'s, Q, E, T>,
    {
        let states = value_state::<V>("value").ttl(self.ttl);
        let logic = Process::new(
            states,
            move |ctx: &mut Context<'_, Q, E, KeyValue<Q, V>>, value, record| {
                let sum = value.or_insert_with(|| init.clone());
                f(sum, record);
                let (key, value) = (ctx.key().clone(), sum.clone());
                ctx.emit(KeyValue { key, value });
            },
            NoTimers,
        );
        self.stream.process_stage("fold", logic)
    }

    /// As [`Stream::reduce`], with a merged record that expires.
    #[expect(clippy::type_complexity, reason = "users never write it")]
    pub fn reduce<F, Q>(
        self,
        f: F,
    ) -> StageStream<
        's,
        impl KeyedLogic<In = Rec<Keyed<Q>, E, T>, Out = Rec<Unkeyed, E, T>>,
        Unkeyed,
        E,
        T,
    >
    where
        F: Fn(&mut T, T) + 'static,
        K: HasKey<Key = Q>,
        Q: Key,
        T: State,
        Stream<'s, O, S, K, E, T>: IntoKeyedStream<'s, Q, E, T>,
    {
        let states = value_state::<T>("value").ttl(self.ttl);
        let logic = Process::new(
            states,
            move |ctx: &mut Context<'_, Q, E, T>, value, record: T| {
                if let Some(merged) = value.get_mut() {
                    f(merged, record);
                    ctx.emit(merged.clone());
                } else {
                    value.set(record.clone());
                    ctx.emit(record);
                }
            },
            NoTimers,
        );
        self.stream.process_stage("reduce", logic)
    }
}
