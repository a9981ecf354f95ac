//! What travels on an edge: a vector of records that knows where it goes and whose credit it uses.

use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use timely::Accountable;
use timely::communication::Push;
use timely::dataflow::channels::pushers::exchange::Distributor;
use timely::dataflow::channels::{ContainerBytes, Message};
use timely::progress::Stamp;

use super::credit::Debt;

/// Records from one sender to one worker.
pub(crate) struct Batch<R> {
    pub(crate) records: Vec<R>,
    /// The worker that receives the batch, if its edge is an exchange.
    to: usize,
    debt: Debt,
    spares: Option<Spares<R>>,
}

impl<R> Batch<R> {
    pub(crate) fn new(records: Vec<R>, to: usize, debt: Debt, spares: Spares<R>) -> Self {
        Self {
            records,
            to,
            debt,
            spares: Some(spares),
        }
    }
}

impl<R> Default for Batch<R> {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            to: 0,
            debt: Debt::default(),
            spares: None,
        }
    }
}

impl<R: Clone> Clone for Batch<R> {
    fn clone(&self) -> Self {
        Self {
            records: self.records.clone(),
            to: self.to,
            debt: self.debt.clone(),
            spares: None,
        }
    }
}

impl<R> Drop for Batch<R> {
    fn drop(&mut self) {
        if let Some(spares) = self.spares.take() {
            spares.put(std::mem::take(&mut self.records));
        }
    }
}

impl<R> Accountable for Batch<R> {
    fn record_count(&self) -> i64 {
        self.records.len() as i64
    }
}

/// Vectors that came back empty from the receivers of one edge: allocating them anew for every
/// batch costs more than filling them.
pub(crate) struct Spares<R>(Arc<Mutex<Vec<Vec<R>>>>);

/// More spare vectors than this are freed.
const SPARES: usize = 32;

impl<R> Spares<R> {
    /// An empty vector.
    pub(crate) fn take(&self) -> Vec<R> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
            .unwrap_or_default()
    }

    fn put(&self, mut records: Vec<R>) {
        records.clear();
        let mut spares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if records.capacity() > 0 && spares.len() < SPARES {
            spares.push(records);
        }
    }
}

impl<R> Default for Spares<R> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<R> Clone for Spares<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: Serialize + DeserializeOwned> ContainerBytes for Batch<R> {
    fn from_bytes(bytes: timely::bytes::arc::Bytes) -> Self {
        // Timely hands over bytes that a process of the same build wrote a moment ago.
        let wire = bitcode::deserialize::<Wire<Vec<R>>>(strip(&bytes))
            .expect("a batch of a peer process decodes");
        Self {
            records: wire.records,
            to: wire.to,
            debt: Debt::default(),
            spares: None,
        }
    }

    fn length_in_bytes(&self) -> usize {
        (8 + self.encode().len()).next_multiple_of(8)
    }

    fn into_bytes<W: std::io::Write>(&self, writer: &mut W) {
        let bytes = self.encode();
        let padding = (8 + bytes.len()).next_multiple_of(8) - 8 - bytes.len();
        let written = writer
            .write_all(&(bytes.len() as u64).to_le_bytes())
            .and_then(|()| writer.write_all(&bytes))
            .and_then(|()| writer.write_all(&[0; 8][..padding]));
        written.expect("timely writes to memory");
    }
}

impl<R: Serialize> Batch<R> {
    fn encode(&self) -> Vec<u8> {
        bitcode::serialize(&Wire {
            to: self.to,
            records: &self.records,
        })
        .expect("records serialise to memory")
    }
}

fn strip(bytes: &[u8]) -> &[u8] {
    let (len, rest) = bytes
        .split_first_chunk::<8>()
        .expect("a batch begins with its length");
    &rest[..u64::from_le_bytes(*len) as usize]
}

#[derive(Serialize, Deserialize)]
struct Wire<V> {
    to: usize,
    records: V,
}

/// Sends each batch as a whole to the worker that it names: the sender has partitioned already,
/// straight into vectors, which is faster than timely's builder call per record.
#[derive(Debug)]
pub(crate) struct ToWorker;

impl<R> Distributor<Batch<R>> for ToWorker {
    fn partition<T: Clone, P: Push<Message<T, Batch<R>>>>(
        &mut self,
        batch: &mut Batch<R>,
        stamp: &Stamp<T>,
        pushers: &mut [P],
    ) {
        let to = batch.to;
        Message::push_at(batch, stamp.clone(), &mut pushers[to]);
    }

    fn flush<T: Clone, P: Push<Message<T, Batch<R>>>>(&mut self, _: &Stamp<T>, _: &mut [P]) {}
}
