//! A cursor over the arguments of a command, one method a rule of the grammar (RFC 9051 section 9).
//!
//! The buffer is the command as it came, without its last CRLF, literals in place
//! (`a1 LOGIN {3}\r\nada {6+}\r\nsecret`).
//!
//! **Invariants.** A rule that fails says what it expected, in a fixed text; nothing of the input is repeated.
//! **Bounds.** Each octet is looked at a constant number of times; [`Bounds`] say how deep is nested and how long lists are.

use std::borrow::Cow;
use std::num::NonZeroU32;

use super::literal::LiteralHeader;
use crate::limit::Limit;

/// How much one command may hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// Levels of parentheses and search keys.
    pub nesting: usize,
    /// Elements of a parenthesised list or a sequence set.
    pub elements: usize,
    /// Keys of a search, in all.
    pub search_keys: usize,
}

impl Bounds {
    /// What clients need, many times over.
    pub const USUAL: Self = Self {
        nesting: 50,
        elements: 10_000,
        search_keys: 1000,
    };
}

/// Usual levels.
pub const DEPTH: usize = Bounds::USUAL.nesting;

/// Usual length of a list.
pub const ELEMENTS: usize = Bounds::USUAL.elements;

impl Default for Bounds {
    fn default() -> Self {
        Self::USUAL
    }
}

/// Whether 8-bit text stands in quoted strings and mailbox names are UTF-8: after `ENABLE IMAP4rev2` or
/// `ENABLE UTF8=ACCEPT` (RFC 9051 section 5.1, RFC 6855 section 3).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Utf8 {
    /// 7-bit quoted strings, mailbox names in modified UTF-7.
    #[default]
    Off,
    /// UTF-8 in quoted strings and mailbox names.
    On,
}

/// The client broke the grammar: the command is answered `BAD`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected {expected}")]
pub struct SyntaxError {
    /// What the grammar wanted, as a fixed text.
    pub expected: &'static str,
}

impl SyntaxError {
    pub(super) const NESTING: Self = Self {
        expected: "fewer nested levels",
    };
    pub(super) const LIST: Self = Self {
        expected: "a list of fewer elements",
    };
    pub(super) const SET: Self = Self {
        expected: "a set of fewer elements",
    };
    pub(super) const KEYS: Self = Self {
        expected: "fewer search keys",
    };

    /// The bound that was reached, if the grammar was kept otherwise.
    pub fn limit(&self) -> Option<Limit> {
        match *self {
            Self::NESTING => Some(Limit::Nesting),
            Self::KEYS => Some(Limit::SearchKeys),
            Self::LIST | Self::SET => Some(Limit::Elements),
            Self { expected } if expected.contains("at most") => Some(Limit::Elements),
            _ => None,
        }
    }
}

/// The result of a rule.
pub type Parsed<T> = Result<T, SyntaxError>;

/// An error that names what was expected.
pub(crate) fn expected<T>(expected: &'static str) -> Parsed<T> {
    Err(SyntaxError { expected })
}

/// The rest of a command.
#[derive(Clone, Debug)]
pub struct Args<'a> {
    rest: &'a [u8],
    depth: usize,
    utf8: Utf8,
    bounds: Bounds,
}

impl<'a> Args<'a> {
    /// Starts at the first octet of `rest`.
    pub fn new(rest: &'a [u8], utf8: Utf8) -> Self {
        Self {
            rest,
            depth: 0,
            utf8,
            bounds: Bounds::USUAL,
        }
    }

    /// Sets other bounds than the usual ones.
    pub fn bound(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// How much it may hold.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Whether UTF-8 is on.
    pub fn utf8(&self) -> Utf8 {
        self.utf8
    }

    /// Takes UTF-8 in quoted strings, whatever the client has enabled.
    pub fn accept_utf8(&mut self) {
        self.utf8 = Utf8::On;
    }

    /// What is not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether all is read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Nothing may follow.
    pub fn end(&self) -> Parsed<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        expected("end of command")
    }

    /// The next octet, not taken.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// `SP`: one space.
    pub fn sp(&mut self) -> Parsed<()> {
        self.octet(b' ', "one space")
    }

    /// Exactly this octet.
    pub fn octet(&mut self, octet: u8, what: &'static str) -> Parsed<()> {
        if self.try_octet(octet) {
            return Ok(());
        }
        expected(what)
    }

