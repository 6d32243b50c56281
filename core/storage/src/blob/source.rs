//! Reading a body that is to be written.

use std::{fs::File, io, io::Read};

use sha2::{Digest, Sha256};

use super::{BlobBody, BlobSource, BlobWritten};
use crate::Error;

/// Octets read from a spool file at once.
const BUFFER: usize = 256 * 1024;

impl BlobSource {
    /// Octets in all.
    pub fn octets(&self) -> u64 {
        let body = match &self.body {
            BlobBody::Memory(bytes) => bytes.len() as u64,
            BlobBody::File { octets, .. } => *octets,
        };
        self.prefix.len() as u64 + body
    }

    /// Size and checksum of the octets, which a key is made of.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the spool file cannot be read, [`Error::Corrupt`] if it is too short.
    pub async fn digest(&self) -> Result<BlobWritten, Error> {
        match &self.body {
            // Less than a millisecond: not worth a change of thread.
            BlobBody::Memory(octets) if octets.len() <= super::CHUNK => self.digest_blocking(),
            _ => {
                let source = self.clone();
                super::blocking(move || source.digest_blocking()).await
            }
        }
    }

    /// [`BlobSource::digest`] for a thread that may block.
    ///
    /// # Errors
    /// Those of [`BlobSource::digest`].
    pub fn digest_blocking(&self) -> Result<BlobWritten, Error> {
        let mut nowhere = io::sink();
        self.copy_to(&mut nowhere).map_err(CopyError::into_error)
    }

    /// Writes all octets, in large pieces, and hashes them on the way.
    pub(super) fn copy_to(&self, out: &mut dyn io::Write) -> Result<BlobWritten, CopyError> {
        let mut hash = Sha256::new();
        let mut piece = |octets: &[u8]| {
            hash.update(octets);
            out.write_all(octets).map_err(CopyError::Write)
        };
        if !self.prefix.is_empty() {
            piece(&self.prefix)?;
        }
        match &self.body {
            BlobBody::Memory(octets) => piece(octets)?,
            BlobBody::File { path, octets } => {
                let mut file = File::open(path).map_err(CopyError::Read)?;
                let mut left = *octets;
                let mut buffer = vec![0; BUFFER.min(usize::try_from(left).unwrap_or(BUFFER))];
                while left > 0 {
                    let want = buffer.len().min(usize::try_from(left).unwrap_or(BUFFER));
                    let read = match file.read(&mut buffer[..want]) {
                        Ok(0) => return Err(CopyError::Short { missing: left }),
                        Ok(read) => read,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                        Err(error) => return Err(CopyError::Read(error)),
                    };
                    piece(&buffer[..read])?;
                    left -= read as u64;
                }
            }
        }
        Ok(BlobWritten {
            size: self.octets(),
            sha256: hash.finalize().into(),
        })
    }
}

/// Why a body could not be copied: whose side failed matters to who repeats it.
#[derive(Debug)]
pub(super) enum CopyError {
    /// The spool file cannot be read.
    Read(io::Error),
    /// The spool file ends early.
    Short {
        /// Octets that did not come.
        missing: u64,
    },
    /// The destination does not take them.
    Write(io::Error),
}

impl CopyError {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Read(error) => Error::Unavailable(format!("cannot read the spool: {error}")),
            Self::Short { missing } => {
                Error::Corrupt(format!("the spool lacks {missing} octets of its body"))
            }
            Self::Write(error) => Error::Unavailable(format!("cannot write a body: {error}")),
        }
    }
}
