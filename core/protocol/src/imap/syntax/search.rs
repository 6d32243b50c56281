//! SEARCH (RFC 9051 section 6.4.4; RFC 3501 section 6.4.4; RFC 5032; RFC 7162 section 3.1.5; RFC 8474; RFC 8514).
//!
//! Strings are decoded from the search's charset. Dates are compared by day, without zones, as the RFC says.
//! **Bounds.** [`Bounds`](super::args::Bounds): nested keys, and keys in all.

use super::args::{Args, Parsed, SyntaxError, expected};
use super::charset::Charset;
use super::flag::Keyword;
use super::section::header_field;
use super::sequence::SequenceSet;
use super::{ArgumentError, Utf8};
use crate::imap::types::{Flags, ModSeq};
use crate::message::date::Date;

pub use super::args::DEPTH;
pub use super::search_return::Returns;

/// Usual number of keys of one search, at all levels together.
pub const KEYS: usize = super::args::Bounds::USUAL.search_keys;

/// `search = "SEARCH" [search-return-opts] SP search-program`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Search {
    /// `RETURN (…)`: the response is ESEARCH, with these.
    pub returns: Option<Returns>,
    /// What to look for; several keys are one [`SearchKey::And`].
    pub key: SearchKey,
}

/// `search-key`
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SearchKey {
    /// `ALL`
    All,
    /// All of these; at least one.
    And(Vec<SearchKey>),
    /// One of these.
    Or(Box<SearchKey>, Box<SearchKey>),
    /// `NOT`
    Not(Box<SearchKey>),
    /// Sequence numbers
    Sequence(SequenceSet),
    /// `UID`
    Uid(SequenceSet),
    /// A system flag is set (`SEEN`); its opposite (`UNSEEN`) is `Not` of it.
    Flag(Flags),
    /// `KEYWORD`; `UNKEYWORD` is `Not` of it.
    Keyword(Keyword),
    /// `RECENT` (RFC 3501); `OLD` is `Not` of it, `NEW` is `Recent` and not seen.
    Recent,
    /// `BCC`, `CC`, `FROM`, `TO`: the field, or an address of it as ENVELOPE has it, holds the text.
    Address {
        /// Name of the field.
        field: &'static str,
        /// Part of its value.
        text: String,
    },
    /// `SUBJECT`, `HEADER`: the field holds the text; an empty text: there is such a field.
    Header {
        /// Name of the field.
        field: String,
        /// Part of its value.
        text: String,
    },
    /// `BODY`
    Body(String),
    /// `TEXT`
    Text(String),
    /// `LARGER`: more octets than this.
    Larger(u64),
    /// `SMALLER`: fewer octets than this.
    Smaller(u64),
    /// `BEFORE`, `ON`, `SINCE`, `SENTBEFORE` and their kind.
    Date {
        /// Which date.
        of: DateOf,
        /// How it compares.
        is: When,
        /// With this day.
        day: Date,
    },
    /// `YOUNGER`: arrived within this many seconds (RFC 5032).
    Younger(u32),
    /// `OLDER`: arrived before this many seconds (RFC 5032).
    Older(u32),
    /// `MODSEQ`: changed at or after this (RFC 7162).
    ModSeq(ModSeq),
    /// `EMAILID` (RFC 8474)
    EmailId(String),
    /// `THREADID` (RFC 8474)
    ThreadId(String),
    /// `SAVEDATESUPPORTED` (RFC 8514)
    SaveDateSupported,
}

/// Which date a search looks at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DateOf {
    /// INTERNALDATE
    Arrival,
    /// The `Date` field.
    Sent,
    /// When the message came into the mailbox (RFC 8514).
    Saved,
}

/// How a date compares with a day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum When {
    /// Earlier.
    Before,
    /// On it.
    On,
    /// On it or later.
    Since,
}

impl Search {
    /// Parses what follows `SEARCH`, to the end.
    ///
    /// # Errors
    /// `Syntax`; an unknown charset.
    pub fn parse(args: &mut Args<'_>) -> Result<Self, ArgumentError> {
        args.sp()?;
        let returns = match args.try_prefix("RETURN ") {
            true => {
                let returns = Returns::parse(args)?;
                args.sp()?;
                Some(returns)
            }
            false => None,
        };
        let mut charset = Some(match args.utf8() {
            Utf8::Off => Charset::US_ASCII,
            Utf8::On => Charset::UTF_8,
        });
        if args.try_prefix("CHARSET ") {
            charset = Charset::of(&args.astring()?);
            args.sp()?;
        }
        // What breaks the grammar does so in any charset.
        let key = SearchKey::parse(args, charset.unwrap_or(Charset::ANY))?;
        args.end()?;
        if charset.is_none() {
            let save = returns.is_some_and(|returns| returns.save);
            return Err(ArgumentError::Charset { save });
        }
        Ok(Self { returns, key })
    }
}

