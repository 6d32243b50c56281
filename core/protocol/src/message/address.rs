//! Addresses as SMTP speaks of them: Mailbox and Path (RFC 5321 section 4.1.2, RFC 6531 section 3.3).
//!
//! Strict where the header parser ([`super::address_list`]) is tolerant: comments, blanks around the `@`,
//! empty local parts and unquoted specials are refused, because two servers that read an address
//! differently deliver it differently.
//!
//! **Invariants.** A value prints as text that parses to an equal value. It holds no control character.
//! The local part is kept without its quoting, so that `"ada"@x` equals `ada@x`; its case is kept.
//! The domain is a lower-case A-label or a canonical address literal.
//! **Bounds.** 64 octets of local part, 255 of domain, 254 of the whole (RFC 5321 section 4.5.3.1).

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use unicode_normalization::UnicodeNormalization;

/// Octets a local part may have.
pub const LOCAL_LIMIT: usize = 64;
/// Octets a domain may have.
pub const DOMAIN_LIMIT: usize = 255;
/// Octets an address may have: a path of 256 without its angle brackets.
pub const ADDRESS_LIMIT: usize = 254;

/// An address: a local part at a domain.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Address {
    local: String,
    domain: Domain,
}

/// The right side of an address.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Domain {
    /// A name, as lower-case A-labels.
    Name(String),
    /// `[192.0.2.1]`.
    Ipv4(Ipv4Addr),
    /// `[IPv6:2001:db8::1]`.
    Ipv6(Ipv6Addr),
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddressError {
    /// Not the grammar of an address.
    #[error("malformed address")]
    Malformed,
    /// The local part is empty or not a dot-string or quoted string.
    #[error("malformed local part")]
    Local,
    /// The domain is neither a domain name nor an address literal.
    #[error("malformed domain")]
    Domain,
    /// Longer than the limits of SMTP.
    #[error("address too long")]
    TooLong,
}

impl Address {
    /// Joins a local part, without quoting, and a domain.
    ///
    /// # Errors
    /// A local part that is empty, too long or holds control characters; a whole that is too long.
    pub fn new(local: &str, domain: Domain) -> Result<Self, AddressError> {
        if local.is_empty() || local.chars().any(char::is_control) {
            return Err(AddressError::Local);
        }
        let address = Self {
            local: local.to_owned(),
            domain,
        };
        if local.len() > LOCAL_LIMIT || address.to_string().len() > ADDRESS_LIMIT {
            return Err(AddressError::TooLong);
        }
        Ok(address)
    }

    /// Parses octets from the wire. `Mailbox = Local-part "@" ( Domain / address-literal )`.
    ///
    /// # Errors
    /// Whatever [`Address::from_str`] refuses, and octets that are not UTF-8.
    pub fn from_bytes(octets: &[u8]) -> Result<Self, AddressError> {
        core::str::from_utf8(octets)
            .map_err(|_| AddressError::Malformed)?
            .parse()
    }

    /// The local part without quoting, its case as it was given.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Whether it may be said to a server without SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii()
    }

    /// The local part cut at the first separator: `ada+lists` is `ada` with detail `lists` (RFC 5233 section 4).
    /// A local part that begins with the separator has no detail.
    pub fn split_detail(&self, separator: char) -> (&str, Option<&str>) {
        match self.local.split_once(separator) {
            Some((user, detail)) if !user.is_empty() => (user, Some(detail)),
            _ => (&self.local, None),
        }
    }

    /// The same address without the detail.
    pub fn without_detail(&self, separator: char) -> Self {
        Self {
            local: self.split_detail(separator).0.to_owned(),
            domain: self.domain.clone(),
        }
    }

    /// The form under which a directory looks it up: local part in NFC and lower case, unquoted.
    /// Lower-casing is our choice for our own users; RFC 5321 section 2.4 leaves it to the receiving host.
    pub fn lookup_key(&self) -> String {
        let local: String = self.local.nfc().flat_map(char::to_lowercase).collect();
        format!("{local}@{}", self.domain)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.len() > LOCAL_LIMIT * 2 + DOMAIN_LIMIT * 4 {
            return Err(AddressError::TooLong);
        }
        let (local, rest) = take_local(text)?;
        let domain = rest.strip_prefix('@').ok_or(AddressError::Malformed)?;
        Self::new(&local, domain.parse()?)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local) {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        f.write_str("\"")?;
        for character in self.local.chars() {
            if matches!(character, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{character}")?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

impl Domain {
    /// Whether it is a domain name, not an address literal.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Ipv4(_) | Self::Ipv6(_) => None,
        }
    }
}

impl FromStr for Domain {
    type Err = AddressError;

    /// `Domain / address-literal`. U-labels become A-labels (RFC 5891 section 5), letters become small.
    /// Underscores are let through: hosts have them, although RFC 5321 does not.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(literal) = text.strip_prefix('[') {
            let literal = literal.strip_suffix(']').ok_or(AddressError::Domain)?;
            return address_literal(literal);
        }
        let name = if text.is_ascii() {
            text.to_ascii_lowercase()
        } else {
            Uts46::new()
                .to_ascii(
                    text.as_bytes(),
                    AsciiDenyList::STD3,
                    Hyphens::Check,
                    DnsLength::Ignore,
                )
                .map_err(|_| AddressError::Domain)?
                .into_owned()
        };
        if name.len() > DOMAIN_LIMIT {
            return Err(AddressError::TooLong);
        }
        if name.split('.').all(is_label) {
            Ok(Self::Name(name))
        } else {
            Err(AddressError::Domain)
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ipv4(ip) => write!(f, "[{ip}]"),
            Self::Ipv6(ip) => write!(f, "[IPv6:{ip}]"),
        }
    }
}

