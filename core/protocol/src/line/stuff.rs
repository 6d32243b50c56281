//! Dot-stuffing of a message that we send: RETR and TOP (RFC 1939 section 3 and section 7),
//! outgoing DATA (RFC 5321 section 4.5.2).
//!
//! **Invariants.** The output has no CR and no LF outside of a CRLF, whatever the message holds: a bare LF
//! becomes CRLF, a bare CR becomes a space (a line end there could turn one header into two). `CRLF.CRLF`
//! stands at its end alone. A last line without line end gets one.

use bytes::{BufMut, BytesMut};
use memchr::{memchr_iter, memchr2};

use super::{CR, LF};

/// Whether the stuffer wants more of the message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// Go on.
    More,
    /// The asked number of lines is out; the rest of the message need not be read.
    Enough,
}

/// Octets that a message has when it is sent as lines, stuffing aside: what POP3 says of its size.
pub fn octets_as_lines(message: &[u8]) -> u64 {
    let bare = memchr_iter(LF, message).filter(|at| *at == 0 || message[at - 1] != CR);
    let end = match message.last() {
        None | Some(&LF) => 0,
        Some(&CR) => 1,
        Some(_) => 2,
    };
    (message.len() + bare.count() + end) as u64
}

/// Encodes one message, given in pieces.
#[derive(Debug)]
pub struct DotStuffer {
    /// Nothing of the current line is out.
    line_start: bool,
    /// A CR was seen whose successor was not.
    after_cr: bool,
    part: Part,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    /// All of the message, without looking what is header.
    Whole,
    /// The header; this many lines of the body after it.
    Header(u64),
    /// This many more lines.
    Body(u64),
}

impl DotStuffer {
    /// Encodes all of a message, or its header, the empty line and `body_lines` lines (TOP).
    pub fn new(body_lines: Option<u64>) -> Self {
        Self {
            line_start: true,
            after_cr: false,
            part: body_lines.map_or(Part::Whole, Part::Header),
        }
    }

    /// Appends the encoded `piece` to `output`.
    pub fn encode(&mut self, mut piece: &[u8], output: &mut BytesMut) -> Progress {
        output.reserve(piece.len() + piece.len() / 16 + 8);
        while self.part != Part::Body(0) {
            if self.after_cr {
                let Some(&next) = piece.first() else { break };
                self.after_cr = false;
                if next == LF {
                    piece = &piece[1..];
                    self.end_line(output);
                } else {
                    self.text(b" ", output);
                }
                continue;
            }
            let Some(at) = memchr2(CR, LF, piece) else {
                self.text(piece, output);
                return Progress::More;
            };
            self.text(&piece[..at], output);
            match piece[at] {
                CR => self.after_cr = true,
                _ => self.end_line(output),
            }
            piece = &piece[at + 1..];
        }
        match self.part {
            Part::Body(0) => Progress::Enough,
            _ => Progress::More,
        }
    }

    /// Appends what ends the message.
    pub fn finish(mut self, output: &mut BytesMut) {
        if self.after_cr && self.part != Part::Body(0) {
            self.end_line(output);
        }
        if !self.line_start {
            self.end_line(output);
        }
        output.put_slice(b".\r\n");
    }

    fn text(&mut self, text: &[u8], output: &mut BytesMut) {
        if self.line_start && text.first() == Some(&b'.') {
            output.put_u8(b'.');
        }
        self.line_start &= text.is_empty();
        output.put_slice(text);
    }

    fn end_line(&mut self, output: &mut BytesMut) {
        output.put_slice(b"\r\n");
        self.part = match self.part {
            Part::Header(lines) if self.line_start => Part::Body(lines),
            Part::Body(lines) => Part::Body(lines.saturating_sub(1)),
            part => part,
        };
        self.line_start = true;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_size_as_lines_is_what_is_sent(message in prop::collection::vec(prop::sample::select(b"\r\nx".to_vec()), 0..40)) {
            let mut stuffer = DotStuffer::new(None);
            let mut output = BytesMut::new();
            let _ = stuffer.encode(&message, &mut output);
            stuffer.finish(&mut output);
            // No line begins with a dot but the last.
            prop_assert_eq!(output.len() as u64 - 3, octets_as_lines(&message));
        }
    }
}
