//! Which octets of a message a FETCH names (RFC 9051 section 6.4.5.1).
//!
//! **Bounds.** A part number has at most [`LEVELS`] levels, a list of header fields at most [`FIELDS`] names.

use super::args::{Args, Parsed, expected};
use crate::message::part::{Part, Span};
use crate::message::section;

/// Deepest part number.
pub const LEVELS: usize = 50;

/// Most header fields in one section.
pub const FIELDS: usize = 200;

/// `section = "[" [section-spec] "]"`
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Section {
    /// `section-part`, numbers from 1; empty for the message itself.
    pub part: Vec<u32>,
    /// What of that part.
    pub text: SectionText,
}

/// `section-text`, or all of the part.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub enum SectionText {
    /// All: the message, or the body of the part.
    #[default]
    All,
    /// `HEADER`
    Header,
    /// `HEADER.FIELDS`, names as the client wrote them.
    HeaderFields(Vec<String>),
    /// `HEADER.FIELDS.NOT`, names as the client wrote them.
    HeaderFieldsNot(Vec<String>),
    /// `TEXT`
    Text,
    /// `MIME`; there is a part number.
    Mime,
}

/// `partial = "<" number64 "." nz-number64 ">"`
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Partial {
    /// First octet.
    pub offset: u64,
    /// How many octets at most, from 1.
    pub octets: u64,
}

impl Section {
    /// A section of the whole message.
    pub fn of_message(text: SectionText) -> Self {
        Self {
            part: Vec::new(),
            text,
        }
    }

    /// Parses `"[" [section-spec] "]"`.
    ///
    /// # Errors
    /// `Syntax`.
    pub fn parse(args: &mut Args<'_>) -> Parsed<Self> {
        args.octet(b'[', "a section")?;
        let mut section = Self::default();
        let mut text_may_follow = true;
        if args.peek().is_some_and(|octet| octet.is_ascii_digit()) {
            section.part = part_number(args)?;
            text_may_follow = args.try_octet(b'.');
            if text_may_follow && args.peek() == Some(b']') {
                return expected("a part of a section after a dot");
            }
        }
        if text_may_follow && args.peek() != Some(b']') {
            section.text = section_text(args)?;
            if section.text == SectionText::Mime && section.part.is_empty() {
                return expected("a part number before MIME");
            }
        }
        args.octet(b']', "the end of a section")?;
        Ok(section)
    }

    /// Where these octets lie in the message with this root; for header fields: where the header is that they are
    /// taken from. None if the message has no such section.
    pub fn span(&self, root: &Part) -> Option<Span> {
        root.section(
            &self.part,
            match self.text {
                SectionText::All => section::SectionText::Whole,
                SectionText::Header
                | SectionText::HeaderFields(_)
                | SectionText::HeaderFieldsNot(_) => section::SectionText::Header,
                SectionText::Text => section::SectionText::Text,
                SectionText::Mime => section::SectionText::Mime,
            },
        )
    }
}

impl Partial {
    /// The octets of `whole` that this names; none at its end if `offset` is beyond it (RFC 9051 section 6.4.5).
    pub fn of(self, whole: Span) -> Span {
        let start = whole.start.saturating_add(self.offset).min(whole.end);
        let end = start.saturating_add(self.octets).min(whole.end);
        Span { start, end }
    }

    /// A partial, if one is next.
    ///
    /// # Errors
    /// `Syntax`, also for no octets.
    pub fn parse_optional(args: &mut Args<'_>) -> Parsed<Option<Self>> {
        if !args.try_octet(b'<') {
            return Ok(None);
        }
        let offset = args.number64()?;
        args.octet(b'.', "a dot in a partial")?;
        if args.peek() == Some(b'0') {
            return expected("a partial of at least one octet");
        }
        let octets = args.number64()?;
        args.octet(b'>', "the end of a partial")?;
        Ok(Some(Self { offset, octets }))
    }
}

/// `section-binary = "[" [section-part] "]"`
///
/// # Errors
/// `Syntax`.
pub fn section_binary(args: &mut Args<'_>) -> Parsed<Vec<u32>> {
    args.octet(b'[', "a section")?;
    let part = match args.peek() {
        Some(b']') => Vec::new(),
        _ => part_number(args)?,
    };
    args.octet(b']', "the end of a section")?;
    Ok(part)
}

/// `section-part = nz-number *("." nz-number)`; a dot before a letter is left alone.
fn part_number(args: &mut Args<'_>) -> Parsed<Vec<u32>> {
    let mut part = vec![args.nz_number()?.get()];
    while let [b'.', b'0'..=b'9', ..] = args.rest() {
        args.try_octet(b'.');
        if part.len() == LEVELS {
            return expected("a part number of at most 50 levels");
        }
        part.push(args.nz_number()?.get());
    }
    Ok(part)
}

fn section_text(args: &mut Args<'_>) -> Parsed<SectionText> {
    let word = args.text_of(
        |octet| octet.is_ascii_alphabetic() || octet == b'.',
        "a section",
    )?;
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    match () {
        () if is("HEADER") => Ok(SectionText::Header),
        () if is("TEXT") => Ok(SectionText::Text),
        () if is("MIME") => Ok(SectionText::Mime),
        () if is("HEADER.FIELDS") => Ok(SectionText::HeaderFields(header_list(args)?)),
        () if is("HEADER.FIELDS.NOT") => Ok(SectionText::HeaderFieldsNot(header_list(args)?)),
        () => expected("a section"),
    }
}

/// `SP header-list`, `header-list = "(" header-fld-name *(SP header-fld-name) ")"`
fn header_list(args: &mut Args<'_>) -> Parsed<Vec<String>> {
    args.sp()?;
    let mut count = 0;
    args.parenthesised(|args| {
        count += 1;
        if count > FIELDS {
            return expected("at most 200 header fields");
        }
        header_field(args)
    })
}

/// `header-fld-name = astring`. A name that no field can have finds none; one that is not US-ASCII has no form of ours to go back in.
///
/// # Errors
/// `Syntax`: no string, or none of US-ASCII.
pub fn header_field(args: &mut Args<'_>) -> Parsed<String> {
    let name = args.astring()?;
    match std::str::from_utf8(&name) {
        Ok(text) if text.is_ascii() => Ok(text.into()),
        _ => expected("the name of a header field"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_stays_inside() {
        let whole = Span { start: 10, end: 20 };
        let of = |offset, octets| Partial { offset, octets }.of(whole);
        assert_eq!(of(0, 5), Span { start: 10, end: 15 });
        assert_eq!(of(8, 5), Span { start: 18, end: 20 });
        assert_eq!(of(u64::MAX, u64::MAX), Span { start: 20, end: 20 });
    }

    #[test]
    fn header_fields_are_taken_from_the_header() {
        let summary = crate::message::summary::Summary::of(b"Subject: x\r\n\r\nbody\r\n");
        let span = |text| Section::of_message(text).span(&summary.root);
        assert_eq!(
            span(SectionText::HeaderFields(vec!["To".into()])),
            span(SectionText::Header)
        );
        assert_eq!(span(SectionText::Header), Some(Span { start: 0, end: 14 }));
        assert_eq!(span(SectionText::Text), Some(Span { start: 14, end: 20 }));
        assert_eq!(span(SectionText::All), Some(Span { start: 0, end: 20 }));
        let missing = Section {
            part: vec![2],
            text: SectionText::All,
        };
        assert_eq!(missing.span(&summary.root), None);
    }
}
