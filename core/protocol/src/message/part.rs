//! One entity of a message: where it lies, what it says about itself, what it holds (RFC 2045 to RFC 2049,
//! RFC 2183, RFC 3282, RFC 2557, RFC 1864).
//!
//! **Invariants.** `header.end <= body.start`; a child lies inside its parent's body; children do not overlap.
//! Kept values hold no CR, LF or NUL, so that they may be written as IMAP strings as they are.
//! [`Part::media`] is what the part may be shown as: a composite that was not taken apart has
//! the type of a leaf, so that BODYSTRUCTURE is always grammatical.

use core::fmt::Debug;
use core::ops::{BitOr, BitOrAssign};

use super::charset::Charset;
use super::envelope::Envelope;
use super::parameter::{self, Parameter};

/// A range of octets of the message, end exclusive.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Span {
    /// The first octet.
    pub start: u64,
    /// The octet after the last.
    pub end: u64,
}

impl Span {
    /// How many octets.
    pub fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether it has no octet.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether the other lies inside.
    pub fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.start <= other.end && other.end <= self.end
    }

    /// These octets of the message; what it does not have is left out.
    pub fn of(self, message: &[u8]) -> &[u8] {
        let clamp = |offset: u64| {
            usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(message.len())
        };
        let (start, end) = (clamp(self.start), clamp(self.end));
        message.get(start..end).unwrap_or_default()
    }
}

/// How the texts of a part are held: each as a value of its own, or as a place in an encoded summary, which costs nothing to read.
pub trait Text: AsRef<[u8]> + Clone + Debug + Eq {
    /// The same for a text that is always UTF-8.
    type Name: AsRef<str> + Clone + Debug + Eq;
}

impl Text for Vec<u8> {
    type Name = String;
}

impl<'a> Text for &'a [u8] {
    type Name = &'a str;
}

/// A media type, in lower case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MediaType<N = String> {
    /// `text` of `text/plain`.
    pub kind: N,
    /// `plain` of `text/plain`.
    pub subtype: N,
}

impl MediaType {
    /// Takes both names, in lower case.
    pub fn new(kind: impl Into<String>, subtype: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            subtype: subtype.into(),
        }
    }

    /// `text/plain`, what a part is that does not say (RFC 2045 section 5.2).
    pub fn text_plain() -> Self {
        Self::new("text", "plain")
    }

    /// `application/octet-stream`, what nobody looks into.
    pub fn octet_stream() -> Self {
        Self::new("application", "octet-stream")
    }
}

impl<N: AsRef<str>> MediaType<N> {
    /// Whether it is this one.
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.as_ref() == kind && self.subtype.as_ref() == subtype
    }
}

/// A content transfer encoding (RFC 2045 section 6).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Encoding<T = Vec<u8>> {
    /// 7bit, and what a part has that does not say.
    #[default]
    SevenBit,
    /// 8bit.
    EightBit,
    /// binary.
    Binary,
    /// quoted-printable.
    QuotedPrintable,
    /// base64.
    Base64,
    /// Any other, as written.
    Other(T),
}

impl Encoding {
    /// The encoding of this name, in any case.
    pub fn named(name: &[u8]) -> Self {
        match name.to_ascii_lowercase().as_slice() {
            b"" | b"7bit" => Self::SevenBit,
            b"8bit" => Self::EightBit,
            b"binary" => Self::Binary,
            b"quoted-printable" => Self::QuotedPrintable,
            b"base64" => Self::Base64,
            _ => Self::Other(name.to_vec()),
        }
    }
}

impl<T: AsRef<[u8]>> Encoding<T> {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        match self {
            Self::SevenBit => b"7BIT",
            Self::EightBit => b"8BIT",
            Self::Binary => b"BINARY",
            Self::QuotedPrintable => b"QUOTED-PRINTABLE",
            Self::Base64 => b"BASE64",
            Self::Other(name) => name.as_ref(),
        }
    }

    /// Whether the octets are the content.
    pub fn is_identity(&self) -> bool {
        matches!(self, Self::SevenBit | Self::EightBit | Self::Binary)
    }
}

/// `Content-Disposition` (RFC 2183).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Disposition<T = Vec<u8>> {
    /// `inline`, `attachment` or another, as written.
    pub kind: T,
    /// Its parameters as written.
    pub parameters: Vec<Parameter<T>>,
}

/// What is wrong or ambiguous in a part: where two programs may see two things, a filter should see the worse.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Flaws(u32);

impl Flaws {
    /// Several `Content-Type` fields; the first counts.
    pub const DUPLICATE_TYPE: Self = Self(1);
    /// Several `Content-Transfer-Encoding` fields; the first counts.
    pub const DUPLICATE_ENCODING: Self = Self(1 << 1);
    /// Several `Content-Disposition` fields; the first counts.
    pub const DUPLICATE_DISPOSITION: Self = Self(1 << 2);
    /// A parameter given twice; the first counts.
    pub const DUPLICATE_PARAMETER: Self = Self(1 << 3);
    /// Several fields of which a message has one (`From`, `Subject`, `Date`, …).
    pub const DUPLICATE_FIELD: Self = Self(1 << 4);
    /// A `Content-Type` that is none; read as text/plain.
    pub const BAD_TYPE: Self = Self(1 << 5);
    /// A multipart without a usable boundary; shown as text/plain.
    pub const NO_BOUNDARY: Self = Self(1 << 6);
    /// A multipart in which its boundary never comes; shown as text/plain.
    pub const NO_PARTS: Self = Self(1 << 7);
    /// A multipart whose closing boundary is missing.
    pub const UNCLOSED: Self = Self(1 << 8);
    /// An unknown encoding, or an encoded composite, which is not looked into where it is a message.
    pub const BAD_ENCODING: Self = Self(1 << 9);
    /// Nested deeper than is looked into; shown as application/octet-stream.
    pub const TOO_DEEP: Self = Self(1 << 10);
    /// Beyond the parts that are told apart: this and all that follows in its multipart is one octet-stream.
    pub const TOO_MANY: Self = Self(1 << 11);
    /// A header with more octets or fields than are read.
    pub const HEADER_CUT: Self = Self(1 << 12);
    /// More parameters in a field than are read.
    pub const PARAMETERS_CUT: Self = Self(1 << 13);
    /// Values were left out because the message says more than is kept.
    pub const VALUES_CUT: Self = Self(1 << 14);
    /// A boundary where the header should have ended with an empty line.
    pub const HEADER_OPEN: Self = Self(1 << 15);

