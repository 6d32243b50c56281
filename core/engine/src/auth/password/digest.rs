//! Plain digests, with a salt behind them or without: `{SSHA512}`, `{SHA256}`, `{SMD5}`, `{PLAIN-MD5}` and their kin.

use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;

use super::VerifyError;

/// A digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Digest {
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

impl Digest {
    /// Its length.
    pub(super) fn octets(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn compute(self, parts: [&[u8]; 2]) -> Vec<u8> {
        fn of<D: sha2::Digest>(parts: [&[u8]; 2]) -> Vec<u8> {
            let mut digest = D::new();
            for part in parts {
                digest.update(part);
            }
            digest.finalize().to_vec()
        }
        match self {
            Self::Md5 => of::<Md5>(parts),
            Self::Sha1 => of::<Sha1>(parts),
            Self::Sha256 => of::<Sha256>(parts),
            Self::Sha512 => of::<Sha512>(parts),
        }
    }
}

/// A digest of password and salt.
pub(super) struct Salted {
    digest: Digest,
    sum: Vec<u8>,
    salt: Vec<u8>,
}

impl Salted {
    /// Without a salt.
    pub(super) fn bare(digest: Digest, sum: Vec<u8>) -> Result<Self, VerifyError> {
        match sum.len() == digest.octets() {
            true => Ok(Self {
                digest,
                sum,
                salt: Vec::new(),
            }),
            false => Err(VerifyError::Malformed("a digest of another length")),
        }
    }

    /// With the salt behind it.
    pub(super) fn with_salt(digest: Digest, mut sum: Vec<u8>) -> Result<Self, VerifyError> {
        if sum.len() <= digest.octets() {
            return Err(VerifyError::Malformed("a digest without salt"));
        }
        let salt = sum.split_off(digest.octets());
        Ok(Self { digest, sum, salt })
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let sum = self.digest.compute([password, &self.salt]);
        sum.ct_eq(&self.sum).into()
    }
}
