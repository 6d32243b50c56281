//! The framing parts of known attacks, named after their numbers in the project's list.

use bytes::BytesMut;

use super::super::{Counted, Data, Ends, Frame, Framer, LineEnd, Piece};
use super::{frames, line, message, stuffed};
use crate::session::ReceiveFault;

/// What a read from a socket brings at once.
const READ: usize = 4096;

/// Feeds `input` in reads, into a buffer that is emptied between them, and returns how large it became.
fn largest_buffer(input: &[u8], mut take: impl FnMut(&mut BytesMut)) -> usize {
    let mut buffer = BytesMut::with_capacity(READ);
    let mut largest = 0;
    for read in input.chunks(READ) {
        buffer.reserve(read.len());
        buffer.extend_from_slice(read);
        largest = largest.max(buffer.capacity());
        take(&mut buffer);
    }
    largest
}

/// Many literals of a megabyte each, in one command: nothing of them is held.
#[test]
fn attack_01_literal_flood_holds_no_memory() {
    const LITERAL: usize = 1 << 20;
    let mut input = Vec::new();
    for _ in 0..8 {
        input.extend_from_slice(b"TEXT {1048576}\r\n");
        input.resize(input.len() + LITERAL, b'x');
    }
    input.extend_from_slice(b"\r\na2 NOOP\r\n");

    let mut framer = Framer::default();
    let mut literal = Counted::new(0);
    let (mut kept, mut seen) = (0, Vec::new());
    let largest = largest_buffer(&input, |buffer| {
        loop {
            match literal.next(buffer) {
                Piece::Keep(octets) => kept += octets.len(),
                Piece::More => break,
                Piece::End(_) => match framer.next_line(buffer, 100) {
                    Some(frame) => {
                        if frame == line("TEXT {1048576}") {
                            literal = Counted::new(LITERAL as u64);
                        }
                        seen.push(frame);
                    }
                    None => break,
                },
            }
        }
    });
    assert_eq!(kept, 8 * LITERAL);
    assert_eq!(seen.len(), 10);
    assert_eq!(seen[9], line("a2 NOOP"));
    assert!(largest <= 4 * READ, "{largest} octets buffered");
}

/// A non-synchronising literal above the limit is on its way already: it is thrown away, and the next command is found.
#[test]
fn attack_02_discarded_literal_holds_no_memory() {
    const LITERAL: usize = 32 << 20;
    let mut input = vec![b'\n'; LITERAL];
    input.extend_from_slice(b"\r\na2 NOOP\r\n");
    let mut discard = Counted::new(LITERAL as u64);
    let mut framer = Framer::default();
    let mut seen = Vec::new();
    let largest = largest_buffer(&input, |buffer| {
        while let Piece::Keep(_) = discard.next(buffer) {}
        if discard.left() == 0 {
            seen.extend(std::iter::from_fn(|| framer.next_line(buffer, 100)));
        }
    });
    assert_eq!(seen, [line(""), line("a2 NOOP")]);
    assert!(largest <= 4 * READ, "{largest} octets buffered");
}

#[test]
fn attack_07_endless_line_holds_no_memory_and_loses_no_boundary() {
    for filler in [&b"x"[..], b"\0", b"\xff", b"\r", b"\n", b"x\r", b"\nx"] {
        let mut input = filler.repeat((1 << 20) / filler.len());
        input.extend_from_slice(b"x\r\na2 NOOP\r\n");
        let mut framer = Framer::default();
        let mut seen = Vec::new();
        let largest = largest_buffer(&input, |buffer| {
            seen.extend(std::iter::from_fn(|| framer.next_line(buffer, 1000)));
            assert!(buffer.len() <= 1001);
        });
        let expected = if filler.contains(&b'\n') || filler.contains(&b'\r') {
            Frame::BareNewline
        } else {
            Frame::TooLong
        };
        assert!(seen == [expected, line("a2 NOOP")], "{filler:?}");
        assert!(largest <= 4 * READ, "{largest} octets buffered");
    }
}

/// A line of a megabyte that comes octet by octet costs a million looks at an octet, not half a billion.
#[test]
fn attack_07_trickled_line_costs_linear_time() {
    let mut framer = Framer::default();
    let mut buffer = BytesMut::new();
    for count in 1..=1_000_000_usize {
        buffer.extend_from_slice(b"x");
        assert_eq!(framer.next_line(&mut buffer, usize::MAX), None);
        assert_eq!(framer.scanned, count);
    }
}

