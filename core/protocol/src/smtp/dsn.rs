//! What a sender wants to be told: RET, ENVID, NOTIFY and ORCPT (RFC 3461 section 4, RFC 6533 section 3).
//!
//! **Invariants.** Values hold no control character: they go into header fields of reports as they are.
//! **Bounds.** [`ID_LIMIT`] and [`ORIGINAL_LIMIT`] octets as they are written.

use core::fmt;

use super::syntax::xtext;

/// Octets that ENVID= may have as it is written (RFC 3461 section 4.4).
pub const ID_LIMIT: usize = 100;
/// Octets that ORCPT= may have as it is written (RFC 3461 section 4.2).
pub const ORIGINAL_LIMIT: usize = 500;

/// RET: what of the message a report of a failure brings back. A report without failures brings its header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Return {
    /// `FULL`: all of it.
    Full,
    /// `HDRS`: its header.
    Headers,
}

impl Return {
    /// `ret-value = "FULL" / "HDRS"`
    pub fn parse(value: &[u8]) -> Option<Self> {
        match value.to_ascii_uppercase().as_slice() {
            b"FULL" => Some(Self::Full),
            b"HDRS" => Some(Self::Headers),
            _ => None,
        }
    }
}

/// ENVID: the sender's name for a transmission, printable ASCII.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EnvelopeId(String);

impl EnvelopeId {
    /// `envid-parameter = "ENVID=" xtext`
    pub fn parse(value: &[u8]) -> Option<Self> {
        (value.len() <= ID_LIMIT).then_some(())?;
        printable(xtext(value)?).map(Self)
    }

    /// What the sender meant.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// NOTIFY: when to write a report.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Notify {
    /// Nothing was said: of failures, and of delays if it so pleases (RFC 3461 section 4.1).
    #[default]
    Unsaid,
    /// `NEVER`
    Never,
    /// These.
    On {
        /// `SUCCESS`
        success: bool,
        /// `FAILURE`
        failure: bool,
        /// `DELAY`
        delay: bool,
    },
}

impl Notify {
    /// `notify-list-element *( "," notify-list-element )`, or `NEVER` alone.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let value = value.to_ascii_uppercase();
        if value == b"NEVER" {
            return Some(Self::Never);
        }
        let (mut success, mut failure, mut delay) = (false, false, false);
        for element in value.split(|&octet| octet == b',') {
            let chosen = match element {
                b"SUCCESS" => &mut success,
                b"FAILURE" => &mut failure,
                b"DELAY" => &mut delay,
                _ => return None,
            };
            *chosen = true;
        }
        Some(Self::On {
            success,
            failure,
            delay,
        })
    }

    /// Whether a report of success is wanted.
    pub fn of_success(self) -> bool {
        matches!(self, Self::On { success: true, .. })
    }

    /// Whether a report of failure is wanted.
    pub fn of_failure(self) -> bool {
        matches!(self, Self::Unsaid | Self::On { failure: true, .. })
    }
}

/// ORCPT: the recipient as the first sender named it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OriginalRecipient {
    kind: String,
    address: String,
}

