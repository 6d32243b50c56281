//! Modified UTF-7, the wire form of mailbox names in IMAP4rev1 (RFC 3501 section 5.1.3).
//!
//! Strict: a name has exactly one form, and only that is accepted. **Bounds.** Linear, one output buffer.

use bytes::{BufMut, BytesMut};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Writes `text` in modified UTF-7.
pub fn encode(text: &str, out: &mut BytesMut) {
    let (mut bits, mut count, mut shifted) = (0u32, 0u32, false);
    for character in text.chars() {
        if matches!(character, ' '..='~') {
            if shifted {
                unshift(bits, count, out);
                (bits, count, shifted) = (0, 0, false);
            }
            out.put_u8(character as u8);
            if character == '&' {
                out.put_u8(b'-');
            }
            continue;
        }
        if !shifted {
            out.put_u8(b'&');
            shifted = true;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            bits = bits << 16 | u32::from(*unit);
            count += 16;
            while count >= 6 {
                count -= 6;
                out.put_u8(ALPHABET[(bits >> count & 0x3f) as usize]);
            }
            bits &= (1 << count) - 1;
        }
    }
    if shifted {
        unshift(bits, count, out);
    }
}

fn unshift(bits: u32, count: u32, out: &mut BytesMut) {
    if count > 0 {
        out.put_u8(ALPHABET[(bits << (6 - count) & 0x3f) as usize]);
    }
    out.put_u8(b'-');
}

/// Reads modified UTF-7. None if it is not exactly what [`encode`] writes for some text.
pub fn decode(wire: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(wire.len());
    let mut rest = wire;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        match octet {
            b'&' => {
                let end = memchr::memchr(b'-', rest)?;
                match end {
                    0 => text.push('&'),
                    _ => decode_shifted(&rest[..end], &mut text)?,
                }
                rest = &rest[end + 1..];
            }
            b' '..=b'~' => text.push(char::from(octet)),
            _ => return None,
        }
    }
    // What is left is to refuse forms other than the one form: needless shifts, padding that is not zero.
    let mut again = BytesMut::with_capacity(wire.len());
    encode(&text, &mut again);
    (again == wire).then_some(text)
}

fn decode_shifted(base64: &[u8], text: &mut String) -> Option<()> {
    let (mut bits, mut count) = (0u32, 0u32);
    let mut units = Vec::with_capacity(base64.len() * 6 / 16);
    for octet in base64 {
        bits = bits << 6 | sextet(*octet)?;
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push((bits >> count) as u16);
            bits &= (1 << count) - 1;
        }
    }
    for character in char::decode_utf16(units) {
        text.push(character.ok()?);
    }
    Some(())
}

fn sextet(octet: u8) -> Option<u32> {
    let value = match octet {
        b'A'..=b'Z' => octet - b'A',
        b'a'..=b'z' => octet - b'a' + 26,
        b'0'..=b'9' => octet - b'0' + 52,
        b'+' => 62,
        b',' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(text: &str) -> String {
        let mut out = BytesMut::new();
        encode(text, &mut out);
        String::from_utf8(out.to_vec()).expect("modified UTF-7 is US-ASCII")
    }

    #[test]
    fn known_answers() {
        // The first is the RFC's own.
        for (text, wire) in [
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("받은편지함", "&vBvHQNO4ycDVaA-"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("R&D", "R&-D"),
            ("&&", "&-&-"),
            ("☺!", "&Jjo-!"),
            ("😀", "&2D3eAA-"),
            ("a\u{7f}b", "a&AH8-b"),
            ("", ""),
        ] {
            assert_eq!(encoded(text), wire);
            assert_eq!(decode(wire.as_bytes()).as_deref(), Some(text), "{wire}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for wire in [
            &b"&"[..],             // no end
            b"&Jjo",               // no end
            b"&Jjo!",              // no end
            b"&U,BTFw-&ZeVnLIqe-", // RFC 3501: a superfluous shift
            b"&AGE-",              // what represents itself
            b"&ACY-",              // "&" as base64
            b"&A-",                // no whole unit
            b"&AP-",               // no whole unit
            b"&APx-",              // leftover bits
            b"&APwA-",             // leftover octets
            b"&AP/-",              // "/" is not of this base64
            b"&2D0-",              // half a surrogate pair
            b"&3gDYPQ-",           // surrogates in the wrong order
            b"&APw=-",             // padding
            b"\xc3\xbc",           // 8-bit
            b"a\tb",               // a control character
            b"a\0b",
        ] {
            assert_eq!(decode(wire), None, "{:?}", String::from_utf8_lossy(wire));
        }
    }

    proptest! {
        #[test]
        fn decodes_what_it_encodes(text in any::<String>()) {
            prop_assert_eq!(decode(encoded(&text).as_bytes()), Some(text));
        }

        #[test]
        fn a_name_has_one_form(wire in "[ -~]{0,12}|(&[A-Za-z0-9+,]{0,9}-?){0,4}") {
            if let Some(text) = decode(wire.as_bytes()) {
                prop_assert_eq!(encoded(&text), wire);
            }
        }

        #[test]
        fn any_octets_are_taken_or_refused(wire in any::<Vec<u8>>()) {
            let _ = decode(&wire);
        }
    }
}
