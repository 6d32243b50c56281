//! The store of message bodies: written once under a unique name, never renamed, rewritten or appended to.
//!
//! No correctness rests on listing, conditional writes or renames of objects (I2, I10).

mod key;

pub use key::BlobKey;

use std::{ops::Range, path::PathBuf};

use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::Error;

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

impl BlobSource {
    /// Octets in all.
    pub fn octets(&self) -> u64 {
        let body = match &self.body {
            BlobBody::Memory(bytes) => bytes.len() as u64,
            BlobBody::File { octets, .. } => *octets,
        };
        self.prefix.len() as u64 + body
    }
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
    /// (an unknown outcome may be repeated).
    async fn put(
        &self,
        key: &BlobKey,
        source: BlobSource,
        meta: &BlobMeta,
    ) -> Result<BlobWritten, Error>;
    /// Streams octets of a body in chunks of at most 64 KiB. A range beyond the end is an [`Error::Corrupt`].
    async fn get(&self, key: &BlobKey, range: Range<u64>) -> Result<BlobStream, Error>;
    /// Deletes a body; one that is not there is a success.
    async fn delete(&self, key: &BlobKey) -> Result<(), Error>;
    /// All keys below a prefix with their sizes; for `fsck` alone.
    async fn list(
        &self,
        prefix: &str,
    ) -> Result<BoxStream<'static, Result<(BlobKey, u64), Error>>, Error>;
    /// Whether a body could be written and read now.
    async fn probe(&self) -> Result<(), Error>;
}
