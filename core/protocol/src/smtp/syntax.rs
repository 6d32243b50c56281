//! The grammar of SMTP command lines (RFC 5321 section 4.1.2).
//!
//! **Bounds.** Lines are bounded by their command's limit before they come here; nothing is allocated per octet.

use super::reply::Reply;
use crate::message::address::{self, Address};

/// What follows the verb and one space.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Args<'a>(&'a [u8]);

impl<'a> Args<'a> {
    /// Cuts a line into verb and arguments. Blanks before the CRLF are ignored (RFC 5321 section 4.1.1).
    pub(crate) fn split(line: &'a [u8]) -> (&'a [u8], Self) {
        let line = line.trim_ascii_end();
        match line.iter().position(|&octet| octet == b' ') {
            Some(end) => (&line[..end], Self(line[end..].trim_ascii_start())),
            None => (line, Self(b"")),
        }
    }

    /// All of it.
    pub(crate) fn octets(self) -> &'a [u8] {
        self.0
    }

    /// Refuses arguments where there are none.
    pub(crate) fn none(self) -> Result<(), Reply> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Reply::BadArguments)
        }
    }

    /// Words between blanks.
    pub(crate) fn words(self) -> impl Iterator<Item = &'a [u8]> {
        self.0
            .split(|&octet| octet == b' ')
            .filter(|word| !word.is_empty())
    }

    /// `"FROM:" Reverse-path [SP Mail-parameters]`, and the same with `TO:`. Blanks after the colon are
    /// against RFC 5321 section 3.3, and common.
    pub(crate) fn path(self, keyword: &[u8], bad: Reply) -> Result<(Path, Parameters<'a>), Reply> {
        let (head, tail) = self
            .0
            .split_at_checked(keyword.len())
            .ok_or(Reply::BadArguments)?;
        if !head.eq_ignore_ascii_case(keyword) {
            return Err(Reply::BadArguments);
        }
        let text = tail.trim_ascii_start();
        if let Some(rest) = after_postmaster(text) {
            return Ok((Path::Postmaster, Parameters::new(rest)?));
        }
        let (mailbox, rest) = address::take_path(text).map_err(|_| bad)?;
        let path = match mailbox {
            None => Path::Null,
            Some(address) => Path::Mailbox {
                address,
                ascii: text[..text.len() - rest.len()].is_ascii(),
            },
        };
        Ok((path, Parameters::new(rest)?))
    }
}

/// What follows `<Postmaster>`, which may be written in any case (RFC 5321 section 4.1.1.3).
fn after_postmaster(text: &[u8]) -> Option<&[u8]> {
    let (head, rest) = text.split_at_checked(b"<Postmaster>".len())?;
    head.eq_ignore_ascii_case(b"<Postmaster>").then_some(rest)
}

/// `Reverse-path` or `Forward-path`.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Path {
    /// `<>`
    Null,
    /// `<Postmaster>`
    Postmaster,
    /// `<user@domain>`, its source route ignored.
    Mailbox {
        /// The address.
        address: Address,
        /// Whether it was written without UTF-8.
        ascii: bool,
    },
}

/// `esmtp-param *(SP esmtp-param)`: keyword and value, checked, each keyword once.
#[derive(Clone, Debug)]
pub(crate) struct Parameters<'a>(Vec<(&'a [u8], Option<&'a [u8]>)>);

impl<'a> Parameters<'a> {
    /// Takes what follows a path: nothing, or a blank and parameters.
    fn new(text: &'a [u8]) -> Result<Self, Reply> {
        if !(text.is_empty() || text.starts_with(b" ")) {
            return Err(Reply::BadArguments);
        }
        let mut parameters: Vec<(&[u8], Option<&[u8]>)> = Vec::new();
        for word in text
            .split(|&octet| octet == b' ')
            .filter(|word| !word.is_empty())
        {
            let (keyword, value) = match word.iter().position(|&octet| octet == b'=') {
                Some(at) => (&word[..at], Some(&word[at + 1..])),
                None => (word, None),
            };
            let doubled = parameters
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(keyword));
            if doubled || !is_keyword(keyword) || !value.is_none_or(is_value) {
                return Err(Reply::BadArguments);
            }
            parameters.push((keyword, value));
        }
        Ok(Self(parameters))
    }

    /// In the order they were given.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + '_ {
        self.0.iter().copied()
    }

    /// Refuses parameters where none is implemented.
    pub(crate) fn none(&self) -> Result<(), Reply> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Reply::UnknownParameter)
        }
    }
}

