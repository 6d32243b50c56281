//! What SCRAM keeps of a password, as Dovecot writes it: `iterations,salt,StoredKey,ServerKey` (RFC 5802 section 3, RFC 7677).
//!
//! The password is taken as it is: who wrote the hash did not prepare it either.
//!
//! **Bounds.** At most [`ITERATIONS_LIMIT`] iterations.

use hmac::{Hmac, Mac};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::VerifyError;
use super::digest::Digest;
use super::pbkdf2::ITERATIONS_LIMIT;

/// Iterations that take a unit of work.
const ITERATIONS_A_UNIT: u64 = 400;

/// A hash of SCRAM-SHA-1 or SCRAM-SHA-256.
pub(super) struct Scram {
    digest: Digest,
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Vec<u8>,
}

impl Scram {
    /// `number "," base64 "," base64 "," base64`
    pub(super) fn parse(
        digest: Digest,
        text: &str,
        decode: impl Fn(&str) -> Result<Vec<u8>, VerifyError>,
    ) -> Result<Self, VerifyError> {
        let malformed = VerifyError::Malformed("not the form of SCRAM");
        let mut fields = text.split(',');
        let (Some(iterations), Some(salt), Some(stored), Some(server), None) = (
            fields.next(),
            fields.next(),
            fields.next(),
            fields.next(),
            fields.next(),
        ) else {
            return Err(malformed);
        };
        let Ok(asked @ 1..) = iterations.parse::<u64>() else {
            return Err(malformed);
        };
        let (salt, stored_key, server_key) = (decode(salt)?, decode(stored)?, decode(server)?);
        let length = digest.octets();
        if salt.is_empty() || stored_key.len() != length || server_key.len() != length {
            return Err(malformed);
        }
        match u32::try_from(asked) {
            Ok(iterations @ ..=ITERATIONS_LIMIT) => Ok(Self {
                digest,
                iterations,
                salt,
                stored_key,
            }),
            _ => Err(VerifyError::TooCostly {
                what: "iterations of SCRAM:",
                asked,
                limit: ITERATIONS_LIMIT.into(),
            }),
        }
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let stored_key = match self.digest {
            Digest::Sha256 => self.sha256(password),
            _ => self.sha1(password),
        };
        stored_key.is_some_and(|key| key.ct_eq(&self.stored_key).into())
    }

    /// `StoredKey = H(HMAC(Hi(password, salt, i), "Client Key"))`
    fn sha256(&self, password: &[u8]) -> Option<Vec<u8>> {
        let mut salted = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(password, &self.salt, self.iterations, &mut salted);
        let mut client_key = Hmac::<Sha256>::new_from_slice(&salted).ok()?;
        client_key.update(b"Client Key");
        Some(Sha256::digest(client_key.finalize().into_bytes()).to_vec())
    }

    fn sha1(&self, password: &[u8]) -> Option<Vec<u8>> {
        let mut salted = [0; 20];
        pbkdf2::pbkdf2_hmac::<Sha1>(password, &self.salt, self.iterations, &mut salted);
        let mut client_key = Hmac::<Sha1>::new_from_slice(&salted).ok()?;
        client_key.update(b"Client Key");
        Some(Sha1::digest(client_key.finalize().into_bytes()).to_vec())
    }

    pub(super) fn work(&self) -> u64 {
        u64::from(self.iterations) / ITERATIONS_A_UNIT
    }
}
