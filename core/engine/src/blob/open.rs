//! Opens the store of a configuration that lies in a bucket.

use std::{sync::Arc, time::Duration};

use postrider_storage::blob::{BlobStore, CachedStore, S3Store};

use crate::config::S3;

/// How long a start waits for the store's first answer.
const GREETING: Duration = Duration::from_secs(10);

/// The store in a bucket, on the runtime that calls: for commands that look at it once.
///
/// # Errors
/// What is wrong with the endpoint or the certificates.
pub fn look_into_s3(s3: &S3) -> Result<S3Store, String> {
    S3Store::open(&s3.settings()?).map_err(|error| error.to_string())
}

/// The same for a program that serves from it, with a cache in front of it if there is to be one; each program has its own. A store that is
/// away is no reason not to start: mail waits, and what the index knows is served. One that says no for good is.
///
/// # Errors
/// What is wrong with keys, rights, bucket, endpoint or certificates.
pub async fn open_s3(s3: &S3, program: &str) -> Result<Arc<dyn BlobStore>, String> {
    let store = look_into_s3(s3)?;
    if let Err(refusal) = store.greet(GREETING).await {
        let (bucket, endpoint, error) = (&s3.bucket, &s3.endpoint, &refusal.error);
        if refusal.lasting {
            return Err(format!("bucket {bucket} at {endpoint}: {error}"));
        }
        tracing::warn!(%bucket, %endpoint, %error, "the store is away; starting without it");
    }
    Ok(match &s3.cache {
        Some(cache) => {
            let folder = cache.dir.join(program);
            Arc::new(CachedStore::open(store, &folder, cache.size.0).await)
        }
        None => Arc::new(store),
    })
}
