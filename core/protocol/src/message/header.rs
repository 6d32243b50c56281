//! Header fields over raw octets (RFC 5322 section 2.2).
//!
//! Lines may end in CRLF or bare LF. A line that is no field (an mbox `From ` line, junk) is skipped with its
//! continuations; only an empty line ends the header.
//!
//! **Invariants.** No octet is copied but by [`unfold`] where a field is folded, and by [`select`].
//! **Bounds.** One pass; nothing is kept but the place.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr3};

use super::encoded_word;

/// One header field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Field<'a> {
    /// The name as written, without blanks before the colon.
    pub name: &'a [u8],
    /// What follows the colon, folded as written, with its last line end.
    pub value: &'a [u8],
    /// The whole field with its last line end.
    pub raw: &'a [u8],
}

impl<'a> Field<'a> {
    /// `field = field-name ":" unstructured CRLF`, blanks before the colon allowed (RFC 5322 section 4.5.8).
    fn parse(raw: &'a [u8]) -> Option<Self> {
        let colon = memchr(b':', raw)?;
        let name = raw[..colon].trim_ascii_end();
        let is_name = !name.is_empty() && name.iter().all(|octet| (33..=126).contains(octet));
        is_name.then(|| Self {
            name,
            value: &raw[colon + 1..],
            raw,
        })
    }

    /// Whether it has this name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value on one line, see [`unfold`].
    pub fn unfolded(&self) -> Cow<'a, [u8]> {
        unfold(self.value)
    }

    /// The value as text, its encoded words decoded.
    pub fn text(&self) -> String {
        encoded_word::decode(&self.unfolded())
    }
}

/// The fields of a header, or of a message that begins with one.
pub fn fields(header: &[u8]) -> Fields<'_> {
    Fields(chunks(header))
}

/// Where the fields with one of these names lie in a header, or in a message that begins with one.
pub fn spans(header: &[u8], names: &[&str]) -> Vec<Range<usize>> {
    let wanted = fields(header).filter(|field| names.iter().any(|name| field.is(name)));
    let span = |field: Field<'_>| {
        // A field is a piece of its header.
        let start = field.raw.as_ptr() as usize - header.as_ptr() as usize;
        start..start + field.raw.len()
    };
    wanted.map(span).collect()
}

/// The first field with this name.
pub fn find<'a>(header: &'a [u8], name: &str) -> Option<Field<'a>> {
    fields(header).find(|field| field.is(name))
}

/// Iterator of [`fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a>(Chunks<'a>);

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        self.0.find_map(Field::parse)
    }
}

/// Folded lines, whether fields or junk, up to the empty line.
#[derive(Clone, Debug)]
struct Chunks<'a> {
    rest: &'a [u8],
}

fn chunks(header: &[u8]) -> Chunks<'_> {
    Chunks { rest: header }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut end = line_length(self.rest);
        if is_blank(&self.rest[..end]) {
            self.rest = &[];
            return None;
        }
        while matches!(self.rest.get(end), Some(b' ' | b'\t')) {
            end += line_length(&self.rest[end..]);
        }
        let (chunk, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(chunk)
    }
}

/// Octets of the first line, with its line end.
pub(super) fn line_length(text: &[u8]) -> usize {
    memchr(b'\n', text).map_or(text.len(), |at| at + 1)
}

/// Whether a line, given with its line end, is empty. So is what follows the last line.
pub(super) fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"" | b"\n" | b"\r\n")
}

/// Cuts a message after the empty line that ends its header. Without one all is header.
pub fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let mut end = 0;
    loop {
        let length = line_length(&message[end..]);
        let blank = is_blank(&message[end..end + length]);
        end += length;
        if blank {
            return message.split_at(end);
        }
    }
}

/// A value on one line: without line ends, NUL and surrounding blanks (RFC 5322 section 2.2.3).
/// The result never holds CR, LF or NUL.
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let trimmed = value.trim_ascii();
    if memchr3(b'\r', b'\n', 0, trimmed).is_none() {
        return Cow::Borrowed(trimmed);
    }
    let kept = trimmed.iter().copied();
    let line: Vec<u8> = kept
        .filter(|octet| !matches!(octet, b'\r' | b'\n' | 0))
        .collect();
    Cow::Owned(line)
}

/// A set of field names, for [`select`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FieldNames(Vec<Vec<u8>>);

impl FieldNames {
    /// Takes names in any case and order.
    pub fn new<I>(names: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        let lower = names
            .into_iter()
            .map(|name| name.as_ref().to_ascii_lowercase());
        let mut names: Vec<_> = lower.collect();
        names.sort_unstable();
        names.dedup();
        Self(names)
    }

    /// Whether the name is one of them, in any case.
    pub fn contains(&self, name: &[u8]) -> bool {
        let order = |known: &Vec<u8>| {
            let given = name.iter().map(u8::to_ascii_lowercase);
            known.iter().copied().cmp(given)
        };
        self.0.binary_search_by(order).is_ok()
    }

