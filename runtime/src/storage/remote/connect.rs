//! The client of an object store, from the environment and from settings.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};

use crate::storage::TransferLimits;
use crate::storage::location::{Bucket, Service};

/// How often a request is repeated that fails in a way that passes.
const MAX_RETRIES: usize = 10;

/// The client of the object store that `bucket` is in, or what is wrong with its settings.
pub(in crate::storage) fn connect(
    bucket: &Bucket,
    settings: &BTreeMap<String, String>,
    limits: &TransferLimits,
) -> Result<Arc<dyn ObjectStore>, String> {
    // An error says that the program has installed a provider of its own, which does as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Each delay is drawn at random below a bound that doubles. Retries end before the time of the
    // operation does, so that the last refusal is told and not only that time is up.
    let usual = BackoffConfig::default();
    let retry = RetryConfig {
        backoff: BackoffConfig {
            max_backoff: usual.max_backoff.min(limits.timeout / 8),
            ..usual
        },
        max_retries: MAX_RETRIES,
        retry_timeout: limits.timeout / 2,
    };
    let name = bucket.name.as_str();
    match bucket.service {
        Service::Amazon => {
            let builder = keys(settings)?
                .into_iter()
                .fold(AmazonS3Builder::from_env(), |b, (key, value)| {
                    b.with_config(key, value)
                })
                .with_bucket_name(name)
                .with_conditional_put(S3ConditionalPut::ETagMatch)
                .with_retry(retry);
            built(builder.build())
        }
        Service::Google => {
            let builder = keys(settings)?
                .into_iter()
                .fold(GoogleCloudStorageBuilder::from_env(), |b, (key, value)| {
                    b.with_config(key, value)
                })
                .with_bucket_name(name)
                .with_retry(retry);
            built(builder.build())
        }
        Service::Azure => {
            let builder = keys(settings)?
                .into_iter()
                .fold(MicrosoftAzureBuilder::from_env(), |b, (key, value)| {
                    b.with_config(key, value)
                })
                .with_container_name(name)
                .with_retry(retry);
            built(builder.build())
        }
    }
}

/// The settings with keys that this store knows.
fn keys<K: FromStr>(settings: &BTreeMap<String, String>) -> Result<Vec<(K, &str)>, String> {
    settings
        .iter()
        .map(|(key, value)| match key.to_ascii_lowercase().parse() {
            Ok(known) => Ok((known, value.as_str())),
            Err(_) => Err(format!("`{key}` is not a setting of this object store")),
        })
        .collect()
}

fn built<S: ObjectStore>(store: object_store::Result<S>) -> Result<Arc<dyn ObjectStore>, String> {
    match store {
        Ok(store) => Ok(Arc::new(store)),
        Err(e) => Err(format!(
            "its settings do not fit: {}",
            super::errors::reason(&e)
        )),
    }
}
