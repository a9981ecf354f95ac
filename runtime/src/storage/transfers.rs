//! Limits of the traffic with object stores.

use std::time::Duration;

/// The smallest part that S3 accepts, but for the last one of an object.
const SMALLEST_PART: usize = 5 << 20;

/// Limits of the traffic with object stores. Requests and bytes are counted over the whole process:
/// a job waits until no more are on their way than its own limits allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferLimits {
    /// The most objects, or parts of objects, that are on their way at a time. Default 16.
    pub requests: usize,
    /// The most bytes that are on their way at a time, or have arrived and wait for the part before them; one larger
    /// than that travels alone. Default 64 MiB.
    pub bytes: usize,
    /// Objects above this size travel in parts of this size. Default 8 MiB, at least 5 MiB.
    pub part_bytes: usize,
    /// How long an operation may take, its retries included; a second more for each MiB. Default 60 s.
    pub timeout: Duration,
}

impl Default for TransferLimits {
    fn default() -> Self {
        Self {
            requests: 16,
            bytes: 64 << 20,
            part_bytes: 8 << 20,
            timeout: Duration::from_secs(60),
        }
    }
}

impl TransferLimits {
    /// What is wrong with these limits, a sentence each.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let rules = [
            (
                self.requests >= 1,
                "`transfers.requests` is zero: nothing could be sent to an object store".to_owned(),
            ),
            (
                self.part_bytes >= SMALLEST_PART,
                format!(
                    "`transfers.part_bytes` is under {SMALLEST_PART}, the smallest part that S3 accepts"
                ),
            ),
            (
                self.bytes >= self.part_bytes,
                "`transfers.bytes` is under `transfers.part_bytes`: parts would travel one by one"
                    .to_owned(),
            ),
            (
                !self.timeout.is_zero(),
                "`transfers.timeout` is zero: every request would fail".to_owned(),
            ),
        ];
        let broken = |(holds, text)| if holds { None } else { Some(text) };
        rules.into_iter().filter_map(broken).collect()
    }
}
