//! Address lists of header fields (RFC 5322 section 3.4), read as tolerantly as mail programs do: names, groups,
//! comments, routes, obsolete syntax (section 4.4), and what is merely broken.
//!
//! **Invariants.** Groups do not nest, and every start has its end. No kept octet is CR, LF or NUL.
//! **Bounds.** One pass; comments nest in a counter, not on the stack; the caller says how many items are kept.

use std::borrow::Cow;

use super::header::unfold;

/// One item of an address list, as IMAP speaks of them (RFC 9051 section 7.5.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AddressItem<T = Vec<u8>> {
    /// An address.
    Mailbox {
        /// The display name or, in its place, the comment, without quoting; encoded words as they are.
        name: Option<T>,
        /// The obsolete source route, `@a,@b`.
        route: Option<T>,
        /// The local part without quoting.
        local: T,
        /// The domain as written. Empty where it is missing: a writer must not say NIL, which means a group.
        domain: T,
    },
    /// A group begins.
    GroupStart(T),
    /// A group ends.
    GroupEnd,
}

/// Reads a list; gives at most `limit` items (one more where an open group is closed), and whether that was all.
pub fn parse(value: &[u8], limit: usize) -> (Vec<AddressItem>, bool) {
    let line = unfold(value);
    let mut parser = Parser {
        lexer: Lexer { rest: &line },
        items: Vec::new(),
        words: Vec::new(),
        comment: None,
        in_group: false,
    };
    let whole = parser.run(limit);
    (parser.items, whole)
}