impl SearchKey {
    /// Parses one or more keys, up to the end of the command.
    ///
    /// # Errors
    /// `Syntax`, also for text that is not of the charset and for too many or too deep keys.
    pub fn parse(args: &mut Args<'_>, charset: Charset) -> Parsed<Self> {
        let mut keys = Keys {
            charset,
            left: args.bounds().search_keys,
        };
        let mut all = vec![keys.key(args)?];
        while args.try_sp() {
            all.push(keys.key(args)?);
        }
        Ok(SearchKey::all_of(all))
    }

    /// One key for all of `keys`.
    fn all_of(mut keys: Vec<SearchKey>) -> SearchKey {
        match keys.pop() {
            Some(only) if keys.is_empty() => only,
            Some(last) => {
                keys.push(last);
                SearchKey::And(keys)
            }
            None => SearchKey::All,
        }
    }

    /// Calls `visit` with this key and all keys inside it.
    pub fn visit(&self, visit: &mut impl FnMut(&SearchKey)) {
        visit(self);
        match self {
            SearchKey::And(keys) => keys.iter().for_each(|key| key.visit(visit)),
            SearchKey::Or(one, other) => {
                one.visit(visit);
                other.visit(visit);
            }
            SearchKey::Not(key) => key.visit(visit),
            _ => {}
        }
    }

    /// Whether any key here, or inside, is one of those.
    pub fn any(&self, mut test: impl FnMut(&SearchKey) -> bool) -> bool {
        let mut found = false;
        self.visit(&mut |key| found |= test(key));
        found
    }
}

/// The keys of one search being parsed.
struct Keys {
    charset: Charset,
    left: usize,
}

impl Keys {
    /// `search-key`
    fn key(&mut self, args: &mut Args<'_>) -> Parsed<SearchKey> {
        if self.left == 0 {
            return Err(SyntaxError::KEYS);
        }
        self.left -= 1;
        match args.peek() {
            Some(b'(') => {
                let keys = args.parenthesised::<_, SyntaxError>(|args| self.key(args))?;
                return Ok(SearchKey::all_of(keys));
            }
            Some(b'0'..=b'9' | b'*' | b'$') => {
                return Ok(SearchKey::Sequence(SequenceSet::parse(args)?));
            }
            _ => {}
        }
        // Names of keys have letters only, and the longest has 17.
        let name = args.text_of(|octet| octet.is_ascii_alphabetic(), "a search key")?;
        let Some(rule) = RULES
            .iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known))
        else {
            return expected("a search key");
        };
        match rule.1 {
            Rule::Nothing(key) => Ok(key()),
            Rule::Argument(parse) => {
                args.sp()?;
                parse(self, args)
            }
        }
    }

    /// A key inside another.
    fn inner(&mut self, args: &mut Args<'_>) -> Parsed<Box<SearchKey>> {
        args.nested(|args| self.key(args)).map(Box::new)
    }

    /// `astring` in the charset of the search.
    fn text(&self, args: &mut Args<'_>) -> Parsed<String> {
        let octets = args.astring()?;
        self.charset
            .decode(&octets)
            .map_or(expected("text in the charset of the search"), Ok)
    }

    /// An address field, with the text that follows.
    fn address(&self, field: &'static str, args: &mut Args<'_>) -> Parsed<SearchKey> {
        let text = self.text(args)?;
        Ok(SearchKey::Address { field, text })
    }

    /// `HEADER`, with the text that follows.
    fn field(&self, field: &str, args: &mut Args<'_>) -> Parsed<SearchKey> {
        Ok(SearchKey::Header {
            field: field.into(),
            text: self.text(args)?,
        })
    }
}