    /// The names, in lower case, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }
}

/// Which fields [`select`] takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Selection {
    /// Those named: `HEADER.FIELDS`.
    Only,
    /// All but those named, junk lines too: `HEADER.FIELDS.NOT`.
    Except,
}

/// The selected fields as they stand, in their order, and an empty line (RFC 9051 section 6.4.5.1).
pub fn select(header: &[u8], names: &FieldNames, selection: Selection) -> Vec<u8> {
    let line_end = line_end(header);
    let mut selected = Vec::new();
    for chunk in chunks(header) {
        let named = Field::parse(chunk).is_some_and(|field| names.contains(field.name));
        if named == (selection == Selection::Only) {
            selected.extend_from_slice(chunk);
            if !chunk.ends_with(b"\n") {
                selected.extend_from_slice(line_end);
            }
        }
    }
    selected.extend_from_slice(line_end);
    selected
}

/// How the lines of this header end, by its first one.
pub(super) fn line_end(header: &[u8]) -> &'static [u8] {
    match memchr(b'\n', header) {
        Some(0) => b"\n",
        Some(at) if header[at - 1] != b'\r' => b"\n",
        _ => b"\r\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: &[u8] =
        b"From x@y Thu Jan  1 00:00:00 1970\r\nSubject: one\r\n two\r\nsUBJECT : three\r\n\
        junk line\r\n and its fold\r\nTo:\r\n\ta@b\r\n\r\nBody: no\r\n";

    #[test]
    fn fields_are_found_among_junk() {
        let found: Vec<_> = fields(HEADER)
            .map(|field| (field.name, field.text()))
            .collect();
        let expected: [(&[u8], String); 3] = [
            (b"Subject", "one two".into()),
            (b"sUBJECT", "three".into()),
            (b"To", "a@b".into()),
        ];
        assert_eq!(found, expected);
        assert_eq!(
            find(HEADER, "TO").map(|field| field.raw),
            Some(&b"To:\r\n\ta@b\r\n"[..])
        );
        assert_eq!(find(HEADER, "Body"), None);
    }

    #[test]
    fn splits_at_the_empty_line() {
        let cases: [(&[u8], usize); 7] = [
            (b"A: b\r\n\r\nbody", 8),
            (b"A: b\n\nbody", 6),
            (b"\r\nbody", 2),
            (b"A: b\r\n", 6),
            (b"A: b", 4),
            (b"", 0),
            (b"A: b\n \n\r\nbody", 9),
        ];
        for (message, at) in cases {
            assert_eq!(
                split(message).0.len(),
                at,
                "{:?}",
                String::from_utf8_lossy(message)
            );
        }
    }

    #[test]
    fn selects_in_order_as_written() {
        let names = FieldNames::new(["TO", "subject", "absent"]);
        let only = select(HEADER, &names, Selection::Only);
        assert_eq!(
            only,
            b"Subject: one\r\n two\r\nsUBJECT : three\r\nTo:\r\n\ta@b\r\n\r\n"
        );
        let except = select(HEADER, &names, Selection::Except);
        let junk = b"From x@y Thu Jan  1 00:00:00 1970\r\njunk line\r\n and its fold\r\n\r\n";
        assert_eq!(except, junk);
        assert_eq!(
            select(b"A: b", &FieldNames::new(["a"]), Selection::Only),
            b"A: b\r\n\r\n"
        );
        assert_eq!(
            select(b"A: b\nC: d\n\n", &FieldNames::new(["c"]), Selection::Only),
            b"C: d\n\n"
        );
        assert_eq!(select(b"", &names, Selection::Only), b"\r\n");
    }

    #[test]
    fn unfolding_leaves_no_line_end() {
        assert_eq!(&*unfold(b" a\r\n\tb\n c \r\n"), b"a\tb c");
        assert_eq!(&*unfold(b"a\rb\0c"), b"abc");
        assert!(matches!(unfold(b" plain \r\n"), Cow::Borrowed(b"plain")));
    }

    proptest! {
        #[test]
        fn only_and_except_share_the_header(header in "([A-C]: [a-z]{0,3}(\r\n [a-z])?\r\n|junk\r\n){0,9}") {
            let names = FieldNames::new(["b"]);
            let only = select(header.as_bytes(), &names, Selection::Only).len();
            let except = select(header.as_bytes(), &names, Selection::Except).len();
            prop_assert_eq!(only + except, header.len() + 4);
        }

        #[test]
        fn any_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (header, body) = split(&octets);
            prop_assert_eq!(header.len() + body.len(), octets.len());
            for field in fields(&octets) {
                let line = field.unfolded();
                prop_assert!(memchr3(b'\r', b'\n', 0, &line).is_none());
                let _ = field.text();
            }
        }
    }
}
