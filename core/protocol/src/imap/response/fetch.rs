//! FETCH (RFC 9051 section 7.5.2; RFC 7162; RFC 3516; RFC 8474; RFC 8514; RFC 8970).
//!
//! A response is written item by item, so that a session can stop at a literal, let its octets be streamed, and go on:
//!
//! ```
//! use bytes::BytesMut;
//! use postrider_protocol::imap::response::FetchResponse;
//! use postrider_protocol::imap::syntax::{Utf8, fetch::SectionName, section::Section};
//! use postrider_protocol::imap::types::{SeqNum, Uid};
//!
//! let mut out = BytesMut::new();
//! let mut fetch = FetchResponse::open(SeqNum(3), Utf8::Off, &mut out);
//! fetch.uid(Uid(7), &mut out);
//! fetch.section_header(SectionName::Body, &Section::default(), None, 5, &mut out);
//! out.extend_from_slice(b"octet"); // or from elsewhere
//! fetch.close(&mut out);
//! assert_eq!(&out[..], b"* 3 FETCH (UID 7 BODY[] {5}\r\noctet)\r\n");
//! ```

use bytes::{BufMut, BytesMut};

use super::body::{Form, body};
use super::date::date_time;
use super::envelope::envelope;
use super::flags::{Recency, flag_list};
use super::string::{astring, literal_header, literal8_header, nstring, number};
use crate::imap::syntax::Utf8;
use crate::imap::syntax::fetch::SectionName;
use crate::imap::syntax::section::{Section, SectionText};
use crate::imap::types::{Flags, ModSeq, SeqNum, Uid};
use crate::line::without_nul;
use crate::message::envelope::Envelope;
use crate::message::part::{Part, Text};

/// A FETCH response that is being written. [`FetchResponse::close`] ends it.
#[derive(Debug)]
#[must_use]
pub struct FetchResponse {
    utf8: Utf8,
    first: bool,
}

impl FetchResponse {
    /// Writes `* 3 FETCH (`.
    pub fn open(seq: SeqNum, utf8: Utf8, out: &mut BytesMut) -> Self {
        out.put_slice(b"* ");
        number(seq.0.into(), out);
        out.put_slice(b" FETCH (");
        Self { utf8, first: true }
    }

    /// Writes `)` and the line end.
    pub fn close(self, out: &mut BytesMut) {
        out.put_slice(b")\r\n");
    }

    /// Whether no item was written yet.
    pub fn is_empty(&self) -> bool {
        self.first
    }

    /// `UID`
    pub fn uid(&mut self, uid: Uid, out: &mut BytesMut) {
        self.item(b"UID ", out);
        number(uid.0.into(), out);
    }

    /// `FLAGS`; `keywords` are the mailbox's, by number.
    pub fn flags(
        &mut self,
        flags: Flags,
        keywords: &[String],
        recency: Recency,
        out: &mut BytesMut,
    ) {
        self.item(b"FLAGS ", out);
        flag_list(flags, keywords, recency, out);
    }

    /// `INTERNALDATE`, seconds since 1970.
    pub fn internal_date(&mut self, epoch: i64, out: &mut BytesMut) {
        self.item(b"INTERNALDATE ", out);
        date_time(epoch, out);
    }

    /// `RFC822.SIZE`
    pub fn size(&mut self, octets: u64, out: &mut BytesMut) {
        self.item(b"RFC822.SIZE ", out);
        number(octets, out);
    }

    /// `MODSEQ`
    pub fn modseq(&mut self, modseq: ModSeq, out: &mut BytesMut) {
        self.item(b"MODSEQ (", out);
        number(modseq.0, out);
        out.put_u8(b')');
    }

    /// `EMAILID`, an object identifier.
    pub fn email_id(&mut self, id: &str, out: &mut BytesMut) {
        self.item(b"EMAILID (", out);
        out.put_slice(id.as_bytes());
        out.put_u8(b')');
    }

    /// `THREADID`, an object identifier if there is one.
    pub fn thread_id(&mut self, id: Option<&str>, out: &mut BytesMut) {
        self.item(b"THREADID ", out);
        match id {
            Some(id) => {
                out.put_u8(b'(');
                out.put_slice(id.as_bytes());
                out.put_u8(b')');
            }
            None => out.put_slice(b"NIL"),
        }
    }

    /// `SAVEDATE`, seconds since 1970 if it is known.
    pub fn save_date(&mut self, epoch: Option<i64>, out: &mut BytesMut) {
        self.item(b"SAVEDATE ", out);
        match epoch {
            Some(epoch) => date_time(epoch, out),
            None => out.put_slice(b"NIL"),
        }
    }

    /// `PREVIEW`, if there is one.
    pub fn preview(&mut self, text: Option<&str>, out: &mut BytesMut) {
        self.item(b"PREVIEW ", out);
        nstring(text.map(str::as_bytes), self.utf8, out);
    }

    /// `ENVELOPE`
    pub fn envelope<T: Text>(&mut self, value: &Envelope<T>, out: &mut BytesMut) {
        self.item(b"ENVELOPE ", out);
        envelope(value, self.utf8, out);
    }

