//! Names of mailboxes (RFC 9051 section 5.1, RFC 3501 section 5.1).
//!
//! **Invariants.** A [`MailboxName`] is NFC; its first level is `INBOX` in these letters if it is INBOX in any; levels
//! are parted by `/`, none is empty, `.` or `..`; there is no control character, and no line or paragraph separator.
//! So a name has one spelling, and no spelling leaves the account it belongs to.
//! **Bounds.** At most [`NAME_LIMIT`] octets of UTF-8 and [`LEVEL_LIMIT`] levels.

use std::fmt;

use bytes::BytesMut;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::args::Utf8;
use super::utf7;

/// Longest name, in octets of UTF-8.
pub const NAME_LIMIT: usize = 500;
/// Most levels of a name.
pub const LEVEL_LIMIT: usize = 20;
/// What parts the levels of a name.
pub const DELIMITER: char = '/';

const INBOX: &str = "INBOX";

/// The name of a mailbox.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MailboxName(String);

/// Why no mailbox can have a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameError {
    /// Neither modified UTF-7 nor, where that is on, UTF-8.
    #[error("mailbox name is not in the encoding in use")]
    Encoding,
    /// No name, or an empty level.
    #[error("mailbox name has an empty level")]
    Empty,
    /// A level `.` or `..`.
    #[error("mailbox name has a level of dots")]
    Dots,
    /// A control character, or a line or paragraph separator.
    #[error("mailbox name has a control character")]
    Control,
    /// Longer than [`NAME_LIMIT`].
    #[error("mailbox name is longer than 500 octets")]
    TooLong,
    /// Deeper than [`LEVEL_LIMIT`].
    #[error("mailbox name has more than 20 levels")]
    TooDeep,
}

impl MailboxName {
    /// INBOX.
    pub fn inbox() -> Self {
        Self(INBOX.into())
    }

    /// The name a client wrote: modified UTF-7, or UTF-8 where that is on.
    ///
    /// # Errors
    /// `Policy`: no mailbox can have this name.
    pub fn from_wire(wire: &[u8], utf8: Utf8) -> Result<Self, NameError> {
        Self::new(&decode(wire, utf8)?)
    }

    /// The name that CREATE makes: one `/` at the end only says that children will follow (RFC 9051 section 6.3.4).
    ///
    /// # Errors
    /// `Policy`: no mailbox can have this name.
    pub fn to_create(wire: &[u8], utf8: Utf8) -> Result<Self, NameError> {
        let name = decode(wire, utf8)?;
        Self::new(name.strip_suffix(DELIMITER).unwrap_or(&name))
    }

    /// The name in Unicode; it is brought to its one spelling.
    ///
    /// # Errors
    /// `Policy`: no mailbox can have this name.
    pub fn new(name: &str) -> Result<Self, NameError> {
        // NFC never makes a text shorter than a third of its octets.
        if name.len() > 3 * NAME_LIMIT {
            return Err(NameError::TooLong);
        }
        let name = canonical(name);
        if name.len() > NAME_LIMIT {
            return Err(NameError::TooLong);
        }
        if name.chars().any(is_forbidden) {
            return Err(NameError::Control);
        }
        for (n, level) in name.split(DELIMITER).enumerate() {
            match level {
                "" => return Err(NameError::Empty),
                "." | ".." => return Err(NameError::Dots),
                _ if n == LEVEL_LIMIT => return Err(NameError::TooDeep),
                _ => {}
            }
        }
        Ok(Self(name))
    }

    /// The name in UTF-8.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is INBOX itself.
    pub fn is_inbox(&self) -> bool {
        self.0 == INBOX
    }

    /// The levels, from the top.
    pub fn levels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split(DELIMITER)
    }

    /// The name one level up.
    pub fn parent(&self) -> Option<MailboxName> {
        let (parent, _) = self.0.rsplit_once(DELIMITER)?;
        Some(Self(parent.into()))
    }

    /// Whether this name lies below `parent`, at any depth.
    pub fn is_below(&self, parent: &MailboxName) -> bool {
        self.0
            .strip_prefix(&parent.0)
            .is_some_and(|rest| rest.starts_with(DELIMITER))
    }

    /// Writes the name as an atom, a quoted string or a literal, in modified UTF-7 or UTF-8.
    pub fn write(&self, utf8: Utf8, out: &mut BytesMut) {
        use crate::imap::response::string;
        match utf8 {
            Utf8::On => string::astring(self.0.as_bytes(), utf8, out),
            Utf8::Off if self.0.is_ascii() && !self.0.contains('&') => {
                string::astring(self.0.as_bytes(), utf8, out);
            }
            Utf8::Off => {
                let mut wire = BytesMut::with_capacity(2 * self.0.len());
                utf7::encode(&self.0, &mut wire);
                string::astring(&wire, utf8, out);
            }
        }
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl AsRef<str> for MailboxName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// The Unicode of what a client wrote.
pub(super) fn decode(wire: &[u8], utf8: Utf8) -> Result<String, NameError> {
    let text = match utf8 {
        Utf8::Off => utf7::decode(wire),
        Utf8::On => std::str::from_utf8(wire).ok().map(str::to_owned),
    };
    text.ok_or(NameError::Encoding)
}

/// NFC, and a first level `INBOX` in these letters.
fn canonical(name: &str) -> String {
    let mut name: String = nfc(name);
    let first = name.split(DELIMITER).next().unwrap_or_default();
    if first.eq_ignore_ascii_case(INBOX) {
        name.replace_range(..INBOX.len(), INBOX);
    }
    name
}

/// Unicode normalisation form C.
pub(super) fn nfc(text: &str) -> String {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => text.into(),
        _ => text.nfc().collect(),
    }
}

fn is_forbidden(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
#[path = "mailbox_tests.rs"]
mod tests;