#[test]
fn attack_07_odd_octets_pass_unchanged() {
    for odd in [
        &b"LOGIN \0 a"[..],
        b"LOGIN \xe2\x82",
        b"USER \xff\xfe",
        b"\x1b[2J",
        b"\0",
    ] {
        let input = [odd, b"\r\n"].concat();
        let frame = frames(LineEnd::Crlf, 100, [&input[..]]).pop().unwrap();
        assert_eq!(frame, Frame::Line(odd.to_vec().into()));
    }
}

/// Forms that some server took for the end of a message.
const FORGED: [&[u8]; 32] = [
    b"\n.\n",
    b"\n.\r\n",
    b"\n.\r",
    b"\r.\r",
    b"\r.\n",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\n.\r\r\n",
    b"\r\n.\r\0\n",
    b"\r\n.\r \n",
    b"\r\n.\0\r\n",
    b"\r\n. \r\n",
    b"\r\n.\t\r\n",
    b"\r\n.\x0b\r\n",
    b"\r\n.\x0c\r\n",
    b"\r\n\0.\r\n",
    b"\r\n .\r\n",
    b"\r\n\x08.\r\n",
    b"\r\n..\r\n",
    b"\r\n.\n\r\n",
    b"\r\n\n.\r\n",
    b"\r\n\r.\r\n",
    b"\n\r.\r\n",
    b"\n\r.\n\r",
    b"\n\n.\n\n",
    b"\r\r.\r\r",
    b"\r\0\n.\r\0\n",
    b"\r\n\xef\xbc\x8e\r\n",
    b"\xc2\x85.\xc2\x85",
    b"\xe2\x80\xa8.\xe2\x80\xa8",
    b"=0D=0A.=0D=0A",
];

#[test]
fn attack_09_forged_ends_do_not_end_data() {
    const SMUGGLED: &[u8] =
        b"MAIL FROM:<admin@example.com>\r\nRCPT TO:<ada@example.com>\r\nDATA\r\nx";
    for forged in FORGED {
        for start in [&b""[..], b"Subject: x\r\n\r\nhello"] {
            // At the very beginning the line end before the dot belongs to the command.
            let forged = match start {
                b"" => forged.strip_prefix(b"\r\n").unwrap_or(forged),
                _ => forged,
            };
            let input = [start, forged, SMUGGLED, b"\r\n.\r\nNOOP\r\n"].concat();
            let whole = message(10_000, [&input[..]]);
            assert_eq!(whole.rest, b"NOOP\r\n", "{forged:?}");
            let end = whole.end.expect("ended by its only true end");
            let bare = has_bare_newline(&input);
            assert_eq!(
                end.fault == Some(ReceiveFault::BareNewline),
                bare,
                "{forged:?}"
            );
            assert_eq!(whole.kept.ends_with(b"DATA\r\nx\r\n"), !bare, "{forged:?}");
            for cut in 0..=input.len() {
                assert_eq!(message(10_000, [&input[..cut], &input[cut..]]), whole);
            }
        }
    }
}

#[test]
fn attack_09_forged_ends_do_not_end_a_command() {
    for newline in [&b"\n"[..], b"\r", b"\n\r", b"\r\r\n", b"\r\0\n"] {
        let input = [b"RCPT TO:<a@b>", newline, b"RCPT TO:<c@d>\r\nNOOP\r\n"].concat();
        let seen = frames(LineEnd::Crlf, 100, [&input[..]]);
        assert_eq!(seen[0], Frame::BareNewline, "{newline:?}");
        assert_eq!(seen.last(), Some(&line("NOOP")), "{newline:?}");
        assert!(!seen.contains(&line("RCPT TO:<a@b>")), "{newline:?}");
    }
}

/// What we send holds no form that another server could take for an end.
#[test]
fn attack_10_sent_messages_hold_no_stray_newline() {
    for forged in FORGED {
        let message = [b"Subject: x\r\n\r\nhello", forged, b"MAIL FROM:<>\r\n"].concat();
        let wire = stuffed(None, [&message[..]]);
        assert!(!has_bare_newline(&wire), "{forged:?}");
        let ends = wire.windows(5).filter(|octets| octets == b"\r\n.\r\n");
        assert_eq!(ends.count(), 1, "{forged:?}");
        assert!(wire.ends_with(b"\r\n.\r\n"));
    }
}

