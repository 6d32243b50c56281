//! Reads a summary, or anything that is said to be one.

use memchr::memchr3;

use super::{DEPTH, ENTITIES, ITEMS, MEDIA, NAMES, TEXT_LIMIT, VERSION};
use crate::message::address_list::AddressItem;
use crate::message::date::DateTime;
use crate::message::envelope::Envelope;
use crate::message::parameter::Parameter;
use crate::message::part::{
    Content, Disposition, Embedded, Encoding, Flaws, MediaType, Part, Span, Text,
};
use crate::message::summary::{CachedHeader, FIELDS_LIMIT, Summary, SummaryError};
use crate::message::thread::BaseSubject;

pub(in crate::message::summary) fn decode(octets: &[u8]) -> Result<Summary, SummaryError> {
    let mut reader = Reader::begin(octets)?;
    reader.summary().ok_or(SummaryError::Malformed)
}

/// Where the pieces of a summary begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::message::summary) struct Places {
    pub root: u32,
    pub envelope: u32,
    pub tail: u32,
}

/// Reads all of a summary as [`decode`] does, and keeps only where its pieces are.
pub(in crate::message::summary) fn survey(octets: &[u8]) -> Result<Places, SummaryError> {
    let mut reader = Reader::begin(octets)?;
    reader.places(octets.len()).ok_or(SummaryError::Malformed)
}

/// What texts are read into: values of their own, or where they stand.
pub(in crate::message::summary) trait Held<'a>:
    Text<Name: From<&'a str>> + From<&'a [u8]>
{
}

impl<'a, T: Text<Name: From<&'a str>> + From<&'a [u8]>> Held<'a> for T {}

/// Reads; `None` means malformed.
pub(in crate::message::summary) struct Reader<'a> {
    rest: &'a [u8],
    header: &'a [u8],
    text_left: usize,
    entities_left: usize,
}

/// What every piece builds on.
pub(in crate::message::summary) struct Head<'a> {
    /// The fields that texts refer to.
    pub header: CachedHeader<&'a [u8]>,
    /// The size that spans lie in.
    pub size: u64,
}

/// What follows the envelope.
pub(in crate::message::summary) struct Tail<T: Text> {
    pub sent: Option<DateTime>,
    subject: T::Name,
    reply: bool,
    references: Vec<T>,
    preview: T::Name,
}

impl<'a> Reader<'a> {
    /// A reader behind the version.
    pub fn begin(octets: &'a [u8]) -> Result<Self, SummaryError> {
        let (version, rest) = octets.split_first().ok_or(SummaryError::Malformed)?;
        if *version != VERSION {
            return Err(SummaryError::Version);
        }
        Ok(Self {
            rest,
            header: &[],
            text_left: TEXT_LIMIT,
            entities_left: ENTITIES,
        })
    }

    fn summary(&mut self) -> Option<Summary> {
        let head = self.head()?;
        let root = self.root(head.size)?;
        let envelope = self.envelope()?;
        let tail: Tail<Vec<u8>> = self.tail()?;
        Some(Summary {
            size: head.size,
            root,
            envelope,
            sent: tail.sent,
            subject: BaseSubject {
                text: tail.subject,
                reply: tail.reply,
            },
            references: tail.references,
            header: CachedHeader {
                octets: head.header.octets.to_vec(),
                missing: head.header.missing,
            },
            preview: tail.preview,
        })
    }

    fn places(&mut self, length: usize) -> Option<Places> {
        let place = |reader: &Self| u32::try_from(length - reader.rest.len()).ok();
        let head = self.head()?;
        let root = place(self)?;
        self.root::<&[u8]>(head.size)?;
        let envelope = place(self)?;
        self.envelope::<&[u8]>()?;
        let tail = place(self)?;
        self.tail::<&[u8]>()?;
        Some(Places {
            root,
            envelope,
            tail,
        })
    }

    /// Goes on elsewhere in the same summary, after the head.
    pub fn go_to(&mut self, rest: &'a [u8]) {
        self.rest = rest;
    }

