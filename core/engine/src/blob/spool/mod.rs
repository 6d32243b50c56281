//! The spool: where the octets of one message wait while it is received.
//!
//! They stay in memory up to 256 KiB, taken from the process's memory budget as they come; what is longer, or finds no memory, goes to
//! a file of this process, 256 KiB at a time. The checksum is made on the way.
//!
//! **Invariants.** A spool never refuses octets: after a fault it takes and forgets them, so that the connection can read its
//! command to the end (`Received::fault`). Files are gone when nobody needs them, also after a crash.
//! **Bounds.** 256 KiB of memory a spool. Only its first octets wait in line for memory.
//! **On failure.** Everything that can fail here is ours and temporary (I8).

mod folder;
mod spooled;

#[cfg(test)]
mod tests;

use std::{fmt, io, io::Write, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use postrider_storage::blob::BlobWritten;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

pub use self::spooled::Spooled;
use self::{
    folder::{Folder, SpoolFile},
    spooled::Content,
};
use crate::actor::{BudgetError, ByteCount, Gone, ServiceRuntime, Share, Taker};

/// Memory that a spool begins with; it doubles up to [`MEMORY`].
const FIRST: u64 = 16 * 1024;
/// Memory that a spool may hold; what comes then is written to its file.
const MEMORY: u64 = 256 * 1024;

/// Why a spool does not hold what came. All are temporary.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SpoolError {
    /// No memory in time, or none at all for so much.
    #[error(transparent)]
    Memory(#[from] BudgetError),
    /// The disk is full, broken, or away.
    #[error("spool file: {0}")]
    Disk(String),
    /// More octets than this machine can address.
    #[error("too large for this machine")]
    TooLarge,
    /// A write was given up half-way.
    #[error("a write to the spool was given up")]
    Interrupted,
    /// The process is stopping, or a thread panicked.
    #[error(transparent)]
    Gone(#[from] Gone),
}

impl From<io::Error> for SpoolError {
    fn from(error: io::Error) -> Self {
        Self::Disk(error.to_string())
    }
}

/// Makes the spools of a process, cheap to clone.
#[derive(Clone, Debug)]
pub struct Spools {
    folder: Arc<Folder>,
    service: ServiceRuntime,
}

impl Spools {
    /// Opens the spool folder, usually `<data_dir>/spool`, and removes what earlier processes left there.
    ///
    /// # Errors
    /// [`SpoolError::Disk`] if the folder cannot be made or read.
    pub async fn open(
        parent: impl Into<PathBuf>,
        service: ServiceRuntime,
    ) -> Result<Self, SpoolError> {
        let parent = parent.into();
        let folder = service
            .spawn_blocking(move || Folder::open(&parent))
            .await??;
        Ok(Self {
            folder: Arc::new(folder),
            service,
        })
    }

    /// A fresh spool. Its first octets wait up to `patience` for memory.
    pub fn begin(&self, taker: &Taker, patience: Duration) -> Spool {
        Spool {
            spools: self.clone(),
            taker: taker.clone(),
            patience,
            octets: 0,
            state: State::Open(Box::default()),
        }
    }
}

/// Takes the octets of one message as they come.
pub struct Spool {
    spools: Spools,
    taker: Taker,
    patience: Duration,
    octets: u64,
    state: State,
}

enum State {
    Open(Box<Open>),
    /// Where the parts are while a thread writes them; the state of a spool whose `append` was dropped then.
    Away,
    Failed(SpoolError),
}

/// What an open spool holds.
#[derive(Default)]
struct Open {
    /// Octets not yet written to the file; all of them while there is none.
    buffer: Vec<u8>,
    /// Covers the buffer's capacity.
    share: Option<Share>,
    /// Of what was written to the file.
    hash: Sha256,
    file: Option<SpoolFile>,
}

impl Spool {
    /// Takes octets. Waits for memory at first, and for the disk when there are many; after a fault it forgets them.
    pub async fn append(&mut self, mut octets: &[u8]) {
        while !octets.is_empty() {
            let open = match self.room().await {
                Ok(Some(open)) => open,
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, octets = self.octets, "spool failed");
                    self.state = State::Failed(error);
                    return;
                }
            };
            let (now, later) = octets.split_at(octets.len().min(open.free()));
            open.buffer.extend_from_slice(now);
            self.octets += now.len() as u64;
            octets = later;
        }
    }

    /// Octets kept so far.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Why the octets are of no use, if they are not.
    pub fn fault(&self) -> Option<SpoolError> {
        match &self.state {
            State::Open(_) => None,
            State::Away => Some(SpoolError::Interrupted),
            State::Failed(error) => Some(error.clone()),
        }
    }

    /// All octets have come.
    ///
    /// # Errors
    /// [`SpoolError`]: temporary, all of them.
    pub async fn finish(mut self) -> Result<Spooled, SpoolError> {
        if let State::Open(open) = &self.state
            && open.file.is_some()
            && !open.buffer.is_empty()
        {
            self.write_out().await?;
        }
        let open = match self.state {
            State::Open(open) => *open,
            State::Away => return Err(SpoolError::Interrupted),
            State::Failed(error) => return Err(error),
        };
        let mut hash = open.hash;
        let content = match open.file {
            Some(file) => Content::File(file.path),
            None => {
                hash.update(&open.buffer);
                Content::Memory(match open.share {
                    Some(share) => Bytes::from_owner(Held {
                        octets: open.buffer,
                        _share: share,
                    }),
                    None => Bytes::new(),
                })
            }
        };
        let written = BlobWritten {
            size: self.octets,
            sha256: hash.finalize().into(),
        };
        Ok(Spooled::new(written, content, self.spools))
    }

    /// Makes room for at least one octet; none if the spool has failed before.
    async fn room(&mut self) -> Result<Option<&mut Open>, SpoolError> {
        loop {
            let State::Open(open) = &mut self.state else {
                return Ok(None);
            };
            if open.free() > 0 {
                break;
            }
            match &mut open.share {
                None => {
                    let deadline = Instant::now() + self.patience;
                    let first = ByteCount::bytes(FIRST);
                    open.share = Some(self.taker.take(first, deadline).await?);
                }
                Some(share) => {
                    let now = share.bytes();
                    // Where memory is short the file is begun early, and written in smaller pieces.
                    if now.get() >= MEMORY || share.grow(now).is_err() {
                        self.write_out().await?;
                        continue;
                    }
                }
            }
            open.reserve();
        }
        match &mut self.state {
            State::Open(open) => Ok(Some(open)),
            _ => Ok(None),
        }
    }

    /// Writes what is in memory to the file.
    async fn write_out(&mut self) -> Result<(), SpoolError> {
        let mut open = match std::mem::replace(&mut self.state, State::Away) {
            State::Open(open) => open,
            other => {
                self.state = other;
                return Ok(());
            }
        };
        let folder = self.spools.folder.clone();
        // Everything goes along: if this future is dropped the thread still ends in order and removes the file.
        let write = move || {
            let mut file = match open.file.take() {
                Some(file) => file,
                None => folder.create()?,
            };
            file.file.write_all(&open.buffer)?;
            open.hash.update(&open.buffer);
            open.buffer.clear();
            open.file = Some(file);
            Ok::<_, SpoolError>(open)
        };
        self.state = State::Open(self.spools.service.spawn_blocking(write).await??);
        Ok(())
    }
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Spool");
        out.field("octets", &self.octets);
        out.field("fault", &self.fault()).finish()
    }
}

impl Open {
    /// Octets that fit in the memory taken so far.
    fn free(&self) -> usize {
        let share = self.share.as_ref().map_or(0, |share| share.bytes().get());
        usize::try_from(share).map_or(0, |share| share.saturating_sub(self.buffer.len()))
    }

    /// Allocates what was taken.
    fn reserve(&mut self) {
        self.buffer.reserve_exact(self.free());
    }
}

/// Octets in memory and the share that covers them, for as long as somebody reads them.
struct Held {
    octets: Vec<u8>,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}