/// What follows the name of a key.
#[derive(Clone, Copy)]
enum Rule {
    Nothing(fn() -> SearchKey),
    Argument(fn(&mut Keys, &mut Args<'_>) -> Parsed<SearchKey>),
}

use Rule::{Argument, Nothing};

const RULES: &[(&str, Rule)] = &[
    ("ALL", Nothing(|| SearchKey::All)),
    ("ANSWERED", Nothing(|| SearchKey::Flag(Flags::ANSWERED))),
    ("BCC", Argument(|keys, args| keys.address("Bcc", args))),
    (
        "BEFORE",
        Argument(|_, args| date(args, DateOf::Arrival, When::Before)),
    ),
    (
        "BODY",
        Argument(|keys, args| keys.text(args).map(SearchKey::Body)),
    ),
    ("CC", Argument(|keys, args| keys.address("Cc", args))),
    ("DELETED", Nothing(|| SearchKey::Flag(Flags::DELETED))),
    ("DRAFT", Nothing(|| SearchKey::Flag(Flags::DRAFT))),
    (
        "EMAILID",
        Argument(|_, args| object_id(args).map(SearchKey::EmailId)),
    ),
    ("FLAGGED", Nothing(|| SearchKey::Flag(Flags::FLAGGED))),
    ("FROM", Argument(|keys, args| keys.address("From", args))),
    ("HEADER", Argument(header)),
    (
        "KEYWORD",
        Argument(|_, args| Keyword::parse(args).map(SearchKey::Keyword)),
    ),
    (
        "LARGER",
        Argument(|_, args| args.number64().map(SearchKey::Larger)),
    ),
    ("MODSEQ", Argument(|_, args| mod_seq(args))),
    (
        "NEW",
        Nothing(|| SearchKey::And(vec![SearchKey::Recent, not(SearchKey::Flag(Flags::SEEN))])),
    ),
    (
        "NOT",
        Argument(|keys, args| keys.inner(args).map(SearchKey::Not)),
    ),
    ("OLD", Nothing(|| not(SearchKey::Recent))),
    (
        "OLDER",
        Argument(|_, args| {
            args.nz_number()
                .map(|seconds| SearchKey::Older(seconds.get()))
        }),
    ),
    (
        "ON",
        Argument(|_, args| date(args, DateOf::Arrival, When::On)),
    ),
    ("OR", Argument(or)),
    ("RECENT", Nothing(|| SearchKey::Recent)),
    (
        "SAVEDATESUPPORTED",
        Nothing(|| SearchKey::SaveDateSupported),
    ),
    (
        "SAVEDBEFORE",
        Argument(|_, args| date(args, DateOf::Saved, When::Before)),
    ),
    (
        "SAVEDON",
        Argument(|_, args| date(args, DateOf::Saved, When::On)),
    ),
    (
        "SAVEDSINCE",
        Argument(|_, args| date(args, DateOf::Saved, When::Since)),
    ),
    ("SEEN", Nothing(|| SearchKey::Flag(Flags::SEEN))),
    (
        "SENTBEFORE",
        Argument(|_, args| date(args, DateOf::Sent, When::Before)),
    ),
    (
        "SENTON",
        Argument(|_, args| date(args, DateOf::Sent, When::On)),
    ),
    (
        "SENTSINCE",
        Argument(|_, args| date(args, DateOf::Sent, When::Since)),
    ),
    (
        "SINCE",
        Argument(|_, args| date(args, DateOf::Arrival, When::Since)),
    ),
    (
        "SMALLER",
        Argument(|_, args| args.number64().map(SearchKey::Smaller)),
    ),
    (
        "SUBJECT",
        Argument(|keys, args| keys.field("Subject", args)),
    ),
    (
        "TEXT",
        Argument(|keys, args| keys.text(args).map(SearchKey::Text)),
    ),
    (
        "THREADID",
        Argument(|_, args| object_id(args).map(SearchKey::ThreadId)),
    ),
    ("TO", Argument(|keys, args| keys.address("To", args))),
    (
        "UID",
        Argument(|_, args| SequenceSet::parse(args).map(SearchKey::Uid)),
    ),
    (
        "UNANSWERED",
        Nothing(|| not(SearchKey::Flag(Flags::ANSWERED))),
    ),
    (
        "UNDELETED",
        Nothing(|| not(SearchKey::Flag(Flags::DELETED))),
    ),
    ("UNDRAFT", Nothing(|| not(SearchKey::Flag(Flags::DRAFT)))),
    (
        "UNFLAGGED",
        Nothing(|| not(SearchKey::Flag(Flags::FLAGGED))),
    ),
    (
        "UNKEYWORD",
        Argument(|_, args| Keyword::parse(args).map(|keyword| not(SearchKey::Keyword(keyword)))),
    ),
    ("UNSEEN", Nothing(|| not(SearchKey::Flag(Flags::SEEN)))),
    (
        "YOUNGER",
        Argument(|_, args| {
            args.nz_number()
                .map(|seconds| SearchKey::Younger(seconds.get()))
        }),
    ),
];

fn not(key: SearchKey) -> SearchKey {
    SearchKey::Not(Box::new(key))
}

fn date(args: &mut Args<'_>, of: DateOf, is: When) -> Parsed<SearchKey> {
    let day = super::date::date(args)?;
    Ok(SearchKey::Date { of, is, day })
}

/// `"OR" SP search-key SP search-key`
fn or(keys: &mut Keys, args: &mut Args<'_>) -> Parsed<SearchKey> {
    let one = keys.inner(args)?;
    args.sp()?;
    Ok(SearchKey::Or(one, keys.inner(args)?))
}

/// `"HEADER" SP header-fld-name SP astring`
fn header(keys: &mut Keys, args: &mut Args<'_>) -> Parsed<SearchKey> {
    let field = header_field(args)?;
    args.sp()?;
    keys.field(&field, args)
}

/// `"MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer`; we keep one number a message, for all of its
/// metadata, so the entry makes no difference.
fn mod_seq(args: &mut Args<'_>) -> Parsed<SearchKey> {
    if args.peek() == Some(b'"') {
        args.quoted()?;
        args.sp()?;
        if !["ALL", "PRIV", "SHARED"]
            .iter()
            .any(|kind| args.try_word(kind))
        {
            return expected("priv, shared or all");
        }
        args.sp()?;
    }
    Ok(SearchKey::ModSeq(ModSeq(args.number64()?)))
}

/// `objectid = 1*255(ALPHA / DIGIT / "_" / "-")`
fn object_id(args: &mut Args<'_>) -> Parsed<String> {
    let id = args.text_of(
        |octet| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-'),
        "an object identifier",
    )?;
    match id.len() {
        ..=255 => Ok(id.into()),
        _ => expected("an object identifier of at most 255 octets"),
    }
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
