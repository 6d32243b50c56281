//! Framing: where a line, a literal and a message end. The only place that decides it.
//!
//! Sources: RFC 5321 section 2.3.8 and section 4.5.2, RFC 9051 section 2.2 and section 4.3,
//! RFC 1939 section 3, RFC 3030 section 2.
//!
//! | Part | Frames |
//! | --- | --- |
//! | [`Framer`] | command lines |
//! | [`Data`] | a dot-stuffed message that a client sends (DATA) |
//! | [`Counted`] | an announced number of octets (literals, BDAT) |
//! | [`DotStuffer`] | a dot-stuffed message that we send (RETR, TOP, outgoing DATA) |
//!
//! **Invariants.** What comes out depends on the octets alone, never on how they were cut into reads.
//! Nothing behind the end of a frame is touched: pipelined commands stay in the buffer. A broken frame is
//! consumed up to its end, so the boundary of the next one is never lost.
//!
//! **Bare LF and CR.** Only CRLF ends a command, in all protocols. SMTP forbids anything else, because
//! two servers that disagree on a line end let a third smuggle mail between them. IMAP and POP3 have no
//! such chain, and some servers take a bare LF there for the sake of people who type; we do not: every
//! mail client sends CRLF, login needs TLS so nobody types through `nc` (`openssl s_client -crlf` does it
//! right), and a web client that lets a bare LF slip into a folder name must not become a second command.
//! [`LineEnd::CrlfOrLf`] is there for line protocols between local programs, whose lines end with LF.
//!
//! **Bounds.** [`Framer`] keeps at most the limit of the line and its CRLF, however long the line is, and [`Ends`] of one that is gone; the
//! decoders keep nothing and leave at most two undecided octets in the buffer. All cost is linear.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr2;

use crate::session::Received;

mod counted;
mod data;
mod stuff;
#[cfg(test)]
mod tests;

pub use counted::{Counted, Newlines, without_nul};
pub use data::Data;
pub use stuff::{DotStuffer, Progress, octets_as_lines};

const CR: u8 = b'\r';
const LF: u8 = b'\n';

/// What stood between two line ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Frame {
    /// A line without its line end.
    Line(Bytes),
    /// A line longer than its limit; it is gone.
    TooLong,
    /// A line with a CR or an LF that is no line end; it is gone, whatever its length was.
    BareNewline,
}

/// What ends a line.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LineEnd {
    /// CRLF alone: SMTP, LMTP, IMAP, POP3.
    #[default]
    Crlf,
    /// CRLF or LF: protocols between local programs.
    CrlfOrLf,
}

/// Cuts a stream of octets into lines.
///
/// The buffer is the caller's. Between two calls it may only grow at its end, until a frame came
/// out; then its front is the octet after that frame's line end and may be taken by anything else.
#[derive(Debug, Default)]
pub struct Framer {
    end: LineEnd,
    /// Octets at the front of the buffer that are known to hold neither CR nor LF.
    scanned: usize,
    /// The line has been found too long; what was there of it is gone.
    long: bool,
    /// The line holds a bare CR or LF; what was there of it is gone.
    bare: bool,
    /// How the broken line began and how it ends.
    ends: Ends,
}

/// What is kept of a line that is gone: enough to answer it, and to know what its peer sends next.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ends {
    /// Its first octets, at most [`Ends::LIMIT`], up to the first bare CR or LF.
    pub head: Vec<u8>,
    /// Its last octets, at most [`Ends::LIMIT`], without its line end.
    pub tail: Vec<u8>,
    begun: bool,
}

impl Ends {
    /// Octets that are kept of either end.
    pub const LIMIT: usize = 128;

    /// Octets of the line that are about to be thrown away.
    fn pass(&mut self, octets: &[u8]) {
        if !self.begun {
            let line = octets.split(|octet| matches!(*octet, CR | LF));
            let first = line.into_iter().next().unwrap_or_default();
            self.head = first[..first.len().min(Self::LIMIT)].to_vec();
            self.tail.clear();
            self.begun = true;
        }
        let last = &octets[octets.len().saturating_sub(Self::LIMIT)..];
        let keep = Self::LIMIT - last.len();
        self.tail.drain(..self.tail.len().saturating_sub(keep));
        self.tail.extend_from_slice(last);
    }
}

impl Framer {
    /// A framer for lines that end so.
    pub fn new(end: LineEnd) -> Self {
        Self {
            end,
            ..Self::default()
        }
    }

    /// The next line, or `None` if the buffer does not hold its end. `limit` counts octets without the line end.
    pub fn next_line(&mut self, buffer: &mut BytesMut, limit: usize) -> Option<Frame> {
        loop {
            let from = self.scanned.min(buffer.len());
            let Some(found) = memchr2(CR, LF, &buffer[from..]) else {
                let length = buffer.len();
                self.wait(buffer, length, limit);
                return None;
            };
            let at = from + found;
            let line_end = match (buffer[at], buffer.get(at + 1)) {
                (CR, Some(&LF)) => 2,
                (CR, None) => {
                    self.wait(buffer, at, limit);
                    return None;
                }
                (LF, _) if self.end == LineEnd::CrlfOrLf => 1,
                _ => {
                    self.throw(buffer, at + 1);
                    self.bare = true;
                    continue;
                }
            };
            let frame = if self.bare {
                Frame::BareNewline
            } else if self.long || at > limit {
                Frame::TooLong
            } else {
                Frame::Line(buffer.split_to(at).freeze())
            };
            if !matches!(frame, Frame::Line(_)) {
                self.throw(buffer, at);
                self.ends.begun = false;
            }
            buffer.advance(line_end);
            (self.scanned, self.long, self.bare) = (0, false, false);
            return Some(frame);
        }
    }

    /// Whether a line has begun and not ended: part of it is in the buffer or already gone.
    pub fn inside_line(&self, buffer: &BytesMut) -> bool {
        !buffer.is_empty() || self.long || self.bare
    }

    /// Remembers that the first `length` octets hold no line end; throws them away if they are of no use.
    fn wait(&mut self, buffer: &mut BytesMut, length: usize, limit: usize) {
        self.scanned = length;
        self.long |= length > limit;
        if self.long || self.bare {
            self.throw(buffer, length);
        }
    }

    fn throw(&mut self, buffer: &mut BytesMut, octets: usize) {
        self.ends.pass(&buffer[..octets]);
        buffer.advance(octets);
        self.scanned = 0;
    }

    /// The ends of the line that [`Framer::next_line`] just said is broken.
    pub fn ends(&mut self) -> Ends {
        std::mem::take(&mut self.ends)
    }
}

/// One step of a decoder ([`Data`], [`Counted`]).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Piece {
    /// Octets for the spool, never none; ask again.
    Keep(Bytes),
    /// The buffer holds nothing more that can be decided; read, then ask again.
    More,
    /// All is consumed; the front of the buffer is what follows.
    End(Received),
}
