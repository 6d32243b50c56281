//! BODY and BODYSTRUCTURE (RFC 9051 section 7.5.2).
//!
//! **Invariants.** The grammar is kept whatever the message is: a part is written as a multipart only if it has parts,
//! as a message only if it holds one, and as text only if its type is; what claims a type it cannot have is
//! `application/octet-stream`. **Bounds.** As deep as the message was taken apart, which is limited.

use bytes::{BufMut, BytesMut};

use super::envelope::envelope;
use super::string::{nstring, number, string};
use crate::imap::syntax::Utf8;
use crate::message::parameter::Parameter;
use crate::message::part::{Content, Embedded, Part, Text};

/// How much is told of each part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// `BODY`: no extension data.
    Body,
    /// `BODYSTRUCTURE`: all of it.
    BodyStructure,
}

/// Writes `body`: the structure of a message, from its root.
pub fn body<T: Text>(part: &Part<T>, form: Form, utf8: Utf8, out: &mut BytesMut) {
    let writer = Writer { form, utf8 };
    writer.body(part, out);
}

#[derive(Clone, Copy)]
struct Writer {
    form: Form,
    utf8: Utf8,
}

impl Writer {
    /// `body = "(" (body-type-1part / body-type-mpart) ")"`
    fn body<T: Text>(self, part: &Part<T>, out: &mut BytesMut) {
        out.put_u8(b'(');
        match &part.content {
            Content::Multipart(parts) if !parts.is_empty() => self.multipart(part, parts, out),
            Content::Message(embedded) if self.is_message(part) => {
                self.message(part, embedded, out)
            }
            _ => self.leaf(part, out),
        }
        out.put_u8(b')');
    }

    /// `body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]`
    fn multipart<T: Text>(self, part: &Part<T>, parts: &[Part<T>], out: &mut BytesMut) {
        for part in parts {
            self.body(part, out);
        }
        out.put_u8(b' ');
        self.string(part.media.subtype.as_ref().as_bytes(), out);
        if self.form == Form::BodyStructure {
            out.put_u8(b' ');
            self.parameters(&part.parameters, out);
            self.placement(part, out);
        }
    }

    /// IMAP4rev1 knows message/rfc822 alone (RFC 3501 section 9, `media-message`).
    fn is_message<T: Text>(self, part: &Part<T>) -> bool {
        part.media.is("message", "rfc822")
            || self.utf8 == Utf8::On && part.media.is("message", "global")
    }

    /// `body-type-msg = media-message SP body-fields SP envelope SP body SP body-fld-lines`
    fn message<T: Text>(self, part: &Part<T>, embedded: &Embedded<T>, out: &mut BytesMut) {
        self.media(part.media.kind.as_ref(), part.media.subtype.as_ref(), out);
        self.fields(part, out);
        out.put_u8(b' ');
        envelope(&embedded.envelope, self.utf8, out);
        out.put_u8(b' ');
        self.body(&embedded.root, out);
        out.put_u8(b' ');
        number32(part.lines, out);
        self.extension(part, out);
    }

    /// `body-type-text` and `body-type-basic`
    fn leaf<T: Text>(self, part: &Part<T>, out: &mut BytesMut) {
        let kind = part.media.kind.as_ref();
        match kind {
            "multipart" => self.media("application", "octet-stream", out),
            _ if part.media.is("message", "rfc822")
                || part.media.is("message", "global") && self.utf8 == Utf8::On =>
            {
                self.media("application", "octet-stream", out);
            }
            _ => self.media(kind, part.media.subtype.as_ref(), out),
        }
        self.fields(part, out);
        if kind == "text" {
            out.put_u8(b' ');
            number32(part.lines, out);
        }
        self.extension(part, out);
    }

    /// `media-basic`, and the space after it.
    fn media(self, kind: &str, subtype: &str, out: &mut BytesMut) {
        self.string(kind.as_bytes(), out);
        out.put_u8(b' ');
        self.string(subtype.as_bytes(), out);
        out.put_u8(b' ');
    }

    /// `body-fields = body-fld-param SP body-fld-id SP body-fld-desc SP body-fld-enc SP body-fld-octets`
    fn fields<T: Text>(self, part: &Part<T>, out: &mut BytesMut) {
        self.parameters(&part.parameters, out);
        out.put_u8(b' ');
        self.nstring(part.id.as_ref(), out);
        out.put_u8(b' ');
        self.nstring(part.description.as_ref(), out);
        out.put_u8(b' ');
        self.string(part.encoding.name(), out);
        out.put_u8(b' ');
        number32(part.body.len(), out);
    }

    /// `body-fld-param = "(" string SP string *(SP string SP string) ")" / nil`
    fn parameters<T: Text>(self, parameters: &[Parameter<T>], out: &mut BytesMut) {
        if parameters.is_empty() {
            out.put_slice(b"NIL");
            return;
        }
        for (n, parameter) in parameters.iter().enumerate() {
            out.put_u8(if n == 0 { b'(' } else { b' ' });
            self.string(parameter.name.as_ref(), out);
            out.put_u8(b' ');
            self.string(parameter.value.as_ref(), out);
        }
        out.put_u8(b')');
    }

    /// `body-ext-1part = body-fld-md5 SP body-fld-dsp SP body-fld-lang SP body-fld-loc`
    fn extension<T: Text>(self, part: &Part<T>, out: &mut BytesMut) {
        if self.form == Form::BodyStructure {
            out.put_u8(b' ');
            self.nstring(part.md5.as_ref(), out);
            self.placement(part, out);
        }
    }

    /// `SP body-fld-dsp SP body-fld-lang SP body-fld-loc`
    fn placement<T: Text>(self, part: &Part<T>, out: &mut BytesMut) {
        match &part.disposition {
            Some(disposition) => {
                out.put_slice(b" (");
                self.string(disposition.kind.as_ref(), out);
                out.put_u8(b' ');
                self.parameters(&disposition.parameters, out);
                out.put_slice(b") ");
            }
            None => out.put_slice(b" NIL "),
        }
        match &part.languages[..] {
            [] => out.put_slice(b"NIL"),
            languages => {
                for (n, language) in languages.iter().enumerate() {
                    out.put_u8(if n == 0 { b'(' } else { b' ' });
                    self.string(language.as_ref(), out);
                }
                out.put_u8(b')');
            }
        }
        out.put_u8(b' ');
        self.nstring(part.location.as_ref(), out);
    }

    fn string(self, text: &[u8], out: &mut BytesMut) {
        string(text, self.utf8, out);
    }

    fn nstring(self, text: Option<impl AsRef<[u8]>>, out: &mut BytesMut) {
        nstring(text, self.utf8, out);
    }
}

/// `body-fld-octets` and, in IMAP4rev1, `body-fld-lines` have 32 bits.
fn number32(value: u64, out: &mut BytesMut) {
    number(value.min(u32::MAX.into()), out);
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
