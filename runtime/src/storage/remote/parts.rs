//! Objects that travel in parts, several at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{MultipartUpload, PutMultipartOptions};

use super::client::{Answer, start, within};
use super::objects::{Arrived, BoxedRequest, Outcome, RemoteStorage};
use crate::error::{Error, Result};

/// S3's limit on the parts of an object.
const MAX_PARTS: usize = 10_000;

impl RemoteStorage {
    /// Uploads an object in parts, several at a time.
    pub(super) fn write_in_parts(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let (store, key) = (Arc::clone(&self.store), self.key(name)?);
        let begin = async move {
            store
                .put_multipart_opts(&key, PutMultipartOptions::default())
                .await
        };
        let mut upload = self.answer("begin to write", name, self.wait(0, begin)?)?;
        let uploaded = self.upload_parts(name, bytes, upload.as_mut());
        let limit = self.limits.timeout;
        let finish = start(async move {
            let completed = match uploaded {
                Ok(()) => within(limit, upload.complete())
                    .await
                    .map(|done| done.map(|_| ())),
                Err(error) => {
                    let _ = within(limit, upload.abort()).await;
                    return Err(error);
                }
            };
            if !matches!(completed, Some(Ok(()))) {
                // The upload may be complete for all that is known: then there is nothing to abort,
                // and the object, which no manifest names, is found by a later cleanup.
                let _ = within(limit, upload.abort()).await;
            }
            Ok(completed)
        })?;
        self.answer("write", name, finish.wait()??)
    }

    fn upload_parts(
        &self,
        name: &str,
        bytes: &[u8],
        upload: &mut dyn MultipartUpload,
    ) -> Result<()> {
        let part_bytes = self.limits.part_bytes.max(bytes.len().div_ceil(MAX_PARTS));
        let mut on_the_way = VecDeque::new();
        let mut uploaded = Ok(());
        for part in bytes.chunks(part_bytes) {
            let request = || -> BoxedRequest<()> { upload.put_part(part.to_vec().into()) };
            on_the_way.push_back(self.transfer(part.len(), request)?);
            if on_the_way.len() >= self.limits.requests {
                uploaded = self.next_part(name, &mut on_the_way);
            }
            if uploaded.is_err() {
                break;
            }
        }
        // Every part has its answer before the upload is completed or aborted: one that came behind
        // the abort would stay in the bucket.
        while !on_the_way.is_empty() {
            uploaded = uploaded.and(self.next_part(name, &mut on_the_way));
        }
        uploaded
    }

    fn next_part(&self, name: &str, on_the_way: &mut VecDeque<Answer<Outcome<()>>>) -> Result<()> {
        let answer = on_the_way.pop_front().expect("the caller has looked");
        self.answer("write a part of", name, answer.wait()?)
    }

    /// Reads a large object in parts, several at a time.
    pub(super) fn read_in_parts(&self, name: &str, key: &Path, size: u64) -> Result<Vec<u8>> {
        let mut whole = Vec::new();
        whole
            .try_reserve_exact(usize::try_from(size).unwrap_or(usize::MAX))
            .map_err(|_| {
                Error::unavailable(format!(
                    "`{name}` in {} has {size} bytes: too many",
                    self.place
                ))
            })?;
        let mut on_the_way = VecDeque::new();
        let mut begin = 0;
        loop {
            let end = size.min(begin + self.limits.part_bytes as u64);
            let len = (end - begin) as usize;
            // Waits at the gate only while it holds nothing: others may wait for the parts that have arrived
            // here to be consumed.
            let pass = match (len, on_the_way.is_empty()) {
                (0, _) => None,
                (_, true) => Some(self.gate.enter(len, &self.limits)),
                (_, false) => self.gate.try_enter(len, &self.limits),
            };
            if let Some(pass) = pass {
                on_the_way.push_back(self.get(key, Some(begin..end), (len, pass))?);
                begin = end;
            } else if let Some(answer) = on_the_way.pop_front() {
                let Arrived { outcome, pass } = answer.wait()?;
                let part = self.answer("read a part of", name, outcome)?;
                whole.extend_from_slice(&part.bytes.unwrap_or_default());
                drop(pass);
            } else {
                break;
            }
        }
        if whole.len() as u64 == size {
            Ok(whole)
        } else {
            Err(Error::unavailable(format!(
                "`{name}` in {} changed its size while it was read",
                self.place
            )))
        }
    }
}
