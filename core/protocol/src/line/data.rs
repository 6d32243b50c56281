//! DATA: a dot-stuffed message from a client, up to its `CRLF.CRLF` (RFC 5321 section 4.1.1.4 and section 4.5.2).
//!
//! **Invariants.** Nothing but `CRLF.CRLF` ends the message, where the first CRLF may be the one that ended
//! the command. A line that starts with a dot and is not the end loses that dot. A CR or LF outside of a CRLF
//! starts no line: a dot behind it means nothing. Messages that hold one are useless as a whole
//! ([`ReceiveFault::BareNewline`]), for the next server may read other line ends than we do.
//!
//! **Bounds.** One pass. Octets above the limit, or behind a bare newline, are consumed and not kept.

use bytes::{Buf, BytesMut};
use memchr::memchr2;

use super::{CR, LF, Piece};
use crate::session::{ReceiveFault, Received};

/// Decodes one message.
#[derive(Debug)]
pub struct Data {
    limit: u64,
    kept: u64,
    consumed: u64,
    place: Place,
    too_large: bool,
    bare: bool,
}

/// Where in the message the front of the buffer is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    LineStart,
    Line,
    End,
}

impl Data {
    /// A decoder that keeps at most `limit` octets.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            kept: 0,
            consumed: 0,
            place: Place::LineStart,
            too_large: false,
            bare: false,
        }
    }

    /// Takes what can be decided from the front of `buffer`.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Piece {
        if self.place == Place::End {
            return Piece::End(self.received());
        }
        let (read, kept) = self.scan(buffer);
        self.consumed += read as u64;
        if kept > 0 {
            let mut piece = buffer.split_to(read);
            piece.truncate(kept);
            return Piece::Keep(piece.freeze());
        }
        buffer.advance(read);
        match self.place {
            Place::End => Piece::End(self.received()),
            Place::LineStart | Place::Line => Piece::More,
        }
    }

    /// Octets taken from the peer so far, kept or not.
    pub fn consumed(&self) -> u64 {
        self.consumed
    }

    fn received(&self) -> Received {
        let fault = if self.bare {
            Some(ReceiveFault::BareNewline)
        } else if self.too_large {
            Some(ReceiveFault::TooLarge)
        } else {
            None
        };
        Received {
            octets: self.kept,
            fault,
        }
    }

    /// Goes as far as it can decide. Says how many octets it went, and how many of them it moved
    /// together, without their stuffing, at the front of `buffer`.
    fn scan(&mut self, buffer: &mut [u8]) -> (usize, usize) {
        let (mut read, mut kept) = (0, 0);
        loop {
            if self.place == Place::LineStart {
                match &buffer[read..] {
                    [] | [b'.'] | [b'.', CR] => return (read, kept),
                    [b'.', CR, LF, ..] => {
                        self.place = Place::End;
                        return (read + 3, kept);
                    }
                    [b'.', ..] => read += 1,
                    _ => {}
                }
                self.place = Place::Line;
            }
            let found = memchr2(CR, LF, &buffer[read..]);
            let at = found.map_or(buffer.len(), |found| read + found);
            self.keep(buffer, read, at, &mut kept);
            read = at;
            match buffer[at..] {
                [] | [CR] => return (read, kept),
                [CR, LF, ..] => {
                    read += 2;
                    self.keep(buffer, at, read, &mut kept);
                    self.place = Place::LineStart;
                }
                _ => {
                    read += 1;
                    self.bare = true;
                }
            }
        }
    }

    fn keep(&mut self, buffer: &mut [u8], from: usize, to: usize, kept: &mut usize) {
        if self.bare {
            return;
        }
        let room = usize::try_from(self.limit - self.kept).unwrap_or(usize::MAX);
        let count = (to - from).min(room);
        self.too_large |= count < to - from;
        if *kept != from {
            buffer.copy_within(from..from + count, *kept);
        }
        *kept += count;
        self.kept += count as u64;
    }
}