#[test]
fn attack_12_commands_behind_data_and_bdat_survive() {
    let input: &[u8] = b"hello\r\n.\r\nMAIL FROM:<a@b>\r\nBDAT 5\r\n.\r\n\r\nBDAT 0 LAST\r\n.\r\n";
    for cut in 0..=input.len() {
        let mut buffer = BytesMut::from(&input[..cut]);
        let mut rest = Some(&input[cut..]);
        let mut more =
            |buffer: &mut BytesMut| buffer.extend_from_slice(rest.take().expect("enough"));
        let mut framer = Framer::default();
        let mut next_line = |buffer: &mut BytesMut, more: &mut dyn FnMut(&mut BytesMut)| {
            loop {
                match framer.next_line(buffer, 100) {
                    Some(frame) => return frame,
                    None => more(buffer),
                }
            }
        };

        let mut data = Data::new(100);
        let mut kept = Vec::new();
        loop {
            match data.next(&mut buffer) {
                Piece::Keep(octets) => kept.extend_from_slice(&octets),
                Piece::More => more(&mut buffer),
                Piece::End(_) => break,
            }
        }
        assert_eq!(kept, b"hello\r\n");
        assert_eq!(data.consumed(), 10);
        assert_eq!(next_line(&mut buffer, &mut more), line("MAIL FROM:<a@b>"));
        assert_eq!(next_line(&mut buffer, &mut more), line("BDAT 5"));
        let (mut chunk, mut kept) = (Counted::new(5), Vec::new());
        loop {
            match chunk.next(&mut buffer) {
                Piece::Keep(octets) => kept.extend_from_slice(&octets),
                Piece::More => more(&mut buffer),
                Piece::End(_) => break,
            }
        }
        assert_eq!(kept, b".\r\n\r\n", "no dot means anything in a chunk");
        assert_eq!(next_line(&mut buffer, &mut more), line("BDAT 0 LAST"));
        assert_eq!(next_line(&mut buffer, &mut more), line("."));
    }
}

fn has_bare_newline(octets: &[u8]) -> bool {
    let text: Vec<u8> = String::from_utf8_lossy(octets)
        .replace("\r\n", "")
        .into_bytes();
    text.contains(&b'\r') || text.contains(&b'\n')
}

/// What is kept of a broken line is the same however it was cut into reads, and bounded.
#[test]
fn attack_02_the_ends_of_a_broken_line_are_kept() {
    let long = [b"a1 X ".as_slice(), &[b'x'; 5000], b" {7+}\r\nrest"].concat();
    let bare = b"a2 NOOP\na3 X {8+}\r\nrest".to_vec();
    let short = b"\r{9}\r\nrest".to_vec();
    for (input, head, end) in [
        (&long, &b"a1 X xxx"[..], &b"xx {7+}"[..]),
        (&bare, b"a2 NOOP", b"NOOP\na3 X {8+}"),
        (&short, b"", b"\r{9}"),
    ] {
        for size in [1, 2, 3, 50, 127, 128, 129, 300, input.len()] {
            let (mut framer, mut buffer) = (Framer::default(), BytesMut::new());
            let mut broken = None;
            for piece in input.chunks(size) {
                buffer.extend_from_slice(piece);
                if broken.is_none() {
                    broken = framer.next_line(&mut buffer, 100);
                }
            }
            assert!(matches!(broken, Some(Frame::TooLong | Frame::BareNewline)));
            assert_eq!(&buffer[..], b"rest", "in pieces of {size}");
            let ends = framer.ends();
            assert!(ends.head.starts_with(head), "in pieces of {size}: {ends:?}");
            assert!(ends.tail.ends_with(end), "in pieces of {size}: {ends:?}");
            assert!(ends.head.len() <= Ends::LIMIT && ends.tail.len() <= Ends::LIMIT);
            // Nothing of it is there at the next broken line, even if nobody asked.
            buffer.clear();
            buffer.extend_from_slice(b"b\r\x00{1}\r\n");
            assert_eq!(framer.next_line(&mut buffer, 100), Some(Frame::BareNewline));
            assert_eq!(framer.ends().tail, b"b\r\x00{1}");
        }
    }
}
