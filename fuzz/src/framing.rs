//! Framing: the same result for every split, and the same as a plain model has.

use bytes::BytesMut;
use postrider_protocol::line::{
    Counted, Data, DotStuffer, Frame, Framer, LineEnd, Newlines, Piece, Progress,
};
use postrider_protocol::session::{ReceiveFault, Received};

use super::script::{Cut, Script};

/// Frames an input in every way there is.
pub fn run(octets: &[u8]) {
    let script = Script::of(octets);
    let limit = usize::from(script.setting);
    framer(script.said, script.cut, limit);
    data(
        script.said,
        script.cut,
        if limit == 0 { u64::MAX } else { limit as u64 },
    );
    counted(script.said, script.cut, limit as u64);
    stuffed(script.said, script.cut, None);
    stuffed(script.said, script.cut, Some(limit as u64));
}

fn framer(said: &[u8], cut: Cut, limit: usize) {
    for end in [LineEnd::Crlf, LineEnd::CrlfOrLf] {
        let whole = frames(said, Cut::Whole, limit, end);
        assert_eq!(frames(said, cut, limit, end), whole);
        for frame in &whole {
            let Frame::Line(line) = frame else { continue };
            assert!(
                line.len() <= limit && !line.iter().any(|octet| matches!(octet, b'\r' | b'\n'))
            );
        }
    }
}

fn frames(said: &[u8], cut: Cut, limit: usize, end: LineEnd) -> Vec<Frame> {
    let (mut framer, mut buffer, mut frames) = (Framer::new(end), BytesMut::new(), Vec::new());
    for piece in cut.pieces(said) {
        buffer.extend_from_slice(piece);
        while let Some(frame) = framer.next_line(&mut buffer, limit) {
            frames.push(frame);
        }
        assert!(
            buffer.len() <= limit + 1,
            "{} octets of a line of {limit} are kept",
            buffer.len()
        );
    }
    frames
}

/// What a decoder made: what it kept, what it says at the end, what it left.
type Decoded = (Vec<u8>, Option<Received>, Vec<u8>);

fn decoded(said: &[u8], cut: Cut, mut next: impl FnMut(&mut BytesMut) -> Piece) -> Decoded {
    let (mut buffer, mut kept, mut end) = (BytesMut::new(), Vec::new(), None);
    for piece in cut.pieces(said) {
        buffer.extend_from_slice(piece);
        while end.is_none() {
            match next(&mut buffer) {
                Piece::Keep(octets) => {
                    assert!(!octets.is_empty(), "an empty piece");
                    kept.extend_from_slice(&octets);
                }
                Piece::More => {
                    assert!(buffer.len() <= 2, "{} octets are undecided", buffer.len());
                    break;
                }
                Piece::End(received) => end = Some(received),
            }
        }
    }
    (kept, end, buffer.to_vec())
}

fn data(said: &[u8], cut: Cut, limit: u64) {
    let make = |cut| {
        let mut data = Data::new(limit);
        decoded(said, cut, move |buffer| data.next(buffer))
    };
    let whole = make(Cut::Whole);
    let split = make(cut);
    // What is undecided may lie in the buffer or not, as long as the end has not come.
    match whole.1 {
        Some(_) => assert_eq!(split, whole),
        None => assert_eq!((&split.0, split.1), (&whole.0, None)),
    }
    let (kept, Some(received), rest) = whole else {
        return;
    };
    assert_eq!(kept.len() as u64, received.octets);
    let (message, bare, after) = model(said).expect("it has an end");
    assert_eq!(rest, after, "the end is elsewhere");
    assert_eq!(bare, received.fault == Some(ReceiveFault::BareNewline));
    if !bare {
        let fits = message.len() as u64 <= limit;
        assert_eq!(received.fault.is_none(), fits);
        assert_eq!(kept, message[..message.len().min(kept.len())]);
        assert!(!fits || kept.len() == message.len());
    }
}

/// A message without its stuffing, whether it has a bare newline, and what follows its end.
fn model(said: &[u8]) -> Option<(Vec<u8>, bool, &[u8])> {
    let (mut message, mut bare, mut rest) = (Vec::new(), false, said);
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let line = &rest[..end];
        rest = &rest[end + 2..];
        if line == b"." {
            return Some((message, bare, rest));
        }
        bare |= line.iter().any(|octet| matches!(octet, b'\r' | b'\n'));
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        message.extend_from_slice(b"\r\n");
    }
}

fn counted(said: &[u8], cut: Cut, octets: u64) {
    let make = |cut| {
        let mut counted = Counted::checked(octets, Newlines::default());
        decoded(said, cut, move |buffer| counted.next(buffer))
    };
    let whole = make(Cut::Whole);
    assert_eq!(make(cut), whole);
    let length = said.len().min(octets as usize);
    assert_eq!((&whole.0[..], &whole.2[..]), said.split_at(length));
    let (mut once, mut pieces) = (Newlines::default(), Newlines::default());
    once.look(said);
    cut.pieces(said)
        .into_iter()
        .for_each(|piece| pieces.look(piece));
    assert_eq!(once.end(), pieces.end());
    let lines = said.split(|octet| *octet == b'\n').count() - 1;
    let pairs = said.windows(2).filter(|pair| pair == b"\r\n").count();
    let returns = said.iter().filter(|octet| **octet == b'\r').count();
    assert_eq!(once.end(), lines != pairs || returns != pairs);
}

fn stuffed(message: &[u8], cut: Cut, body_lines: Option<u64>) {
    let make = |cut: Cut| {
        let (mut stuffer, mut output) = (DotStuffer::new(body_lines), BytesMut::new());
        for piece in cut.pieces(message) {
            if stuffer.encode(piece, &mut output) == Progress::Enough {
                break;
            }
        }
        stuffer.finish(&mut output);
        output
    };
    let mut output = make(Cut::Whole);
    assert_eq!(make(cut), output);
    let mut data = Data::new(u64::MAX);
    let (back, end, rest) = decoded(&output.split(), Cut::Whole, |buffer| data.next(buffer));
    assert_eq!(end.expect("an end").fault, None, "a bare newline is out");
    assert!(rest.is_empty(), "an end before the end");
    if body_lines.is_none() {
        assert_eq!(back, canonical(message));
    }
}

/// A message whose line ends are CRLF, and which ends with one.
fn canonical(message: &[u8]) -> Vec<u8> {
    let text = message
        .iter()
        .map(|octet| char::from(*octet))
        .collect::<String>();
    let mut text = text.replace("\r\n", "\n");
    if text.ends_with('\r') {
        text.pop();
        text.push('\n');
    }
    let mut text = text.replace('\r', " ");
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.replace('\n', "\r\n")
        .chars()
        .map(|octet| octet as u8)
        .collect()
}
