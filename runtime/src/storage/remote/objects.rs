//! Named objects under a prefix of an object store.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{
    Error as StoreError, GetOptions, GetRange, ObjectStore, PutMode, PutOptions, PutPayload,
};

use super::client::{Answer, start, within};
use super::errors::{failed, late, refused};
use super::gate::{Gate, Pass};
use crate::error::{Error, Result};
use crate::storage::TransferLimits;
use crate::storage::names;
use crate::storage::objects::{CheckpointStorage, Creation, part_of};

/// Checkpoint storage in an object store: each object's key is the prefix, a slash and its name.
pub struct RemoteStorage {
    pub(super) store: Arc<dyn ObjectStore>,
    /// Empty, or with a slash behind it.
    prefix: String,
    pub(super) place: String,
    pub(super) limits: TransferLimits,
    pub(super) gate: Arc<Gate>,
    /// Whether the store has shown that it creates only what is absent.
    creates_if_absent: AtomicBool,
}

pub(super) type Outcome<T> = Option<object_store::Result<T>>;

impl RemoteStorage {
    /// A storage under `prefix` of a store; `place` is what messages call it.
    ///
    /// # Errors
    ///
    /// `Invalid` if the prefix cannot be part of a key.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        prefix: &str,
        place: impl Into<String>,
        limits: TransferLimits,
    ) -> Result<Self> {
        let place = place.into();
        if let Err(e) = Path::parse(prefix) {
            return Err(Error::invalid(format!(
                "{place}: its prefix is no key: {e}"
            )));
        }
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            plain => format!("{plain}/"),
        };
        Ok(Self {
            store,
            prefix,
            place,
            limits,
            gate: Arc::clone(Gate::of_process()),
            creates_if_absent: AtomicBool::new(false),
        })
    }

    /// Whether the bucket is there and may be listed. Writes nothing: a location may be mistyped.
    ///
    /// # Errors
    ///
    /// `Invalid` if the bucket or the rights are wrong; `Unavailable` if the store does not answer.
    pub fn check_access(&self) -> Result<()> {
        let mut listed = self.store.list(self.prefix_path().as_ref());
        match self.wait(0, async move { listed.try_next().await })? {
            Some(Ok(_)) => Ok(()),
            Some(Err(e)) => Err(refused("list the bucket", &self.place, &e)),
            None => Err(late("list", "", &self.place)),
        }
    }

    /// Finds out once whether the store creates only what is absent: without that, two runs of a job
    /// could both publish. The probe stays, so that later runs see it at the first try.
    fn check_conditional_put(&self) -> Result<()> {
        if self.creates_if_absent.load(Ordering::Relaxed) {
            return Ok(());
        }
        let name = names::probe();
        let unsupported = || {
            Error::invalid(format!(
                "{}: the store does not support conditional puts (`If-None-Match: *`), without which two runs of a \
                 job could both write a checkpoint: keep checkpoints in another store",
                self.place
            ))
        };
        for _ in 0..2 {
            match self.put(name, b"flowdsl", PutMode::Create)? {
                Some(Err(e)) if is_taken(&e) => {
                    self.creates_if_absent.store(true, Ordering::Relaxed);
                    return Ok(());
                }
                Some(Ok(())) => {}
                Some(Err(e)) if is_unsupported(&e) => return Err(unsupported()),
                Some(Err(e)) => return Err(refused("write objects", &self.place, &e)),
                None => return Err(late("create", name, &self.place)),
            }
        }
        Err(unsupported())
    }

    pub(super) fn key(&self, name: &str) -> Result<Path> {
        let key = || Path::parse(format!("{}{name}", self.prefix)).ok();
        let path = names::is_plain(name).then(key).flatten();
        path.ok_or_else(|| {
            Error::corrupt(format!(
                "`{name}` is not the name of an object in a checkpoint directory"
            ))
        })
    }

    fn prefix_path(&self) -> Option<Path> {
        let prefix = self.prefix.trim_end_matches('/');
        Path::parse(prefix)
            .ok()
            .filter(|path| !path.as_ref().is_empty())
    }

    /// Starts a request that moves so many bytes, if the gate lets it, and does not wait.
    pub(super) fn transfer<T: Send + 'static>(
        &self,
        bytes: usize,
        request: impl FnOnce() -> BoxedRequest<T>,
    ) -> Result<Answer<Outcome<T>>> {
        let pass = self.gate.enter(bytes, &self.limits);
        let limit = self.time_for(bytes);
        // Bytes are copied for a request when it has its pass, and not before.
        let request = request();
        start(async move {
            let outcome = within(limit, request).await;
            drop(pass);
            outcome
        })
    }

    /// Makes a request and waits for it.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        bytes: usize,
        request: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<Outcome<T>> {
        let limit = self.time_for(bytes);
        start(async move { within(limit, request).await })?.wait()
    }

    fn time_for(&self, bytes: usize) -> Duration {
        self.limits.timeout + Duration::from_secs(bytes as u64 >> 20)
    }

    fn put(&self, name: &str, bytes: &[u8], mode: PutMode) -> Result<Outcome<()>> {
        let (store, key) = (Arc::clone(&self.store), self.key(name)?);
        let options = PutOptions::from(mode);
        let request = || -> BoxedRequest<()> {
            let payload = PutPayload::from(bytes.to_vec());
            Box::pin(async move { store.put_opts(&key, payload, options).await.map(|_| ()) })
        };
        self.transfer(bytes.len(), request)?.wait()
    }

    /// Starts to read a range of an object of at most so many bytes, and the size of the whole.
    pub(super) fn get(
        &self,
        key: &Path,
        range: Option<Range<u64>>,
        (bytes, pass): (usize, Pass),
    ) -> Result<Answer<Arrived>> {
        let (store, key) = (Arc::clone(&self.store), key.clone());
        let limit = self.limits.part_bytes as u64;
        let time = self.time_for(bytes);
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            ..GetOptions::default()
        };
        let request = async move {
            let found = store.get_opts(&key, options).await?;
            let size = found.meta.size;
            let len = found.range.end - found.range.start;
            let bytes = if len <= limit {
                Some(found.bytes().await?.into())
            } else {
                None
            };
            Ok(Got { size, bytes })
        };
        start(async move {
            let outcome = within(time, request).await;
            Arrived { outcome, pass }
        })
    }

    /// Reads a range of an object, and waits for it. Its bytes are the caller's from here on.
    fn get_now(&self, key: &Path, range: Option<Range<u64>>, bytes: usize) -> Result<Outcome<Got>> {
        let pass = self.gate.enter(bytes, &self.limits);
        Ok(self.get(key, range, (bytes, pass))?.wait()?.outcome)
    }

    /// Deletes objects in any order.
    fn delete_all(&self, names: &[String]) -> Result<()> {
        let keys: Vec<object_store::Result<Path>> = names
            .iter()
            .map(|name| self.key(name).map(Ok))
            .collect::<Result<_>>()?;
        let deleted = self.store.delete_stream(stream::iter(keys).boxed());
        let request = deleted
            .filter(|outcome| {
                let is_gone = matches!(outcome, Ok(_) | Err(StoreError::NotFound { .. }));
                std::future::ready(!is_gone)
            })
            .try_for_each(|_| std::future::ready(Ok(())));
        let first = names.first().map_or("", String::as_str);
        self.answer("delete", first, self.wait(0, request)?)
    }

    pub(super) fn answer<T>(&self, act: &str, name: &str, outcome: Outcome<T>) -> Result<T> {
        match outcome {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(e)) => Err(failed(act, name, &self.place, &e)),
            None => Err(late(act, name, &self.place)),
        }
    }
}