    /// Takes the octet if it is next.
    pub fn try_octet(&mut self, octet: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == octet => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes `SP` if it is next.
    pub fn try_sp(&mut self) -> bool {
        self.try_octet(b' ')
    }

    /// Takes exactly these octets, in any case, if they are next, whatever follows.
    pub fn try_prefix(&mut self, prefix: &str) -> bool {
        match self.rest.split_at_checked(prefix.len()) {
            Some((head, rest)) if head.eq_ignore_ascii_case(prefix.as_bytes()) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes exactly this many octets, if there are so many.
    pub fn take(&mut self, octets: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(octets)?;
        self.rest = rest;
        Some(taken)
    }

    /// Takes `word`, in any case, if it is next and ends there.
    pub fn try_word(&mut self, word: &str) -> bool {
        let mut ahead = self.clone();
        if ahead.try_prefix(word) && !ahead.peek().is_some_and(is_atom_char) {
            self.rest = ahead.rest;
            return true;
        }
        false
    }

    /// `atom = 1*ATOM-CHAR`
    pub fn atom(&mut self) -> Parsed<&'a str> {
        self.text_of(is_atom_char, "an atom")
    }

    /// `tag = 1*<any ASTRING-CHAR except "+">`
    pub fn tag(&mut self) -> Parsed<&'a str> {
        self.text_of(|octet| is_astring_char(octet) && octet != b'+', "a tag")
    }

    /// `astring = 1*ASTRING-CHAR / string`
    pub fn astring(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => Ok(Cow::Borrowed(
                self.take_while(is_astring_char, "an atom or a string")?,
            )),
        }
    }

