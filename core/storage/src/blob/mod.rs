//! The store of message bodies: written once under a unique name, never renamed, rewritten or appended to.
//!
//! No correctness rests on listing, conditional writes or renames of objects (I2, I10).
//!
//! Every store passes the suite in [`contract`], the one in memory first.

mod cache;
#[doc(hidden)]
pub mod contract;
mod deadline;
mod filesystem;
mod key;
mod memory;
mod name;
mod s3;
mod source;
mod tally;

pub use self::s3::{Refusal, S3Settings, S3Store};
pub use cache::CachedStore;
pub use deadline::{deadline, until};
pub use filesystem::FilesystemStore;
pub use key::{BlobKey, KEY_LIMIT, Unique};
pub use memory::{Fault, MemoryStore, Operation};
pub use tally::{Repeat, Tally, tally};

use std::{ops::Range, path::PathBuf, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures_util::{TryStreamExt, stream::BoxStream};

use crate::Error;

/// Longest chunk of a body that a store hands out, in octets.
pub const CHUNK: usize = 64 * 1024;

/// A body to write: a prefix of trace header fields, then the octets that were received.
#[derive(Clone, Debug)]
pub struct BlobSource {
    /// First octets.
    pub prefix: Bytes,
    /// The rest.
    pub body: BlobBody,
}

/// Where received octets wait.
#[derive(Clone, Debug)]
pub enum BlobBody {
    /// In memory.
    Memory(Bytes),
    /// In a spool file that nobody changes while it is read.
    File {
        /// The file.
        path: PathBuf,
        /// Its octets.
        octets: u64,
    },
}

/// What a rebuild of a lost index needs, kept beside the octets.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BlobMeta {
    /// Address of the account.
    pub account: String,
    /// Mailbox at birth.
    pub mailbox: String,
    /// INTERNALDATE, microseconds since 1970.
    pub internal_date: i64,
    /// Envelope sender; empty for the null reverse-path or an APPEND.
    pub sender: String,
    /// Envelope recipient; empty for an APPEND.
    pub recipient: String,
}

impl BlobMeta {
    /// What the key alone says: all that is known where a store keeps nothing beside the octets.
    pub fn from_key(key: &BlobKey) -> BlobMeta {
        BlobMeta {
            account: key.account().unwrap_or_default(),
            mailbox: key.mailbox().unwrap_or_default(),
            internal_date: key.unique().map_or(0, |unique| unique.made().0),
            ..BlobMeta::default()
        }
    }
}

/// What was written, confirmed by the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BlobWritten {
    /// Octets.
    pub size: u64,
    /// SHA-256 of the octets.
    pub sha256: [u8; 32],
}

/// Octets of a body as they come.
pub type BlobStream = BoxStream<'static, Result<Bytes, Error>>;

/// A store of message bodies.
///
/// # Errors
/// [`Error::NotFound`] for a body that is not there, [`Error::Unavailable`] when the store is away, full or overloaded,
/// [`Error::Corrupt`] when what lies there is not what was written.
#[async_trait::async_trait]
pub trait BlobStore: Send + Sync + 'static {
    /// Writes a body. When this returns it is durable and whole; on an error nothing is visible under its key, or the same octets are
    /// (an unknown outcome may be repeated). Octets that do not fit the key ([`BlobKey::fits`]) or are fewer than announced are an
    /// [`Error::Corrupt`], and nothing is written.
    async fn put(
        &self,
        key: &BlobKey,
        source: BlobSource,
        meta: &BlobMeta,
    ) -> Result<BlobWritten, Error>;
    /// Streams octets of a body in chunks of at most 64 KiB. A range beyond the end is an [`Error::Corrupt`]. Octets that
    /// turn out to be missing while they are streamed are one too, as the last item.
    async fn get(&self, key: &BlobKey, range: Range<u64>) -> Result<BlobStream, Error>;
    /// Reads whole bodies of these sizes into memory, one after the other, each with an outcome of its own: many small ones cost less
    /// together. Who asks bounds what they come to. An error of all of them is one of the store, not of a body.
    async fn get_all(
        &self,
        bodies: Vec<(BlobKey, u64)>,
    ) -> Result<Vec<Result<Bytes, Error>>, Error> {
        let mut read = Vec::with_capacity(bodies.len());
        for (key, size) in bodies {
            read.push(match self.get(&key, 0..size).await {
                Ok(chunks) => gather(chunks, size).await,
                Err(error) => Err(error),
            });
        }
        Ok(read)
    }
    /// Deletes a body; one that is not there is a success.
    async fn delete(&self, key: &BlobKey) -> Result<(), Error>;
    /// What was kept beside a body; from its key what was not. For `fsck` alone.
    async fn meta(&self, key: &BlobKey) -> Result<BlobMeta, Error>;
    /// All keys that begin with a prefix, with their sizes, in any order; for `fsck` alone. What is not the key of a body is passed over.
    /// [`Error::Denied`] where the credentials do not reach so far.
    async fn list(
        &self,
        prefix: &str,
    ) -> Result<BoxStream<'static, Result<(BlobKey, u64), Error>>, Error>;
    /// Whether a body could be written and read now.
    async fn probe(&self) -> Result<(), Error>;
    /// Its puts as work for a thread that may block, where they are nothing else: who has such threads need not ask a task to ask one.
    fn blocking(&self) -> Option<Arc<dyn BlockingPut>> {
        None
    }
}

/// A store whose puts block the thread they run on.
pub trait BlockingPut: Send + Sync {
    /// [`BlobStore::put`].
    ///
    /// # Errors
    /// Those of [`BlobStore::put`].
    fn put(
        &self,
        key: &BlobKey,
        source: &BlobSource,
        meta: &BlobMeta,
    ) -> Result<BlobWritten, Error>;
}

/// All octets of a stream that has `size` of them.
async fn gather(mut chunks: BlobStream, size: u64) -> Result<Bytes, Error> {
    let mut octets = BytesMut::new();
    while let Some(chunk) = chunks.try_next().await? {
        octets.extend_from_slice(&chunk);
    }
    match octets.len() as u64 == size {
        true => Ok(octets.freeze()),
        false => Err(Error::Corrupt(format!(
            "{} octets where {size} were to come",
            octets.len()
        ))),
    }
}

/// Runs blocking work off the event loops.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::Unavailable("the process is stopping".to_owned())),
    }
}

/// Octets were asked for that the body does not have.
fn beyond_end(key: &BlobKey, range: &Range<u64>, size: u64) -> Error {
    Error::Corrupt(format!(
        "octets {} to {} of {key}, which has {size}",
        range.start, range.end
    ))
}
