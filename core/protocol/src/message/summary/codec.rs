//! The format in which the index keeps a [`Summary`].
//!
//! A version octet, then numbers in LEB128 and texts with their length. A text that also stands in the kept header
//! fields is written as its place there, which halves a usual summary.
//!
//! **Bounds.** Decoding stops at [`TEXT_LIMIT`] octets of text and at the limits of depth and parts.

use memchr::{memchr3, memmem};

use super::{CachedHeader, FIELDS_LIMIT, Summary, SummaryError};
use crate::message::address_list::AddressItem;
use crate::message::date::DateTime;
use crate::message::envelope::Envelope;
use crate::message::parameter::Parameter;
use crate::message::part::{
    Content, Disposition, Embedded, Encoding, Flaws, MediaType, Part, Span,
};
use crate::message::thread::BaseSubject;

const VERSION: u8 = 1;
/// Octets of text in a decoded summary.
pub const TEXT_LIMIT: usize = 1024 * 1024;
/// Parts inside each other in a decoded summary.
const DEPTH: usize = 110;
/// Items of any one list.
const ITEMS: u64 = 10_000;
/// Parts and addresses of a decoded summary.
const ENTITIES: usize = 20_000;
/// Shortest text that is looked for in the header.
const SHORTEST: usize = 4;
/// Texts that are looked for in the header.
const SEARCHES: usize = 300;

/// Common media types; new ones go to the end.
const MEDIA: [(&str, &str); 20] = [
    ("text", "plain"),
    ("text", "html"),
    ("multipart", "alternative"),
    ("multipart", "mixed"),
    ("multipart", "related"),
    ("multipart", "signed"),
    ("multipart", "report"),
    ("message", "rfc822"),
    ("message", "delivery-status"),
    ("application", "octet-stream"),
    ("application", "pdf"),
    ("image", "jpeg"),
    ("image", "png"),
    ("image", "gif"),
    ("application", "zip"),
    ("text", "calendar"),
    ("application", "pgp-signature"),
    ("application", "pkcs7-signature"),
    ("text", "rfc822-headers"),
    ("application", "msword"),
];

/// Common names of parameters and dispositions; new ones go to the end.
const NAMES: [&[u8]; 14] = [
    b"charset",
    b"boundary",
    b"name",
    b"filename",
    b"format",
    b"type",
    b"attachment",
    b"inline",
    b"utf-8",
    b"UTF-8",
    b"us-ascii",
    b"flowed",
    b"delsp",
    b"protocol",
];

pub(super) fn encode(summary: &Summary) -> Vec<u8> {
    let mut writer = Writer {
        octets: vec![VERSION],
        header: &summary.header.octets,
        searches: SEARCHES,
    };
    writer.plain(&summary.header.octets);
    writer.number(summary.header.missing);
    writer.number(summary.size);
    writer.part(&summary.root);
    writer.envelope(&summary.envelope);
    match summary.sent {
        Some(sent) => {
            writer.number(1);
            writer.signed(sent.epoch);
            writer.signed(i64::from(sent.offset));
        }
        None => writer.number(0),
    }
    writer.text(summary.subject.text.as_bytes());
    writer.number(u64::from(summary.subject.reply));
    writer.list(&summary.references, |writer, id| writer.text(id));
    writer.text(summary.preview.as_bytes());
    writer.octets
}

struct Writer<'a> {
    octets: Vec<u8>,
    header: &'a [u8],
    searches: usize,
}