    /// A MIME field with blanks before its colon, a bare CR or a NUL: some programs do not see it, or see two.
    pub const ODD_FIELD: Self = Self(1 << 16);

    /// Whether all of these are there.
    pub fn contains(self, flaws: Self) -> bool {
        self.0 & flaws.0 == flaws.0
    }

    /// Whether any of these is there.
    pub fn intersects(self, flaws: Self) -> bool {
        self.0 & flaws.0 != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn bits(self) -> u32 {
        self.0
    }

    pub(super) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

impl BitOr for Flaws {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Flaws {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// What a part holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Content<T: Text = Vec<u8>> {
    /// Octets.
    Leaf,
    /// The parts of a multipart, at least one.
    Multipart(Vec<Part<T>>),
    /// The message in a message/rfc822 or message/global.
    Message(Box<Embedded<T>>),
}

/// A message inside a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Embedded<T: Text = Vec<u8>> {
    /// What its header says.
    pub envelope: Envelope<T>,
    /// Its own header and body.
    pub root: Part<T>,
}

/// One entity of a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Part<T: Text = Vec<u8>> {
    /// Its header with the empty line that ends it, if there is one.
    pub header: Span,
    /// Its body, without the line end that belongs to the boundary after it.
    pub body: Span,
    /// Line ends (LF) in the body.
    pub lines: u64,
    /// What it may be shown as.
    pub media: MediaType<T::Name>,
    /// Parameters of `Content-Type` as written.
    pub parameters: Vec<Parameter<T>>,
    /// `Content-ID` with its brackets.
    pub id: Option<T>,
    /// `Content-Description`.
    pub description: Option<T>,
    /// `Content-Transfer-Encoding`.
    pub encoding: Encoding<T>,
    /// `Content-MD5`.
    pub md5: Option<T>,
    /// `Content-Disposition`.
    pub disposition: Option<Disposition<T>>,
    /// Tags of `Content-Language`.
    pub languages: Vec<T>,
    /// `Content-Location`.
    pub location: Option<T>,
    /// What is wrong with it.
    pub flaws: Flaws,
    /// What it holds.
    pub content: Content<T>,
}

impl Part {
    /// An empty text part, to be filled.
    pub(super) fn empty() -> Self {
        Self {
            header: Span::default(),
            body: Span::default(),
            lines: 0,
            media: MediaType::text_plain(),
            parameters: Vec::new(),
            id: None,
            description: None,
            encoding: Encoding::SevenBit,
            md5: None,
            disposition: None,
            languages: Vec::new(),
            location: None,
            flaws: Flaws::default(),
            content: Content::Leaf,
        }
    }
}

impl<T: Text> Part<T> {
    /// The parts directly inside: of a multipart all, of an embedded message its root.
    pub fn children(&self) -> &[Self] {
        match &self.content {
            Content::Leaf => &[],
            Content::Multipart(parts) => parts,
            Content::Message(embedded) => core::slice::from_ref(&embedded.root),
        }
    }

    /// This part and all inside, each before its children.
    pub fn walk(&self) -> impl Iterator<Item = &Self> {
        let mut open = vec![self];
        core::iter::from_fn(move || {
            let part = open.pop()?;
            open.extend(part.children().iter().rev());
            Some(part)
        })
    }

    /// The flaws of this part and all inside.
    pub fn all_flaws(&self) -> Flaws {
        self.walk()
            .fold(Flaws::default(), |flaws, part| flaws | part.flaws)
    }
}

impl Part {
    /// The first parameter of `Content-Type` with this name, as written.
    pub fn parameter(&self, name: &str) -> Option<&[u8]> {
        parameter::find(&self.parameters, name.as_bytes())
    }

    /// How to read its text.
    pub fn charset(&self) -> Charset {
        let label = self.parameter("charset");
        label
            .and_then(Charset::for_label)
            .unwrap_or(Charset::UNSAID)
    }

    /// Whether it asks to be kept apart from the text.
    pub fn is_attachment(&self) -> bool {
        let kind = self
            .disposition
            .as_ref()
            .map(|disposition| disposition.kind.as_slice());
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case(b"attachment"))
    }

    /// Every file name some program may show for it, the most proper first.
    pub fn file_names(&self) -> Vec<String> {
        let disposition = self.disposition.as_ref();
        let mut names =
            disposition.map_or_else(Vec::new, |d| parameter::readings(&d.parameters, "filename"));
        for name in parameter::readings(&self.parameters, "name") {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}
