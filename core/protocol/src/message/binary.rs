//! Binary messages made fit for a mailbox: what came with BODY=BINARYMIME as what every protocol here hands out
//! (RFC 3030 section 3, RFC 2045 section 6).
//!
//! A binary message holds NUL, and CR and LF that are no line ends. POP3 has lines alone (RFC 1939 section 3), a literal of IMAP holds
//! no NUL (RFC 9051 section 4.3), and sizes that one protocol announces must be what the other sends. So the store holds one form that
//! all of them can send as it is: a part in `binary` that is no text becomes base64, one that is becomes `8bit`, and what is around
//! them says `8bit`. IMAP's BINARY[] gives the octets of the part back.
//!
//! **Invariants.** A recoded leaf decodes to the octets it had. The recoded message holds no NUL and no CR or LF outside of a CRLF; a
//! message that cannot be made so, because it is binary where no header says it is, is [`Unfit`].
//! **Bounds.** [`Limits`] of the scanner; a plan takes some words a part. [`Recoder`] holds less than a line.

use std::collections::VecDeque;
use std::ops::Range;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use memchr::{memchr, memchr_iter};

use super::header;
use super::mime::{self, Limits};
use super::part::{Content, Encoding, Part};
use crate::line::Newlines;

/// Octets of a part that become one line of base64: 76 letters (RFC 2045 section 6.8).
const LINE: usize = 57;
/// Octets that a line of `8bit` may have without its CRLF (RFC 2045 section 2.8).
const LONGEST: usize = 998;

/// Why a message cannot be recoded: it is binary where no header field says so.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("binary content outside of binary parts")]
pub struct Unfit;

/// How a message is recoded, step by step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan(VecDeque<Step>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Step {
    /// These octets as they are.
    Copy(Range<usize>),
    /// Other octets.
    Text(&'static [u8]),
    /// These octets in base64.
    Base64(Range<usize>),
}

/// What stands in the place of some octets.
type Edit = (Range<usize>, Option<Step>);

impl Plan {
    /// How this message is recoded; none if it can stay as it is.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn of(message: &[u8]) -> Result<Option<Self>, Unfit> {
        let scanned = mime::scan(message, &Limits::default());
        let mut edits = Vec::new();
        for part in scanned.root.walk() {
            if part.encoding == Encoding::Binary {
                edit(part, message, &mut edits)?;
            }
        }
        let plan = Self::with(edits, message.len());
        plan.check(message)?;
        let changes = plan.0.iter().any(|step| !matches!(step, Step::Copy(_)));
        Ok(changes.then_some(plan))
    }

    /// A message of so many octets as it is.
    pub fn copy(length: usize) -> Self {
        Self::with(Vec::new(), length)
    }

    /// The same without these octets of the message, which lie in what it copies; they come in order.
    pub fn without(self, gone: &[Range<usize>]) -> Self {
        let mut steps = VecDeque::with_capacity(self.0.len() + gone.len());
        for step in self.0 {
            let Step::Copy(Range { mut start, end }) = step else {
                steps.push_back(step);
                continue;
            };
            let range = start..=end;
            let inside = |it: &&Range<usize>| range.contains(&it.start) && range.contains(&it.end);
            for hole in gone.iter().filter(inside) {
                if start < hole.start {
                    steps.push_back(Step::Copy(start..hole.start));
                }
                start = hole.end;
            }
            if start < end {
                steps.push_back(Step::Copy(start..end));
            }
        }
        Self(steps)
    }

    /// The coder for the octets of the message.
    pub fn recoder(self) -> Recoder {
        Recoder {
            steps: self.0,
            at: 0,
            held: Vec::with_capacity(LINE),
            lines: 0,
        }
    }

    /// What lies between the edits is copied.
    fn with(mut edits: Vec<Edit>, length: usize) -> Self {
        edits.sort_by_key(|(range, _)| (range.start, range.end));
        let mut steps = VecDeque::new();
        let mut at = 0;
        for (range, step) in edits {
            if at < range.start {
                steps.push_back(Step::Copy(at..range.start));
            }
            at = range.end.max(at);
            steps.extend(step);
        }
        if at < length {
            steps.push_back(Step::Copy(at..length));
        } else if matches!(steps.back(), Some(Step::Base64(_))) {
            steps.push_back(Step::Text(b"\r\n"));
        }
        Self(steps)
    }

    /// Whether what comes out is lines.
    fn check(&self, message: &[u8]) -> Result<(), Unfit> {
        let mut newlines = Newlines::default();
        for step in &self.0 {
            let octets = match step {
                Step::Copy(range) => &message[range.clone()],
                Step::Text(text) => text,
                Step::Base64(_) => b"A",
            };
            if memchr(0, octets).is_some() {
                return Err(Unfit);
            }
            newlines.look(octets);
        }
        match newlines.end() {
            true => Err(Unfit),
            false => Ok(()),
        }
    }
}

