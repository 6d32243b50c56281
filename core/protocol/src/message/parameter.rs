//! Parameters of structured MIME fields: `attribute=value` lists (RFC 2045 section 5.1) and what RFC 2231 adds:
//! values in several pieces and with a charset.
//!
//! **Bounds.** [`PARAMETERS`] of a field are read, in one pass; what follows is left out and flagged.

use std::borrow::Cow;

use memchr::memchr;

use super::charset::{self, Charset};
use super::encoded_word;
use super::header::unfold;
use super::part::Flaws;
use super::transfer::hex;

/// Parameters of one field that are read.
pub const PARAMETERS: usize = 64;

/// One parameter as it was written, without quoting: RFC 2231 pieces and escapes are still there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parameter<T = Vec<u8>> {
    /// The attribute, in the case it was written.
    pub name: T,
    /// The value.
    pub value: T,
}

/// A structured value taken apart.
#[derive(Debug, Default)]
pub(super) struct Structured {
    /// What stands before the first semicolon, without comments and blanks.
    pub head: Vec<u8>,
    pub parameters: Vec<Parameter>,
    pub flaws: Flaws,
}

/// Reads `head *( ";" attribute "=" value )`.
pub(super) fn parse(value: &[u8]) -> Structured {
    let line = unfold(value);
    let mut cursor = Cursor { rest: &line };
    let mut parsed = Structured {
        head: cursor.head(),
        ..Structured::default()
    };
    while cursor.skip_past_semicolon() {
        let Some(parameter) = cursor.parameter() else {
            continue;
        };
        if parsed.parameters.len() == PARAMETERS {
            parsed.flaws |= Flaws::PARAMETERS_CUT;
            break;
        }
        if find(&parsed.parameters, &parameter.name).is_some() {
            parsed.flaws |= Flaws::DUPLICATE_PARAMETER;
        }
        parsed.parameters.push(parameter);
    }
    parsed
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn head(&mut self) -> Vec<u8> {
        let mut head = Vec::new();
        self.skip_cfws();
        while let Some(&octet) = self.rest.first() {
            if octet == b';' {
                break;
            }
            head.push(octet);
            self.rest = &self.rest[1..];
            self.skip_cfws();
        }
        head
    }

    /// Blanks and comments, which may nest.
    fn skip_cfws(&mut self) {
        let mut depth = 0usize;
        while let [octet, rest @ ..] = self.rest {
            match octet {
                b'\\' if depth > 0 => {
                    self.rest = rest.get(1..).unwrap_or_default();
                    continue;
                }
                b'(' => depth += 1,
                b')' if depth > 0 => depth -= 1,
                b' ' | b'\t' => {}
                _ if depth > 0 => {}
                _ => return,
            }
            self.rest = rest;
        }
    }

    /// Leaves what stands before the next semicolon outside of quotes. False at the end.
    fn skip_past_semicolon(&mut self) -> bool {
        loop {
            self.skip_cfws();
            match self.rest {
                [] => return false,
                [b';', rest @ ..] => {
                    self.rest = rest;
                    return true;
                }
                [b'"', ..] => {
                    self.quoted();
                }
                [_, rest @ ..] => self.rest = rest,
            }
        }
    }

    /// `attribute "=" value`
    fn parameter(&mut self) -> Option<Parameter> {
        self.skip_cfws();
        let ends = |octet: &u8| matches!(octet, b'=' | b';' | b' ' | b'\t' | b'(' | b'"');
        let end = self.rest.iter().position(ends).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.skip_cfws();
        self.rest = self.rest.strip_prefix(b"=")?;
        self.skip_cfws();
        let value = match self.rest.first() {
            Some(b'"') => self.quoted(),
            _ => self.unquoted(),
        };
        (!name.is_empty()).then(|| Parameter {
            name: name.to_vec(),
            value,
        })
    }

    /// Up to a semicolon or comment: more than a token, since file names with blanks come unquoted.
    fn unquoted(&mut self) -> Vec<u8> {
        let ends = |octet: &u8| matches!(octet, b';' | b'(');
        let end = self.rest.iter().position(ends).unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at(end);
        self.rest = rest;
        value.trim_ascii_end().to_vec()
    }

    /// A quoted string; without its closing quote it goes on to the end.
    fn quoted(&mut self) -> Vec<u8> {
        let mut content = Vec::new();
        let mut octets = self.rest.iter().skip(1);
        let mut used = 1;
        while let Some(&octet) = octets.next() {
            used += 1;
            match octet {
                b'"' => break,
                b'\\' => {
                    if let Some(&escaped) = octets.next() {
                        used += 1;
                        content.push(escaped);
                    }
                }
                _ => content.push(octet),
            }
        }
        self.rest = &self.rest[used..];
        content
    }
}

