//! `{PBKDF2}` as Dovecot writes it: `$1$salt$iterations$digest`, HMAC-SHA-1, the salt as the characters it is written in
//! (RFC 8018 section 5.2).
//!
//! **Bounds.** At most [`ITERATIONS_LIMIT`] iterations.

use sha1::Sha1;
use subtle::ConstantTimeEq;

use super::VerifyError;
use super::scheme::hex;

/// Most iterations that are computed.
pub const ITERATIONS_LIMIT: u32 = 10_000_000;
/// Iterations that take a unit of work.
const ITERATIONS_A_UNIT: u64 = 600;

/// A hash of PBKDF2.
pub(super) struct Pbkdf2Hash {
    salt: String,
    iterations: u32,
    digest: [u8; 20],
}

impl Pbkdf2Hash {
    pub(super) fn parse(text: &str) -> Result<Self, VerifyError> {
        let malformed = VerifyError::Malformed("not the form of PBKDF2");
        let mut fields = text.split('$');
        let (Some(""), Some("1"), Some(salt), Some(iterations), Some(digest), None) = (
            fields.next(),
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
        let digest = hex(digest).and_then(|it| it.try_into().ok());
        match (u32::try_from(asked), digest) {
            (_, None) => Err(malformed),
            (Ok(iterations @ ..=ITERATIONS_LIMIT), Some(digest)) => Ok(Self {
                salt: salt.to_owned(),
                iterations,
                digest,
            }),
            _ => Err(VerifyError::TooCostly {
                what: "iterations of PBKDF2:",
                asked,
                limit: ITERATIONS_LIMIT.into(),
            }),
        }
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let mut digest = [0; 20];
        let salt = self.salt.as_bytes();
        pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, self.iterations, &mut digest);
        digest.ct_eq(&self.digest).into()
    }

    pub(super) fn work(&self) -> u64 {
        u64::from(self.iterations) / ITERATIONS_A_UNIT
    }
}
