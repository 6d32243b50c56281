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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(text: &str) -> Result<Address, AddressError> {
        text.parse()
    }

    fn printed(text: &str) -> String {
        address(text).expect(text).to_string()
    }

    #[test]
    fn prints_what_it_read() {
        for text in [
            "ada@example.com",
            "a.b+c@example.com",
            "user/dept=shipping@x.example",
            "\"a b\"@example.com",
            "\"a@b\"@example.com",
            "\"a\\\"b\"@example.com",
            "\"a\\\\b\"@example.com",
            "\"a..b\"@example.com",
            "\"<script>\"@example.com",
            "postmaster@[192.0.2.1]",
            "postmaster@[IPv6:2001:db8::1]",
            "철수@example.com",
            "postmaster@localhost",
        ] {
            assert_eq!(printed(text), text);
        }
    }

    #[test]
    fn equal_addresses_are_equal_values() {
        assert_eq!(printed("\"ada\"@Example.COM"), "ada@example.com");
        assert_eq!(printed("\"a\\d\\a\"@example.com"), "ada@example.com");
        assert_eq!(printed("a@[ipv6:2001:DB8:0::1]"), "a@[IPv6:2001:db8::1]");
        assert_eq!(printed("a@Bücher.example"), "a@xn--bcher-kva.example");
        assert_eq!(printed("a@한국.kr"), "a@xn--3e0b707e.kr");
        assert_eq!(printed("Ada@example.com"), "Ada@example.com");
    }

    #[test]
    fn refuses_what_is_no_address() {
        for text in [
            "",
            "@",
            "a",
            "a@",
            "@b",
            "a@@b",
            "a@b@c",
            "a b@c",
            "a @c",
            "a@ c",
            "(x)a@b",
            "a@b(x)",
            ".a@b",
            "a.@b",
            "a..b@c",
            "<a@b>",
            "<@b>",
            "a@b.",
            "a@.b",
            "a@b..c",
            "a@-b",
            "a@b-",
            "a@b,c",
            "\"\"@b",
            "\"a@b",
            "\"a\"b@c",
            "a\"b\"@c",
            "\"a\r\n\"@b",
            "\"a\0\"@b",
            "a\r\n@b",
            "a@b\r\n",
            "a@[1.2.3]",
            "a@[1.2.3.4",
            "a@[IPv6:zz]",
            "a@[x:y]",
            "a@b c",
            "a@b/c",
            "\u{7f}@b",
            "a@\u{2024}b",
            "\"a\\\u{e9}\"@b",
            "a@[é.é.é",
        ] {
            assert!(address(text).is_err(), "{text:?} was taken");
        }
        assert_eq!(Address::from_bytes(b"\xff@b"), Err(AddressError::Malformed));
    }

    #[test]
    fn limits_are_exact() {
        let local = "l".repeat(LOCAL_LIMIT);
        assert!(address(&format!("{local}@b")).is_ok());
        assert_eq!(address(&format!("{local}l@b")), Err(AddressError::TooLong));
        let label = "d".repeat(63);
        let domain = format!("{label}.{label}.{label}.");
        let fits = format!(
            "{}@{domain}{}",
            "l",
            "d".repeat(ADDRESS_LIMIT - 2 - domain.len())
        );
        assert_eq!(fits.len(), ADDRESS_LIMIT);
        assert!(address(&fits).is_ok());
        assert_eq!(address(&format!("l{fits}")), Err(AddressError::TooLong));
        assert_eq!(
            address(&format!("a@{}", "d".repeat(64))),
            Err(AddressError::Domain)
        );
        assert_eq!(address(&"a".repeat(1 << 20)), Err(AddressError::TooLong));
    }

    #[test]
    fn splits_the_detail() {
        let whole = address("ada+lists+x@example.com").expect("an address");
        assert_eq!(whole.split_detail('+'), ("ada", Some("lists+x")));
        assert_eq!(whole.without_detail('+').to_string(), "ada@example.com");
        let none = address("+ada@example.com").expect("an address");
        assert_eq!(none.split_detail('+'), ("+ada", None));
        assert_eq!(none.without_detail('-'), none);
    }

    #[test]
    fn lookup_ignores_case_and_composition() {
        let composed = address("R\u{e9}n\u{e9}@example.com").expect("an address");
        let decomposed = address("re\u{301}ne\u{301}@EXAMPLE.com").expect("an address");
        assert_eq!(composed.lookup_key(), decomposed.lookup_key());
    }

    #[test]
    fn paths() {
        let ada = address("ada@example.com").ok();
        assert_eq!(
            take_path(b"<ada@example.com> SIZE=1"),
            Ok((ada.clone(), &b" SIZE=1"[..]))
        );
        assert_eq!(take_path(b"<@a,@b.c:ada@example.com>"), Ok((ada, &b""[..])));
        assert_eq!(take_path(b"<>"), Ok((None, &b""[..])));
        let odd = address("\"a>b\"@c").ok();
        assert_eq!(take_path(b"<\"a>b\"@c>x"), Ok((odd, &b"x"[..])));
    }

    /// Attack 14: odd quoting, odd angle brackets, an address that looks like an option.
    #[test]
    fn attack_14_odd_quoting_and_angles() {
        for path in [
            &b"<\"\"@b>"[..],
            b"<\"@b>",
            b"<\"a\\\"@b>",
            b"<<a@b>>",
            b"<a@b",
            b"a@b",
            b"< a@b>",
            b"<a@b >",
            b"<@b>",
            b"<@b:>",
            b"<@:a@b>",
            b"<a@b,@c:d@e>",
            b"<@a,:b@c>",
            b"<\"a\" @b>",
            b"<\"a\"@b>>"[..6].as_ref(),
            b"<\\>@b>",
            b"<a\0@b>",
            b"<a@b\r\n>",
            b"<\xff\xfe@b>",
            b"",
        ] {
            assert!(
                take_path(path).is_err(),
                "{:?} was taken",
                String::from_utf8_lossy(path)
            );
        }
        let dash = take_path(b"<-oQ/tmp/x@example.com>")
            .expect("atext")
            .0
            .expect("not null");
        assert_eq!(dash.to_string(), "-oQ/tmp/x@example.com");
        assert_eq!(dash.local(), "-oQ/tmp/x");
    }

    proptest! {
        #[test]
        fn any_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = take_path(&octets);
            let _ = Address::from_bytes(&octets);
        }

        #[test]
        fn parse_of_print_is_identity(local in "\\PC{1,20}", domain in "[a-z0-9]{1,9}(\\.[a-z]{2,5}){0,3}") {
            let domain: Domain = domain.parse().expect("a domain");
            if let Ok(address) = Address::new(&local, domain) {
                prop_assert_eq!(address.to_string().parse(), Ok(address.clone()));
                let path = format!("<{address}>");
                prop_assert_eq!(take_path(path.as_bytes()), Ok((Some(address), &b""[..])));
            }
        }
    }
}
