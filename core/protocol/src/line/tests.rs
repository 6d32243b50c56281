//! Framing under attack, and by property: every split of the input gives the same result.
#![allow(clippy::unwrap_used)]

use bytes::{Bytes, BytesMut};

use super::{Counted, Data, DotStuffer, Frame, Framer, LineEnd, Newlines, Piece, Progress};
use crate::session::{ReceiveFault, Received};

mod attack;
mod property;

/// All frames of `input`, fed in these pieces.
fn frames<'a>(
    end: LineEnd,
    limit: usize,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Frame> {
    let mut framer = Framer::new(end);
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while let Some(frame) = framer.next_line(&mut buffer, limit) {
            frames.push(frame);
        }
    }
    frames
}

fn line(text: &str) -> Frame {
    Frame::Line(Bytes::copy_from_slice(text.as_bytes()))
}

/// What DATA made of some pieces.
#[derive(Debug, Eq, PartialEq)]
struct Message {
    kept: Vec<u8>,
    end: Option<Received>,
    rest: Vec<u8>,
}

/// Decodes one message from these pieces; pieces behind its end go to the rest.
fn message<'a>(limit: u64, pieces: impl IntoIterator<Item = &'a [u8]>) -> Message {
    let mut data = Data::new(limit);
    let mut buffer = BytesMut::new();
    let mut message = Message {
        kept: Vec::new(),
        end: None,
        rest: Vec::new(),
    };
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while message.end.is_none() {
            match data.next(&mut buffer) {
                Piece::Keep(octets) => {
                    assert!(!octets.is_empty());
                    message.kept.extend_from_slice(&octets);
                }
                Piece::More => {
                    assert!(buffer.len() <= 2, "only what is undecided stays");
                    break;
                }
                Piece::End(received) => message.end = Some(received),
            }
        }
    }
    message.rest = buffer.to_vec();
    message
}

/// Encodes these pieces; says too whether the stuffer had enough.
fn stuffed<'a>(body_lines: Option<u64>, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut stuffer = DotStuffer::new(body_lines);
    let mut output = BytesMut::new();
    for piece in pieces {
        if stuffer.encode(piece, &mut output) == Progress::Enough {
            break;
        }
    }
    stuffer.finish(&mut output);
    output.to_vec()
}

#[test]
fn lines_lose_their_line_end_and_nothing_else() {
    let input: &[u8] = b"a\r\n\r\nb c\0\xff\r\nrest";
    let expected = vec![
        line("a"),
        line(""),
        Frame::Line(Bytes::from_static(b"b c\0\xff")),
    ];
    assert_eq!(frames(LineEnd::Crlf, 10, [input]), expected);
    assert_eq!(frames(LineEnd::Crlf, 10, [&b""[..], b"", b""]), vec![]);
}

#[test]
fn the_limit_counts_octets_without_the_line_end() {
    let input: &[u8] = b"1234\r\n12345\r\n123456789\r\n\r\n";
    let expected = vec![line("1234"), Frame::TooLong, Frame::TooLong, line("")];
    assert_eq!(frames(LineEnd::Crlf, 4, [input]), expected);
    assert_eq!(frames(LineEnd::Crlf, 4, input.chunks(1)), expected);
}

#[test]
fn local_line_protocols_may_end_lines_with_lf() {
    let input: &[u8] = b"VERSION\t1\t2\nCPID\t7\r\na\rb\nnext\n";
    let expected = vec![
        line("VERSION\t1\t2"),
        line("CPID\t7"),
        Frame::BareNewline,
        line("next"),
    ];
    assert_eq!(frames(LineEnd::CrlfOrLf, 100, [input]), expected);
    assert_eq!(frames(LineEnd::CrlfOrLf, 100, input.chunks(1)), expected);
}

#[test]
fn what_follows_a_line_stays_in_the_buffer() {
    let mut framer = Framer::default();
    let mut buffer = BytesMut::from(&b"a1 APPEND x {4+}\r\nab\r\n\r\na2 NOOP\r\n"[..]);
    assert_eq!(
        framer.next_line(&mut buffer, 100),
        Some(line("a1 APPEND x {4+}"))
    );
    let mut literal = Counted::new(4);
    assert_eq!(
        literal.next(&mut buffer),
        Piece::Keep(Bytes::from_static(b"ab\r\n"))
    );
    assert_eq!(
        literal.next(&mut buffer),
        Piece::End(Received {
            octets: 4,
            fault: None
        })
    );
    assert_eq!(framer.next_line(&mut buffer, 100), Some(line("")));
    assert_eq!(framer.next_line(&mut buffer, 100), Some(line("a2 NOOP")));
    assert!(!framer.inside_line(&buffer));
}

#[test]
fn a_line_that_has_begun_is_known() {
    let mut framer = Framer::default();
    let mut buffer = BytesMut::from(&b"0123456789"[..]);
    assert_eq!(framer.next_line(&mut buffer, 4), None);
    assert!(buffer.is_empty());
    assert!(framer.inside_line(&buffer));
    buffer.extend_from_slice(b"\r\n");
    assert_eq!(framer.next_line(&mut buffer, 4), Some(Frame::TooLong));
    assert!(!framer.inside_line(&buffer));
}

