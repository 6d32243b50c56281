//! Patterns that match mailbox names: `*` matches anything, `%` anything within a level (RFC 9051 section 6.3.9).
//!
//! **Bounds.** A pattern has at most [`PATTERN_LIMIT`] octets. All places where a match may stand are moved on
//! together, 64 at a time, so a name costs its length times a 64th of the pattern's, whatever the wildcards are.

use super::args::Utf8;
use super::mailbox::{self, DELIMITER, NameError};

/// Longest pattern with its reference, in octets of UTF-8.
pub const PATTERN_LIMIT: usize = 1000;

/// A reference and a pattern, put together.
#[derive(Clone, Debug)]
pub struct ListPattern {
    text: String,
    /// Words of 64 places that a set of places has; place `n` is before token `n`, the last one is the end.
    words: usize,
    end: usize,
    /// Places before a `*`, before a `%`.
    star: Vec<u64>,
    percent: Vec<u64>,
    /// Row of `masks` of each octet; row 0 is empty.
    rows: Box<[u8; 256]>,
    /// A set of places before that octet for each row.
    masks: Vec<u64>,
}

impl ListPattern {
    /// A reference and a pattern as the client wrote them.
    ///
    /// # Errors
    /// `Policy`: too long, or not in the encoding in use.
    pub fn from_wire(reference: &[u8], pattern: &[u8], utf8: Utf8) -> Result<Self, NameError> {
        let mut text = mailbox::decode(reference, utf8)?;
        text.push_str(&mailbox::decode(pattern, utf8)?);
        Self::new(&text)
    }

    /// A pattern that no name matches: a name has no control characters.
    pub fn nothing() -> Self {
        Self::new("\0").expect("one octet is not too long")
    }

    /// A pattern in Unicode.
    ///
    /// # Errors
    /// `Policy`: too long.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.len() > PATTERN_LIMIT {
            return Err(NameError::TooLong);
        }
        let text = mailbox::nfc(text);
        let tokens = tokens(text.as_bytes());
        let words = tokens.len() / 64 + 1;
        let mut pattern = Self {
            text,
            words,
            end: tokens.len(),
            star: vec![0; words],
            percent: vec![0; words],
            rows: Box::new([0; 256]),
            masks: vec![0; words],
        };
        for (place, octet) in tokens.into_iter().enumerate() {
            let set = match octet {
                b'*' => &mut pattern.star[..],
                b'%' => &mut pattern.percent[..],
                _ => pattern.row_of(octet),
            };
            set[place / 64] |= 1 << (place % 64);
        }
        Ok(pattern)
    }

    /// The pattern in UTF-8.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether there is neither `*` nor `%` in it.
    pub fn is_literal(&self) -> bool {
        !self.text.contains(['*', '%'])
    }

    /// Whether the pattern matches a name. The letters of the first level `INBOX` match in any case.
    pub fn matches(&self, name: &str) -> bool {
        let inbox = match name.split(DELIMITER).next() {
            Some("INBOX") => "INBOX".len(),
            _ => 0,
        };
        let mut places = vec![0u64; self.words];
        places[0] = 1;
        self.pass_wildcards(&mut places);
        for (n, octet) in name.bytes().enumerate() {
            let exact = self.mask(octet);
            let folded = self.mask(match n < inbox {
                true => octet.to_ascii_lowercase(),
                false => octet,
            });
            let mut carry = 0;
            for word in 0..self.words {
                let here = places[word];
                let matched = here & (exact[word] | folded[word]);
                let mut stay = here & self.star[word];
                if octet != DELIMITER as u8 {
                    stay |= here & self.percent[word];
                }
                places[word] = stay | matched << 1 | carry;
                carry = matched >> 63;
            }
            self.pass_wildcards(&mut places);
        }
        places[self.end / 64] >> (self.end % 64) & 1 == 1
    }

    /// A wildcard may match nothing. Two never stand side by side, so one step is enough.
    fn pass_wildcards(&self, places: &mut [u64]) {
        let mut carry = 0;
        for (word, place) in places.iter_mut().enumerate() {
            let passed = *place & (self.star[word] | self.percent[word]);
            *place |= passed << 1 | carry;
            carry = passed >> 63;
        }
    }

    fn mask(&self, octet: u8) -> &[u64] {
        let row = usize::from(self.rows[usize::from(octet)]);
        &self.masks[row * self.words..][..self.words]
    }

    fn row_of(&mut self, octet: u8) -> &mut [u64] {
        let row = &mut self.rows[usize::from(octet)];
        if *row == 0 {
            // UTF-8 has 243 octets, so rows are never used up.
            *row = (self.masks.len() / self.words) as u8;
            self.masks.resize(self.masks.len() + self.words, 0);
        }
        let start = usize::from(*row) * self.words;
        &mut self.masks[start..start + self.words]
    }
}

