//! Names as path components: owners percent-escaped, mailboxes in modified UTF-7 (RFC 3501 section 5.1.3).
//!
//! **Invariants.** Two different names never share a component, not even where case or Unicode forms are folded (owners); a
//! component is ASCII, is not `.` or `..`, holds no `/` and no NUL. Encoding is canonical: a component that decodes
//! to a name is the one that the name encodes to.
//! **Bounds.** A component has at most [`COMPONENT_LIMIT`] octets; a longer one is cut and ends in a mark that no whole
//! component holds and 128 bits of the name's SHA-256.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::{
    Error,
    index::{DELIMITER, INBOX},
};

/// Longest path component, in octets (the limit of common file systems).
pub(super) const COMPONENT_LIMIT: usize = 255;

/// Marks a shortened owner: `%` is otherwise followed by two hex digits.
const OWNER_MARK: &str = "%~";
/// Marks a shortened mailbox: `&` is otherwise followed by base64 or `-`.
const MAILBOX_MARK: &str = "&~";
/// Hex digits after a mark.
const HASH_DIGITS: usize = 32;

const HEX: &[u8; 16] = b"0123456789abcdef";
/// RFC 3501 section 5.1.3: base64 with `,` in the place of `/`.
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// What a component says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Decoded {
    /// The whole name.
    Name(String),
    /// Only that the name was too long.
    Shortened,
}

/// The component of a domain or a local part. Empty ones are refused.
pub(super) fn encode_owner(name: &str) -> Result<String, Error> {
    if name.is_empty() {
        return Err(Error::Invalid("a domain or user name is empty"));
    }
    let mut component = String::with_capacity(name.len());
    for (position, octet) in name.bytes().enumerate() {
        // A leading dot would hide the folder or be `..`; a leading hyphen would look like an option.
        let plain = match octet {
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'+' | b'=' => true,
            b'.' | b'-' => position > 0,
            _ => false,
        };
        if plain {
            component.push(char::from(octet));
        } else {
            component.push('%');
            push_hex(&mut component, octet);
        }
    }
    Ok(shorten(component, name, OWNER_MARK))
}

/// What [`encode_owner`] made this of; none if it did not make it.
pub(super) fn decode_owner(component: &str) -> Option<Decoded> {
    if component.len() > COMPONENT_LIMIT {
        return None;
    }
    if let Some(prefix) = shortened(component, OWNER_MARK) {
        unescape(prefix)?;
        return Some(Decoded::Shortened);
    }
    let name = String::from_utf8(unescape(component)?).ok()?;
    (encode_owner(&name).ok()? == component).then_some(Decoded::Name(name))
}

/// The Maildir++ folder of a mailbox; none for INBOX. A name with an empty level is refused.
pub(super) fn encode_mailbox(name: &str) -> Result<Option<String>, Error> {
    if name.eq_ignore_ascii_case(INBOX) {
        return Ok(None);
    }
    let mut component = String::with_capacity(name.len() + 1);
    for level in name.split(DELIMITER) {
        if level.is_empty() {
            return Err(Error::Invalid("a mailbox name has an empty level"));
        }
        component.push('.');
        encode_level(level, &mut component);
    }
    Ok(Some(shorten(component, name, MAILBOX_MARK)))
}

/// What [`encode_mailbox`] made this of; none if it did not make it.
pub(super) fn decode_mailbox(component: &str) -> Option<Decoded> {
    if component.len() > COMPONENT_LIMIT || !component.starts_with('.') {
        return None;
    }
    if let Some(prefix) = shortened(component, MAILBOX_MARK) {
        return prefix
            .bytes()
            .all(|octet| matches!(octet, b' '..=b'~') && octet != b'/')
            .then_some(Decoded::Shortened);
    }
    let mut name = String::with_capacity(component.len());
    for level in component[1..].split('.') {
        if !name.is_empty() {
            name.push(DELIMITER);
        }
        decode_level(level, &mut name)?;
    }
    let again = encode_mailbox(&name).ok()??;
    (again == component).then_some(Decoded::Name(name))
}

/// Writes octets as lower-case hex digits.
pub(super) fn hex(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 2);
    for octet in octets {
        push_hex(&mut text, *octet);
    }
    text
}

