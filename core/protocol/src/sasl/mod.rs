//! SASL, the same for every protocol (RFC 4422): an exchange gathers credentials, the engine judges them.
//!
//! **Invariants.** [`Credentials`] hold only values that are whole: what is too long, empty or holds
//! octets that no back end could agree on is refused here, never cut. Nobody else needs to look again.
//!
//! User names are compared in NFC, and the engine folds their case. This is not SASLprep (RFC 4013), which RFC 4616 section 2 asks for: its
//! tables end with Unicode 3.2 and would refuse names that are written today; what of it matters here, no control characters and one form
//! of each letter, is done. Passwords are kept octet for octet, as bcrypt and every other program that hashed them took them.

pub mod exchange;
mod mechanism;

use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

use crate::secret::Secret;

pub use exchange::{Channel, Exchange, MECHANISMS, PlaintextLogin, Step, offered};

/// Longest user name, in octets of UTF-8.
pub const USER_LIMIT: usize = 255;
/// Longest password, in octets.
pub const PASSWORD_LIMIT: usize = 1_024;
/// Longest line of a SASL exchange, in octets without its CRLF (RFC 4954 section 4).
pub const RESPONSE_LIMIT: usize = 12_288;

/// What a client claims and the proof it brought.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Name of the mechanism, or `LOGIN` / `USER` for the commands without SASL; for the log.
    pub mechanism: &'static str,
    /// Authentication identity, as the client wrote it, NFC.
    pub user: String,
    /// Authorization identity; empty if it is the same.
    pub authorize_as: String,
    /// The password.
    pub password: Secret<Vec<u8>>,
}

impl Credentials {
    /// Checks what a client sent, for the SASL mechanisms and for the login commands of IMAP and POP3.
    ///
    /// # Errors
    /// [`Failure::Empty`], [`Failure::TooLong`] and [`Failure::Malformed`], of whichever value is wrong.
    pub fn new(
        mechanism: &'static str,
        authorize_as: &[u8],
        user: &[u8],
        password: &[u8],
    ) -> Result<Self, Failure> {
        let user = identity(user)?;
        let authorize_as = match authorize_as {
            b"" => String::new(),
            name => Some(identity(name)?)
                .filter(|name| *name != user)
                .unwrap_or_default(),
        };
        Ok(Self {
            mechanism,
            user,
            authorize_as,
            password: secret(password)?,
        })
    }
}

/// A user name: UTF-8 without control characters, NFC.
///
/// # Errors
/// As [`Credentials::new`].
pub fn identity(octets: &[u8]) -> Result<String, Failure> {
    match octets.len() {
        0 => return Err(Failure::Empty),
        1..=USER_LIMIT => {}
        _ => return Err(Failure::TooLong),
    }
    let name = std::str::from_utf8(octets).map_err(|_| Failure::Malformed)?;
    if name.chars().any(char::is_control) {
        return Err(Failure::Malformed);
    }
    let name: String = name.nfc().collect();
    if name.len() > USER_LIMIT {
        return Err(Failure::TooLong); // NFC lengthens a few characters
    }
    Ok(name)
}

/// A password: UTF-8 without NUL, CR and LF (RFC 4616 section 2), kept octet for octet.
fn secret(octets: &[u8]) -> Result<Secret<Vec<u8>>, Failure> {
    match octets.len() {
        0 => return Err(Failure::Empty),
        1..=PASSWORD_LIMIT => {}
        _ => return Err(Failure::TooLong),
    }
    if octets
        .iter()
        .any(|octet| matches!(octet, 0 | b'\r' | b'\n'))
        || std::str::from_utf8(octets).is_err()
    {
        return Err(Failure::Malformed);
    }
    Ok(Secret::new(octets.to_vec()))
}

/// The engine's judgement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The client is this account (its address).
    Granted {
        /// Local part and domain, lower case.
        account: String,
    },
    /// Wrong name or password, or switched off; the client learns no more (RFC 5530: AUTHENTICATIONFAILED).
    Denied,
    /// Too many failures lately, or too many connections of this account: not even looked at.
    Throttled,
    /// We cannot tell now.
    Unavailable,
}

/// Why an exchange ended without credentials.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Failure {
    /// No such mechanism.
    #[error("no such mechanism")]
    UnknownMechanism,
    /// The mechanism shows the password to whoever listens, and the connection is not encrypted.
    #[error("mechanism needs an encrypted connection")]
    EncryptionRequired,
    /// The client gave up (`*`).
    #[error("cancelled by the client")]
    Cancelled,
    /// Not base64, in the strict form of RFC 4648 section 4.
    #[error("not base64")]
    Encoding,
    /// A user name or password that is not there: never passed on, some directories take it for a yes.
    #[error("empty user name or password")]
    Empty,
    /// A user name, password or response longer than its limit.
    #[error("value too long")]
    TooLong,
    /// Not in the form of the mechanism, not UTF-8, or with control characters.
    #[error("malformed response")]
    Malformed,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(user: &[u8], password: &[u8]) -> Result<Credentials, Failure> {
        Credentials::new("PLAIN", b"", user, password)
    }

    #[test]
    fn keeps_what_is_whole() {
        let credentials =
            made("ju\u{308}rgen@example.test".as_bytes(), b" pass word ").expect("good");
        assert_eq!(credentials.user, "j\u{fc}rgen@example.test");
        assert_eq!(credentials.password.expose(), b" pass word ");
        assert_eq!(credentials.authorize_as, "");
    }

    #[test]
    fn authorization_identity_is_named_only_when_it_differs() {
        let of = |name: &[u8]| {
            Credentials::new("PLAIN", name, b"ada@x.test", b"p").map(|c| c.authorize_as)
        };
        assert_eq!(of(b"ada@x.test"), Ok(String::new()));
        assert_eq!(of(b"bob@x.test"), Ok("bob@x.test".into()));
        assert_eq!(of(b"bob\xff"), Err(Failure::Malformed));
    }

    #[test]
    fn attack_7_odd_user_names_are_refused_never_cut() {
        for (user, failure) in [
            (&b""[..], Failure::Empty),
            (b"ada\0@x.test", Failure::Malformed),
            (b"ada\r@x.test", Failure::Malformed),
            (b"ada\n@x.test", Failure::Malformed),
            (b"ada\x7f@x.test", Failure::Malformed),
            (b"ad\xc3", Failure::Malformed),
            (b"ad\xe9@x.test", Failure::Malformed),
            (&[b'a'; USER_LIMIT + 1], Failure::TooLong),
        ] {
            assert_eq!(made(user, b"p").err(), Some(failure), "{user:?}");
        }
        assert!(made(&[b'a'; USER_LIMIT], b"p").is_ok());
    }

    #[test]
    fn attack_7_odd_passwords_are_refused_never_cut() {
        for (password, failure) in [
            (&b""[..], Failure::Empty),
            (b"a\0b", Failure::Malformed),
            (b"a\r", Failure::Malformed),
            (b"a\n", Failure::Malformed),
            (b"\xff", Failure::Malformed),
            (&[b'a'; PASSWORD_LIMIT + 1], Failure::TooLong),
        ] {
            assert_eq!(made(b"ada", password).err(), Some(failure), "{password:?}");
        }
        assert!(made(b"ada", &[b'a'; PASSWORD_LIMIT]).is_ok());
    }
}
