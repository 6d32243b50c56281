//! A hash, taken apart: `[ "{" scheme [ "." encoding ] "}" ] text`, as Dovecot writes it.
//!
//! **Invariants.** What is a [`Hash`] can be computed within the bounds of its scheme. No text of a hash is in an error: it may be a
//! password.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::argon2::Argon2Hash;
use super::crypt::{self, ShaCrypt};
use super::digest::{Digest, Salted};
use super::md5_crypt::Md5Crypt;
use super::pbkdf2::Pbkdf2Hash;
use super::scram::Scram;
use super::yescrypt::YescryptHash;
use super::{FOREIGN_PASSWORD_LIMIT, PASSWORD_LIMIT, PasswordError, VerifyError};

/// Base64 with or without its `=`.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a scheme's name says about the text behind it.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// `$id$…` of crypt(3), whatever id the name says: so does Dovecot.
    Crypt,
    /// `$argon2id$…`
    Argon2,
    /// `$1$salt$iterations$digest`
    Pbkdf2,
    /// The password.
    Clear,
    /// A digest and nothing else.
    Digest(Digest),
    /// A digest and the salt behind it.
    Salted(Digest),
    /// Nothing that is verified.
    Des,
    /// `$1$…`, or a digest.
    Md5,
    /// `iterations,salt,StoredKey,ServerKey`
    Scram(Digest),
}

const SCHEMES: [(&str, Kind); 25] = [
    ("ARGON2I", Kind::Argon2),
    ("ARGON2ID", Kind::Argon2),
    ("BLF-CRYPT", Kind::Crypt),
    ("CLEAR", Kind::Clear),
    ("CLEARTEXT", Kind::Clear),
    ("CRYPT", Kind::Crypt),
    ("DES-CRYPT", Kind::Des),
    ("LDAP-MD5", Kind::Digest(Digest::Md5)),
    ("MD5", Kind::Md5),
    ("MD5-CRYPT", Kind::Crypt),
    ("PBKDF2", Kind::Pbkdf2),
    ("PLAIN", Kind::Clear),
    ("PLAIN-MD5", Kind::Digest(Digest::Md5)),
    ("SCRAM-SHA-1", Kind::Scram(Digest::Sha1)),
    ("SCRAM-SHA-256", Kind::Scram(Digest::Sha256)),
    ("SHA", Kind::Digest(Digest::Sha1)),
    ("SHA1", Kind::Digest(Digest::Sha1)),
    ("SHA256", Kind::Digest(Digest::Sha256)),
    ("SHA256-CRYPT", Kind::Crypt),
    ("SHA512", Kind::Digest(Digest::Sha512)),
    ("SHA512-CRYPT", Kind::Crypt),
    ("SMD5", Kind::Salted(Digest::Md5)),
    ("SSHA", Kind::Salted(Digest::Sha1)),
    ("SSHA256", Kind::Salted(Digest::Sha256)),
    ("SSHA512", Kind::Salted(Digest::Sha512)),
];

/// How the text is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Encoding {
    Hex,
    Base64,
}

const ENCODINGS: [(&str, Encoding); 3] = [
    ("B64", Encoding::Base64),
    ("BASE64", Encoding::Base64),
    ("HEX", Encoding::Hex),
];

/// A hash that can be verified.
pub(super) enum Hash {
    Argon2(Argon2Hash),
    Bcrypt { text: String, cost: u32 },
    Clear(Zeroizing<Vec<u8>>),
    Md5Crypt(Md5Crypt),
    Pbkdf2(Pbkdf2Hash),
    Salted(Salted),
    Scram(Scram),
    ShaCrypt(ShaCrypt),
    Yescrypt(YescryptHash),
}

impl Hash {
    /// Takes a hash apart.
    pub(super) fn parse(hash: &str) -> Result<Self, VerifyError> {
        let Some((name, text)) = hash.strip_prefix('{').and_then(|it| it.split_once('}')) else {
            return match hash.starts_with("$argon2") {
                true => Argon2Hash::parse(hash).map(Self::Argon2),
                false => crypt::parse(hash),
            };
        };
        let unknown = || VerifyError::UnknownScheme(format!("{{{}}}", printable(name)));
        let (scheme, encoding) = match name.split_once('.') {
            None => (name, None),
            Some((scheme, encoding)) => {
                let known = ENCODINGS
                    .iter()
                    .find(|(it, _)| it.eq_ignore_ascii_case(encoding));
                (scheme, Some(known.ok_or_else(unknown)?.1))
            }
        };
        let known = SCHEMES
            .iter()
            .find(|(it, _)| it.eq_ignore_ascii_case(scheme));
        let &(_, kind) = known.ok_or_else(unknown)?;
        Self::of(kind, text, encoding)
    }

