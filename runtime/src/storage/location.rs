//! Where checkpoints are kept: a directory, or a URL.
//!
//! Making a location performs no I/O and refuses nothing, so that it may stand in settings;
//! [`CheckpointLocation::check`] says what is wrong with it, [`CheckpointLocation::open`] opens it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::storage::local::real_dir;
use crate::storage::{CheckpointStorage, Disk, LocalStorage, MemoryStorage, TransferLimits};

/// The storages of `memory://`, by name, as long as the process lives.
static MEMORY: Mutex<BTreeMap<String, MemoryStorage>> = Mutex::new(BTreeMap::new());

/// Where checkpoints are kept: the path of a directory, or a URL.
///
/// | URL | what |
/// |---|---|
/// | `file:///path` | a directory, like a plain path |
/// | `memory://name` | memory of this process: a later run in the same process finds it |
/// | `s3://bucket/prefix` | Amazon S3, or what speaks its protocol (feature `object-store`) |
/// | `gs://bucket/prefix` | Google Cloud Storage (feature `object-store`) |
/// | `az://container/prefix` | Azure Blob Storage (feature `object-store`) |
///
/// Credentials and addresses come from the environment (`AWS_..`, `GOOGLE_..`, `AZURE_..`, as the
/// crate `object_store` names them); [`with`](Self::with) sets one in the program instead.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::storage::CheckpointLocation;
///
/// CheckpointLocation::from("checkpoints").check()?;
/// CheckpointLocation::from("memory://my-test").check()?;
/// assert!(CheckpointLocation::from("s4://bucket").check().is_err());
/// # Ok::<(), flowdsl_runtime::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CheckpointLocation {
    written: Written,
    settings: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Eq)]
enum Written {
    Dir(PathBuf),
    Url(String),
}

/// A location that has been understood.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Dir(PathBuf),
    Memory(String),
    Bucket(Bucket),
}

/// A part of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) service: Service,
    /// The bucket, or the container.
    pub(super) name: String,
    /// What all keys begin with, without slashes around it; may be empty.
    pub(super) prefix: String,
}

impl Bucket {
    /// Whether one prefix is the other, or a part of it.
    fn is_nested_with(&self, other: &Self) -> bool {
        let (a, b) = (format!("{}/", self.prefix), format!("{}/", other.prefix));
        let is_all = |prefix: &str| prefix == "/";
        is_all(&a) || is_all(&b) || a.starts_with(&b) || b.starts_with(&a)
    }
}

/// Who runs an object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Amazon,
    Google,
    Azure,
}

impl<T: AsRef<Path>> From<T> for CheckpointLocation {
    fn from(written: T) -> Self {
        let path = written.as_ref();
        let written = match path.to_str().filter(|text| scheme_of(text).is_some()) {
            Some(url) => Written::Url(url.to_owned()),
            None => Written::Dir(path.to_owned()),
        };
        Self {
            written,
            settings: BTreeMap::new(),
        }
    }
}

impl CheckpointLocation {
    /// The same location with a setting of the object store, which goes before that of the
    /// environment: `aws_endpoint`, `google_service_account_path`, `azure_storage_account_name` ..
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(key.into(), value.into());
        self
    }

    /// Whether this build can open the location, as far as can be said without I/O.
    ///
    /// # Errors
    ///
    /// `Invalid`, with what is wrong with it.
    pub fn check(&self) -> Result<()> {
        match self.place()? {
            Place::Bucket(_) if cfg!(not(feature = "object-store")) => Err(self.invalid(
                "this program was built without object stores: enable the feature `object-store` of `flowdsl`",
            )),
            Place::Bucket(_) | Place::Dir(_) | Place::Memory(_) => Ok(()),
        }
    }

    /// Opens the location to run a job on it; directories are on `disk`.
    ///
    /// # Errors
    ///
    /// `Invalid` if the location, its settings or its rights are wrong; `Unavailable` if it does not answer.
    pub fn open(
        &self,
        disk: Arc<dyn Disk>,
        limits: &TransferLimits,
    ) -> Result<Arc<dyn CheckpointStorage>> {
        self.check()?;
        match self.place()? {
            Place::Dir(dir) => Ok(Arc::new(LocalStorage::open(disk, dir)?)),
            Place::Memory(name) => {
                let mut storages = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(Arc::new(storages.entry(name).or_default().clone()))
            }
            Place::Bucket(bucket) => open_bucket(self, &bucket, limits),
        }
    }

    /// The location as text that another process on the same machine understands.
    ///
    /// # Errors
    ///
    /// `Invalid` if it cannot be said in text, or has settings, which are this process's own.
    pub(crate) fn as_request(&self) -> Result<String> {
        self.place()?;
        if !self.settings.is_empty() {
            return Err(self.invalid("its settings cannot be sent: set them where the job runs"));
        }
        match &self.written {
            Written::Url(url) => Ok(url.clone()),
            Written::Dir(dir) => {
                let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
                let text = dir.to_str().map(str::to_owned);
                text.ok_or_else(|| self.invalid("it is not text"))
            }
        }
    }

    /// The directory, if it is one.
    pub(crate) fn dir(&self) -> Option<PathBuf> {
        match self.place() {
            Ok(Place::Dir(dir)) => Some(dir),
            Ok(Place::Memory(_) | Place::Bucket(_)) | Err(_) => None,
        }
    }

    /// Whether one of the two is the other, or a part of it.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        match (self.place(), other.place()) {
            (Ok(Place::Dir(a)), Ok(Place::Dir(b))) => {
                let (a, b) = (real_dir(&a), real_dir(&b));
                a.starts_with(&b) || b.starts_with(&a)
            }
            (Ok(Place::Memory(a)), Ok(Place::Memory(b))) => a == b,
            (Ok(Place::Bucket(a)), Ok(Place::Bucket(b))) => {
                let is_same = a.service == b.service && a.name == b.name;
                is_same && self.settings == other.settings && a.is_nested_with(&b)
            }
            (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
        }
    }

    /// Whether what is kept there outlives the process, on no disk of its own.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self.place(), Ok(Place::Bucket(_)))
    }

    /// Opens the location to look at what is there, also while a job runs on it: nothing is written, and
    /// unfinished files stay.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_to_read(
        &self,
        disk: Arc<dyn Disk>,
        limits: &TransferLimits,
    ) -> Result<Arc<dyn CheckpointStorage>> {
        self.check()?;
        match self.place()? {
            Place::Dir(dir) => Ok(Arc::new(LocalStorage::new(disk, dir))),
            Place::Memory(name) => {
                let storages = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(Arc::new(storages.get(&name).cloned().unwrap_or_default()))
            }
            Place::Bucket(bucket) => open_bucket(self, &bucket, limits),
        }
    }

    fn place(&self) -> Result<Place> {
        let url = match &self.written {
            Written::Dir(dir) => return Ok(Place::Dir(dir.clone())),
            Written::Url(url) => url,
        };
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let place = place_of(scheme, rest).map_err(|reason| self.invalid(&reason))?;
        if !self.settings.is_empty() && !matches!(place, Place::Bucket(_)) {
            return Err(self.invalid("it has settings of an object store, and is none"));
        }
        Ok(place)
    }

    fn invalid(&self, reason: &str) -> Error {
        Error::invalid(format!("the checkpoint location {self}: {reason}"))
    }
}