/// `esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")`
fn is_keyword(keyword: &[u8]) -> bool {
    keyword.first().is_some_and(u8::is_ascii_alphanumeric)
        && keyword
            .iter()
            .all(|octet| octet.is_ascii_alphanumeric() || *octet == b'-')
}

/// `esmtp-value = 1*(%d33-60 / %d62-126)`, and UTF-8 (RFC 6531 section 3.3).
fn is_value(value: &[u8]) -> bool {
    !value.is_empty()
        && value
            .iter()
            .all(|&octet| octet > b' ' && octet != b'=' && octet != 0x7f)
        && std::str::from_utf8(value).is_ok()
}

/// `1*20DIGIT` (RFC 1870 section 4, RFC 3030 section 2). What does not fit is the largest there is.
pub(crate) fn size(digits: &[u8]) -> Option<u64> {
    let well_formed = (1..=20).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    well_formed.then(|| {
        digits.iter().fold(0_u64, |size, digit| {
            size.saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        })
    })
}

/// `xtext = *(xchar / hexchar)` (RFC 3461 section 4), as AUTH= carries its address.
pub(crate) fn is_xtext(value: &[u8]) -> bool {
    xtext(value).is_some()
}

/// What `xtext` stands for.
pub(crate) fn xtext(value: &[u8]) -> Option<Vec<u8>> {
    let digit = |octet: u8| match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    };
    let mut text = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [octet, tail @ ..] = rest {
        rest = tail;
        text.push(match (octet, tail) {
            (b'+', [high, low, tail @ ..]) => {
                rest = tail;
                digit(*high)? * 16 + digit(*low)?
            }
            (b'+', _) => return None,
            (octet, _) if octet.is_ascii_graphic() => *octet,
            _ => return None,
        });
    }
    Some(text)
}