#[test]
fn data_is_unstuffed() {
    let input: &[u8] = b"a\r\n..b\r\n.c\r\n...\r\nd.\r\n.\r\nQUIT\r\n";
    let expected = Message {
        kept: b"a\r\n.b\r\nc\r\n..\r\nd.\r\n".to_vec(),
        end: Some(Received {
            octets: 18,
            fault: None,
        }),
        rest: b"QUIT\r\n".to_vec(),
    };
    assert_eq!(message(100, [input]), expected);
    assert_eq!(message(100, input.chunks(1)), expected);
}

#[test]
fn data_may_be_empty() {
    for pieces in [vec![&b".\r\n"[..]], vec![b".", b"\r", b"\n"]] {
        let empty = message(100, pieces);
        assert_eq!(empty.kept, b"");
        assert_eq!(empty.rest, b"");
        let received = Received {
            octets: 0,
            fault: None,
        };
        assert_eq!(empty.end, Some(received));
    }
}

#[test]
fn data_above_its_limit_is_consumed_and_not_kept() {
    let input: &[u8] = b"12345\r\n67890\r\n.\r\nNOOP\r\n";
    for limit in 0..14 {
        let cut = message(limit, [input]);
        assert_eq!(cut.kept.len() as u64, limit);
        assert_eq!(cut.rest, b"NOOP\r\n");
        let received = Received {
            octets: limit,
            fault: Some(ReceiveFault::TooLarge),
        };
        assert_eq!(cut.end, Some(received));
    }
    assert_eq!(message(14, [input]).end.unwrap().fault, None);
}

#[test]
fn a_chunk_is_exact_and_its_newlines_are_checked_across_chunks() {
    let cases: [(&[&[u8]], bool); 9] = [
        (&[b"a\r\nb\r\n"], false),
        (&[b"a\r", b"\nb"], false),
        (&[b"a\r", b"b"], true),
        (&[b"a\r"], true),
        (&[b"a\n"], true),
        (&[b"a\r\n", b"\n"], true),
        (&[b"\r\r\n"], true),
        (&[b"\r", b"\r\n"], true),
        (&[b"", b"\r", b"", b"\n"], false),
    ];
    for (chunks, bare) in cases {
        let mut newlines = Newlines::default();
        for chunk in chunks {
            let mut buffer = BytesMut::from(*chunk);
            buffer.extend_from_slice(b"\nNOOP");
            let mut counted = Counted::checked(chunk.len() as u64, newlines);
            while let Piece::Keep(_) = counted.next(&mut buffer) {}
            assert_eq!(counted.left(), 0);
            assert_eq!(buffer, &b"\nNOOP"[..]);
            newlines = counted.newlines().unwrap();
        }
        assert_eq!(newlines.end(), bare, "{chunks:?}");
    }
}

#[test]
fn a_sent_message_is_stuffed_and_ended() {
    let cases: [(&[u8], &[u8]); 8] = [
        (b"", b".\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b".\r\n..\r\n.a", b"..\r\n...\r\n..a\r\n.\r\n"),
        (b"a\n.\nb", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r.\r\nb", b"a .\r\nb\r\n.\r\n"),
        (b"a\r\r\nb\r", b"a \r\nb\r\n.\r\n"),
        (b"\n", b"\r\n.\r\n"),
    ];
    for (message, wire) in cases {
        assert_eq!(stuffed(None, [message]), wire);
        assert_eq!(stuffed(None, message.chunks(1)), wire);
    }
}

#[test]
fn top_sends_the_header_and_so_many_lines() {
    let message: &[u8] = b"A: 1\r\nB: 2\n\r\none\r\n.two\r\nthree";
    let cases: [(u64, &[u8]); 5] = [
        (0, b"A: 1\r\nB: 2\r\n\r\n.\r\n"),
        (1, b"A: 1\r\nB: 2\r\n\r\none\r\n.\r\n"),
        (2, b"A: 1\r\nB: 2\r\n\r\none\r\n..two\r\n.\r\n"),
        (3, b"A: 1\r\nB: 2\r\n\r\none\r\n..two\r\nthree\r\n.\r\n"),
        (
            u64::MAX,
            b"A: 1\r\nB: 2\r\n\r\none\r\n..two\r\nthree\r\n.\r\n",
        ),
    ];
    for (lines, wire) in cases {
        assert_eq!(stuffed(Some(lines), [message]), wire, "TOP {lines}");
        assert_eq!(stuffed(Some(lines), message.chunks(1)), wire, "TOP {lines}");
    }
    let mut stuffer = DotStuffer::new(Some(0));
    let mut output = BytesMut::new();
    assert_eq!(stuffer.encode(b"A: 1\r\n\r", &mut output), Progress::More);
    assert_eq!(stuffer.encode(b"\nbody", &mut output), Progress::Enough);
}
