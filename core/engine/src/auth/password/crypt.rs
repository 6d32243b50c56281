//! Hashes of crypt(3): `$2a$`, `$2b$`, `$2y$` (bcrypt), `$5$` and `$6$` (SHA-crypt), `$1$` (MD5-crypt), `$y$` (yescrypt).
//!
//! **Bounds.** bcrypt at most [`BCRYPT_COST_LIMIT`], SHA-crypt at most [`ROUNDS_LIMIT`].

use bcrypt::HashParts;
use sha_crypt::{ROUNDS_DEFAULT, ROUNDS_MIN, Sha256Params, Sha512Params};
use subtle::ConstantTimeEq;

use super::VerifyError;
use super::md5_crypt::Md5Crypt;
use super::scheme::{Hash, printable};
use super::yescrypt::YescryptHash;

/// Highest cost of bcrypt that is verified: 16 times that of ours.
pub const BCRYPT_COST_LIMIT: u32 = 16;
/// Most rounds of SHA-crypt that are computed.
pub const ROUNDS_LIMIT: usize = 1_000_000;
/// Longest salt of SHA-crypt; what is behind it does not count.
const SALT_LIMIT: usize = 16;
/// Rounds of SHA-crypt that take a unit of work.
const ROUNDS_A_UNIT: u64 = 200;

const MALFORMED_SHA: VerifyError = VerifyError::Malformed("not the form of SHA-crypt");

/// Traditional crypt(3).
pub(super) const DES: VerifyError = VerifyError::Obsolete {
    scheme: "DES-CRYPT",
    why: "it looks at the first 8 characters of a password alone, and whoever has the hash finds them within hours; set a new password",
};
/// `2salt 11digest`
const DES_LENGTH: usize = 13;

/// `$id$…`
pub(super) fn parse(text: &str) -> Result<Hash, VerifyError> {
    let id = text.strip_prefix('$').and_then(|it| it.split_once('$'));
    match id {
        Some(("2a" | "2b" | "2y", _)) => bcrypt(text),
        Some(("5", rest)) => ShaCrypt::parse(Sha::Sha256, rest).map(Hash::ShaCrypt),
        Some(("6", rest)) => ShaCrypt::parse(Sha::Sha512, rest).map(Hash::ShaCrypt),
        Some(("1", rest)) => Md5Crypt::parse(rest).map(Hash::Md5Crypt),
        Some(("y", rest)) => YescryptHash::parse(rest).map(Hash::Yescrypt),
        Some((id, _)) if id.len() <= 16 => {
            Err(VerifyError::UnknownScheme(format!("${}$", printable(id))))
        }
        _ if text.len() == DES_LENGTH && text.bytes().all(is_crypt) => Err(DES),
        _ => Err(VerifyError::Malformed("no scheme that we know")),
    }
}

/// The digits of crypt(3).
pub(super) fn is_crypt(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"./".contains(&octet)
}

/// `"$2" ( "a" / "b" / "y" ) "$" cost "$" 53(base64)`
fn bcrypt(text: &str) -> Result<Hash, VerifyError> {
    let parts: HashParts = text
        .parse()
        .map_err(|_| VerifyError::Malformed("not the form of bcrypt"))?;
    match parts.get_cost() {
        cost @ 4..=BCRYPT_COST_LIMIT => Ok(Hash::Bcrypt {
            text: text.to_owned(),
            cost,
        }),
        cost @ 17..=31 => Err(VerifyError::TooCostly {
            what: "a bcrypt cost of",
            asked: cost.into(),
            limit: BCRYPT_COST_LIMIT.into(),
        }),
        _ => Err(VerifyError::Malformed("impossible cost")),
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sha {
    Sha256,
    Sha512,
}

/// A hash of SHA-crypt.
pub(super) struct ShaCrypt {
    sha: Sha,
    rounds: usize,
    salt: String,
    digest: String,
}

impl ShaCrypt {
    /// `[ "rounds=" number "$" ] *16salt "$" ( 43digest / 86digest )`
    fn parse(sha: Sha, text: &str) -> Result<Self, VerifyError> {
        let (rounds, rest) = match text.strip_prefix("rounds=") {
            None => (ROUNDS_DEFAULT as u64, text),
            Some(rest) => {
                let (rounds, rest) = rest.split_once('$').ok_or(MALFORMED_SHA)?;
                (rounds.parse().map_err(|_| MALFORMED_SHA)?, rest)
            }
        };
        if rounds > ROUNDS_LIMIT as u64 {
            return Err(VerifyError::TooCostly {
                what: "rounds of SHA-crypt:",
                asked: rounds,
                limit: ROUNDS_LIMIT as u64,
            });
        }
        let (salt, digest) = rest.split_once('$').ok_or(MALFORMED_SHA)?;
        let length = match sha {
            Sha::Sha256 => 43,
            Sha::Sha512 => 86,
        };
        // crypt(3) makes salts of these alone, and takes others.
        let salt_is_good = salt.len() <= SALT_LIMIT && salt.bytes().all(|it| it.is_ascii_graphic());
        if digest.len() != length || !digest.bytes().all(is_crypt) || !salt_is_good {
            return Err(MALFORMED_SHA);
        }
        let rounds = rounds as usize;
        if rounds < ROUNDS_MIN {
            return Err(VerifyError::Malformed("impossible rounds"));
        }
        Ok(Self {
            sha,
            rounds,
            salt: salt.to_owned(),
            digest: digest.to_owned(),
        })
    }

    pub(super) fn matches(&self, password: &[u8]) -> Result<bool, VerifyError> {
        let salt = self.salt.as_bytes();
        let digest = match self.sha {
            Sha::Sha256 => Sha256Params::new(self.rounds)
                .and_then(|params| sha_crypt::sha256_crypt_b64(password, salt, &params)),
            Sha::Sha512 => Sha512Params::new(self.rounds)
                .and_then(|params| sha_crypt::sha512_crypt_b64(password, salt, &params)),
        };
        let digest = digest.map_err(|_| MALFORMED_SHA)?;
        Ok(digest.as_bytes().ct_eq(self.digest.as_bytes()).into())
    }

    pub(super) fn work(&self) -> u64 {
        self.rounds as u64 / ROUNDS_A_UNIT
    }
}