/// How a part in `binary` says what it is from now on, and its octets if it is a leaf.
fn edit(part: &Part, message: &[u8], edits: &mut Vec<Edit>) -> Result<(), Unfit> {
    let header = part.header.of(message);
    let start = usize::try_from(part.header.start).map_err(|_| Unfit)?;
    let leaf = matches!(part.content, Content::Leaf) && !is_composite(header);
    let body = part.body.of(message);
    let becomes: &[u8] = match leaf && !is_text(body) {
        true => b"Content-Transfer-Encoding: base64\r\n",
        false => b"Content-Transfer-Encoding: 8bit\r\n",
    };
    let mut becomes = Some(Step::Text(becomes));
    for field in header::spans(header, &["Content-Transfer-Encoding"]) {
        edits.push((start + field.start..start + field.end, becomes.take()));
    }
    if becomes.is_some() {
        return Err(Unfit);
    }
    if leaf && !is_text(body) {
        let start = usize::try_from(part.body.start).map_err(|_| Unfit)?;
        let range = start..start + body.len();
        edits.push((range.clone(), Some(Step::Base64(range))));
    }
    Ok(())
}

/// Whether it holds other parts, also where the scanner did not look inside: no base64 for them (RFC 2045 section 6.4).
fn is_composite(header: &[u8]) -> bool {
    let Some(kind) = header::find(header, "Content-Type") else {
        return false;
    };
    let kind = kind.unfolded().trim_ascii_start().to_ascii_lowercase();
    kind.starts_with(b"multipart/") || kind.starts_with(b"message/")
}

/// Whether these octets are lines that need no other encoding than `8bit`.
fn is_text(body: &[u8]) -> bool {
    let mut newlines = Newlines::default();
    newlines.look(body);
    let mut start = 0;
    let short = memchr_iter(b'\n', body).chain([body.len()]).all(|end| {
        let length = end - start;
        start = end + 1;
        length <= LONGEST + 1
    });
    memchr(0, body).is_none() && short && !newlines.end()
}

/// Recodes a message that comes in pieces.
#[derive(Debug)]
pub struct Recoder {
    steps: VecDeque<Step>,
    /// The next octet of the message.
    at: usize,
    /// Octets of a part that fill no line yet.
    held: Vec<u8>,
    /// Lines of base64 that are out.
    lines: usize,
}

impl Recoder {
    /// Takes the next piece of the message.
    pub fn feed(&mut self, mut piece: &[u8], out: &mut Vec<u8>) {
        loop {
            let (range, coded) = match self.steps.front() {
                None => break,
                Some(Step::Text(text)) => {
                    out.extend_from_slice(text);
                    self.steps.pop_front();
                    continue;
                }
                Some(Step::Copy(range)) => (range.clone(), false),
                Some(Step::Base64(range)) => (range.clone(), true),
            };
            let (_, rest) = self.split(piece, range.start);
            let (taken, rest) = self.split(rest, range.end);
            match coded {
                true => self.code(taken, out),
                false => out.extend_from_slice(taken),
            }
            piece = rest;
            if self.at < range.end {
                return;
            }
            if coded {
                self.end_line(out);
                self.lines = 0;
            }
            self.steps.pop_front();
        }
        self.at += piece.len();
    }

