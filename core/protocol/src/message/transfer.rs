//! Content transfer encodings, decoded in pieces (RFC 2045 section 6.7 and section 6.8).
//!
//! Tolerant: what is not of the encoding is passed by (base64) or kept as it stands (quoted-printable), as mail
//! programs do; [`TransferDecoder::is_clean`] says whether that happened, since a scanner that gives up where the
//! reader's program does not is how an attachment gets past it.
//!
//! **Bounds.** Output is never larger than input plus a few octets; the state is a line's trailing blanks at most.

use super::part::Encoding;

/// Trailing blanks of a quoted-printable line that are held back; longer runs are passed on.
const BLANKS: usize = 1000;

/// Decodes a body that comes in pieces, cut anywhere.
#[derive(Clone, Debug)]
pub struct TransferDecoder {
    state: State,
    clean: bool,
}

#[derive(Clone, Debug)]
enum State {
    Identity,
    Base64 { bits: u32, sextets: u8 },
    QuotedPrintable { blanks: Vec<u8>, after: After },
}

/// What of an escape has been read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum After {
    Text,
    Equals,
    EqualsHex(u8),
    EqualsBlank,
    EqualsCr,
}

impl TransferDecoder {
    /// A decoder for a body in this encoding. An unknown one is passed through.
    pub fn new(encoding: &Encoding) -> Self {
        let state = match encoding {
            Encoding::Base64 => State::Base64 {
                bits: 0,
                sextets: 0,
            },
            Encoding::QuotedPrintable => State::QuotedPrintable {
                blanks: Vec::new(),
                after: After::Text,
            },
            Encoding::SevenBit | Encoding::EightBit | Encoding::Binary | Encoding::Other(_) => {
                State::Identity
            }
        };
        Self { state, clean: true }
    }

    /// Whether all octets so far belonged to the encoding.
    pub fn is_clean(&self) -> bool {
        self.clean
    }

    /// Appends what these octets mean.
    pub fn feed(&mut self, octets: &[u8], decoded: &mut Vec<u8>) {
        match &mut self.state {
            State::Identity => decoded.extend_from_slice(octets),
            State::Base64 { bits, sextets } => {
                for &octet in octets {
                    self.clean &= base64(octet, bits, sextets, decoded);
                }
            }
            State::QuotedPrintable { blanks, after } => {
                for &octet in octets {
                    self.clean &= quoted_printable(octet, blanks, after, decoded);
                }
            }
        }
    }

    /// Appends what was held back. Nothing may be fed after it.
    pub fn finish(&mut self, decoded: &mut Vec<u8>) {
        match &mut self.state {
            State::Identity => {}
            State::Base64 { bits, sextets } => self.clean &= flush_base64(bits, sextets, decoded),
            State::QuotedPrintable { blanks, after } => {
                let held = core::mem::replace(after, After::Text);
                self.clean &= held == After::Text;
                match held {
                    After::Equals => decoded.push(b'='),
                    After::EqualsHex(digit) => decoded.extend([b'=', digit]),
                    After::Text | After::EqualsBlank | After::EqualsCr => {}
                }
                decoded.append(blanks);
            }
        }
    }
}

/// Decodes a whole body.
pub fn decode(encoding: &Encoding, body: &[u8]) -> Vec<u8> {
    let mut decoder = TransferDecoder::new(encoding);
    let mut decoded = Vec::new();
    decoder.feed(body, &mut decoded);
    decoder.finish(&mut decoded);
    decoded
}

/// Takes one octet of base64. False if it does not belong there.
fn base64(octet: u8, bits: &mut u32, sextets: &mut u8, decoded: &mut Vec<u8>) -> bool {
    let value = match octet {
        b'A'..=b'Z' => octet - b'A',
        b'a'..=b'z' => octet - b'a' + 26,
        b'0'..=b'9' => octet - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        // Padding ends a quantum; encoders that join pieces go on after it.
        b'=' => {
            flush_base64(bits, sextets, decoded);
            return true;
        }
        _ => return octet.is_ascii_whitespace(),
    };
    *bits = *bits << 6 | u32::from(value);
    *sextets += 1;
    if *sextets == 4 {
        decoded.extend_from_slice(&bits.to_be_bytes()[1..]);
        (*bits, *sextets) = (0, 0);
    }
    true
}

/// Ends a quantum. False if it was not whole.
fn flush_base64(bits: &mut u32, sextets: &mut u8, decoded: &mut Vec<u8>) -> bool {
    let whole = *sextets == 0;
    match *sextets {
        2 => decoded.push((*bits >> 4) as u8),
        3 => decoded.extend_from_slice(&((*bits >> 2) as u16).to_be_bytes()),
        _ => {}
    }
    (*bits, *sextets) = (0, 0);
    whole
}