    /// `BODY` without a section
    pub fn body<T: Text>(&mut self, root: &Part<T>, out: &mut BytesMut) {
        self.item(b"BODY ", out);
        body(root, Form::Body, self.utf8, out);
    }

    /// `BODYSTRUCTURE`
    pub fn body_structure<T: Text>(&mut self, root: &Part<T>, out: &mut BytesMut) {
        self.item(b"BODYSTRUCTURE ", out);
        body(root, Form::BodyStructure, self.utf8, out);
    }

    /// `BODY[…]<origin>` or its old name, and the announcement of `octets` octets, which must follow.
    pub fn section_header(
        &mut self,
        name: SectionName,
        section: &Section,
        origin: Option<u64>,
        octets: u64,
        out: &mut BytesMut,
    ) {
        self.section_name(name, section, origin, out);
        literal_header(octets, out);
    }

    /// `BODY[…]<origin>` or its old name, with these octets; a literal has no NUL.
    pub fn section(
        &mut self,
        name: SectionName,
        section: &Section,
        origin: Option<u64>,
        octets: &[u8],
        out: &mut BytesMut,
    ) {
        self.section_header(name, section, origin, octets.len() as u64, out);
        out.put_slice(&without_nul(octets));
    }

    /// `BODY[…]<origin> NIL`: the message has no such section.
    pub fn section_nil(
        &mut self,
        name: SectionName,
        section: &Section,
        origin: Option<u64>,
        out: &mut BytesMut,
    ) {
        self.section_name(name, section, origin, out);
        out.put_slice(b"NIL");
    }

    /// `BINARY[…]<origin>` and the announcement of `octets` octets, of which any may be NUL, which must follow.
    pub fn binary_header(
        &mut self,
        part: &[u32],
        origin: Option<u64>,
        octets: u64,
        out: &mut BytesMut,
    ) {
        self.item(b"BINARY", out);
        part_name(part, out);
        write_origin(origin, out);
        out.put_u8(b' ');
        literal8_header(octets, out);
    }

    /// `BINARY[…]<origin> NIL`: the message has no such part.
    pub fn binary_nil(&mut self, part: &[u32], origin: Option<u64>, out: &mut BytesMut) {
        self.item(b"BINARY", out);
        part_name(part, out);
        write_origin(origin, out);
        out.put_slice(b" NIL");
    }

    /// `BINARY.SIZE[…]`
    pub fn binary_size(&mut self, part: &[u32], octets: u64, out: &mut BytesMut) {
        self.item(b"BINARY.SIZE", out);
        part_name(part, out);
        out.put_u8(b' ');
        number(octets, out);
    }

    fn item(&mut self, name: &[u8], out: &mut BytesMut) {
        if !self.first {
            out.put_u8(b' ');
        }
        self.first = false;
        out.put_slice(name);
    }

    fn section_name(
        &mut self,
        name: SectionName,
        section: &Section,
        origin: Option<u64>,
        out: &mut BytesMut,
    ) {
        match name {
            SectionName::Rfc822 => self.item(b"RFC822", out),
            SectionName::Rfc822Header => self.item(b"RFC822.HEADER", out),
            SectionName::Rfc822Text => self.item(b"RFC822.TEXT", out),
            SectionName::Body => {
                self.item(b"BODY", out);
                write_section(section, out);
                write_origin(origin, out);
            }
        }
        out.put_u8(b' ');
    }
}

/// Writes `section`, as [`Section::parse`] reads it.
fn write_section(section: &Section, out: &mut BytesMut) {
    out.put_u8(b'[');
    write_part(&section.part, out);
    let (name, fields) = match &section.text {
        SectionText::All => ("", None),
        SectionText::Header => ("HEADER", None),
        SectionText::HeaderFields(fields) => ("HEADER.FIELDS", Some(fields)),
        SectionText::HeaderFieldsNot(fields) => ("HEADER.FIELDS.NOT", Some(fields)),
        SectionText::Text => ("TEXT", None),
        SectionText::Mime => ("MIME", None),
    };
    if !section.part.is_empty() && !name.is_empty() {
        out.put_u8(b'.');
    }
    out.put_slice(name.as_bytes());
    for (n, field) in fields.into_iter().flatten().enumerate() {
        out.put_slice(if n == 0 { b" (" } else { b" " });
        astring(field.as_bytes(), Utf8::Off, out);
    }
    if fields.is_some() {
        out.put_u8(b')');
    }
    out.put_u8(b']');
}

fn part_name(part: &[u32], out: &mut BytesMut) {
    out.put_u8(b'[');
    write_part(part, out);
    out.put_u8(b']');
}

fn write_part(part: &[u32], out: &mut BytesMut) {
    for (n, level) in part.iter().enumerate() {
        if n > 0 {
            out.put_u8(b'.');
        }
        number((*level).into(), out);
    }
}

fn write_origin(origin: Option<u64>, out: &mut BytesMut) {
    if let Some(origin) = origin {
        out.put_u8(b'<');
        number(origin, out);
        out.put_u8(b'>');
    }
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
