//! FETCH (RFC 9051 section 6.4.5; RFC 3501 section 6.4.5; RFC 7162 section 3.1.4; RFC 3516; RFC 8474; RFC 8514; RFC 8970).
//!
//! **Bounds.** At most [`ITEMS`] items.

use super::args::{Args, Parsed, expected};
use super::section::{Partial, Section, SectionText, section_binary};
use super::sequence::SequenceSet;
use crate::imap::types::ModSeq;

/// Most items of one FETCH.
pub const ITEMS: usize = 200;

/// `fetch = "FETCH" SP sequence-set SP (macro / fetch-att / list) [SP modifiers]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fetch {
    /// Of which messages.
    pub set: SequenceSet,
    /// What; macros are spelled out.
    pub items: Vec<FetchItem>,
    /// `CHANGEDSINCE`: only messages changed after this.
    pub changed_since: Option<ModSeq>,
    /// `VANISHED`: also which UIDs are gone.
    pub vanished: bool,
}

/// `fetch-att`
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum FetchItem {
    /// `ENVELOPE`
    Envelope,
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `RFC822.SIZE`
    Size,
    /// `BODY` without section
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `UID`
    Uid,
    /// `MODSEQ` (RFC 7162)
    ModSeq,
    /// `EMAILID` (RFC 8474)
    EmailId,
    /// `THREADID` (RFC 8474)
    ThreadId,
    /// `SAVEDATE` (RFC 8514)
    SaveDate,
    /// `PREVIEW` (RFC 8970)
    Preview {
        /// Only if it costs little.
        lazy: bool,
    },
    /// `BODY[…]`, `BODY.PEEK[…]`, `RFC822`, `RFC822.HEADER`, `RFC822.TEXT`
    Section {
        /// Which octets.
        section: Section,
        /// How much of them.
        partial: Option<Partial>,
        /// Whether `\Seen` is set.
        seen: Seen,
        /// The name of the response's item.
        name: SectionName,
    },
    /// `BINARY[…]`, `BINARY.PEEK[…]` (RFC 3516)
    Binary {
        /// Which part; empty for the message itself.
        part: Vec<u32>,
        /// How much of its decoded octets.
        partial: Option<Partial>,
        /// Whether `\Seen` is set.
        seen: Seen,
    },
    /// `BINARY.SIZE[…]` (RFC 3516)
    BinarySize {
        /// Which part; empty for the message itself.
        part: Vec<u32>,
    },
}

/// Whether fetching sets `\Seen`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Seen {
    /// It is set.
    Set,
    /// It stays as it is (`.PEEK`).
    Peek,
}

/// What a section is called in the response.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SectionName {
    /// `BODY[…]`
    Body,
    /// `RFC822` (RFC 3501)
    Rfc822,
    /// `RFC822.HEADER` (RFC 3501)
    Rfc822Header,
    /// `RFC822.TEXT` (RFC 3501)
    Rfc822Text,
}

impl FetchItem {
    /// Whether fetching it sets `\Seen`.
    pub fn sets_seen(&self) -> bool {
        matches!(
            self,
            FetchItem::Section {
                seen: Seen::Set,
                ..
            } | FetchItem::Binary {
                seen: Seen::Set,
                ..
            }
        )
    }
}

impl Fetch {
    /// Parses what follows `FETCH`, to the end.
    ///
    /// # Errors
    /// `Syntax`.
    pub fn parse(args: &mut Args<'_>) -> Parsed<Self> {
        args.sp()?;
        let set = SequenceSet::parse(args)?;
        args.sp()?;
        let mut fetch = Self {
            set,
            items: items(args)?,
            changed_since: None,
            vanished: false,
        };
        if args.try_sp() {
            args.parenthesised(|args| fetch.modifier(args))?;
            if fetch.vanished && fetch.changed_since.is_none() {
                return expected("CHANGEDSINCE beside VANISHED");
            }
        }
        args.end()?;
        Ok(fetch)
    }

    /// `"CHANGEDSINCE" SP mod-sequence-value / "VANISHED"`, each once.
    fn modifier(&mut self, args: &mut Args<'_>) -> Parsed<()> {
        if !self.vanished && args.try_word("VANISHED") {
            self.vanished = true;
            return Ok(());
        }
        if self.changed_since.is_none() && args.try_word("CHANGEDSINCE") {
            args.sp()?;
            self.changed_since = Some(ModSeq(args.number64()?));
            return Ok(());
        }
        expected("CHANGEDSINCE or VANISHED, each once")
    }
}