impl OriginalRecipient {
    /// `original-recipient = addr-type ";" xtext`. Of the type `utf-8` it is `utf-8-addr-xtext`, or where SMTPUTF8 was given also
    /// `utf-8-addr-unitext` (RFC 6533 section 3).
    pub fn parse(value: &[u8], utf8: bool) -> Option<Self> {
        (value.len() <= ORIGINAL_LIMIT).then_some(())?;
        let semicolon = value.iter().position(|&octet| octet == b';')?;
        let (kind, address) = (&value[..semicolon], &value[semicolon + 1..]);
        let atom =
            |octet: &u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-/?^_`{|}~".contains(octet);
        if kind.is_empty() || !kind.iter().all(atom) || address.is_empty() {
            return None;
        }
        let kind = String::from_utf8_lossy(kind).to_ascii_lowercase();
        let address = match kind.as_str() {
            "utf-8" if utf8 || address.is_ascii() => unicode(core::str::from_utf8(address).ok()?)?,
            "utf-8" => return None,
            _ => printable(xtext(address)?)?,
        };
        Some(Self { kind, address })
    }

    /// The type in lower case: `rfc822`, `utf-8`…
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The address.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl fmt::Display for OriginalRecipient {
    /// As `Original-Recipient` of a report has it (RFC 3464 section 2.3.1).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{}", self.kind, self.address)
    }
}

/// Graphic ASCII and blanks.
fn printable(text: Vec<u8>) -> Option<String> {
    let good = !text.is_empty() && text.iter().all(|octet| matches!(octet, b' '..=b'~'));
    let text = good.then_some(text)?;
    String::from_utf8(text).ok()
}

/// `1*( QCHAR / EmbeddedUnicodeChar )` and UTF-8; an embedded character is `\x{` its number in hex `}`.
fn unicode(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        decoded.push(match character {
            '\\' => {
                let (number, tail) = rest.strip_prefix("x{")?.split_once('}')?;
                let hex = |octet: u8| matches!(octet, b'0'..=b'9' | b'A'..=b'F');
                if !(2..=6).contains(&number.len()) || !number.bytes().all(hex) {
                    return None;
                }
                rest = tail;
                char::from_u32(u32::from_str_radix(number, 16).ok()?)?
            }
            '+' | '=' | ' ' => return None,
            other => other,
        });
    }
    (!decoded.chars().any(char::is_control)).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_of_notify() {
        let on = |success, failure, delay| {
            Some(Notify::On {
                success,
                failure,
                delay,
            })
        };
        assert_eq!(Notify::parse(b"never"), Some(Notify::Never));
        assert_eq!(Notify::parse(b"SUCCESS"), on(true, false, false));
        assert_eq!(Notify::parse(b"failure,Delay"), on(false, true, true));
        for bad in [
            &b""[..],
            b"NEVER,SUCCESS",
            b"SUCCESS,NEVER",
            b"SUCCESS,",
            b",SUCCESS",
            b"SUCCESS;DELAY",
            b"YES",
        ] {
            assert_eq!(Notify::parse(bad), None, "{bad:?}");
        }
        assert!(Notify::Unsaid.of_failure() && !Notify::Unsaid.of_success());
        assert!(!Notify::Never.of_failure());
    }

    #[test]
    fn envelope_ids_are_xtext_of_printable_ascii() {
        let id = EnvelopeId::parse(b"QQ+2B314159").expect("an id");
        assert_eq!(id.as_str(), "QQ+314159");
        for bad in [
            &b""[..],
            b"a b",
            b"a+0D+0A",
            b"a+2b",
            b"+00",
            b"\xc3\xa9",
            b"+FF",
        ] {
            assert_eq!(EnvelopeId::parse(bad), None, "{bad:?}");
        }
        assert!(EnvelopeId::parse(&[b'a'; ID_LIMIT]).is_some());
        assert!(EnvelopeId::parse(&[b'a'; ID_LIMIT + 1]).is_none());
    }

    #[test]
    fn original_recipients() {
        let shown = |value: &[u8], utf8| {
            OriginalRecipient::parse(value, utf8).map(|original| original.to_string())
        };
        let rfc822 = Some("rfc822;Bob@Example.COM".to_owned());
        assert_eq!(shown(b"RFC822;Bob@Example.COM", false), rfc822);
        assert_eq!(shown(b"rfc822;a+2Bb@c", false), Some("rfc822;a+b@c".into()));
        let unicode = Some("utf-8;\u{e9}@c".to_owned());
        assert_eq!(shown(b"utf-8;\\x{E9}@c", false), unicode);
        assert_eq!(shown("utf-8;\u{e9}@c".as_bytes(), true), unicode);
        assert_eq!(shown("utf-8;\u{e9}@c".as_bytes(), false), None);
        for bad in [
            &b""[..],
            b"rfc822",
            b"rfc822;",
            b";a@b",
            b"rfc 822;a@b",
            b"rfc822;a+0A@b",
            b"rfc822;a+0d@b",
            b"rfc822;\xff@b",
            b"utf-8;a\\x{0A}@b",
            b"utf-8;a\\x{D800}@b",
            b"utf-8;a\\x{e9}@b",
            b"utf-8;a\\y@b",
            b"utf-8;a+41@b",
        ] {
            assert_eq!(shown(bad, true), None, "{bad:?}");
        }
        let long = [&b"rfc822;"[..], &[b'a'; ORIGINAL_LIMIT - 7]].concat();
        assert!(shown(&long, false).is_some());
        assert!(shown(&[&long[..], b"a"].concat(), false).is_none());
    }

    proptest! {
        #[test]
        fn no_value_panics_or_brings_control_characters(
            value in prop::collection::vec(any::<u8>(), 0..60),
            utf8 in any::<bool>(),
        ) {
            let _ = (Notify::parse(&value), Return::parse(&value));
            if let Some(id) = EnvelopeId::parse(&value) {
                prop_assert!(!id.as_str().chars().any(char::is_control));
            }
            for kind in [&b""[..], b"rfc822;", b"utf-8;"] {
                if let Some(original) = OriginalRecipient::parse(&[kind, &value].concat(), utf8) {
                    prop_assert!(!original.to_string().chars().any(char::is_control));
                }
            }
        }
    }
}