fn push_hex(text: &mut String, octet: u8) {
    text.push(char::from(HEX[usize::from(octet >> 4)]));
    text.push(char::from(HEX[usize::from(octet & 15)]));
}

/// Cuts a component that is too long and ends it in the mark and a hash of the whole name.
fn shorten(mut component: String, name: &str, mark: &str) -> String {
    if component.len() <= COMPONENT_LIMIT {
        return component;
    }
    let mut keep = COMPONENT_LIMIT - mark.len() - HASH_DIGITS;
    // Not through the middle of an escape.
    if let Some(escape) = component[keep - 2..keep].find('%') {
        keep = keep - 2 + escape;
    }
    component.truncate(keep);
    let hash = Sha256::digest(name.as_bytes());
    component.push_str(mark);
    component.push_str(&hex(&hash[..HASH_DIGITS / 2]));
    component
}

/// What stands before the mark and hash of a shortened component.
fn shortened<'a>(component: &'a str, mark: &str) -> Option<&'a str> {
    let (prefix, hash) = component.rsplit_once(mark)?;
    let whole = hash.len() == HASH_DIGITS && hash.bytes().all(|octet| HEX.contains(&octet));
    (whole && !prefix.is_empty()).then_some(prefix)
}

fn unescape(component: &str) -> Option<Vec<u8>> {
    let digit = |octet: &u8| {
        let value = HEX.iter().position(|digit| digit == octet)?;
        u8::try_from(value).ok()
    };
    let mut octets = Vec::with_capacity(component.len());
    let mut rest = component.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        match first {
            b'%' => {
                octets.push(digit(tail.first()?)? << 4 | digit(tail.get(1)?)?);
                rest = &tail[2..];
            }
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'+' | b'=' | b'-' => {
                octets.push(*first);
                rest = tail;
            }
            _ => return None,
        }
    }
    Some(octets)
}

/// One level of a mailbox name; a literal dot is shifted too, since dots part the levels of a folder.
fn encode_level(level: &str, component: &mut String) {
    let mut shift = String::new();
    for character in level.chars() {
        let plain = matches!(character, ' '..='~') && character != '.';
        if !plain {
            shift.push(character);
            continue;
        }
        encode_shift(&mut shift, component);
        component.push(character);
        if character == '&' {
            component.push('-');
        }
    }
    encode_shift(&mut shift, component);
}

fn encode_shift(shift: &mut String, component: &mut String) {
    if shift.is_empty() {
        return;
    }
    let digit = |value: u32| char::from(BASE64[(value & 63) as usize]);
    let (mut bits, mut count) = (0u32, 0u32);
    component.push('&');
    for unit in shift.encode_utf16() {
        // At most 5 bits are left over, so that 21 are held.
        bits = (bits & 31) << 16 | u32::from(unit);
        count += 16;
        while count >= 6 {
            count -= 6;
            component.push(digit(bits >> count));
        }
    }
    if count > 0 {
        component.push(digit(bits << (6 - count)));
    }
    component.push('-');
    shift.clear();
}

/// Leniently; the caller compares with the canonical form.
fn decode_level(level: &str, name: &mut String) -> Option<()> {
    let mut rest = level;
    while let Some(position) = rest.find('&') {
        name.push_str(&rest[..position]);
        let (shift, tail) = rest[position + 1..].split_once('-')?;
        rest = tail;
        if shift.is_empty() {
            name.push('&');
        } else {
            decode_shift(shift, name)?;
        }
    }
    name.write_str(rest).ok()
}

fn decode_shift(shift: &str, name: &mut String) -> Option<()> {
    let (mut bits, mut count) = (0u32, 0u32);
    let mut units = Vec::with_capacity(shift.len() * 6 / 16);
    for octet in shift.bytes() {
        let value = BASE64.iter().position(|digit| *digit == octet)?;
        bits = (bits & 0x3fff) << 6 | u32::try_from(value).ok()?;
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push(u16::try_from(bits >> count & 0xffff).ok()?);
        }
    }
    name.push_str(&String::from_utf16(&units).ok()?);
    Some(())
}

#[cfg(test)]
mod tests;