/// `"ALL" / "FAST" / "FULL" / fetch-att / "(" fetch-att *(SP fetch-att) ")"`
fn items(args: &mut Args<'_>) -> Parsed<Vec<FetchItem>> {
    use FetchItem::{Body, Envelope, Flags, InternalDate, Size};
    if args.peek() == Some(b'(') {
        let mut count = 0;
        return args.parenthesised(|args| {
            count += 1;
            if count > ITEMS {
                return expected("at most 200 items to fetch");
            }
            item(args)
        });
    }
    if args.try_word("ALL") {
        return Ok(vec![Flags, InternalDate, Size, Envelope]);
    }
    if args.try_word("FAST") {
        return Ok(vec![Flags, InternalDate, Size]);
    }
    if args.try_word("FULL") {
        return Ok(vec![Flags, InternalDate, Size, Envelope, Body]);
    }
    Ok(vec![item(args)?])
}

/// Items that are one word, but `BODY` and `PREVIEW`, which may go on.
const WORDS: [(&str, FetchItem); 10] = [
    ("ENVELOPE", FetchItem::Envelope),
    ("FLAGS", FetchItem::Flags),
    ("INTERNALDATE", FetchItem::InternalDate),
    ("RFC822.SIZE", FetchItem::Size),
    ("BODYSTRUCTURE", FetchItem::BodyStructure),
    ("UID", FetchItem::Uid),
    ("MODSEQ", FetchItem::ModSeq),
    ("EMAILID", FetchItem::EmailId),
    ("THREADID", FetchItem::ThreadId),
    ("SAVEDATE", FetchItem::SaveDate),
];

fn item(args: &mut Args<'_>) -> Parsed<FetchItem> {
    // `[` is an ATOM-CHAR, so the word is what stands before it.
    let word = args.text_of(
        |octet| octet.is_ascii_alphanumeric() || octet == b'.',
        "an item to fetch",
    )?;
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    if args.peek() == Some(b'[') {
        return match () {
            () if is("BODY") => section(args, Seen::Set),
            () if is("BODY.PEEK") => section(args, Seen::Peek),
            () if is("BINARY") => binary(args, Seen::Set),
            () if is("BINARY.PEEK") => binary(args, Seen::Peek),
            () if is("BINARY.SIZE") => Ok(FetchItem::BinarySize {
                part: section_binary(args)?,
            }),
            () => expected("an item to fetch that has sections"),
        };
    }
    let whole = |text, seen, name| FetchItem::Section {
        section: Section::of_message(text),
        partial: None,
        seen,
        name,
    };
    match () {
        () if is("BODY") => Ok(FetchItem::Body),
        () if is("PREVIEW") => preview(args),
        () if is("RFC822") => Ok(whole(SectionText::All, Seen::Set, SectionName::Rfc822)),
        () if is("RFC822.HEADER") => Ok(whole(
            SectionText::Header,
            Seen::Peek,
            SectionName::Rfc822Header,
        )),
        () if is("RFC822.TEXT") => Ok(whole(SectionText::Text, Seen::Set, SectionName::Rfc822Text)),
        () => match WORDS.iter().find(|(name, _)| is(name)) {
            Some((_, item)) => Ok(item.clone()),
            None => expected("an item to fetch"),
        },
    }
}

fn section(args: &mut Args<'_>, seen: Seen) -> Parsed<FetchItem> {
    Ok(FetchItem::Section {
        section: Section::parse(args)?,
        partial: Partial::parse_optional(args)?,
        seen,
        name: SectionName::Body,
    })
}

fn binary(args: &mut Args<'_>, seen: Seen) -> Parsed<FetchItem> {
    Ok(FetchItem::Binary {
        part: section_binary(args)?,
        partial: Partial::parse_optional(args)?,
        seen,
    })
}

/// `"PREVIEW" [SP "(" preview-mod *(SP preview-mod) ")"]` (RFC 8970 section 6)
fn preview(args: &mut Args<'_>) -> Parsed<FetchItem> {
    let mut ahead = args.clone();
    let lazy = ahead.try_prefix(" (LAZY)");
    if lazy {
        *args = ahead;
    }
    Ok(FetchItem::Preview { lazy })
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