    /// `list-mailbox = 1*list-char / string`
    pub fn list_mailbox(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => Ok(Cow::Borrowed(self.take_while(
                |octet| is_astring_char(octet) || matches!(octet, b'%' | b'*'),
                "a mailbox pattern",
            )?)),
        }
    }

    /// `string = quoted / literal`
    pub fn string(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => Ok(Cow::Borrowed(self.literal()?)),
            _ => expected("a string"),
        }
    }

    /// `nstring = string / nil`
    pub fn nstring(&mut self) -> Parsed<Option<Cow<'a, [u8]>>> {
        if self.try_word("NIL") {
            return Ok(None);
        }
        self.string().map(Some)
    }

    /// `quoted = DQUOTE *QUOTED-CHAR DQUOTE`
    pub fn quoted(&mut self) -> Parsed<Cow<'a, [u8]>> {
        self.octet(b'"', "a quoted string")?;
        let stop = |octet: &u8| matches!(octet, b'"' | b'\\' | b'\r' | b'\n' | 0);
        let mut unescaped: Option<Vec<u8>> = None;
        let text = loop {
            let Some(at) = self.rest.iter().position(stop) else {
                return expected("the end of a quoted string");
            };
            let (plain, rest) = self.rest.split_at(at);
            match (rest[0], rest.get(1)) {
                (b'"', _) => {
                    self.rest = &rest[1..];
                    break match unescaped {
                        None => Cow::Borrowed(plain),
                        Some(mut text) => {
                            text.extend_from_slice(plain);
                            Cow::Owned(text)
                        }
                    };
                }
                (b'\\', Some(special @ (b'"' | b'\\'))) => {
                    let text = unescaped.get_or_insert_default();
                    text.extend_from_slice(plain);
                    text.push(*special);
                    self.rest = &rest[2..];
                }
                (b'\\', _) => return expected("a quote or a backslash after a backslash"),
                _ => return expected("no CR, LF or NUL in a quoted string"),
            }
        };
        match self.utf8 {
            _ if text.is_ascii() => Ok(text),
            Utf8::Off => expected("7-bit text in a quoted string"),
            Utf8::On if std::str::from_utf8(&text).is_ok() => Ok(text),
            Utf8::On => expected("UTF-8 in a quoted string"),
        }
    }

    /// `literal = "{" number64 ["+"] "}" CRLF *CHAR8`
    pub fn literal(&mut self) -> Parsed<&'a [u8]> {
        let header = self.literal_header()?;
        if header.binary {
            return expected("a literal");
        }
        let octets = self.literal_octets(header)?;
        if memchr::memchr(0, octets).is_some() {
            return expected("no NUL in a literal");
        }
        Ok(octets)
    }

    /// `literal8 = "~{" number64 ["+"] "}" CRLF *OCTET`, or a literal.
    pub fn literal8(&mut self) -> Parsed<&'a [u8]> {
        if self.peek() == Some(b'{') {
            return self.literal();
        }
        let header = self.literal_header()?;
        self.literal_octets(header)
    }

    /// The announcement of a literal, up to and with its `}`.
    pub fn literal_header(&mut self) -> Parsed<LiteralHeader> {
        let binary = self.try_octet(b'~');
        self.octet(b'{', "a literal")?;
        let octets = self.number64()?;
        let synchronizing = !self.try_octet(b'+');
        self.octet(b'}', "the end of a literal's length")?;
        Ok(LiteralHeader {
            octets,
            synchronizing,
            binary,
        })
    }

    fn literal_octets(&mut self, header: LiteralHeader) -> Parsed<&'a [u8]> {
        if !self.try_prefix("\r\n") {
            return expected("a line end after a literal's length");
        }
        usize::try_from(header.octets)
            .ok()
            .and_then(|octets| self.take(octets))
            .map_or(expected("all octets of a literal"), Ok)
    }

    /// `number = 1*DIGIT`, below 2^32.
    pub fn number(&mut self) -> Parsed<u32> {
        self.digits()?
            .try_into()
            .or(expected("a number below 4294967296"))
    }

    /// `number64 = 1*DIGIT`, below 2^63.
    pub fn number64(&mut self) -> Parsed<u64> {
        match self.digits()? {
            number if number < 1 << 63 => Ok(number),
            _ => expected("a number below 9223372036854775808"),
        }
    }

    /// `nz-number = digit-nz *DIGIT`, below 2^32.
    pub fn nz_number(&mut self) -> Parsed<NonZeroU32> {
        if self.peek() == Some(b'0') {
            return expected("a number from 1 without leading zeros");
        }
        NonZeroU32::new(self.number()?).map_or(expected("a number from 1"), Ok)
    }

    fn digits(&mut self) -> Parsed<u64> {
        let digits = self.take_while(|octet| octet.is_ascii_digit(), "a number")?;
        let mut number = 0u64;
        for digit in digits {
            let next = number
                .checked_mul(10)
                .and_then(|number| number.checked_add(u64::from(digit - b'0')));
            let Some(next) = next else {
                return expected("a smaller number");
            };
            number = next;
        }
        Ok(number)
    }

    /// `"(" item *(SP item) ")"`
    pub fn parenthesised<T, E: From<SyntaxError>>(
        &mut self,
        item: impl FnMut(&mut Self) -> Result<T, E>,
    ) -> Result<Vec<T>, E> {
        self.octet(b'(', "an opening parenthesis")?;
        self.until_closed(item)
    }

    /// `"(" [item *(SP item)] ")"`
    pub fn parenthesised_or_empty<T, E: From<SyntaxError>>(
        &mut self,
        item: impl FnMut(&mut Self) -> Result<T, E>,
    ) -> Result<Vec<T>, E> {
        self.octet(b'(', "an opening parenthesis")?;
        if self.try_octet(b')') {
            return Ok(Vec::new());
        }
        self.until_closed(item)
    }

    fn until_closed<T, E: From<SyntaxError>>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, E>,
    ) -> Result<Vec<T>, E> {
        self.nested(|args| {
            let mut items = vec![item(args)?];
            while !args.try_octet(b')') {
                args.octet(b' ', "a space or a closing parenthesis")?;
                if items.len() >= args.bounds.elements {
                    return Err(SyntaxError::LIST.into());
                }
                items.push(item(args)?);
            }
            Ok(items)
        })
    }

    /// Runs a rule one level deeper.
    pub fn nested<T, E: From<SyntaxError>>(
        &mut self,
        rule: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        if self.depth >= self.bounds.nesting {
            return Err(SyntaxError::NESTING.into());
        }
        self.depth += 1;
        let parsed = rule(self);
        self.depth -= 1;
        parsed
    }

    /// One or more octets of a class.
    pub fn take_while(
        &mut self,
        class: impl Fn(u8) -> bool,
        what: &'static str,
    ) -> Parsed<&'a [u8]> {
        let end = self
            .rest
            .iter()
            .position(|octet| !class(*octet))
            .unwrap_or(self.rest.len());
        if end == 0 {
            return expected(what);
        }
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(taken)
    }

    /// One or more octets of a class that holds US-ASCII only.
    pub fn text_of(&mut self, class: impl Fn(u8) -> bool, what: &'static str) -> Parsed<&'a str> {
        let taken = self.take_while(|octet| octet.is_ascii() && class(octet), what)?;
        std::str::from_utf8(taken).or(expected(what))
    }
}

/// `ATOM-CHAR = <any CHAR except atom-specials>`
pub fn is_atom_char(octet: u8) -> bool {
    matches!(octet, 0x21..=0x7e)
        && !matches!(
            octet,
            b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']'
        )
}

/// `ASTRING-CHAR = ATOM-CHAR / resp-specials`
pub fn is_astring_char(octet: u8) -> bool {
    octet == b']' || is_atom_char(octet)
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