    fn of(kind: Kind, text: &str, encoding: Option<Encoding>) -> Result<Self, VerifyError> {
        Ok(match kind {
            Kind::Crypt => crypt::parse(&plain(text, encoding)?)?,
            Kind::Des => return Err(crypt::DES),
            Kind::Argon2 => Self::Argon2(Argon2Hash::parse(&plain(text, encoding)?)?),
            Kind::Pbkdf2 => Self::Pbkdf2(Pbkdf2Hash::parse(&plain(text, encoding)?)?),
            Kind::Scram(digest) => {
                let base64 = |text: &str| decode(text, Encoding::Base64);
                Self::Scram(Scram::parse(digest, &plain(text, encoding)?, base64)?)
            }
            Kind::Clear => {
                let password = match encoding {
                    None => Zeroizing::new(text.as_bytes().to_vec()),
                    Some(encoding) => Zeroizing::new(decode(text, encoding)?),
                };
                match password.is_empty() {
                    true => return Err(VerifyError::Malformed("an empty password")),
                    false => Self::Clear(password),
                }
            }
            Kind::Md5 if text.starts_with("$1$") => crypt::parse(text)?,
            Kind::Md5 => Self::of(Kind::Digest(Digest::Md5), text, encoding)?,
            Kind::Digest(digest) => {
                // Without a word about it the length tells, as it does for Dovecot.
                let encoding = encoding.unwrap_or(match text.len() == 2 * digest.octets() {
                    true => Encoding::Hex,
                    false => Encoding::Base64,
                });
                Self::Salted(Salted::bare(digest, decode(text, encoding)?)?)
            }
            Kind::Salted(digest) => {
                let octets = decode(text, encoding.unwrap_or(Encoding::Base64))?;
                Self::Salted(Salted::with_salt(digest, octets)?)
            }
        })
    }

    /// Whether this is its password.
    pub(super) fn matches(&self, password: &str) -> Result<bool, VerifyError> {
        let limit = match self {
            Self::Bcrypt { .. } => (PASSWORD_LIMIT, PasswordError::TooLong),
            _ => (FOREIGN_PASSWORD_LIMIT, PasswordError::FarTooLong),
        };
        match () {
            () if password.is_empty() => return Err(PasswordError::Empty.into()),
            () if password.len() > limit.0 => return Err(limit.1.into()),
            () if password.contains('\0') => return Err(PasswordError::Nul.into()),
            () => {}
        }
        let octets = password.as_bytes();
        let result = match self {
            Self::Argon2(hash) => hash.matches(octets),
            Self::Bcrypt { text, .. } => ::bcrypt::verify(password, text)
                .map_err(|_| VerifyError::Malformed("not the form of bcrypt")),
            Self::Clear(clear) => Ok(clear.as_slice().ct_eq(octets).into()),
            Self::Md5Crypt(hash) => Ok(hash.matches(octets)),
            Self::Pbkdf2(hash) => Ok(hash.matches(octets)),
            Self::Salted(hash) => Ok(hash.matches(octets)),
            Self::Scram(hash) => Ok(hash.matches(octets)),
            Self::ShaCrypt(hash) => hash.matches(octets),
            Self::Yescrypt(hash) => hash.matches(octets),
        };
        #[cfg(test)]
        super::work::note(self.work());
        result
    }

    /// What kind of hash it is, for logs and metrics.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Argon2(_) => "argon2",
            Self::Bcrypt { .. } => "bcrypt",
            Self::Clear(_) => "clear",
            Self::Md5Crypt(_) => "md5_crypt",
            Self::Pbkdf2(_) => "pbkdf2",
            Self::Salted(_) => "digest",
            Self::Scram(_) => "scram",
            Self::ShaCrypt(_) => "sha_crypt",
            Self::Yescrypt(_) => "yescrypt",
        }
    }

    /// What a comparison costs, in units of [`super::work`].
    pub(super) fn work(&self) -> u64 {
        match self {
            Self::Argon2(hash) => hash.work(),
            Self::Bcrypt { cost, .. } => 1 << cost,
            Self::Clear(_) | Self::Salted(_) => 0,
            Self::Md5Crypt(_) => 3,
            Self::Pbkdf2(hash) => hash.work(),
            Self::Scram(hash) => hash.work(),
            Self::ShaCrypt(hash) => hash.work(),
            Self::Yescrypt(hash) => hash.work(),
        }
    }
}

/// The text of a scheme that is text by itself.
fn plain(text: &str, encoding: Option<Encoding>) -> Result<String, VerifyError> {
    match encoding {
        None => Ok(text.to_owned()),
        Some(encoding) => String::from_utf8(decode(text, encoding)?)
            .map_err(|_| VerifyError::Malformed("not a text")),
    }
}

fn decode(text: &str, encoding: Encoding) -> Result<Vec<u8>, VerifyError> {
    match encoding {
        Encoding::Base64 => BASE64
            .decode(text)
            .map_err(|_| VerifyError::Malformed("not base64")),
        Encoding::Hex => hex(text).ok_or(VerifyError::Malformed("not hexadecimal")),
    }
}

/// `*(2HEXDIG)`
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |octet: u8| char::from(octet).to_digit(16);
    let octet = |pair: &[u8]| match *pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    };
    text.as_bytes().chunks(2).map(octet).collect()
}

/// What of a scheme's name can be shown.
pub(super) fn printable(name: &str) -> String {
    let good = |c: &char| c.is_ascii_alphanumeric() || "-._".contains(*c);
    name.chars().filter(good).take(32).collect()
}
