//! Charsets of mail: the WHATWG labels and decoders, what Korean mail adds to them, and a guess for raw octets.
//!
//! ISO-2022-KR (RFC 1557) is not among the WHATWG encodings; old Korean mail has it, so it is unwrapped to EUC-KR here.

use std::borrow::Cow;

use encoding_rs::{CoderResult, Decoder, EUC_KR, Encoding, GBK, SHIFT_JIS, UTF_8, WINDOWS_1252};

/// A charset that can be decoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Charset(Kind);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Web(&'static Encoding),
    Iso2022Kr,
    Unsaid,
}

impl Charset {
    /// None is said, or one that is not known: guessed from the first octets above ASCII, see [`guess`].
    pub const UNSAID: Self = Self(Kind::Unsaid);

    /// The charset with this label, in any case. What calls itself US-ASCII and is not is guessed.
    pub fn for_label(label: &[u8]) -> Option<Self> {
        let label = label.trim_ascii();
        if let Some(encoding) = Encoding::for_label_no_replacement(label) {
            let ascii = [&b"us-ascii"[..], b"ascii", b"ansi_x3.4-1968"];
            let is_ascii = ascii.iter().any(|name| label.eq_ignore_ascii_case(name));
            return Some(if is_ascii {
                Self::UNSAID
            } else {
                Self(Kind::Web(encoding))
            });
        }
        let kind = match label.to_ascii_lowercase().as_slice() {
            b"cp949" | b"ms949" | b"uhc" | b"x-windows-949" | b"ks_c_5601" | b"ksc5601.1987" => {
                Kind::Web(EUC_KR)
            }
            b"cp932" | b"ms932" => Kind::Web(SHIFT_JIS),
            b"cp936" | b"ms936" => Kind::Web(GBK),
            b"cp65001" => Kind::Web(UTF_8),
            b"iso-2022-kr" | b"csiso2022kr" => Kind::Iso2022Kr,
            _ => return None,
        };
        Some(Self(kind))
    }

    /// A decoder for text that comes in pieces.
    pub fn decoder(self) -> CharsetDecoder {
        CharsetDecoder(match self.0 {
            Kind::Web(encoding) => State::Web(encoding.new_decoder_with_bom_removal()),
            Kind::Iso2022Kr => {
                State::Wrapped(Shift::default(), EUC_KR.new_decoder_without_bom_handling())
            }
            Kind::Unsaid => State::Undecided(Vec::new()),
        })
    }

    /// All of the text at once. What is malformed becomes U+FFFD.
    pub fn decode(self, octets: &[u8]) -> String {
        let mut text = String::new();
        self.decoder().feed(octets, Piece::Last, &mut text);
        text
    }
}

/// Octets by which a charset is guessed, where there are as many.
const GUESSED_BY: usize = 256;

/// Whether more octets follow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Piece {
    /// They do.
    More,
    /// They do not.
    Last,
}

/// Decodes text that comes in pieces, cut anywhere.
pub struct CharsetDecoder(State);

enum State {
    Web(Decoder),
    Wrapped(Shift, Decoder),
    /// What came from the first octet above ASCII on, too little to guess by.
    Undecided(Vec<u8>),
}

impl CharsetDecoder {
    /// Appends what these octets mean. What is malformed becomes U+FFFD.
    pub fn feed(&mut self, octets: &[u8], piece: Piece, text: &mut String) {
        match &mut self.0 {
            State::Web(decoder) => decode(decoder, octets, piece, text),
            State::Wrapped(shift, decoder) => decode(decoder, &shift.unwrap(octets), piece, text),
            State::Undecided(held) => {
                let ascii = match held.is_empty() {
                    true => octets
                        .iter()
                        .position(|octet| !octet.is_ascii())
                        .unwrap_or(octets.len()),
                    false => 0,
                };
                text.extend(octets[..ascii].iter().copied().map(char::from));
                held.extend_from_slice(&octets[ascii..]);
                if held.len() >= GUESSED_BY || (piece == Piece::Last && !held.is_empty()) {
                    let mut decoder =
                        guess_encoding(held, piece).new_decoder_without_bom_handling();
                    decode(&mut decoder, held, piece, text);
                    self.0 = State::Web(decoder);
                }
            }
        }
    }
}

fn decode(decoder: &mut Decoder, octets: &[u8], piece: Piece, text: &mut String) {
    let mut rest = octets;
    loop {
        let needed = decoder.max_utf8_buffer_length(rest.len());
        text.reserve(needed.unwrap_or(rest.len()).max(16));
        let (result, read, _) = decoder.decode_to_string(rest, text, piece == Piece::Last);
        rest = &rest[read..];
        if result == CoderResult::InputEmpty {
            return;
        }
    }
}

/// The 7-bit wrapping of ISO-2022-KR: `SO` begins KS X 1001, `SI` or a line end begins ASCII.
#[derive(Default)]
struct Shift {
    out: bool,
    escape: usize,
}

impl Shift {
    const DESIGNATION: &'static [u8; 4] = b"\x1b$)C";