    pub fn head(&mut self) -> Option<Head<'a>> {
        let length = self.length(FIELDS_LIMIT)?;
        self.header = self.take(length)?;
        let header = CachedHeader {
            octets: self.header,
            missing: self.number()?,
        };
        let size = self.number()?;
        Some(Head { header, size })
    }

    /// The whole message as a part.
    pub fn root<T: Held<'a>>(&mut self, size: u64) -> Option<Part<T>> {
        let whole = Span {
            start: 0,
            end: size,
        };
        self.part(whole, DEPTH)
    }

    pub fn tail<T: Held<'a>>(&mut self) -> Option<Tail<T>> {
        let sent = match self.number()? {
            0 => None,
            1 => Some(DateTime {
                epoch: self.signed()?,
                offset: i16::try_from(self.signed()?).ok()?,
            }),
            _ => return None,
        };
        let subject = self.name_text::<T>()?;
        let reply = self.flag()?;
        let references = self.list(Self::text)?;
        let preview = self.name_text::<T>()?;
        self.rest.is_empty().then_some(Tail {
            sent,
            subject,
            reply,
            references,
            preview,
        })
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (octet, rest) = self.rest.split_first()?;
            self.rest = rest;
            let bits = u64::from(octet & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if octet & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn flag(&mut self) -> Option<bool> {
        match self.number()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn length(&mut self, limit: usize) -> Option<usize> {
        let length = usize::try_from(self.number()?).ok()?;
        (length <= limit).then_some(length)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn raw(&mut self) -> Option<&'a [u8]> {
        let number = self.number()?;
        let length = usize::try_from(number >> 1).ok()?;
        self.text_left = self.text_left.checked_sub(length)?;
        let text = if number & 1 == 1 {
            let place = usize::try_from(self.number()?).ok()?;
            self.header.get(place..place.checked_add(length)?)?
        } else {
            self.take(length)?
        };
        memchr3(b'\r', b'\n', 0, text).is_none().then_some(text)
    }

    fn text<T: From<&'a [u8]>>(&mut self) -> Option<T> {
        self.raw().map(T::from)
    }

    /// A text that is UTF-8.
    fn name_text<T: Held<'a>>(&mut self) -> Option<T::Name> {
        let text = core::str::from_utf8(self.raw()?).ok()?;
        Some(text.into())
    }

    /// One of the common names, or a text.
    fn name<T: From<&'a [u8]>>(&mut self) -> Option<T> {
        match self.number()? {
            0 => self.text(),
            index => {
                let name = NAMES.get(usize::try_from(index - 1).ok()?)?;
                Some(T::from(name))
            }
        }
    }

    fn list<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number()?;
        if count > ITEMS {
            return None;
        }
        // Grows as items come: a count alone costs nothing.
        (0..count).map(|_| read(self)).collect()
    }

    fn entity(&mut self) -> Option<()> {
        self.entities_left = self.entities_left.checked_sub(1)?;
        Some(())
    }

    fn parameters<T: From<&'a [u8]>>(&mut self) -> Option<Vec<Parameter<T>>> {
        self.list(|reader| {
            Some(Parameter {
                name: reader.name()?,
                value: reader.name()?,
            })
        })
    }

    fn addresses<T: From<&'a [u8]>>(&mut self) -> Option<Vec<AddressItem<T>>> {
        self.list(|reader| {
            reader.entity()?;
            Some(match reader.number()? {
                0 => AddressItem::GroupStart(reader.text()?),
                1 => AddressItem::GroupEnd,
                kind @ (2 | 3 | 6 | 7) => AddressItem::Mailbox {
                    name: if kind & 1 != 0 {
                        Some(reader.text()?)
                    } else {
                        None
                    },
                    route: if kind & 4 != 0 {
                        Some(reader.text()?)
                    } else {
                        None
                    },
                    local: reader.text()?,
                    domain: reader.text()?,
                },
                _ => return None,
            })
        })
    }

    pub fn envelope<T: Held<'a>>(&mut self) -> Option<Envelope<T>> {
        let mut envelope = Envelope {
            date: None,
            subject: None,
            from: Vec::new(),
            sender: Vec::new(),
            reply_to: Vec::new(),
            to: Vec::new(),
            cc: Vec::new(),
            bcc: Vec::new(),
            in_reply_to: None,
            message_id: None,
        };
        let texts = [
            &mut envelope.date,
            &mut envelope.subject,
            &mut envelope.in_reply_to,
            &mut envelope.message_id,
        ];
        for text in texts {
            *text = if self.flag()? {
                Some(self.text()?)
            } else {
                None
            };
        }
        let lists = [
            &mut envelope.from,
            &mut envelope.sender,
            &mut envelope.reply_to,
            &mut envelope.to,
            &mut envelope.cc,
            &mut envelope.bcc,
        ];
        for list in lists {
            *list = self.addresses()?;
        }
        Some(envelope)
    }

    /// A part that lies inside of `outer`.
    fn part<T: Held<'a>>(&mut self, outer: Span, depth: usize) -> Option<Part<T>> {
        self.entity()?;
        let depth = depth.checked_sub(1)?;
        let header = self.span_from(0)?;
        let body = self.span_from(header.end)?;
        if !outer.contains(header) || !outer.contains(body) {
            return None;
        }
        let mut part = Part {
            header,
            body,
            lines: self.number()?,
            media: self.media::<T>()?,
            parameters: self.parameters()?,
            id: None,
            description: None,
            encoding: match self.number()? {
                0 => Encoding::SevenBit,
                1 => Encoding::EightBit,
                2 => Encoding::Binary,
                3 => Encoding::QuotedPrintable,
                4 => Encoding::Base64,
                5 => Encoding::Other(self.text()?),
                _ => return None,
            },
            md5: None,
            disposition: None,
            languages: Vec::new(),
            location: None,
            flaws: Flaws::default(),
            content: Content::Leaf,
        };
        self.rare(&mut part)?;
        part.flaws = Flaws::from_bits(u32::try_from(self.number()?).ok()?);
        part.content = match self.number()? {
            0 => Content::Leaf,
            1 => self.children(part.body, depth)?,
            2 => Content::Message(Box::new(Embedded {
                envelope: self.envelope()?,
                root: self.part(part.body, depth)?,
            })),
            _ => return None,
        };
        Some(part)
    }

    fn media<T: Held<'a>>(&mut self) -> Option<MediaType<T::Name>> {
        Some(match self.number()? {
            0 => MediaType {
                kind: self.name_text::<T>()?,
                subtype: self.name_text::<T>()?,
            },
            index => {
                let (kind, subtype) = *MEDIA.get(usize::try_from(index - 1).ok()?)?;
                MediaType {
                    kind: kind.into(),
                    subtype: subtype.into(),
                }
            }
        })
    }

    /// The parts of a multipart, at least one, each after the one before.
    fn children<T: Held<'a>>(&mut self, body: Span, depth: usize) -> Option<Content<T>> {
        let count = self.number()?;
        if count == 0 || count > ITEMS {
            return None;
        }
        let mut left = body;
        let mut parts = Vec::new();
        for _ in 0..count {
            let part = self.part(left, depth)?;
            left.start = part.body.end;
            parts.push(part);
        }
        Some(Content::Multipart(parts))
    }

    fn span_from(&mut self, before: u64) -> Option<Span> {
        let start = before.checked_add(self.number()?)?;
        let end = start.checked_add(self.number()?)?;
        Some(Span { start, end })
    }

    fn rare<T: Held<'a>>(&mut self, part: &mut Part<T>) -> Option<()> {
        let present = self.number()?;
        if present >= 1 << 6 {
            return None;
        }
        let texts = [
            &mut part.id,
            &mut part.description,
            &mut part.md5,
            &mut part.location,
        ];
        for (bit, text) in texts.into_iter().enumerate() {
            if present & 1 << bit != 0 {
                *text = Some(self.text()?);
            }
        }
        if present & 1 << 4 != 0 {
            part.disposition = Some(Disposition {
                kind: self.name()?,
                parameters: self.parameters()?,
            });
        }
        if present & 1 << 5 != 0 {
            part.languages = self.list(Self::text)?;
        }
        Some(())
    }
}
