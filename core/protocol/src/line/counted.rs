//! An announced number of octets: IMAP literals (RFC 9051 section 4.3) and BDAT chunks (RFC 3030 section 2).
//!
//! **Invariants.** Exactly the announced octets are consumed, whatever they are.

use std::borrow::Cow;

use bytes::BytesMut;
use memchr::{memchr, memchr2_iter};

use super::{CR, LF, Piece};
use crate::session::{ReceiveFault, Received};

/// Takes an exact number of octets.
#[derive(Debug)]
pub struct Counted {
    left: u64,
    kept: u64,
    newlines: Option<Newlines>,
}

impl Counted {
    /// Takes `octets` octets of any kind.
    pub fn new(octets: u64) -> Self {
        Self {
            left: octets,
            kept: 0,
            newlines: None,
        }
    }

    /// Takes `octets` octets and looks for bare newlines, going on where the chunk before ended.
    pub fn checked(octets: u64, newlines: Newlines) -> Self {
        Self {
            left: octets,
            kept: 0,
            newlines: Some(newlines),
        }
    }

    /// Takes what is there of them from the front of `buffer`.
    ///
    /// At the end [`Received::octets`] counts these octets alone, not what a spool held before.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Piece {
        if self.left == 0 {
            return Piece::End(self.received());
        }
        let count = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if count == 0 {
            return Piece::More;
        }
        let piece = buffer.split_to(count).freeze();
        self.left -= count as u64;
        self.kept += count as u64;
        if let Some(newlines) = &mut self.newlines {
            newlines.look(&piece);
        }
        Piece::Keep(piece)
    }

    /// How many octets are still to come.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// What the check knows, for the next chunk.
    pub fn newlines(&self) -> Option<Newlines> {
        self.newlines
    }

    fn received(&self) -> Received {
        let bare = self.newlines.is_some_and(|newlines| newlines.bare);
        Received {
            octets: self.kept,
            fault: bare.then_some(ReceiveFault::BareNewline),
        }
    }
}

/// Looks for a CR without LF and an LF without CR in octets that come in pieces.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Newlines {
    after_cr: bool,
    bare: bool,
}

impl Newlines {
    /// Looks at the next piece.
    pub fn look(&mut self, piece: &[u8]) {
        let Some(&last) = piece.last() else { return };
        if self.bare {
            return;
        }
        // Position of the CR that waits for its LF; -1 stands for the end of the piece before.
        let mut cr = self.after_cr.then_some(-1);
        for at in memchr2_iter(CR, LF, piece) {
            let at = at.cast_signed();
            let pair = cr == Some(at - 1);
            match piece[at.cast_unsigned()] {
                LF if pair => cr = None,
                CR if cr.is_none() => cr = Some(at),
                _ => {
                    self.bare = true;
                    return;
                }
            }
        }
        self.after_cr = last == CR;
        self.bare = cr.is_some() && !self.after_cr;
    }

    /// Whether a bare newline was in the octets, if nothing follows them.
    pub fn end(self) -> bool {
        self.bare || self.after_cr
    }
}

/// The octets of a literal that we send: a NUL, which no literal can hold (RFC 9051 section 9, `CHAR8`), as 0x80, so that the count that
/// was announced stays right. That is what clients know from other servers.
pub fn without_nul(octets: &[u8]) -> Cow<'_, [u8]> {
    match memchr(0, octets) {
        None => Cow::Borrowed(octets),
        Some(_) => Cow::Owned(octets.iter().map(|octet| without(*octet)).collect()),
    }
}

fn without(octet: u8) -> u8 {
    match octet {
        0 => 0x80,
        octet => octet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_keeps_its_length_and_has_no_nul() {
        for (octets, sent) in [
            (&b""[..], &b""[..]),
            (b"a\x80\xff\r\n", b"a\x80\xff\r\n"),
            (b"\0", b"\x80"),
            (b"\0a\0\0", b"\x80a\x80\x80"),
        ] {
            assert_eq!(&without_nul(octets)[..], sent);
        }
        assert!(matches!(without_nul(b"plain"), Cow::Borrowed(_)));
    }
}