pub(super) type BoxedRequest<T> =
    std::pin::Pin<Box<dyn Future<Output = object_store::Result<T>> + Send + 'static>>;

/// What a read has brought. It counts as being on its way until it is consumed: several parts may have arrived
/// before the one that they are behind.
pub(super) struct Arrived {
    pub(super) outcome: Outcome<Got>,
    pub(super) pass: Pass,
}

/// A range of an object: the size of the whole, and the bytes unless there are more than a part has.
pub(super) struct Got {
    size: u64,
    pub(super) bytes: Option<Vec<u8>>,
}

impl CheckpointStorage for RemoteStorage {
    fn create(&self, name: &str, bytes: &[u8]) -> Result<Creation> {
        self.check_conditional_put()?;
        match self.put(name, bytes, PutMode::Create)? {
            Some(Err(e)) if is_taken(&e) => Ok(Creation::AlreadyExists),
            outcome => self
                .answer("create", name, outcome)
                .map(|()| Creation::Created),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        if bytes.len() > self.limits.part_bytes {
            return self.write_in_parts(name, bytes);
        }
        let outcome = self.put(name, bytes, PutMode::Overwrite)?;
        self.answer("write", name, outcome)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let key = self.key(name)?;
        let found = match self.get_now(&key, None, self.limits.part_bytes)? {
            Some(Err(StoreError::NotFound { .. })) => return Ok(None),
            outcome => self.answer("read", name, outcome)?,
        };
        match found.bytes {
            Some(bytes) => Ok(Some(bytes)),
            None => self.read_in_parts(name, &key, found.size).map(Some),
        }
    }

    fn read_range(&self, name: &str, range: Range<u64>) -> Result<Option<Vec<u8>>> {
        let key = self.key(name)?;
        let len = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        if len == 0 || len > self.limits.part_bytes {
            return Ok(self.read(name)?.map(|bytes| part_of(&bytes, range)));
        }
        match self.get_now(&key, Some(range), len)? {
            Some(Err(StoreError::NotFound { .. })) => Ok(None),
            outcome => {
                let found = self.answer("read a part of", name, outcome)?;
                Ok(Some(found.bytes.unwrap_or_default()))
            }
        }
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        let under = format!("{}{dir}/", self.prefix);
        let path = Path::parse(under.trim_end_matches('/')).map_err(|e| {
            Error::corrupt(format!("`{dir}` is not a directory of checkpoints: {e}"))
        })?;
        let mut pages = self.store.list(Some(&path));
        let limit = self.limits.timeout;
        let listed = start(async move {
            let mut files = Vec::new();
            // The time-out is that of a page: there may be any number of them.
            while let Some(object) = within(limit, pages.try_next()).await {
                match object {
                    Ok(Some(object)) => files.extend(file_in(&under, object.location.as_ref())),
                    Ok(None) => return Some(Ok(files)),
                    Err(e) => return Some(Err(e)),
                }
            }
            None
        })?;
        let mut files = self.answer("list", dir, listed.wait()?)?;
        files.sort_unstable();
        Ok(files
            .into_iter()
            .map(|file| format!("{dir}/{file}"))
            .collect())
    }

    fn delete(&self, names: &[String]) -> Result<()> {
        // CRASH: slots one by one, as a request for many has no order: the log must lose its oldest
        // manifests first, whatever is left undone. A deletion that arrives late, or is repeated by
        // the client, may hit a claim that was put into the hole meanwhile. Such a claim counts for
        // nothing (`protocol::log`), and its owner sees that by the newest manifest, which it cannot
        // miss where lists are consistent and in the order of keys, as object stores give them.
        let is_slot = |name: &&String| names::parse_slot(name).is_some();
        for slot in names.iter().filter(is_slot) {
            self.delete_all(std::slice::from_ref(slot))?;
        }
        let objects: Vec<String> = names
            .iter()
            .filter(|name| !is_slot(name))
            .cloned()
            .collect();
        if objects.is_empty() {
            return Ok(());
        }
        self.delete_all(&objects)
    }

    fn repeats_creates(&self) -> bool {
        // The client tries again behind an answer of 5xx, though the request may have taken effect.
        true
    }

    fn place(&self) -> String {
        self.place.clone()
    }
}

impl fmt::Debug for RemoteStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client would print its settings.
        write!(f, "RemoteStorage({})", self.place)
    }
}

/// The name of a file directly in a directory.
fn file_in(dir: &str, key: &str) -> Option<String> {
    let file = key.strip_prefix(dir)?;
    (!file.is_empty() && !file.contains('/')).then(|| file.to_owned())
}

/// Whether a create was refused because the name is taken. A conflict of two creates that are both
/// on their way is refused, too, and says nothing yet about who has the name.
fn is_taken(error: &StoreError) -> bool {
    matches!(error, StoreError::AlreadyExists { .. })
        && !error.to_string().contains("ConditionalRequestConflict")
}

fn is_unsupported(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::NotImplemented { .. } | StoreError::NotSupported { .. }
    ) || error.to_string().contains("NotImplemented")
}
