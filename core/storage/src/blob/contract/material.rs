//! Octets for the suite, the same each time.

use std::io::Write;

use crate::blob::BlobBody;

/// Octets that look random and are the same each time.
pub(super) fn pattern(octets: usize, seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut all = Vec::with_capacity(octets + 8);
    while all.len() < octets {
        all.extend_from_slice(&random.next().to_le_bytes());
    }
    all.truncate(octets);
    all
}

/// A spool file of these octets, gone when dropped.
pub(super) struct SpoolFile(pub(super) std::path::PathBuf);

impl SpoolFile {
    pub(super) fn new(octets: &[u8]) -> Self {
        let mut random = [0; 8];
        getrandom::fill(&mut random).expect("the system has random octets");
        let name = format!("postrider-contract-{:x}", u64::from_le_bytes(random));
        let path = std::env::temp_dir().join(name);
        let mut file = std::fs::File::create_new(&path).expect("the temporary folder is writable");
        file.write_all(octets)
            .expect("the temporary folder has room");
        Self(path)
    }

    pub(super) fn body(&self, octets: usize) -> BlobBody {
        BlobBody::File {
            path: self.0.clone(),
            octets: octets as u64,
        }
    }
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// xorshift64*: seeds stand in the checks, so a failure repeats itself.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit as u64 + 1)).expect("at most limit")
    }
}
