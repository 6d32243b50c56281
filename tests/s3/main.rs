//! The store in a bucket: against a server of our own that checks signatures and fails as it is told, and against a real one where
//! `tests/run` has started one.

#[allow(dead_code)] // that of the hostile tests, of which we need a part
#[path = "../hostile/client.rs"]
mod client;
mod daily;
mod fault;
mod house;
mod listing;
mod pressure;
mod real;
mod server;
mod signed;
mod upload;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use postrider_storage::Error;
use postrider_storage::blob::{
    BlobBody, BlobKey, BlobMeta, BlobSource, BlobStore, BlobWritten, S3Settings, S3Store, Unique,
    contract,
};
use postrider_storage::index::Timestamp;

/// A store that waits for nobody for long.
pub fn impatient(settings: S3Settings) -> S3Store {
    let settings = S3Settings {
        timeout: Duration::from_millis(800),
        ..settings
    };
    S3Store::open(&settings).expect("good settings")
}

/// A body in memory.
pub fn body(octets: impl Into<Bytes>) -> BlobSource {
    contract::source(b"", BlobBody::Memory(octets.into()))
}

/// Puts a body under a key of its own.
pub async fn put(store: &S3Store, octets: &[u8]) -> (BlobKey, Result<BlobWritten, Error>) {
    let source = body(octets.to_vec());
    let written = source.digest().await.expect("it is in memory");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = i64::try_from(now.expect("after 1970").as_micros()).expect("not so late");
    let unique = Unique::new("mx", Timestamp(now), &written).expect("random octets");
    let key = BlobKey::for_message("s3.test", "bob", "INBOX", &unique).expect("good names");
    let outcome = store.put(&key, source, &BlobMeta::default()).await;
    (key, outcome)
}

/// Reads a whole body.
pub async fn read(store: &S3Store, key: &BlobKey, octets: usize) -> Result<Vec<u8>, Error> {
    contract::read(store, key, 0..octets as u64).await
}

/// Octets that are not all the same.
pub fn octets(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at * 31 % 251) as u8).collect()
}

/// The suite of all stores on this one.
pub async fn pass_the_contract(settings: S3Settings) {
    contract::all(async || {
        Arc::new(S3Store::open(&settings).expect("good settings")) as Arc<dyn BlobStore>
    })
    .await;
}

/// Whether it is temporary.
pub fn unavailable<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Unavailable(_)))
}
