//! Hashes of passwords: bcrypt at cost 12 is what is made here; what Dovecot keeps is verified too, until its first login.
//!
//! | scheme | what is verified |
//! | --- | --- |
//! | none, `{CRYPT}`, `{BLF-CRYPT}`, `{SHA512-CRYPT}`, `{SHA256-CRYPT}`, `{MD5-CRYPT}` | by its own `$id$`: `$2a$` `$2b$` `$2y$` (bcrypt), `$6$`, `$5$`, `$1$`, `$y$` |
//! | none, `{ARGON2ID}`, `{ARGON2I}` | `$argon2id$`, `$argon2i$` |
//! | `{SSHA}` `{SSHA256}` `{SSHA512}` `{SMD5}` | base64 of digest and salt |
//! | `{SHA}` `{SHA1}` `{SHA256}` `{SHA512}` `{PLAIN-MD5}` `{LDAP-MD5}` `{MD5}` | the digest, in base64 or hex as its length says; `{MD5}` also `$1$` |
//! | `{PBKDF2}` | `$1$salt$iterations$hex`, with SHA-1 |
//! | `{SCRAM-SHA-1}` `{SCRAM-SHA-256}` | `iterations,salt,StoredKey,ServerKey` |
//! | `{PLAIN}` `{CLEARTEXT}` `{CLEAR}` | the password itself |
//!
//! Refused for good: `{DES-CRYPT}`, and `{CRYPT}` or no scheme with the 13 characters of traditional crypt(3), which looks at 8 characters
//! of a password and gives even those away within hours.
//!
//! Behind each name `.HEX`, `.B64` or `.BASE64` may say how the text is written. Names are of any case.
//!
//! **Invariants.** No password is cut: one that bcrypt cannot take whole (more than 72 octets, a NUL in it) is refused with
//! the reason. A hash that we cannot verify is never "wrong password": that would be a lie to user and operator.
//! **Bounds.** A hash of another program may cost at most a few seconds and [`ARGON2_MEMORY`], since one login computes it; the
//! limits stand at each scheme. A hash over them is refused before anything is computed.

mod argon2;
mod crypt;
mod digest;
mod md5_crypt;
mod pbkdf2;
mod scheme;
mod scram;
mod work;
mod yescrypt;

use ::bcrypt::Version;
use postrider_protocol::secret::Secret;

pub use self::argon2::{
    MEMORY_LIMIT as ARGON2_MEMORY, MEMORY_TOGETHER as ARGON2_MEMORY_TOGETHER,
    WORK_LIMIT as ARGON2_WORK,
};
pub use self::crypt::{BCRYPT_COST_LIMIT as COST_LIMIT, ROUNDS_LIMIT as SHA_CRYPT_ROUNDS};
pub use self::pbkdf2::ITERATIONS_LIMIT as PBKDF2_ITERATIONS;
use self::scheme::Hash;
pub use self::yescrypt::MEMORY_LIMIT as YESCRYPT_MEMORY;

/// Cost of the hashes made here: about a quarter of a second of one core.
pub const COST: u32 = 12;
/// Longest password that gets a hash here, in octets: what bcrypt takes.
pub const PASSWORD_LIMIT: usize = 72;
/// Longest password that is compared with a hash of another scheme, in octets: what crypt(3) takes.
pub const FOREIGN_PASSWORD_LIMIT: usize = 512;
/// Longest hash, in octets: what its column takes.
pub const HASH_LIMIT: usize = 255;

/// Letters and digits that nobody mistakes for another.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789-";

/// Why a text cannot be a password.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PasswordError {
    /// It has no character.
    #[error("the password is empty")]
    Empty,
    /// It has more octets than bcrypt takes.
    #[error(
        "the password is longer than {PASSWORD_LIMIT} octets, and bcrypt would ignore the rest"
    )]
    TooLong,
    /// It has more octets than anybody hashes.
    #[error("the password is longer than {FOREIGN_PASSWORD_LIMIT} octets")]
    FarTooLong,
    /// It holds what bcrypt takes for its end.
    #[error("the password holds a NUL, and bcrypt would ignore what follows it")]
    Nul,
}

