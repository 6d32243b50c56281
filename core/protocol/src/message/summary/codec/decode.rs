//! Reads a summary, or anything that is said to be one.

use memchr::memchr3;

use super::{DEPTH, ENTITIES, ITEMS, MEDIA, NAMES, TEXT_LIMIT, VERSION};
use crate::message::address_list::AddressItem;
use crate::message::date::DateTime;
use crate::message::envelope::Envelope;
use crate::message::parameter::Parameter;
use crate::message::part::{
    Content, Disposition, Embedded, Encoding, Flaws, MediaType, Part, Span,
};
use crate::message::summary::{CachedHeader, FIELDS_LIMIT, Summary, SummaryError};
use crate::message::thread::BaseSubject;

pub(in crate::message::summary) fn decode(octets: &[u8]) -> Result<Summary, SummaryError> {
    let (version, rest) = octets.split_first().ok_or(SummaryError::Malformed)?;
    if *version != VERSION {
        return Err(SummaryError::Version);
    }
    let reader = Reader {
        rest,
        header: Vec::new(),
        text_left: TEXT_LIMIT,
        entities_left: ENTITIES,
    };
    reader.summary().ok_or(SummaryError::Malformed)
}

/// Reads; `None` means malformed.
struct Reader<'a> {
    rest: &'a [u8],
    header: Vec<u8>,
    text_left: usize,
    entities_left: usize,
}

impl<'a> Reader<'a> {
    fn summary(mut self) -> Option<Summary> {
        let length = self.length(FIELDS_LIMIT)?;
        self.header = self.take(length)?.to_vec();
        let missing = self.number()?;
        let size = self.number()?;
        let whole = Span {
            start: 0,
            end: size,
        };
        let root = self.part(whole, DEPTH)?;
        let envelope = self.envelope()?;
        let sent = match self.number()? {
            0 => None,
            1 => Some(DateTime {
                epoch: self.signed()?,
                offset: i16::try_from(self.signed()?).ok()?,
            }),
            _ => return None,
        };
        let subject = BaseSubject {
            text: self.string()?,
            reply: self.flag()?,
        };
        let references = self.list(Self::text)?;
        let preview = self.string()?;
        self.rest.is_empty().then_some(Summary {
            size,
            root,
            envelope,
            sent,
            subject,
            references,
            header: CachedHeader {
                octets: self.header,
                missing,
            },
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

    fn text(&mut self) -> Option<Vec<u8>> {
        let number = self.number()?;
        let length = usize::try_from(number >> 1).ok()?;
        self.text_left = self.text_left.checked_sub(length)?;
        let text = if number & 1 == 1 {
            let place = usize::try_from(self.number()?).ok()?;
            self.header.get(place..place.checked_add(length)?)?.to_vec()
        } else {
            self.take(length)?.to_vec()
        };
        memchr3(b'\r', b'\n', 0, &text).is_none().then_some(text)
    }

    fn string(&mut self) -> Option<String> {
        String::from_utf8(self.text()?).ok()
    }

    fn name(&mut self) -> Option<Vec<u8>> {
        match self.number()? {
            0 => self.text(),
            index => {
                let name = NAMES.get(usize::try_from(index - 1).ok()?)?;
                Some(name.to_vec())
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

    fn parameters(&mut self) -> Option<Vec<Parameter>> {
        self.list(|reader| {
            Some(Parameter {
                name: reader.name()?,
                value: reader.name()?,
            })
        })
    }

    fn addresses(&mut self) -> Option<Vec<AddressItem>> {
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

    fn envelope(&mut self) -> Option<Envelope> {
        let mut envelope = Envelope::default();
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
    fn part(&mut self, outer: Span, depth: usize) -> Option<Part> {
        self.entity()?;
        let depth = depth.checked_sub(1)?;
        let mut part = Part::empty();
        part.header = self.span_from(0)?;
        part.body = self.span_from(part.header.end)?;
        if !outer.contains(part.header) || !outer.contains(part.body) {
            return None;
        }
        part.lines = self.number()?;
        part.media = match self.number()? {
            0 => MediaType::new(self.string()?, self.string()?),
            index => {
                let (kind, subtype) = MEDIA.get(usize::try_from(index - 1).ok()?)?;
                MediaType::new(*kind, *subtype)
            }
        };
        part.parameters = self.parameters()?;
        part.encoding = match self.number()? {
            0 => Encoding::SevenBit,
            1 => Encoding::EightBit,
            2 => Encoding::Binary,
            3 => Encoding::QuotedPrintable,
            4 => Encoding::Base64,
            5 => Encoding::Other(self.text()?),
            _ => return None,
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

    /// The parts of a multipart, at least one, each after the one before.
    fn children(&mut self, body: Span, depth: usize) -> Option<Content> {
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

    fn rare(&mut self, part: &mut Part) -> Option<()> {
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
