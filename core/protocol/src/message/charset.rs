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
}

impl Charset {
    /// UTF-8, which holds US-ASCII.
    pub const UTF_8: Self = Self(Kind::Web(UTF_8));

    /// The charset with this label, in any case. US-ASCII is read as UTF-8, since what calls itself ASCII and
    /// is not, mostly is that.
    pub fn for_label(label: &[u8]) -> Option<Self> {
        let label = label.trim_ascii();
        if let Some(encoding) = Encoding::for_label_no_replacement(label) {
            let ascii = [&b"us-ascii"[..], b"ascii", b"ansi_x3.4-1968"];
            let is_ascii = ascii.iter().any(|name| label.eq_ignore_ascii_case(name));
            return Some(Self(Kind::Web(if is_ascii { UTF_8 } else { encoding })));
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
        match self.0 {
            Kind::Web(encoding) => CharsetDecoder {
                decoder: encoding.new_decoder_with_bom_removal(),
                shift: None,
            },
            Kind::Iso2022Kr => CharsetDecoder {
                decoder: EUC_KR.new_decoder_without_bom_handling(),
                shift: Some(Shift::default()),
            },
        }
    }

    /// All of the text at once. What is malformed becomes U+FFFD.
    pub fn decode(self, octets: &[u8]) -> String {
        let mut text = String::new();
        self.decoder().feed(octets, Piece::Last, &mut text);
        text
    }
}

/// Whether more octets follow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Piece {
    /// They do.
    More,
    /// They do not.
    Last,
}

/// Decodes text that comes in pieces, cut anywhere.
pub struct CharsetDecoder {
    decoder: Decoder,
    shift: Option<Shift>,
}

impl CharsetDecoder {
    /// Appends what these octets mean. What is malformed becomes U+FFFD.
    pub fn feed(&mut self, octets: &[u8], piece: Piece, text: &mut String) {
        let unwrapped = self.shift.as_mut().map(|shift| shift.unwrap(octets));
        let mut rest = unwrapped.as_deref().unwrap_or(octets);
        loop {
            let needed = self.decoder.max_utf8_buffer_length(rest.len());
            text.reserve(needed.unwrap_or(rest.len()).max(16));
            let (result, read, _) = self
                .decoder
                .decode_to_string(rest, text, piece == Piece::Last);
            rest = &rest[read..];
            if result == CoderResult::InputEmpty {
                return;
            }
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
    if let Ok(text) = core::str::from_utf8(octets) {
        return Cow::Borrowed(text);
    }
    let encoding = if is_korean(octets) {
        EUC_KR
    } else {
        WINDOWS_1252
    };
    encoding.decode_without_bom_handling(octets).0
}

/// Whether every octet above ASCII belongs to a pair of KS X 1001.
fn is_korean(octets: &[u8]) -> bool {
    let mut rest = octets.iter();
    while let Some(&lead) = rest.next() {
        if lead >= 0x80 {
            let trail = rest.next();
            let pair = (0xa1..=0xfd).contains(&lead) && trail.is_some_and(|&octet| octet >= 0xa1);
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
        assert_eq!(Charset::for_label(b"x-unknown"), None);
    }

    #[test]
    fn guesses() {
        assert_eq!(guess("한글 é".as_bytes()), "한글 é");
        assert_eq!(guess(b"[\xc7\xd1\xb1\xdb] ok"), "[한글] ok");
        assert_eq!(guess(b"Ren\xe9 Fran\xe7ois"), "René François");
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
