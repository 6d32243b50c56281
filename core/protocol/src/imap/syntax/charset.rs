//! Charsets of search strings (RFC 9051 section 6.4.4, RFC 2978).

use encoding_rs::Encoding;

/// What the strings of a search are written in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Charset(Kind);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    UsAscii,
    Other(&'static Encoding),
}

impl Charset {
    /// US-ASCII.
    pub const US_ASCII: Charset = Charset(Kind::UsAscii);
    /// UTF-8.
    pub const UTF_8: Charset = Charset(Kind::Other(encoding_rs::UTF_8));

    /// One that all octets are text of.
    pub(super) const ANY: Charset = Charset(Kind::Other(encoding_rs::WINDOWS_1252));

    /// The charset of this name, in any case; none if it is not known.
    pub fn of(name: &[u8]) -> Option<Self> {
        // encoding_rs trims white space and calls US-ASCII windows-1252.
        if name.iter().any(|octet| !octet.is_ascii_graphic()) {
            return None;
        }
        if [&b"US-ASCII"[..], b"ASCII"]
            .iter()
            .any(|ascii| name.eq_ignore_ascii_case(ascii))
        {
            return Some(Self::US_ASCII);
        }
        let encoding = Encoding::for_label_no_replacement(name)?;
        // UTF-16 cannot come from a client that writes commands in US-ASCII.
        let usable = encoding != encoding_rs::UTF_16LE && encoding != encoding_rs::UTF_16BE;
        usable.then_some(Self(Kind::Other(encoding)))
    }

    /// The text of these octets; none if they are not of this charset.
    pub fn decode(self, octets: &[u8]) -> Option<String> {
        match self.0 {
            Kind::UsAscii if octets.is_ascii() => {
                std::str::from_utf8(octets).ok().map(str::to_owned)
            }
            Kind::UsAscii => None,
            Kind::Other(encoding) => encoding
                .decode_without_bom_handling_and_without_replacement(octets)
                .map(|text| text.into_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_and_unknown() {
        assert_eq!(Charset::of(b"utf-8"), Some(Charset::UTF_8));
        assert_eq!(Charset::of(b"us-ascii"), Some(Charset::US_ASCII));
        assert!(Charset::of(b"EUC-KR").is_some() && Charset::of(b"iso-8859-1").is_some());
        for name in [
            &b""[..],
            b"x-unknown",
            b" utf-8",
            b"utf-16",
            b"replacement",
            b"\xff",
        ] {
            assert_eq!(Charset::of(name), None, "{name:?}");
        }
    }

    #[test]
    fn decoding() {
        let korean = Charset::of(b"EUC-KR").expect("known");
        assert_eq!(korean.decode(b"\xb9\xde\xc0\xba").as_deref(), Some("받은"));
        assert_eq!(
            Charset::UTF_8.decode("받은".as_bytes()).as_deref(),
            Some("받은")
        );
        assert_eq!(Charset::UTF_8.decode(b"\xff"), None);
        assert_eq!(Charset::US_ASCII.decode(b"\xc3\xa9"), None);
        assert_eq!(Charset::US_ASCII.decode(b"ascii").as_deref(), Some("ascii"));
    }
}