    fn unwrap(&mut self, octets: &[u8]) -> Vec<u8> {
        let mut plain = Vec::with_capacity(octets.len());
        for &octet in octets {
            if octet == Self::DESIGNATION[self.escape] {
                self.escape = (self.escape + 1) % Self::DESIGNATION.len();
                continue;
            }
            if self.escape > 0 {
                plain.extend_from_slice(&Self::DESIGNATION[..self.escape]);
                self.escape = 0;
            }
            match octet {
                0x0e => self.out = true,
                0x0f => self.out = false,
                b'\n' => {
                    self.out = false;
                    plain.push(octet);
                }
                0x21..=0x7e if self.out => plain.push(octet | 0x80),
                _ => plain.push(octet),
            }
        }
        plain
    }
}

/// Reads octets that do not say what they are: UTF-8 if they are that, else EUC-KR if all of it are
/// KS X 1001 pairs, else windows-1252.
pub fn guess(octets: &[u8]) -> Cow<'_, str> {
    match core::str::from_utf8(octets) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            guess_encoding(octets, Piece::Last)
                .decode_without_bom_handling(octets)
                .0
        }
    }
}

fn guess_encoding(octets: &[u8], piece: Piece) -> &'static Encoding {
    // A character may be cut at the end of a piece.
    let cut = piece == Piece::More;
    match core::str::from_utf8(octets) {
        Ok(_) => UTF_8,
        Err(error) if cut && error.error_len().is_none() => UTF_8,
        Err(_) if is_korean(octets, cut) => EUC_KR,
        Err(_) => WINDOWS_1252,
    }
}

/// Whether every octet above ASCII belongs to a pair of KS X 1001.
fn is_korean(octets: &[u8], cut: bool) -> bool {
    let mut rest = octets.iter();
    while let Some(&lead) = rest.next() {
        if lead >= 0x80 {
            let trail = rest.next();
            let pair = (0xa1..=0xfd).contains(&lead) && trail.map_or(cut, |&octet| octet >= 0xa1);
            if !pair {
                return false;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn charset(label: &str) -> Charset {
        Charset::for_label(label.as_bytes()).expect(label)
    }

    const HANGUL_EUC: &[u8] = b"\xc7\xd1\xb1\xdb";

    #[test]
    fn korean_labels() {
        for label in [
            "euc-kr",
            "KS_C_5601-1987",
            "cp949",
            "korean",
            " windows-949 ",
        ] {
            assert_eq!(charset(label).decode(HANGUL_EUC), "한글", "{label}");
        }
        let wrapped = b"\x1b$)Ca \x0eGQ1[\x0f!\nb";
        assert_eq!(charset("iso-2022-kr").decode(wrapped), "a 한글!\nb");
        assert_eq!(charset("us-ascii").decode("é".as_bytes()), "é");
        assert_eq!(charset("us-ascii").decode(HANGUL_EUC), "한글");
        assert_eq!(Charset::for_label(b"x-unknown"), None);
    }

    #[test]
    fn guesses() {
        assert_eq!(guess("한글 é".as_bytes()), "한글 é");
        assert_eq!(guess(b"[\xc7\xd1\xb1\xdb] ok"), "[한글] ok");
        assert_eq!(guess(b"Ren\xe9 Fran\xe7ois"), "René François");
    }

    #[test]
    fn unsaid_text_is_guessed_where_it_stops_being_ascii() {
        for (octets, expected) in [
            (&b"plain \xc7\xd1\xb1\xdb"[..], "plain 한글"),
            ("plain 한글".as_bytes(), "plain 한글"),
            (b"caf\xe9 ol\xe9", "café olé"),
        ] {
            for cut in 0..=octets.len() {
                let mut text = String::new();
                let mut decoder = Charset::UNSAID.decoder();
                decoder.feed(&octets[..cut], Piece::More, &mut text);
                decoder.feed(&octets[cut..], Piece::Last, &mut text);
                assert_eq!(text, expected, "{cut}");
            }
        }
        let long = "가".repeat(100);
        let mut text = String::new();
        Charset::UNSAID
            .decoder()
            .feed(&long.as_bytes()[..298], Piece::More, &mut text);
        assert_eq!(text.chars().count(), 99);
    }

    proptest! {
        #[test]
        fn pieces_mean_the_whole(
            octets in proptest::collection::vec(any::<u8>(), 0..80),
            cut in 0usize..80,
            label in prop_oneof!["utf-8", "euc-kr", "iso-2022-kr", "iso-2022-jp", "utf-16", "windows-1252"],
        ) {
            let cut = cut.min(octets.len());
            let mut text = String::new();
            let mut decoder = charset(&label).decoder();
            decoder.feed(&octets[..cut], Piece::More, &mut text);
            decoder.feed(&octets[cut..], Piece::Last, &mut text);
            prop_assert_eq!(text, charset(&label).decode(&octets));
        }

        #[test]
        fn utf8_is_never_guessed_otherwise(text in any::<String>()) {
            prop_assert_eq!(&*guess(text.as_bytes()), &*text);
        }
    }
}
