//! A cached body in a file: its octets, then a checksum of each piece, so that any range can be verified by itself.
//!
//! ```text
//! octets of the body | for each piece: first 16 octets of SHA-256(key, number of the piece, octets)
//! ```

use std::{
    fs::{self, File},
    io::{self, Write},
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};

use crate::blob::BlobKey;

/// Octets that share a checksum.
pub(super) const PIECE: usize = 256 * 1024;
/// Octets of a checksum.
const SUM: usize = 16;

/// Octets of the file of a body.
pub(super) fn length(size: u64) -> u64 {
    size + size.div_ceil(PIECE as u64) * SUM as u64
}

fn sum(key: &str, number: u64, octets: &[u8]) -> [u8; SUM] {
    let mut hash = Sha256::new();
    hash.update(key);
    hash.update(number.to_be_bytes());
    hash.update(octets);
    let mut sum = [0; SUM];
    sum.copy_from_slice(&hash.finalize()[..SUM]);
    sum
}

/// A file that is read.
pub(super) struct Reading {
    file: File,
    key: String,
    size: u64,
}

impl Reading {
    /// None if there is none, or it cannot be one of a body of this size.
    pub(super) fn open(path: &Path, key: &BlobKey, size: u64) -> Option<Self> {
        let file = File::open(path).ok()?;
        let good = file.metadata().ok()?.len() == length(size);
        good.then(|| Self {
            file,
            key: key.as_str().to_owned(),
            size,
        })
    }

    /// The octets from the start of a range to the end of it or of its first piece; none if they are not what was written.
    pub(super) fn piece(self, range: Range<u64>) -> Option<(Self, Bytes)> {
        let number = range.start / PIECE as u64;
        let begin = number * PIECE as u64;
        let size = usize::try_from((self.size.checked_sub(begin)?).min(PIECE as u64)).ok()?;
        let mut octets = BytesMut::zeroed(size);
        self.file.read_exact_at(&mut octets, begin).ok()?;
        let mut kept = [0; SUM];
        let place = self.size + number * SUM as u64;
        self.file.read_exact_at(&mut kept, place).ok()?;
        if kept != sum(&self.key, number, &octets) {
            return None;
        }
        let first = usize::try_from(range.start - begin).ok()?;
        let last = usize::try_from((range.end - begin).min(size as u64)).ok()?;
        Some((self, octets.freeze().slice(first..last)))
    }
}

/// A file that is written; gone when dropped unless it is finished.
pub(super) struct Writing {
    path: PathBuf,
    /// None after something went wrong.
    file: Option<File>,
    key: String,
    size: u64,
    sums: Vec<u8>,
    written: u64,
    buffer: Vec<u8>,
}

impl Writing {
    pub(super) fn new(path: PathBuf, key: &BlobKey, size: u64) -> io::Result<Self> {
        let file = File::create_new(&path)?;
        Ok(Self {
            path,
            file: Some(file),
            key: key.as_str().to_owned(),
            size,
            sums: Vec::new(),
            written: 0,
            buffer: Vec::new(),
        })
    }

    /// Octets of the body.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Takes more octets.
    pub(super) fn push(&mut self, mut octets: &[u8]) {
        while !octets.is_empty() {
            let room = PIECE - self.buffer.len();
            let (now, later) = octets.split_at(room.min(octets.len()));
            self.buffer.extend_from_slice(now);
            octets = later;
            if self.buffer.len() == PIECE {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        let Some(file) = &mut self.file else { return };
        let number = self.written / PIECE as u64;
        self.sums
            .extend_from_slice(&sum(&self.key, number, &self.buffer));
        self.written += self.buffer.len() as u64;
        if file.write_all(&self.buffer).is_err() || self.written > self.size {
            self.file = None;
        }
        self.buffer.clear();
    }

    /// Gives the file its name; false if it is not whole, or the disk did not take it.
    pub(super) fn finish(mut self, name: &Path) -> bool {
        if !self.buffer.is_empty() {
            self.flush();
        }
        let Some(mut file) = self.file.take() else {
            return false;
        };
        // Not synchronised: after a power cut the checksums find what is missing.
        self.written == self.size
            && file.write_all(&self.sums).is_ok()
            && fs::rename(&self.path, name).is_ok()
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        // After the rename there is nothing.
        let _ = fs::remove_file(&self.path);
    }
}
