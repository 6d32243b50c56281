//! Opens the store of a configuration that lies in a bucket.

use std::{sync::Arc, time::Duration};

use postrider_storage::blob::{BlobStore, CachedStore, S3Store};

use crate::config::S3;

/// How long a start waits for the store's first answer.
const GREETING: Duration = Duration::from_secs(10);

/// The store in a bucket, on the runtime that calls, with a cache in front of it if there is to be one. A store that is away is no
/// reason not to start: mail waits, and what the index knows is served. One that says no for good is.
///
/// # Errors
/// What is wrong with keys, rights, bucket, endpoint or certificates.
pub async fn open_s3(s3: &S3) -> Result<Arc<dyn BlobStore>, String> {
    let settings = s3.settings()?;
    let store = S3Store::open(&settings).map_err(|error| error.to_string())?;
    if let Err(refusal) = store.greet(GREETING).await {
        let (bucket, endpoint) = (&s3.bucket, &s3.endpoint);
        if refusal.lasting {
            return Err(format!(
                "bucket {bucket} at {endpoint}: {}",
                refusal.error
            ));
        }
        tracing::warn!(%bucket, %endpoint, error = %refusal.error, "the store is away; starting without it");
    }
    Ok(match &s3.cache {
        Some(cache) => Arc::new(CachedStore::open(store, &cache.dir, cache.size.0).await),
        None => Arc::new(store),
    })
}
