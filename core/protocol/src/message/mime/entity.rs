//! What one entity says about itself in its MIME fields (RFC 2045 section 3, RFC 2183, RFC 3282, RFC 2557, RFC 1864).
//!
//! Of a field that comes twice the first counts, and the part is flagged: programs differ in this.

use memchr::memchr2_iter;

use super::Budget;
use crate::message::header::{Field, fields, unfold};
use crate::message::parameter::{self, Structured};
use crate::message::part::{Disposition, Encoding, Flaws, MediaType, Part};

/// What an entity is that does not say.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Unsaid {
    TextPlain,
    /// In a multipart/digest (RFC 2046 section 5.1.5).
    Message,
}

/// What an entity with this header says about itself. Its spans are not known here.
pub(super) fn read(header: &[u8], unsaid: Unsaid, budget: &mut Budget) -> Part {
    let readable = budget.readable(header);
    let limit = budget.fields();
    let mut reader = Reader {
        part: Part::empty(),
        budget,
        seen_type: false,
        seen_encoding: false,
    };
    let mut all = fields(readable);
    for field in all.by_ref().take(limit) {
        reader.take(&field);
    }
    let seen_type = reader.seen_type;
    let mut part = reader.part;
    if readable.len() < header.len() || all.next().is_some() {
        part.flaws |= Flaws::HEADER_CUT;
    }
    if !seen_type && unsaid == Unsaid::Message {
        part.media = MediaType::new("message", "rfc822");
    }
    part
}

/// Reads the MIME fields of a header.
struct Reader<'b> {
    part: Part,
    budget: &'b mut Budget,
    seen_type: bool,
    seen_encoding: bool,
}

impl Reader<'_> {
    fn take(&mut self, field: &Field<'_>) {
        let Field { name, value, raw } = *field;
        match name.get(..8) {
            Some(prefix) if prefix.eq_ignore_ascii_case(b"content-") => {}
            _ => return,
        }
        if name.len() + 1 + value.len() < raw.len() || is_odd(value) {
            self.part.flaws |= Flaws::ODD_FIELD;
        }
        match name[8..].to_ascii_lowercase().as_slice() {
            b"type" if self.seen_type => self.part.flaws |= Flaws::DUPLICATE_TYPE,
            b"type" => self.media_type(value),
            b"transfer-encoding" if self.seen_encoding => {
                self.part.flaws |= Flaws::DUPLICATE_ENCODING
            }
            b"transfer-encoding" => self.encoding(value),
            b"disposition" if self.part.disposition.is_some() => {
                self.part.flaws |= Flaws::DUPLICATE_DISPOSITION
            }
            b"disposition" => self.disposition(value),
            b"id" if self.part.id.is_none() => self.part.id = self.text(value),
            b"description" if self.part.description.is_none() => {
                self.part.description = self.text(value)
            }
            b"md5" if self.part.md5.is_none() => self.part.md5 = self.text(value),
            b"location" if self.part.location.is_none() => self.part.location = self.text(value),
            b"language" if self.part.languages.is_empty() => self.languages(value),
            _ => {}
        }
    }

    /// `content := "Content-Type" ":" type "/" subtype *(";" parameter)`
    fn media_type(&mut self, value: &[u8]) {
        self.seen_type = true;
        let parsed = self.structured(value);
        match media_type(&parsed.head) {
            Some(media) => {
                self.part.media = media;
                self.part.parameters = parsed.parameters;
            }
            None => self.part.flaws |= Flaws::BAD_TYPE,
        }
    }

    fn encoding(&mut self, value: &[u8]) {
        self.seen_encoding = true;
        let parsed = parameter::parse(value);
        let encoding = Encoding::named(&parsed.head);
        if let Encoding::Other(name) = &encoding {
            self.part.flaws |= Flaws::BAD_ENCODING;
            if !self.budget.spend(name.len()) {
                self.part.flaws |= Flaws::VALUES_CUT;
                return;
            }
        }
        self.part.encoding = encoding;
    }

    fn disposition(&mut self, value: &[u8]) {
        let parsed = self.structured(value);
        if parsed.head.is_empty() {
            return;
        }
        self.part.disposition = self.text(&parsed.head).map(|kind| Disposition {
            kind,
            parameters: parsed.parameters,
        });
    }

    /// Tags between commas (RFC 3282).
    fn languages(&mut self, value: &[u8]) {
        let head = parameter::parse(value).head;
        for tag in head
            .split(|octet| *octet == b',')
            .filter(|tag| !tag.is_empty())
            .take(20)
        {
            let tag = self.text(tag);
            self.part.languages.extend(tag);
        }
    }

    fn structured(&mut self, value: &[u8]) -> Structured {
        let mut parsed = parameter::parse(value);
        let (parameters, whole) = self.budget.keep_parameters(parsed.parameters);
        parsed.parameters = parameters;
        if !whole {
            parsed.flaws |= Flaws::VALUES_CUT;
        }
        self.part.flaws |= parsed.flaws;
        parsed
    }

    fn text(&mut self, value: &[u8]) -> Option<Vec<u8>> {
        let kept = self.budget.keep(&unfold(value));
        if kept.is_none() {
            self.part.flaws |= Flaws::VALUES_CUT;
        }
        kept
    }
}

/// Whether it holds what some programs take for a line end, or for the end of the text.
fn is_odd(value: &[u8]) -> bool {
    memchr2_iter(b'\r', 0, value).any(|at| value[at] == 0 || value.get(at + 1) != Some(&b'\n'))
}

/// `type "/" subtype`, both tokens of at most 127 octets (RFC 6838 section 4.2).
fn media_type(head: &[u8]) -> Option<MediaType> {
    let text = core::str::from_utf8(head).ok()?.to_ascii_lowercase();
    let (kind, subtype) = text.split_once('/')?;
    let is_token = |name: &str| {
        let is_special = |octet: u8| b"()<>@,;:\\\"/[]?=".contains(&octet);
        (1..=127).contains(&name.len())
            && name
                .bytes()
                .all(|octet| octet.is_ascii_graphic() && !is_special(octet))
    };
    (is_token(kind) && is_token(subtype)).then(|| MediaType::new(kind, subtype))
}
