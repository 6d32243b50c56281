//! Strings on the wire: atom, quoted or literal (RFC 9051 section 4.3).
//!
//! **Invariants.** Nothing that is written holds NUL; a quoted string holds no CR or LF, and 8-bit only as UTF-8 where
//! that is on. So whatever a message holds, the client reads one string. **Bounds.** Two passes, no allocation.

use bytes::{BufMut, BytesMut};

use crate::imap::syntax::Utf8;
use crate::imap::syntax::args::is_astring_char;

/// Longest quoted string; above, a literal costs the client less.
const QUOTED_LIMIT: usize = 1000;

/// Writes `astring`: as an atom where that is possible.
pub fn astring(text: &[u8], utf8: Utf8, out: &mut BytesMut) {
    let is_atom = !text.is_empty()
        && text.iter().all(|octet| is_astring_char(*octet))
        && !text.eq_ignore_ascii_case(b"NIL");
    match is_atom {
        true => out.put_slice(text),
        false => string(text, utf8, out),
    }
}

/// Writes `nstring`.
pub fn nstring(text: Option<impl AsRef<[u8]>>, utf8: Utf8, out: &mut BytesMut) {
    match text {
        Some(text) => string(text.as_ref(), utf8, out),
        None => out.put_slice(b"NIL"),
    }
}

/// Writes `string`: quoted where that is possible, else a literal. NUL is left out.
pub fn string(text: &[u8], utf8: Utf8, out: &mut BytesMut) {
    match can_be_quoted(text, utf8) {
        true => quoted(text, out),
        false => literal(text, out),
    }
}

fn can_be_quoted(text: &[u8], utf8: Utf8) -> bool {
    if text.len() > QUOTED_LIMIT || text.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
        return false;
    }
    match utf8 {
        _ if text.is_ascii() => true,
        Utf8::Off => false,
        Utf8::On => std::str::from_utf8(text).is_ok(),
    }
}

/// Writes a quoted string; the text holds no CR, LF or NUL.
pub(super) fn quoted(text: &[u8], out: &mut BytesMut) {
    out.reserve(text.len() + 2);
    out.put_u8(b'"');
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        out.put_slice(&rest[..at]);
        out.put_slice(&[b'\\', rest[at]]);
        rest = &rest[at + 1..];
    }
    out.put_slice(rest);
    out.put_u8(b'"');
}

fn literal(text: &[u8], out: &mut BytesMut) {
    let nuls = memchr::memchr_iter(0, text).count();
    literal_header((text.len() - nuls) as u64, out);
    for piece in text.split(|octet| *octet == 0) {
        out.put_slice(piece);
    }
}

/// Writes `{octets}` and its line end; the octets follow.
pub fn literal_header(octets: u64, out: &mut BytesMut) {
    out.put_u8(b'{');
    number(octets, out);
    out.put_slice(b"}\r\n");
}

/// Writes `~{octets}` and its line end; the octets, of which any may be NUL, follow.
pub fn literal8_header(octets: u64, out: &mut BytesMut) {
    out.put_u8(b'~');
    literal_header(octets, out);
}

/// Writes a number.
pub fn number(number: u64, out: &mut BytesMut) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.put_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::syntax::Args;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
        let mut out = BytesMut::new();
        write(&mut out);
        out.to_vec()
    }

    #[test]
    fn each_text_has_its_form() {
        for (text, utf8, wire) in [
            (&b"INBOX"[..], Utf8::Off, &b"INBOX"[..]),
            (b"a]b", Utf8::Off, b"a]b"),
            (b"", Utf8::Off, b"\"\""),
            (b"nil", Utf8::Off, b"\"nil\""),
            (b"a b", Utf8::Off, b"\"a b\""),
            (b"a\"b\\", Utf8::Off, b"\"a\\\"b\\\\\""),
            (b"a\rb", Utf8::Off, b"{3}\r\na\rb"),
            (b"a\0b", Utf8::Off, b"{2}\r\nab"),
            (b"\xc3\xa9", Utf8::Off, b"{2}\r\n\xc3\xa9"),
            (b"\xc3\xa9", Utf8::On, b"\"\xc3\xa9\""),
            (b"\xc3", Utf8::On, b"{1}\r\n\xc3"),
            (b"100%", Utf8::Off, b"\"100%\""),
        ] {
            assert_eq!(written(|out| astring(text, utf8, out)), wire, "{text:?}");
        }
        assert_eq!(
            written(|out| nstring(None::<&[u8]>, Utf8::Off, out)),
            b"NIL"
        );
        assert_eq!(written(|out| literal8_header(0, out)), b"~{0}\r\n");
        assert_eq!(
            written(|out| number(u64::MAX, out)),
            u64::MAX.to_string().as_bytes()
        );
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(mut text in any::<Vec<u8>>(), on in any::<bool>()) {
            let utf8 = match on { true => Utf8::On, false => Utf8::Off };
            let wires = [
                written(|out| astring(&text, utf8, out)),
                written(|out| string(&text, utf8, out)),
                written(|out| nstring(Some(&text), utf8, out)),
            ];
            text.retain(|octet| *octet != 0);
            for (n, wire) in wires.iter().enumerate() {
                prop_assert!(!wire.contains(&0));
                let mut args = Args::new(wire, utf8);
                let read = match n {
                    0 => args.astring(),
                    1 => args.string(),
                    _ => args.nstring().map(Option::unwrap_or_default),
                };
                prop_assert_eq!(read.as_deref(), Ok(&text[..]));
                prop_assert!(args.is_empty());
            }
        }
    }
}
