//! The format in which the index keeps a [`Summary`].
//!
//! A version octet, then numbers in LEB128 and texts with their length. A text that also stands in the kept header
//! fields is written as its place there, which halves a usual summary.
//!
//! **Bounds.** Decoding stops at [`TEXT_LIMIT`] octets of text and at the limits of depth and parts.

mod decode;
mod encode;
mod seal;

pub(super) use decode::{Places, Reader, decode, survey};
pub(super) use encode::encode;
pub(super) use seal::{seal, unseal};

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