impl Writer<'_> {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.octets.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.octets.push(number as u8);
    }

    /// Small magnitudes become small numbers.
    fn signed(&mut self, number: i64) {
        self.number((number << 1 ^ number >> 63) as u64);
    }

    fn plain(&mut self, text: &[u8]) {
        self.number(text.len() as u64);
        self.octets.extend_from_slice(text);
    }

    /// Length and a bit: the text follows, or its place in the header does.
    fn text(&mut self, text: &[u8]) {
        let place = if text.len() >= SHORTEST && self.searches > 0 {
            self.searches -= 1;
            memmem::find(self.header, text)
        } else {
            None
        };
        let length = (text.len() as u64) << 1;
        match place {
            Some(place) => {
                self.number(length | 1);
                self.number(place as u64);
            }
            None => {
                self.number(length);
                self.octets.extend_from_slice(text);
            }
        }
    }

    /// One of the common names, or a text.
    fn name(&mut self, name: &[u8]) {
        match NAMES.iter().position(|known| *known == name) {
            Some(index) => self.number(index as u64 + 1),
            None => {
                self.number(0);
                self.text(name);
            }
        }
    }

    fn option(&mut self, text: &Option<Vec<u8>>) {
        match text {
            Some(text) => {
                self.number(1);
                self.text(text);
            }
            None => self.number(0),
        }
    }

    fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.number(items.len() as u64);
        for item in items {
            write(self, item);
        }
    }

    fn parameters(&mut self, parameters: &[Parameter]) {
        self.list(parameters, |writer, parameter| {
            writer.name(&parameter.name);
            writer.name(&parameter.value);
        });
    }

    fn addresses(&mut self, items: &[AddressItem]) {
        self.list(items, |writer, item| match item {
            AddressItem::Mailbox {
                name,
                route,
                local,
                domain,
            } => {
                writer.number(2 | u64::from(name.is_some()) | u64::from(route.is_some()) << 2);
                name.iter()
                    .chain(route)
                    .chain([local, domain])
                    .for_each(|text| writer.text(text));
            }
            AddressItem::GroupStart(name) => {
                writer.number(0);
                writer.text(name);
            }
            AddressItem::GroupEnd => writer.number(1),
        });
    }

    fn envelope(&mut self, envelope: &Envelope) {
        for text in [
            &envelope.date,
            &envelope.subject,
            &envelope.in_reply_to,
            &envelope.message_id,
        ] {
            self.option(text);
        }
        for list in [
            &envelope.from,
            &envelope.sender,
            &envelope.reply_to,
            &envelope.to,
            &envelope.cc,
            &envelope.bcc,
        ] {
            self.addresses(list);
        }
    }

    fn part(&mut self, part: &Part) {
        for offset in [
            part.header.start,
            part.header.len(),
            part.body.start.saturating_sub(part.header.end),
            part.body.len(),
        ] {
            self.number(offset);
        }
        self.number(part.lines);
        let media = (part.media.kind.as_str(), part.media.subtype.as_str());
        match MEDIA.iter().position(|known| *known == media) {
            Some(index) => self.number(index as u64 + 1),
            None => {
                self.number(0);
                self.text(media.0.as_bytes());
                self.text(media.1.as_bytes());
            }
        }
        self.parameters(&part.parameters);
        match &part.encoding {
            Encoding::SevenBit => self.number(0),
            Encoding::EightBit => self.number(1),
            Encoding::Binary => self.number(2),
            Encoding::QuotedPrintable => self.number(3),
            Encoding::Base64 => self.number(4),
            Encoding::Other(name) => {
                self.number(5);
                self.text(name);
            }
        }
        self.rare(part);
        self.number(u64::from(part.flaws.bits()));
        match &part.content {
            Content::Leaf => self.number(0),
            Content::Multipart(parts) => {
                self.number(1);
                self.list(parts, Self::part);
            }
            Content::Message(embedded) => {
                self.number(2);
                self.envelope(&embedded.envelope);
                self.part(&embedded.root);
            }
        }
    }

    /// Fields that most parts do not have: one number says which are there.
    fn rare(&mut self, part: &Part) {
        let texts = [&part.id, &part.description, &part.md5, &part.location];
        let mut present = 0;
        for (bit, text) in texts.iter().enumerate() {
            present |= u64::from(text.is_some()) << bit;
        }
        present |=
            u64::from(part.disposition.is_some()) << 4 | u64::from(!part.languages.is_empty()) << 5;
        self.number(present);
        for text in texts.into_iter().flatten() {
            self.text(text);
        }
        if let Some(disposition) = &part.disposition {
            self.name(&disposition.kind);
            self.parameters(&disposition.parameters);
        }
        if !part.languages.is_empty() {
            self.list(&part.languages, |writer, tag| writer.text(tag));
        }
    }
}

pub(super) fn decode(octets: &[u8]) -> Result<Summary, SummaryError> {
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
