//! Sections of a message: which octets `BODY[4.1.MIME]` means (RFC 9051 section 6.4.5.1).
//!
//! Part 1 of a message that is no multipart is its body; the numbers go on through a message/rfc822 part into
//! the parts of the message it holds.

use super::part::{Content, Part, Span, Text};

/// What of a section is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SectionText {
    /// The whole: `BODY[]`, or the body of a part, `BODY[1]`.
    Whole,
    /// `HEADER`, of the message or of a message inside.
    Header,
    /// `TEXT`: the body of the message or of a message inside.
    Text,
    /// `MIME`: the header of a part.
    Mime,
}

impl<T: Text> Part<T> {
    /// The part with this number, counted from the root of a message. The empty path is the root.
    pub fn at(&self, path: &[u32]) -> Option<&Self> {
        let Some((first, rest)) = path.split_first() else {
            return Some(self);
        };
        let mut part = self.numbered(*first)?;
        for number in rest {
            part = match &part.content {
                Content::Leaf => return None,
                Content::Multipart(parts) => nth(parts, *number)?,
                Content::Message(embedded) => embedded.root.numbered(*number)?,
            };
        }
        Some(part)
    }

    /// The octets of a section, counted from the root of a message; `None` if there is no such section.
    pub fn section(&self, path: &[u32], text: SectionText) -> Option<Span> {
        let part = self.at(path)?;
        let message = match &part.content {
            _ if path.is_empty() => Some(part),
            Content::Message(embedded) => Some(&embedded.root),
            Content::Leaf | Content::Multipart(_) => None,
        };
        match text {
            SectionText::Whole if path.is_empty() => Some(Span {
                start: part.header.start,
                end: part.body.end,
            }),
            SectionText::Whole => Some(part.body),
            SectionText::Header => message.map(|message| message.header),
            SectionText::Text => message.map(|message| message.body),
            SectionText::Mime => (!path.is_empty()).then_some(part.header),
        }
    }

    /// A part of the message whose root this is.
    fn numbered(&self, number: u32) -> Option<&Self> {
        match &self.content {
            Content::Multipart(parts) => nth(parts, number),
            Content::Leaf | Content::Message(_) => (number == 1).then_some(self),
        }
    }
}

fn nth<T: Text>(parts: &[Part<T>], number: u32) -> Option<&Part<T>> {
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    parts.get(index)
}