/// A lexical unit.
#[derive(Debug, Eq, PartialEq)]
enum Token<'a> {
    /// An atom, or an atom with dots in it.
    Atom(&'a [u8]),
    Quoted(Vec<u8>),
    Literal(&'a [u8]),
    Comment(Vec<u8>),
    Special(u8),
}

struct Lexer<'a> {
    rest: &'a [u8],
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        self.rest = self.rest.trim_ascii_start();
        let (&first, rest) = self.rest.split_first()?;
        Some(match first {
            b'"' => Token::Quoted(self.quoted()),
            b'(' => Token::Comment(self.comment()),
            b'[' => {
                let end = memchr::memchr(b']', rest).map_or(self.rest.len(), |at| at + 2);
                Token::Literal(self.take(end))
            }
            b'<' | b'>' | b',' | b';' | b':' | b'@' | b')' | b']' | b'\\' => {
                self.rest = rest;
                Token::Special(first)
            }
            _ => {
                let ends =
                    |octet: &u8| octet.is_ascii_whitespace() || b"\"([<>,;:@)]\\".contains(octet);
                let end = self.rest.iter().position(ends).unwrap_or(self.rest.len());
                Token::Atom(self.take(end))
            }
        })
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    /// A quoted string; without its closing quote it goes on to the end.
    fn quoted(&mut self) -> Vec<u8> {
        let mut content = Vec::new();
        let mut at = 1;
        while let Some(&octet) = self.rest.get(at) {
            at += 1;
            match octet {
                b'"' => break,
                b'\\' => {
                    content.extend(self.rest.get(at));
                    at += 1;
                }
                _ => content.push(octet),
            }
        }
        self.take(at.min(self.rest.len()));
        content
    }

    /// A comment without its outer parentheses.
    fn comment(&mut self) -> Vec<u8> {
        let mut content = Vec::new();
        let mut depth = 1usize;
        let mut at = 1;
        while let Some(&octet) = self.rest.get(at) {
            at += 1;
            match octet {
                b'(' => depth += 1,
                b')' => depth -= 1,
                b'\\' => {
                    content.extend(self.rest.get(at));
                    at += 1;
                    continue;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
            content.push(octet);
        }
        self.take(at.min(self.rest.len()));
        content
    }
}

/// A word of a phrase or local part.
struct Word<'a> {
    text: Cow<'a, [u8]>,
    quoted: bool,
}

impl Word<'_> {
    /// Whether a local part goes on over the blank before or after it: `a . b@c`.
    fn joins(&self, next: &Self) -> bool {
        let ends_open = !self.quoted && self.text.ends_with(b".");
        let begins_open = !next.quoted && next.text.starts_with(b".");
        ends_open || begins_open
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    items: Vec<AddressItem>,
    /// Words since the last separator.
    words: Vec<Word<'a>>,
    /// The last comment since the last separator.
    comment: Option<Vec<u8>>,
    in_group: bool,
}

impl<'a> Parser<'a> {
    /// Reads up to `limit` items. False if there was more.
    fn run(&mut self, limit: usize) -> bool {
        let mut whole = true;
        while let Some(token) = self.lexer.next() {
            if self.items.len() >= limit {
                whole = false;
                break;
            }
            match token {
                Token::Atom(text) => self.words.push(Word {
                    text: text.into(),
                    quoted: false,
                }),
                Token::Quoted(text) => self.words.push(Word {
                    text: text.into(),
                    quoted: true,
                }),
                Token::Literal(text) => self.words.push(Word {
                    text: text.into(),
                    quoted: true,
                }),
                Token::Comment(text) => self.comment = Some(text),
                Token::Special(b'<') => self.angle(),
                Token::Special(b'@') => self.bare(),
                Token::Special(b':') if !self.in_group => {
                    let name = self.phrase();
                    self.items
                        .push(AddressItem::GroupStart(name.unwrap_or_default()));
                    self.in_group = true;
                    self.comment = None;
                }
                Token::Special(b',') => self.words_alone(),
                Token::Special(b';') => {
                    self.words_alone();
                    self.end_group();
                }
                Token::Special(_) => {}
            }
        }
        if whole && self.items.len() < limit {
            self.words_alone();
        }
        self.end_group();
        whole
    }

    /// After `<`: `[ route ":" ] addr-spec ">"`.
    fn angle(&mut self) {
        let name = self.phrase();
        let mut route = None;
        // What was read, and where its last `@` is.
        let mut text: Vec<u8> = Vec::new();
        let mut at = None;
        while let Some(token) = self.lexer.next() {
            match token {
                Token::Atom(atom) | Token::Literal(atom) => text.extend_from_slice(atom),
                Token::Quoted(quoted) => text.extend_from_slice(&quoted),
                Token::Comment(_) => {}
                Token::Special(b'>') => break,
                Token::Special(b'@') => {
                    at = Some(text.len());
                    text.push(b'@');
                }
                Token::Special(b':') if text.starts_with(b"@") && route.is_none() => {
                    route = Some(core::mem::take(&mut text));
                    at = None;
                }
                Token::Special(special) => text.push(special),
            }
        }
        let (local, domain) = match at {
            Some(at) => (text[..at].to_vec(), text[at + 1..].to_vec()),
            None => (text, Vec::new()),
        };
        self.words.clear();
        self.skip_rest();
        let name = name.or_else(|| self.comment.take());
        self.push_mailbox(name, route, local, domain);
    }

    /// After the `@` of an addr-spec without angle brackets.
    fn bare(&mut self) {
        let mut local = Vec::new();
        let start = self.local_start();
        for word in self.words.drain(start..) {
            local.extend_from_slice(&word.text);
        }
        let name = self.phrase();
        let mut domain = Vec::new();
        let mut spaced = false;
        loop {
            let before = self.lexer.rest;
            let gap = before.first().is_some_and(u8::is_ascii_whitespace);
            match self.lexer.next() {
                Some(Token::Atom(atom) | Token::Literal(atom)) => {
                    let dotted = atom.starts_with(b".") || domain.ends_with(b".");
                    if !domain.is_empty() && gap && !dotted {
                        spaced = true;
                    }
                    if !spaced {
                        domain.extend_from_slice(atom);
                    }
                }
                Some(Token::Comment(text)) => self.comment = Some(text),
                Some(Token::Special(b'@')) => {
                    // `a@b@c`: the last counts, as in an angle address.
                    local.push(b'@');
                    local.append(&mut domain);
                }
                Some(Token::Special(b',' | b';' | b'<')) | None => {
                    self.lexer.rest = before;
                    break;
                }
                Some(Token::Special(_) | Token::Quoted(_)) => {}
            }
        }
        if self.lexer.rest.trim_ascii_start().starts_with(b"<") {
            // `a@b <c@d>`: the first was meant as a name.
            let mut phrase = name.map_or_else(Vec::new, |name| [name, b" ".to_vec()].concat());
            phrase.extend_from_slice(&local);
            phrase.push(b'@');
            phrase.extend_from_slice(&domain);
            self.words.push(Word {
                text: phrase.into(),
                quoted: true,
            });
            return;
        }
        self.skip_rest();
        let name = name.or_else(|| self.comment.take());
        self.push_mailbox(name, None, local, domain);
    }

    /// Words that neither bracket nor `@` followed: one is a local part without a domain, more are a name.
    fn words_alone(&mut self) {
        if self.words.is_empty() {
            self.comment = None;
            return;
        }
        if self.local_start() > 0 {
            let name = self.phrase();
            self.push_mailbox(name, None, Vec::new(), Vec::new());
            return;
        }
        let mut local = Vec::new();
        for word in self.words.drain(..) {
            local.extend_from_slice(&word.text);
        }
        let name = self.comment.take();
        self.push_mailbox(name, None, local, Vec::new());
    }

    /// Leaves what stands between an address and its separator.
    fn skip_rest(&mut self) {
        loop {
            let before = self.lexer.rest;
            match self.lexer.next() {
                Some(Token::Comment(text)) => self.comment = Some(text),
                Some(Token::Special(b',')) | None => return,
                Some(Token::Special(b';' | b'<')) => {
                    self.lexer.rest = before;
                    return;
                }
                Some(_) => {}
            }
        }
    }

    fn push_mailbox(
        &mut self,
        name: Option<Vec<u8>>,
        route: Option<Vec<u8>>,
        local: Vec<u8>,
        domain: Vec<u8>,
    ) {
        self.words.clear();
        self.comment = None;
        self.items.push(AddressItem::Mailbox {
            name,
            route,
            local,
            domain,
        });
    }

    fn end_group(&mut self) {
        if core::mem::take(&mut self.in_group) {
            self.items.push(AddressItem::GroupEnd);
        }
    }

    /// The word with which a local part at the end of the words begins.
    fn local_start(&self) -> usize {
        let mut start = self.words.len().saturating_sub(1);
        while start > 0 && self.words[start - 1].joins(&self.words[start]) {
            start -= 1;
        }
        start
    }

    /// All words as a display name, quoting removed (RFC 9051 section 7.5.2).
    fn phrase(&mut self) -> Option<Vec<u8>> {
        let words = core::mem::take(&mut self.words);
        let texts: Vec<_> = words.iter().map(|word| &*word.text).collect();
        (!texts.is_empty()).then(|| texts.join(&b' '))
    }
}

#[cfg(test)]
mod tests;