/// Why a hash says neither yes nor no.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum VerifyError {
    /// The password is none.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The hash is of a kind that we cannot verify.
    #[error("cannot verify a hash of scheme {0}")]
    UnknownScheme(String),
    /// The hash is of a kind that protects no password any longer.
    #[error("will not verify a hash of {scheme}: {why}")]
    Obsolete {
        /// Its name.
        scheme: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The hash is damaged.
    #[error("cannot verify a damaged hash: {0}")]
    Malformed(&'static str),
    /// Verifying it would take too long, or too much memory.
    #[error("cannot verify a hash with {what} {asked}: more than {limit}")]
    TooCostly {
        /// What it asks too much of.
        what: &'static str,
        /// How much it asks for.
        asked: u64,
        /// What it may have.
        limit: u64,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

/// Whether a text can be a password.
///
/// # Errors
/// The reason why not.
pub fn check_password(password: &Secret<String>) -> Result<(), PasswordError> {
    let password = password.expose();
    match () {
        () if password.is_empty() => Err(PasswordError::Empty),
        () if password.len() > PASSWORD_LIMIT => Err(PasswordError::TooLong),
        () if password.contains('\0') => Err(PasswordError::Nul),
        () => Ok(()),
    }
}

/// Makes the hash of a password. Takes a quarter of a second: on a hasher's thread or in a program that only does this.
///
/// # Errors
/// A password that is none; a system without random numbers.
pub fn hash_password(password: &Secret<String>) -> Result<String, VerifyError> {
    check_password(password)?;
    let parts = ::bcrypt::hash_with_result(password.expose(), COST);
    // `$2y$` is what Dovecot, PHP and crypt(3) know alike.
    let parts = parts.map_err(|_| VerifyError::NoRandomness)?;
    Ok(parts.format_for_version(Version::TwoY))
}

/// Whether this is the password of the hash. Takes as long as the hash costs.
///
/// # Errors
/// A password that is none, and a hash that cannot be verified.
pub fn verify_password(hash: &str, password: &Secret<String>) -> Result<bool, VerifyError> {
    Hash::parse(hash)?.matches(password.expose())
}

/// [`verify_password`], where every answer but yes costs what a wrong password costs at a hash of ours, so that time does not tell
/// who exists and who has which hash. A hash that costs more than ours takes longer until its first login.
///
/// # Errors
/// Those of [`verify_password`].
pub fn verify_evenly(hash: &str, password: &Secret<String>) -> Result<bool, VerifyError> {
    let hash = Hash::parse(hash);
    let result = hash.as_ref().map_err(Clone::clone);
    let result = result.and_then(|hash| hash.matches(password.expose()));
    match (&hash, &result) {
        (_, Ok(true)) => {}
        (Ok(hash), Ok(false)) => work::fill(hash.work()),
        (_, _) => work::fill(0),
    }
    result
}

/// Does the work of [`verify_evenly`] for a user that does not exist.
pub fn verify_nobody() {
    work::fill(0);
}

/// Whether a hash can be verified here.
///
/// # Errors
/// The reason why not.
pub fn check_hash(hash: &str) -> Result<(), VerifyError> {
    if hash.len() > HASH_LIMIT {
        return Err(VerifyError::Malformed("longer than 255 octets"));
    }
    Hash::parse(hash).map(drop)
}

/// Whether a hash that verifies should be replaced by one of ours at the next login.
pub fn is_weak(hash: &str) -> bool {
    !matches!(Hash::parse(hash), Ok(Hash::Bcrypt { cost, .. }) if cost >= COST)
}

/// What kind of hash this is: one lower-case word for logs and metrics, nothing of the hash itself.
pub fn kind(hash: &str) -> &'static str {
    Hash::parse(hash).map_or("unknown", |hash| hash.kind())
}

/// Makes a password up: 20 characters of 32, 100 bits.
///
/// # Errors
/// [`VerifyError::NoRandomness`] if the system has none.
pub fn make_password() -> Result<Secret<String>, VerifyError> {
    let mut octets = [0u8; 20];
    getrandom::fill(&mut octets).map_err(|_| VerifyError::NoRandomness)?;
    let character = |octet: &u8| char::from(ALPHABET[usize::from(*octet) % ALPHABET.len()]);
    Ok(Secret::new(octets.iter().map(character).collect()))
}

#[cfg(test)]
mod tests;