/// Takes a path off the front: `Path = "<" [ A-d-l ":" ] Mailbox ">"`, or `<>`, which is `None`.
/// Gives what follows the closing bracket. A source route is checked and ignored (RFC 5321 appendix C).
///
/// # Errors
/// Anything that is not a path.
pub fn take_path(text: &[u8]) -> Result<(Option<Address>, &[u8]), AddressError> {
    let inside = text.strip_prefix(b"<").ok_or(AddressError::Malformed)?;
    let end = path_end(inside).ok_or(AddressError::Malformed)?;
    let rest = &inside[end + 1..];
    let path = core::str::from_utf8(&inside[..end]).map_err(|_| AddressError::Malformed)?;
    if path.is_empty() {
        return Ok((None, rest));
    }
    let mailbox = match path.strip_prefix('@') {
        Some(_) => without_route(path)?,
        None => path,
    };
    Ok((Some(mailbox.parse()?), rest))
}

/// Where the `>` of a path is, outside of quotes.
fn path_end(inside: &[u8]) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, octet) in inside.iter().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// `A-d-l = At-domain *( "," At-domain )`, then `:`.
fn without_route(path: &str) -> Result<&str, AddressError> {
    let (route, mailbox) = path.split_once(':').ok_or(AddressError::Malformed)?;
    for hop in route.split(',') {
        let domain = hop.strip_prefix('@').ok_or(AddressError::Malformed)?;
        domain.parse::<Domain>()?;
    }
    Ok(mailbox)
}

/// `Local-part = Dot-string / Quoted-string`, unquoted, and what follows it.
fn take_local(text: &str) -> Result<(String, &str), AddressError> {
    if let Some(quoted) = text.strip_prefix('"') {
        return take_quoted(quoted);
    }
    let end = text.find('@').ok_or(AddressError::Malformed)?;
    let (local, rest) = text.split_at(end);
    if is_dot_string(local) {
        Ok((local.to_owned(), rest))
    } else {
        Err(AddressError::Local)
    }
}

/// `Quoted-string = DQUOTE *QcontentSMTP DQUOTE`, after its first quote.
fn take_quoted(text: &str) -> Result<(String, &str), AddressError> {
    let mut local = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        let content = match character {
            '"' => return Ok((local, &text[at + 1..])),
            '\\' => match characters.next() {
                Some((_, escaped @ ' '..='~')) => escaped,
                _ => return Err(AddressError::Local),
            },
            other => other,
        };
        if content.is_control() {
            return Err(AddressError::Local);
        }
        local.push(content);
    }
    Err(AddressError::Local)
}

/// `Dot-string = Atom *("." Atom)`; `atext` includes all of UTF-8 that is not ASCII (RFC 6531 section 3.3).
fn is_dot_string(local: &str) -> bool {
    local
        .split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

fn is_atext(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(character)
        || !(character.is_ascii() || character.is_control())
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
}

/// `IPv4-address-literal / IPv6-address-literal`. General address literals name no standardised tag: refused.
fn address_literal(literal: &str) -> Result<Domain, AddressError> {
    let tagged = literal
        .get(..5)
        .filter(|tag| tag.eq_ignore_ascii_case("IPv6:"));
    match tagged {
        Some(_) => literal[5..].parse().map(Domain::Ipv6),
        None => literal.parse().map(Domain::Ipv4),
    }
    .map_err(|_| AddressError::Domain)
}

#[cfg(test)]
mod tests;
