//! Octets of one message, received whole.
//!
//! **Bounds.** A body in memory keeps its share of the budget as long as anybody holds its octets; a body in a file takes
//! one only while it is scanned. Copies of small bodies for a scan are bounded by the permits for blocking work.

use std::{
    fs::File,
    io::{self, Read},
    ops::Range,
    os::unix::fs::FileExt,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{Stream, stream};
use postrider_storage::blob::{BlobBody, BlobSource, BlobWritten, CHUNK};
use tokio::time::Instant;

use super::{SpoolError, Spools, folder::RemovedOnDrop};
use crate::actor::{ByteCount, Taker};

/// Octets that are scanned where the caller stands; more go to a thread that may block.
const INLINE: u64 = 16 * 1024;

/// A received message, cheap to clone; its file is gone with the last clone.
#[derive(Clone, Debug)]
pub struct Spooled(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    written: BlobWritten,
    content: Content,
    /// Its folder must not go before its file.
    spools: Spools,
}

/// Where the octets are.
#[derive(Debug)]
pub(super) enum Content {
    /// They hold their share themselves.
    Memory(Bytes),
    File(RemovedOnDrop),
}

impl Spooled {
    pub(super) fn new(written: BlobWritten, content: Content, spools: Spools) -> Self {
        Self(Arc::new(Kept {
            written,
            content,
            spools,
        }))
    }

    /// Octets in all.
    pub fn octets(&self) -> u64 {
        self.0.written.size
    }

    /// SHA-256 of the octets.
    pub fn sha256(&self) -> [u8; 32] {
        self.0.written.sha256
    }

    /// What a store is to confirm if nothing is put before the octets.
    pub fn written(&self) -> BlobWritten {
        self.0.written
    }

    /// The octets for a store. This value must live until the store is done with them.
    pub fn body(&self) -> BlobBody {
        match &self.0.content {
            Content::Memory(octets) => BlobBody::Memory(octets.clone()),
            Content::File(path) => BlobBody::File {
                path: path.path().to_owned(),
                octets: self.octets(),
            },
        }
    }

    /// The octets behind a prefix of trace header fields, for a store. This value must live until the store is done with them.
    pub fn source(&self, prefix: Bytes) -> BlobSource {
        BlobSource {
            prefix,
            body: self.body(),
        }
    }

    /// The first octets, at most `limit`; for a header, or to guess a type.
    ///
    /// # Errors
    /// [`SpoolError`]: temporary, all of them.
    pub async fn head(&self, limit: usize) -> Result<Bytes, SpoolError> {
        let end = self.octets().min(limit as u64);
        self.part(0..end).await
    }

    /// The octets in chunks of at most 64 KiB, without holding more than one.
    pub fn chunks(&self) -> impl Stream<Item = Result<Bytes, SpoolError>> + Send + use<> {
        stream::try_unfold((self.clone(), 0), |(spooled, at)| async move {
            let end = spooled.octets().min(at + CHUNK as u64);
            if at == end {
                return Ok(None);
            }
            let chunk = spooled.part(at..end).await?;
            Ok(Some((chunk, (spooled, end))))
        })
    }

    /// Shows `work` all octets behind a prefix, in one piece. What is in a file is read into memory that is taken from the budget,
    /// waiting until `deadline` in line for it.
    ///
    /// # Errors
    /// [`SpoolError`]: temporary, all of them.
    pub async fn scan<T: Send + 'static>(
        &self,
        prefix: Bytes,
        taker: &Taker,
        deadline: Instant,
        work: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> Result<T, SpoolError> {
        let octets = self.octets().saturating_add(prefix.len() as u64);
        match &self.0.content {
            // Waking another thread costs more than looking at so little.
            Content::Memory(body) if octets <= INLINE => Ok(match prefix.is_empty() {
                true => work(body),
                false => work(&[prefix, body.clone()].concat()),
            }),
            Content::Memory(body) => {
                let body = body.clone();
                let work = move || {
                    if prefix.is_empty() {
                        work(&body)
                    } else {
                        work(&[prefix, body].concat())
                    }
                };
                Ok(self.0.spools.service.spawn_blocking(work).await?)
            }
            Content::File(_) => {
                // Nothing is held here: who waits in line must not be who others wait for.
                let share = taker.take(ByteCount::bytes(octets), deadline).await?;
                let spooled = self.clone();
                let read = move || {
                    let whole = spooled.read_whole(&prefix)?;
                    let found = work(&whole);
                    drop((whole, share));
                    Ok(found)
                };
                self.0.spools.service.spawn_blocking(read).await?
            }
        }
    }

    /// A range that the octets have.
    async fn part(&self, range: Range<u64>) -> Result<Bytes, SpoolError> {
        let length = usize::try_from(range.end - range.start).map_err(|_| SpoolError::TooLarge)?;
        match &self.0.content {
            Content::Memory(octets) => {
                // A range of octets in memory fits a usize.
                let start = usize::try_from(range.start).map_err(|_| SpoolError::TooLarge)?;
                Ok(octets.slice(start..start + length))
            }
            Content::File(_) => {
                let spooled = self.clone();
                let read = move || {
                    let mut octets = vec![0; length];
                    let file = spooled.open()?;
                    file.read_exact_at(&mut octets, range.start)?;
                    Ok(Bytes::from(octets))
                };
                self.0.spools.service.spawn_blocking(read).await?
            }
        }
    }

    fn read_whole(&self, prefix: &[u8]) -> Result<Vec<u8>, SpoolError> {
        let length = usize::try_from(self.octets()).map_err(|_| SpoolError::TooLarge)?;
        let mut octets = Vec::with_capacity(prefix.len() + length);
        octets.extend_from_slice(prefix);
        let read = self.open()?.take(self.octets()).read_to_end(&mut octets)?;
        if read != length {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(octets)
    }

    fn open(&self) -> io::Result<File> {
        match &self.0.content {
            Content::File(path) => File::open(path.path()),
            Content::Memory(_) => Err(io::ErrorKind::NotFound.into()),
        }
    }
}