#[cfg(feature = "object-store")]
fn open_bucket(
    location: &CheckpointLocation,
    bucket: &Bucket,
    limits: &TransferLimits,
) -> Result<Arc<dyn CheckpointStorage>> {
    let store = super::remote::connect(bucket, &location.settings, limits)
        .map_err(|reason| location.invalid(&reason))?;
    let place = location.to_string();
    let storage = super::RemoteStorage::new(store, &bucket.prefix, place, limits.clone())?;
    storage.check_access()?;
    Ok(Arc::new(storage))
}

#[cfg(not(feature = "object-store"))]
fn open_bucket(
    location: &CheckpointLocation,
    bucket: &Bucket,
    _: &TransferLimits,
) -> Result<Arc<dyn CheckpointStorage>> {
    unreachable!("`check` refuses {location} with {bucket:?} in this build")
}

/// Never shows what may be a secret: a user in front of the host, a query behind the path.
impl fmt::Display for CheckpointLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = match &self.written {
            Written::Dir(dir) => return dir.display().fmt(f),
            Written::Url(url) => url,
        };
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let shown = rest.split(['?', '#']).next().unwrap_or_default();
        match shown.rsplit_once('@') {
            Some((_, shown)) => write!(f, "{scheme}://..@{shown}"),
            None => write!(f, "{scheme}://{shown}"),
        }
    }
}

impl fmt::Debug for CheckpointLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&String> = self.settings.keys().collect();
        write!(f, "CheckpointLocation({self}, settings {keys:?})")
    }
}

/// The scheme of what looks like a URL.
fn scheme_of(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once("://")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let is_scheme =
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(plain);
    is_scheme.then_some(scheme)
}

fn place_of(scheme: &str, rest: &str) -> Result<Place, String> {
    if rest.contains(['?', '#', '@']) {
        return Err(
            "a user, a query or a fragment does not belong there; credentials come from the environment"
                .to_owned(),
        );
    }
    let service = match scheme.to_ascii_lowercase().as_str() {
        "file" => return file_of(rest).map(Place::Dir),
        "memory" if rest.is_empty() => return Err("name it: `memory://name`".to_owned()),
        "memory" => return Ok(Place::Memory(rest.to_owned())),
        "s3" => Service::Amazon,
        "gs" => Service::Google,
        "az" => Service::Azure,
        _ => {
            return Err(format!(
                "`{scheme}` is not known: write a path, `file://`, `memory://`, `s3://`, `gs://` or `az://`"
            ));
        }
    };
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_end_matches('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '=');
    let is_plain = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(plain);
    if !is_plain(name) {
        return Err(format!(
            "it names no bucket: write `{scheme}://bucket/prefix`"
        ));
    }
    if !prefix.is_empty() && !prefix.split('/').all(is_plain) {
        return Err("its prefix may hold `A-Z a-z 0-9 _ - . =` and single slashes only".to_owned());
    }
    Ok(Place::Bucket(Bucket {
        service,
        name: name.to_owned(),
        prefix: prefix.to_owned(),
    }))
}

/// The path of a `file://` URL.
fn file_of(rest: &str) -> Result<PathBuf, String> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err("a file URL has three slashes and an absolute path: `file:///path`".to_owned());
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut pieces = path.split('%');
    bytes.extend(pieces.next().unwrap_or_default().bytes());
    for piece in pieces {
        let hex = piece
            .get(..2)
            .filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let byte = hex.ok_or("a `%` in it is not followed by two hexadecimal digits")?;
        bytes.push(byte);
        bytes.extend(piece[2..].bytes());
    }
    let path = String::from_utf8(bytes).map_err(|_| "its path is not UTF-8".to_owned())?;
    Ok(PathBuf::from(path))
}