    /// The whole message has come.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.feed(b"", out);
    }

    /// Goes up to `end` or to the end of the piece. Gives what was gone over, and the rest.
    fn split<'a>(&mut self, piece: &'a [u8], end: usize) -> (&'a [u8], &'a [u8]) {
        let (gone, rest) = piece.split_at(end.saturating_sub(self.at).min(piece.len()));
        self.at += gone.len();
        (gone, rest)
    }

    fn code(&mut self, mut octets: &[u8], out: &mut Vec<u8>) {
        while !octets.is_empty() {
            let (now, later) = octets.split_at(octets.len().min(LINE - self.held.len()));
            self.held.extend_from_slice(now);
            octets = later;
            if self.held.len() == LINE {
                self.end_line(out);
            }
        }
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        if self.held.is_empty() {
            return;
        }
        if self.lines > 0 {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(BASE64.encode(&self.held).as_bytes());
        self.held.clear();
        self.lines += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::transfer::decode;

    fn recoded(message: &[u8], cut: usize) -> Result<Option<Vec<u8>>, Unfit> {
        let Some(plan) = Plan::of(message)? else {
            return Ok(None);
        };
        let mut recoder = plan.recoder();
        let mut out = Vec::new();
        for piece in message.chunks(cut) {
            recoder.feed(piece, &mut out);
        }
        recoder.finish(&mut out);
        Ok(Some(out))
    }

    fn leaves(message: &[u8]) -> Vec<Vec<u8>> {
        let scanned = mime::scan(message, &Limits::default());
        let leaf = |part: &&Part| matches!(part.content, Content::Leaf);
        let leaves = scanned.root.walk().filter(leaf);
        leaves
            .map(|part| decode(&part.encoding, part.body.of(message)))
            .collect()
    }

    const TWO: &[u8] = b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: binary\r\n\
        Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
        Content-Transfer-Encoding: BINARY\r\n\r\nplain\r\n--b\r\n\
        Content-Type: image/png\r\ncontent-transfer-encoding: binary\r\n\r\n\0\r\n.\r\n\n\r\xff\r\n--b--\r\n";

    #[test]
    fn parts_become_what_they_can_be() {
        let text = String::from_utf8(recoded(TWO, 7).expect("fit").expect("changed"));
        let text = text.expect("text");
        assert_eq!(
            text.matches("Content-Transfer-Encoding: 8bit\r\n").count(),
            2
        );
        assert_eq!(
            text.matches("Content-Transfer-Encoding: base64\r\n")
                .count(),
            1
        );
        assert!(text.contains("\r\n\r\nAA0KLg0KCg3/\r\n--b--\r\n"), "{text}");
        assert_eq!(leaves(text.as_bytes()), leaves(TWO));
    }

    #[test]
    fn a_message_of_one_part() {
        let message = b"Content-Type: application/octet-stream\r\n\
            Content-Transfer-Encoding: binary\r\n\r\n\0\n\0";
        let out = recoded(message, 3).expect("fit").expect("changed");
        assert!(out.ends_with(b"base64\r\n\r\nAAoA\r\n"), "{out:?}");
        assert_eq!(leaves(&out), leaves(message));
    }

    #[test]
    fn octets_are_left_out() {
        let all = |plan: Plan, message: &[u8], cut: usize| {
            let mut recoder = plan.recoder();
            let mut out = Vec::new();
            message
                .chunks(cut)
                .for_each(|piece| recoder.feed(piece, &mut out));
            recoder.finish(&mut out);
            String::from_utf8(out).expect("text")
        };
        for cut in 1..12 {
            let plan = || Plan::copy(10);
            assert_eq!(all(plan(), b"0123456789", cut), "0123456789");
            let holes = [0..2, 2..3, 5..6, 9..10];
            assert_eq!(all(plan().without(&holes), b"0123456789", cut), "34678");
            let hole = 0..10;
            assert_eq!(all(plan().without(&[hole]), b"0123456789", cut), "");
        }
        let two = Plan::of(TWO).expect("fit").expect("changed");
        let mime = "MIME-Version: 1.0\r\n".len();
        let hole = 0..mime;
        let out = all(two.without(&[hole]), TWO, 11);
        assert!(out.starts_with("Content-Transfer-Encoding: 8bit\r\nContent-Type: multi"));
    }

    #[test]
    fn what_is_text_stays() {
        assert_eq!(recoded(b"Subject: x\r\n\r\n\xc3\xa9\r\n", 9), Ok(None));
        assert_eq!(recoded(b"", 9), Ok(None));
        let long = [
            &b"Content-Transfer-Encoding: binary\r\n\r\n"[..],
            &[b'x'; 2_000],
        ]
        .concat();
        let out = recoded(&long, 100).expect("fit").expect("changed");
        assert!(
            out.split(|octet| *octet == b'\n')
                .all(|line| line.len() <= 78)
        );
        assert_eq!(leaves(&out), leaves(&long));
    }

    #[test]
    fn binary_that_nobody_declared_is_unfit() {
        for message in [
            &b"Subject: x\r\n\r\na\0b\r\n"[..],
            b"Subject: x\r\n\r\na\nb\r\n",
            b"Subject: x\r\n\r\na\r",
            b"Subject: \0\r\nContent-Transfer-Encoding: binary\r\n\r\nx\r\n",
            b"Subject: x\nContent-Transfer-Encoding: binary\r\n\r\nx\r\n",
            b"Content-Type: message/partial\r\nContent-Transfer-Encoding: binary\r\n\r\n\0",
            b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\r\n--b\r\n\r\nx\r\n--b--\r\n",
        ] {
            assert_eq!(recoded(message, 5), Err(Unfit), "{message:?}");
        }
    }

    proptest! {
        #[test]
        fn leaves_keep_their_octets(
            bodies in prop::collection::vec(prop::collection::vec(prop::sample::select(b"\0\r\n.-aB\xff".to_vec()), 0..200), 1..4),
            nested in any::<bool>(),
            cut in 1..90_usize,
        ) {
            let mut message = b"Content-Transfer-Encoding: binary\r\n".to_vec();
            if nested {
                message.extend_from_slice(b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\nContent-Transfer-Encoding: binary\r\n");
            }
            message.extend_from_slice(b"Content-Type: multipart/mixed; boundary=\"=_b\"\r\n\r\n");
            for body in &bodies {
                message.extend_from_slice(b"--=_b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: binary\r\n\r\n");
                message.extend_from_slice(body);
                message.extend_from_slice(b"\r\n");
            }
            message.extend_from_slice(b"--=_b--\r\n");
            let out = recoded(&message, cut).expect("fit").expect("changed");
            prop_assert!(memchr(0, &out).is_none());
            let mut newlines = Newlines::default();
            newlines.look(&out);
            prop_assert!(!newlines.end());
            prop_assert_eq!(leaves(&out), leaves(&message));
        }

        #[test]
        fn nothing_panics(message in prop::collection::vec(any::<u8>(), 0..300), cut in 1..50_usize) {
            let declared = [&b"Content-Transfer-Encoding: binary\r\n"[..], &message].concat();
            for message in [message, declared] {
                if let Ok(Some(out)) = recoded(&message, cut) {
                    prop_assert!(memchr(0, &out).is_none());
                }
            }
        }
    }
}