/// `Domain / address-literal` of EHLO, HELO and LHLO, as the name that goes into the trace.
///
/// Underscores and names without dots are let through: half of the world's clients would be refused.
pub(crate) fn hello_name(octets: &[u8]) -> Option<String> {
    let inside = octets
        .strip_prefix(b"[")
        .and_then(|literal| literal.strip_suffix(b"]"));
    let well = |name: &[u8], more: &[u8]| {
        (1..=255).contains(&name.len())
            && name
                .iter()
                .all(|octet| octet.is_ascii_alphanumeric() || more.contains(octet))
    };
    let good = match inside {
        Some(literal) => well(literal, b".:-"),
        None => well(octets, b".-_"),
    };
    good.then(|| String::from_utf8_lossy(octets).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> Result<Path, Reply> {
        Args(text.as_bytes())
            .path(b"FROM:", Reply::BadReversePath)
            .map(|(path, _)| path)
    }

    fn parameters(text: &str) -> Result<Vec<(String, Option<String>)>, Reply> {
        let text = format!("FROM:<>{text}");
        let (_, parameters) = Args(text.as_bytes()).path(b"FROM:", Reply::BadReversePath)?;
        let owned = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        Ok(parameters
            .iter()
            .map(|(k, v)| (owned(k), v.map(owned)))
            .collect())
    }

    #[test]
    fn splits_verb_and_arguments() {
        let (verb, args) = Args::split(b"RCPT   TO:<a@b>  \t");
        assert_eq!((verb, args.octets()), (&b"RCPT"[..], &b"TO:<a@b>"[..]));
        assert_eq!(Args::split(b"").0, b"");
        assert_eq!(Args::split(b" QUIT").0, b"");
    }

    #[test]
    fn paths() {
        assert_eq!(path("FROM:<>"), Ok(Path::Null));
        assert_eq!(path("from:  <>"), Ok(Path::Null));
        assert_eq!(path("FROM:<postMASTER>"), Ok(Path::Postmaster));
        assert!(matches!(
            path("FROM:<a@b.test>"),
            Ok(Path::Mailbox { ascii: true, .. })
        ));
        assert!(matches!(
            path("FROM:<\u{e9}@b.test>"),
            Ok(Path::Mailbox { ascii: false, .. })
        ));
        assert!(matches!(
            path("FROM:<@c.test:a@b.test>"),
            Ok(Path::Mailbox { .. })
        ));
        assert_eq!(path("FROM"), Err(Reply::BadArguments));
        assert_eq!(path("TO:<a@b.test>"), Err(Reply::BadArguments));
        assert_eq!(path("FROM:<>X"), Err(Reply::BadArguments));
        assert_eq!(path("FROM:a@b.test"), Err(Reply::BadReversePath));
    }

    /// Attack 14: odd quoting and angle brackets end no path early and open no second one.
    #[test]
    fn attack_14_odd_quoting_is_refused_or_kept_whole() {
        for text in [
            "FROM:<a@b.test",
            "FROM:<<a@b.test>>",
            "FROM:<\"a@b.test>",
            "FROM:<\"a\"b@b.test>",
            "FROM:<a b@b.test>",
            "FROM:<@>",
            "FROM:<a@b.test\\>",
        ] {
            assert!(path(text).is_err(), "{text}");
        }
        for (text, shown) in [
            ("FROM:<\"a> SIZE=1\"@b.test>", "\"a> SIZE=1\"@b.test"),
            ("FROM:<-oX@b.test>", "-oX@b.test"),
        ] {
            match path(text) {
                Ok(Path::Mailbox { address, .. }) => assert_eq!(address.to_string(), shown),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn parameters_are_keywords_with_values_each_once() {
        let size = ("SIZE".to_owned(), Some("10".to_owned()));
        assert_eq!(
            parameters(" SIZE=10  SMTPUTF8"),
            Ok(vec![size, ("SMTPUTF8".into(), None)])
        );
        for text in [
            " SIZE=",
            " =1",
            " -A=1",
            " A=b=c",
            " SIZE=1 size=2",
            " A\u{e9}=1",
            "SIZE=1",
        ] {
            assert_eq!(parameters(text), Err(Reply::BadArguments), "{text}");
        }
    }

    #[test]
    fn sizes_never_wrap() {
        assert_eq!(size(b"0"), Some(0));
        assert_eq!(size(b"00000000000000000007"), Some(7));
        assert_eq!(size(b"99999999999999999999"), Some(u64::MAX));
        for text in [
            &b""[..],
            b"-1",
            b"+1",
            b"1a",
            b"000000000000000000007",
            b" 1",
        ] {
            assert_eq!(size(text), None);
        }
    }

    #[test]
    fn xtext() {
        assert!(is_xtext(b"e+3Dmc2@example.com"));
        assert!(is_xtext(b"<>"));
        for text in [&b"+"[..], b"+3", b"+3d", b"a b", b"\xff"] {
            assert!(!is_xtext(text));
        }
        assert_eq!(super::xtext(b"a+2Bb+3D+00"), Some(b"a+b=\0".to_vec()));
    }

    #[test]
    fn hello_names() {
        for name in [
            "mx.example.test",
            "WIN_PC-1",
            "[192.0.2.1]",
            "[IPv6:2001:db8::1]",
        ] {
            assert_eq!(hello_name(name.as_bytes()).as_deref(), Some(name));
        }
        for name in ["", "a b", "[", "[]", "a\0b", "<a>", "\u{e9}", "[a", "a(b)"] {
            assert_eq!(hello_name(name.as_bytes()), None, "{name}");
        }
        assert_eq!(hello_name(&[b'a'; 256]), None);
    }

    proptest! {
        #[test]
        fn no_line_panics(line in prop::collection::vec(any::<u8>(), 0..200), keyword in any::<bool>()) {
            let line = if keyword { [&b"MAIL FROM:<"[..], &line].concat() } else { line };
            let (_, args) = Args::split(&line);
            let _ = args.path(b"FROM:", Reply::BadReversePath);
            let _ = hello_name(args.octets());
            let _ = args.words().map(size).count();
            let _ = is_xtext(&line);
        }
    }
}
