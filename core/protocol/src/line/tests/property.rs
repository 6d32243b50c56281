//! Framing by property: against plain models, and for every split of the input.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::super::{Frame, LineEnd, Newlines};
use super::{frames, message, stuffed};
use crate::session::{ReceiveFault, Received};

/// Octets among which those that frame are frequent.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        3 => Just(b"\r\n".to_vec()),
        2 => Just(b".".to_vec()),
        1 => Just(b"\r".to_vec()),
        1 => Just(b"\n".to_vec()),
        1 => Just(b"\r\n.".to_vec()),
        3 => proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(token, 0..30).prop_map(|tokens| tokens.concat())
}

/// Lines with CRLF as line end, and text between them that may begin with a dot.
fn clean() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec("[.a-c]{0,5}", 0..12).prop_map(|lines| {
        lines
            .iter()
            .flat_map(|line| [line.as_bytes(), b"\r\n"].concat())
            .collect()
    })
}

fn cut<'a>(input: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
    places.extend([0, input.len()]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|pair| &input[pair[0]..pair[1]])
        .collect()
}

fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    proptest::collection::vec(any::<prop::sample::Index>(), 0..12)
}

/// Position of the first `needle`.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|octets| octets == needle)
}

/// Position of the first CR or LF that is no part of a CRLF.
fn first_bare(octets: &[u8]) -> Option<usize> {
    (0..octets.len()).find(|&at| match octets[at] {
        b'\r' => octets.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || octets[at - 1] != b'\r',
        _ => false,
    })
}

fn model_frames(mut input: &[u8], limit: usize) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(end) = find(input, b"\r\n") {
        let line = &input[..end];
        frames.push(if line.contains(&b'\r') || line.contains(&b'\n') {
            Frame::BareNewline
        } else if line.len() > limit {
            Frame::TooLong
        } else {
            Frame::Line(Bytes::copy_from_slice(line))
        });
        input = &input[end + 2..];
    }
    frames
}

proptest! {
    #[test]
    fn frames_equal_the_model(input in octets(), limit in 0_usize..12, cuts in cuts()) {
        let expected = model_frames(&input, limit);
        prop_assert_eq!(frames(LineEnd::Crlf, limit, cut(&input, &cuts)), &expected[..]);
        prop_assert_eq!(frames(LineEnd::Crlf, limit, input.chunks(1)), expected);
    }

    #[test]
    fn local_frames_do_not_depend_on_the_split(input in octets(), limit in 0_usize..12, cuts in cuts()) {
        let whole = frames(LineEnd::CrlfOrLf, limit, [&input[..]]);
        prop_assert_eq!(whole.len(), input.iter().filter(|&&octet| octet == b'\n').count());
        prop_assert_eq!(frames(LineEnd::CrlfOrLf, limit, cut(&input, &cuts)), whole);
    }

    /// Every message ends at the first `CRLF.CRLF`, and is the text before it, unstuffed.
    #[test]
    fn data_equals_the_model(input in octets(), limit in 0_u64..60, cuts in cuts()) {
        let whole = message(limit, [&input[..]]);
        prop_assert_eq!(&message(limit, cut(&input, &cuts)), &whole);
        prop_assert_eq!(&message(limit, input.chunks(1)), &whole);

        // The CRLF of the command stands before the message.
        let wire = [b"\r\n", &input[..]].concat();
        let Some(end) = find(&wire, b"\r\n.\r\n") else {
            prop_assert_eq!(whole.end, None);
            return Ok(());
        };
        prop_assert_eq!(&whole.rest[..], &wire[end + 5..]);
        let body = &wire[2..(end + 2).max(2)];
        let bare = first_bare(body);
        let body = &body[..bare.unwrap_or(body.len())];
        let mut expected = Vec::new();
        for (at, &octet) in body.iter().enumerate() {
            let line_start = at == 0 || body[..at].ends_with(b"\r\n");
            if octet != b'.' || !line_start {
                expected.push(octet);
            }
        }
        let fault = match bare {
            Some(_) => Some(ReceiveFault::BareNewline),
            None if expected.len() as u64 > limit => Some(ReceiveFault::TooLarge),
            None => None,
        };
        expected.truncate(usize::try_from(limit).unwrap());
        let octets = expected.len() as u64;
        prop_assert_eq!(whole.kept, expected);
        prop_assert_eq!(whole.end, Some(Received { octets, fault }));
    }

    #[test]
    fn data_decodes_what_the_stuffer_encodes(body in clean(), behind in octets()) {
        let mut wire = stuffed(None, [&body[..]]);
        wire.extend_from_slice(&behind);
        let decoded = message(1000, [&wire[..]]);
        prop_assert_eq!(decoded.kept, body);
        prop_assert_eq!(decoded.rest, behind);
        prop_assert_eq!(decoded.end.unwrap().fault, None);
    }

    #[test]
    fn stuffing_does_not_depend_on_the_split(
        body in octets(), lines in proptest::option::of(0_u64..6), cuts in cuts(),
    ) {
        let whole = stuffed(lines, [&body[..]]);
        prop_assert_eq!(first_bare(&whole), None);
        prop_assert_eq!(&stuffed(lines, cut(&body, &cuts)), &whole);
        prop_assert_eq!(&stuffed(lines, body.chunks(1)), &whole);
        let wire = [b"\r\n", &whole[..]].concat();
        prop_assert_eq!(find(&wire, b"\r\n.\r\n"), Some(wire.len() - 5));
    }

    #[test]
    fn newlines_equal_the_model(input in octets(), cuts in cuts()) {
        let mut newlines = Newlines::default();
        for piece in cut(&input, &cuts) {
            newlines.look(piece);
        }
        prop_assert_eq!(newlines.end(), first_bare(&input).is_some());
    }

    /// The framer survives a caller that shortens its buffer.
    #[test]
    fn a_cleared_buffer_does_no_harm(before in octets(), after in octets()) {
        let mut framer = super::super::Framer::default();
        let mut buffer = BytesMut::from(&before[..]);
        while framer.next_line(&mut buffer, 3).is_some() {}
        buffer.clear();
        buffer.extend_from_slice(&after);
        while framer.next_line(&mut buffer, 3).is_some() {}
    }
}