/// Takes one octet of quoted-printable. False if it makes a malformed escape.
fn quoted_printable(
    octet: u8,
    blanks: &mut Vec<u8>,
    after: &mut After,
    decoded: &mut Vec<u8>,
) -> bool {
    let held = core::mem::replace(after, After::Text);
    match (held, octet) {
        (After::Equals, b'\n') | (After::EqualsBlank | After::EqualsCr, b'\n') => return true,
        (After::Equals | After::EqualsBlank, b'\r') => *after = After::EqualsCr,
        (After::Equals | After::EqualsBlank, b' ' | b'\t') => *after = After::EqualsBlank,
        (After::Equals, digit) if digit.is_ascii_hexdigit() => *after = After::EqualsHex(digit),
        (After::EqualsHex(first), digit) if digit.is_ascii_hexdigit() => {
            decoded.push(hex(first) << 4 | hex(digit))
        }
        (After::Text, _) => {
            plain(octet, blanks, after, decoded);
        }
        // A malformed escape: as it stands.
        (held, _) => {
            decoded.push(b'=');
            if let After::EqualsHex(digit) = held {
                decoded.push(digit);
            }
            plain(octet, blanks, after, decoded);
            return false;
        }
    }
    true
}

/// Text outside of escapes. Blanks are held back: at the end of a line they do not count.
fn plain(octet: u8, blanks: &mut Vec<u8>, after: &mut After, decoded: &mut Vec<u8>) {
    match octet {
        b' ' | b'\t' => {
            if blanks.len() >= BLANKS {
                decoded.append(blanks);
            }
            blanks.push(octet);
            return;
        }
        b'\r' if !blanks.is_empty() && blanks.last() != Some(&b'\r') => {
            blanks.push(octet);
            return;
        }
        b'\n' => {
            let carriage_return = blanks.last() == Some(&b'\r');
            blanks.clear();
            if carriage_return {
                decoded.push(b'\r');
            }
        }
        _ => decoded.append(blanks),
    }
    match octet {
        b'=' => *after = After::Equals,
        _ => decoded.push(octet),
    }
}

/// The value of a hexadecimal digit; 0 for anything else.
pub(super) fn hex(digit: u8) -> u8 {
    char::from(digit)
        .to_digit(16)
        .map_or(0, |value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use proptest::prelude::*;

    fn qp(body: &str) -> String {
        String::from_utf8_lossy(&decode(&Encoding::QuotedPrintable, body.as_bytes())).into_owned()
    }

    fn b64(body: &str) -> String {
        String::from_utf8_lossy(&decode(&Encoding::Base64, body.as_bytes())).into_owned()
    }

    #[test]
    fn quoted_printable_of_the_rfc() {
        let body = "Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.";
        assert_eq!(
            qp(body),
            "Now's the time for all folk to come to the aid of their country."
        );
        assert_eq!(qp("a=3D=e2=82=AC b  \t\r\nc"), "a=€ b\r\nc");
        assert_eq!(qp("soft =  \r\nbreak=\nhere=  \nend"), "soft breakhereend");
        assert_eq!(qp("a  \nb \rc"), "a\nb \rc");
    }

    #[test]
    fn broken_quoted_printable_stays_as_it_stands() {
        for body in ["a=zb", "=4", "=", "=4z", "= x"] {
            let mut decoder = TransferDecoder::new(&Encoding::QuotedPrintable);
            let mut decoded = Vec::new();
            decoder.feed(body.as_bytes(), &mut decoded);
            decoder.finish(&mut decoded);
            assert!(!decoder.is_clean(), "{body}");
            assert_eq!(decoded.first(), body.as_bytes().first(), "{body}");
        }
        assert_eq!(qp("a=zb"), "a=zb");
    }

    /// Attack 23: odd base64 reads as the reader's program reads it.
    #[test]
    fn attack_23_odd_base64() {
        assert_eq!(b64("TV qQ\r\nAA=="), "MZ\u{fffd}\0");
        assert_eq!(b64("aGVs*bG8-"), "hello");
        assert_eq!(b64("aGVsbG8=aGVsbG8="), "hellohello");
        assert_eq!(b64("aGVsbG8"), "hello");
        assert_eq!(b64("===="), "");
        let mut decoder = TransferDecoder::new(&Encoding::Base64);
        decoder.feed(b"aGVs*bG8=", &mut Vec::new());
        assert!(!decoder.is_clean());
    }

    #[test]
    fn long_runs_of_blanks_are_not_held() {
        let mut decoder = TransferDecoder::new(&Encoding::QuotedPrintable);
        let mut decoded = Vec::new();
        decoder.feed(&vec![b' '; 1 << 20], &mut decoded);
        assert!(decoded.len() > (1 << 20) - 2 * BLANKS);
    }

    proptest! {
        #[test]
        fn decodes_what_is_encoded(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let encoded = base64::engine::general_purpose::STANDARD.encode(&octets);
            prop_assert_eq!(decode(&Encoding::Base64, encoded.as_bytes()), octets.clone());
            let escaped: String = octets.iter().map(|octet| format!("={octet:02X}")).collect();
            prop_assert_eq!(decode(&Encoding::QuotedPrintable, escaped.as_bytes()), octets);
        }

        #[test]
        fn pieces_mean_the_whole(body in "[ =\r\nA-Fa-z0-9+/*\t]{0,120}", cut in 0usize..120) {
            let cut = cut.min(body.len());
            for encoding in [Encoding::Base64, Encoding::QuotedPrintable, Encoding::EightBit] {
                let mut decoder = TransferDecoder::new(&encoding);
                let mut decoded = Vec::new();
                decoder.feed(&body.as_bytes()[..cut], &mut decoded);
                decoder.feed(&body.as_bytes()[cut..], &mut decoded);
                decoder.finish(&mut decoded);
                prop_assert!(decoded.len() <= body.len());
                prop_assert_eq!(decoded, decode(&encoding, body.as_bytes()));
            }
        }
    }
}