/// The first parameter with this name, in any case, as written.
pub fn find<'a>(parameters: &'a [Parameter], name: &[u8]) -> Option<&'a [u8]> {
    let found = parameters
        .iter()
        .find(|parameter| parameter.name.eq_ignore_ascii_case(name))?;
    Some(&found.value)
}

/// The value of a parameter as text: the RFC 2231 form if there is one, else the plain one with its encoded
/// words decoded, which RFC 2047 forbids and everybody writes.
pub fn text(parameters: &[Parameter], name: &str) -> Option<String> {
    readings(parameters, name).into_iter().next()
}

/// All that programs may take this parameter to say, the most proper first: each is what some program shows.
pub fn readings(parameters: &[Parameter], name: &str) -> Vec<String> {
    let mut readings = Vec::new();
    let extended = format!("{name}*");
    if let Some(value) = find(parameters, extended.as_bytes()) {
        readings.push(extended_text(value));
    }
    if let Some(Pieces { charset, octets }) = join(parameters, name) {
        readings.push(decode(charset, &octets).into_owned());
    }
    for parameter in parameters {
        if parameter.name.eq_ignore_ascii_case(name.as_bytes()) {
            readings.push(encoded_word::decode(&parameter.value));
        }
    }
    readings.dedup();
    readings
}

/// The octets of a parameter, joined if it comes in pieces; the plain form wins. For boundaries.
pub(super) fn octets<'a>(parameters: &'a [Parameter], name: &str) -> Option<Cow<'a, [u8]>> {
    match find(parameters, name.as_bytes()) {
        Some(value) => Some(Cow::Borrowed(value)),
        None => join(parameters, name).map(|pieces| Cow::Owned(pieces.octets)),
    }
}

/// A value that came in pieces.
struct Pieces {
    charset: Option<Charset>,
    octets: Vec<u8>,
}

/// Joins `name*0`, `name*1*`, … up to the first gap (RFC 2231 section 3 and section 4.1).
fn join(parameters: &[Parameter], name: &str) -> Option<Pieces> {
    let mut joined: Option<Pieces> = None;
    for number in 0..PARAMETERS {
        let plain = format!("{name}*{number}");
        let extended = format!("{plain}*");
        if let Some(value) = find(parameters, extended.as_bytes()) {
            let (charset, value) = match joined {
                None => charset_of(value),
                Some(_) => (None, value),
            };
            let pieces = joined.get_or_insert_with(|| Pieces {
                charset,
                octets: Vec::new(),
            });
            pieces.octets.extend(percent_decoded(value));
        } else if let Some(value) = find(parameters, plain.as_bytes()) {
            let pieces = joined.get_or_insert_with(|| Pieces {
                charset: None,
                octets: Vec::new(),
            });
            pieces.octets.extend_from_slice(value);
        } else {
            break;
        }
    }
    joined
}

/// `charset "'" language "'" percent-encoded`
fn extended_text(value: &[u8]) -> String {
    let (charset, value) = charset_of(value);
    decode(charset, &percent_decoded(value)).into_owned()
}

fn charset_of(value: &[u8]) -> (Option<Charset>, &[u8]) {
    let Some(first) = memchr(b'\'', value) else {
        return (None, value);
    };
    let rest = &value[first + 1..];
    match memchr(b'\'', rest) {
        Some(second) => (Charset::for_label(&value[..first]), &rest[second + 1..]),
        None => (None, value),
    }
}

fn percent_decoded(value: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [high, low, tail @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                octets.push(hex(*high) << 4 | hex(*low));
                rest = tail;
            }
            _ => octets.push(*first),
        }
    }
    octets
}

fn decode(charset: Option<Charset>, octets: &[u8]) -> Cow<'_, str> {
    match charset {
        Some(charset) => Cow::Owned(charset.decode(octets)),
        None => charset::guess(octets),
    }
}

#[cfg(test)]
mod tests;
