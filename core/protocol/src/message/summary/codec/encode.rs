//! Writes a summary.

use memchr::memmem;

use super::{MEDIA, NAMES, SEARCHES, SHORTEST, VERSION};
use crate::message::address_list::AddressItem;
use crate::message::envelope::Envelope;
use crate::message::parameter::Parameter;
use crate::message::part::{Content, Encoding, Part};
use crate::message::summary::Summary;

pub(in crate::message::summary) fn encode(summary: &Summary) -> Vec<u8> {
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
