//! Encoded words in header values (RFC 2047), read as tolerantly as mail programs do.
//!
//! Tolerated: words inside words and quoted strings, blanks inside Q text, words longer than 75 octets, and a
//! character cut between two adjacent words of one charset (common in Korean and Japanese mail).
//!
//! **Bounds.** One pass over the value.

use memchr::{memchr, memmem};

use super::charset::{self, Charset};
use super::part::Encoding;
use super::transfer::{self, hex};

/// The value as text. Words of an unknown charset or encoding stay as they are.
pub fn decode(value: &[u8]) -> String {
    let mut text = String::new();
    let mut run: Option<Run> = None;
    let mut rest = value;
    let mut searched = 0;
    while let Some(found) = memmem::find(&rest[searched..], b"=?") {
        let start = searched + found;
        let Some((word, length)) = take_word(&rest[start..]) else {
            searched = start + 2;
            continue;
        };
        let between = &rest[..start];
        match &mut run {
            // Blanks between two words do not count (RFC 2047 section 6.2).
            Some(open) if between.trim_ascii().is_empty() && open.charset == word.charset => {
                open.octets.extend_from_slice(&word.octets);
            }
            open => {
                let adjacent = open.is_some() && between.trim_ascii().is_empty();
                if let Some(done) = open.replace(word) {
                    done.end(&mut text);
                }
                if !adjacent {
                    text.push_str(&charset::guess(between));
                }
            }
        }
        rest = &rest[start + length..];
        searched = 0;
    }
    if let Some(done) = run {
        done.end(&mut text);
    }
    text.push_str(&charset::guess(rest));
    text
}

/// Adjacent words of one charset.
struct Run {
    charset: Charset,
    octets: Vec<u8>,
}

impl Run {
    fn end(self, text: &mut String) {
        let decoded = self.charset.decode(&self.octets);
        // A line end smuggled into a word must not become one.
        text.extend(decoded.chars().map(|c| {
            if matches!(c, '\r' | '\n' | '\0') {
                ' '
            } else {
                c
            }
        }));
    }
}

/// `encoded-word = "=?" charset [ "*" language ] "?" encoding "?" encoded-text "?="` and its length.
fn take_word(text: &[u8]) -> Option<(Run, usize)> {
    let label_end = 2 + memchr(b'?', text.get(2..)?)?;
    let label = &text[2..label_end];
    let &[kind, b'?', ref encoded @ ..] = text.get(label_end + 1..)? else {
        return None;
    };
    let length = memchr(b'?', encoded)?;
    if encoded.get(length + 1) != Some(&b'=') {
        return None;
    }
    // The language is of RFC 2231 section 5.
    let charset = Charset::for_label(label.split(|octet| *octet == b'*').next()?)?;
    let octets = match kind {
        b'B' | b'b' => transfer::decode(&Encoding::Base64, &encoded[..length]),
        b'Q' | b'q' => q_text(&encoded[..length]),
        _ => return None,
    };
    Some((Run { charset, octets }, label_end + 3 + length + 2))
}

/// The "Q" encoding (RFC 2047 section 4.2).
fn q_text(encoded: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'_', _) => octets.push(b' '),
            (b'=', [high, low, tail @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                octets.push(hex(*high) << 4 | hex(*low));
                rest = tail;
            }
            (other, _) => octets.push(*other),
        }
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: &str) -> String {
        decode(value.as_bytes())
    }

    #[test]
    fn examples_of_the_rfc() {
        let examples = [
            ("(=?ISO-8859-1?Q?a?=)", "(a)"),
            ("(=?ISO-8859-1?Q?a?= b)", "(a b)"),
            ("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
            ("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
            ("=?ISO-8859-1?Q?Andr=E9?= Pirard", "André Pirard"),
            (
                "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=",
                "If you can read this yo",
            ),
        ];
        for (value, expected) in examples {
            assert_eq!(text(value), expected, "{value}");
        }
    }

    #[test]
    fn words_of_the_wild() {
        let examples = [
            ("=?euc-kr?B?x9Gx2w==?=", "한글"),
            ("=?euc-kr?B?xw==?= =?euc-kr?B?0bHb?=", "한글"),
            ("Re: =?utf-8*ko?q?=ED=95=9C?= x", "Re: 한 x"),
            ("a=?utf-8?q?b?=c", "abc"),
            ("=?utf-8?q?a b?=", "a b"),
            ("=?x-none?q?a?=", "=?x-none?q?a?="),
            ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
            ("=?utf-8?q?a", "=?utf-8?q?a"),
            ("=?=?utf-8?q?a?=", "=?a"),
            ("=?utf-8?q?=zz=4?=", "=zz=4"),
            ("=?utf-8?q?a=0D=0ABcc:_b?=", "a  Bcc: b"),
            ("plain", "plain"),
            ("", ""),
        ];
        for (value, expected) in examples {
            assert_eq!(text(value), expected, "{value}");
        }
        assert_eq!(decode(b"\xc7\xd1\xb1\xdb =?utf-8?q?x?="), "한글 x");
    }

    #[test]
    fn word_starts_without_end_cost_one_pass() {
        let flood = "=?a?q?".repeat(200_000);
        assert_eq!(text(&flood).len(), flood.len());
    }

    proptest! {
        #[test]
        fn any_octets_give_one_line(octets in "([=?_]|=\\?utf-8\\?[bq]\\?|\\?=|[a-z0-9\r\n]){0,60}") {
            let unfolded = crate::message::header::unfold(octets.as_bytes()).into_owned();
            prop_assert!(!decode(&unfolded).contains(['\r', '\n', '\0']));
        }
    }
}