/// The octets of a pattern, each run of wildcards made one: `%*%` is `*`, `%%` is `%`.
fn tokens(text: &[u8]) -> Vec<u8> {
    let mut tokens = Vec::with_capacity(text.len());
    for &octet in text {
        match (tokens.last_mut(), octet) {
            (Some(last @ (b'*' | b'%')), b'*') => *last = b'*',
            (Some(b'*' | b'%'), b'%') => {}
            _ => tokens.push(octet),
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, name: &str) -> bool {
        ListPattern::new(pattern).expect("a pattern").matches(name)
    }

    /// The definition, as slow as it may be.
    fn plainly_matches(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.first(), name.first()) {
            (None, rest) => rest.is_none(),
            (Some(wild @ (b'*' | b'%')), first) => {
                plainly_matches(&pattern[1..], name)
                    || (first.is_some_and(|octet| *wild == b'*' || *octet != b'/')
                        && plainly_matches(pattern, &name[1..]))
            }
            (Some(octet), Some(first)) => {
                octet == first && plainly_matches(&pattern[1..], &name[1..])
            }
            (Some(_), None) => false,
        }
    }

    #[test]
    fn wildcards() {
        for (pattern, name) in [
            ("*", "INBOX"),
            ("*", "a/b/c"),
            ("%", "a"),
            ("a/%", "a/b"),
            ("a%/c", "abc/c"),
            ("*c", "a/b/c"),
            ("%%", "a"),
            ("*%*", "a/b"),
            ("in%", "INBOX"),
            ("inbox/%", "INBOX/a"),
            ("", ""),
            ("받은%", "받은편지함"),
            ("Cafe\u{301}", "Café"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("%", "a/b"),
            ("a", "A"),
            ("a/%", "a"),
            ("a/%", "a/b/c"),
            ("inbox/a", "INBOX/A"),
            ("work/inbox", "work/INBOX"),
            ("", "a"),
            ("%x", "a/x"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn attack_03_wildcards_that_would_backtrack_cost_no_more_than_others() {
        let pattern = "%a*".repeat(PATTERN_LIMIT / 3);
        let name = "a".repeat(499) + "b";
        let pattern = ListPattern::new(&pattern).expect("a pattern");
        for _ in 0..1000 {
            assert!(pattern.matches(&name));
        }
        let missing = ListPattern::new(&("*a%".repeat(300) + "c")).expect("a pattern");
        assert!(!missing.matches(&name));
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let long = "a".repeat(PATTERN_LIMIT + 1);
        assert_eq!(ListPattern::new(&long).err(), Some(NameError::TooLong));
        assert_eq!(
            ListPattern::from_wire(b"", b"R&D%", Utf8::Off).err(),
            Some(NameError::Encoding)
        );
        let joined = ListPattern::from_wire(b"~peter/", b"mail/%", Utf8::Off).expect("a pattern");
        assert!(joined.matches("~peter/mail/x") && !joined.is_literal());
    }

    proptest! {
        #[test]
        fn equals_the_definition(pattern in "[ab/%*]{0,9}", name in "[ab/]{0,9}") {
            prop_assert_eq!(matches(&pattern, &name), plainly_matches(pattern.as_bytes(), name.as_bytes()));
        }

        #[test]
        fn long_patterns_equal_the_definition(head in "[ab/]{55,75}", tail in "[ab/%]{0,4}", name in "[ab/]{0,6}") {
            let pattern = format!("{head}*{tail}");
            let name = format!("{head}{name}");
            prop_assert_eq!(matches(&pattern, &name), plainly_matches(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
