//! The text of parts, decoded in bounded pieces, and the search in it (RFC 9051 section 6.4.4, RFC 5051).
//!
//! Text is compared without case, and after compatibility decomposition, so that composed and decomposed Hangul,
//! full-width letters and accents in either form match: i;unicode-casemap but for its title-casing.
//!
//! **Bounds.** Octets are decoded [`PIECE`] at a time, whatever the size of the part; the search goes over the
//! text once and holds only the needle.

use core::ops::ControlFlow;

use unicode_normalization::char::decompose_compatible;

use super::charset::{CharsetDecoder, Piece};
use super::header::fields;
use super::part::{Content, Part};
use super::transfer::TransferDecoder;

/// Octets of a body that are decoded at once.
pub const PIECE: usize = 16 * 1024;

/// Decodes the text of a part that comes in pieces, cut anywhere.
pub struct TextDecoder {
    transfer: TransferDecoder,
    charset: CharsetDecoder,
    octets: Vec<u8>,
    text: String,
}

impl TextDecoder {
    /// A decoder for the body of this part.
    pub fn new(part: &Part) -> Self {
        Self {
            transfer: TransferDecoder::new(&part.encoding),
            charset: part.charset().decoder(),
            octets: Vec::new(),
            text: String::new(),
        }
    }

    /// The text of the next octets of the body.
    pub fn feed(&mut self, body: &[u8]) -> &str {
        self.octets.clear();
        self.transfer.feed(body, &mut self.octets);
        self.decode(Piece::More)
    }

    /// The text that was held back.
    pub fn finish(&mut self) -> &str {
        self.octets.clear();
        self.transfer.finish(&mut self.octets);
        self.decode(Piece::Last)
    }

    fn decode(&mut self, piece: Piece) -> &str {
        self.text.clear();
        self.charset.feed(&self.octets, piece, &mut self.text);
        &self.text
    }
}

/// Gives the text of a part piece by piece until it is enough.
pub fn each_piece(
    part: &Part,
    message: &[u8],
    mut take: impl FnMut(&str) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut decoder = TextDecoder::new(part);
    for piece in part.body.of(message).chunks(PIECE) {
        take(decoder.feed(piece))?;
    }
    take(decoder.finish())
}

/// The form in which text is compared: decomposed, without case.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for character in text.chars() {
        fold_char(character, |character| folded.push(character));
    }
    folded
}

fn fold_char(character: char, mut emit: impl FnMut(char)) {
    if character.is_ascii() {
        emit(character.to_ascii_lowercase());
        return;
    }
    decompose_compatible(character, |part| {
        // Up and down again: sharp s and final sigma meet their equals.
        for upper in part.to_uppercase() {
            upper.to_lowercase().for_each(&mut emit);
        }
    });
}

/// What is searched for.
#[derive(Clone, Debug)]
pub struct Needle {
    characters: Vec<char>,
    /// For each prefix, the length of its longest proper suffix that is a prefix (Knuth, Morris, Pratt).
    fallback: Vec<usize>,
}

impl Needle {
    /// Prepares a search.
    pub fn new(text: &str) -> Self {
        let characters: Vec<_> = fold(text).chars().collect();
        let mut fallback = vec![0; characters.len()];
        let mut matched = 0;
        for at in 1..characters.len() {
            while matched > 0 && characters[at] != characters[matched] {
                matched = fallback[matched - 1];
            }
            matched += usize::from(characters[at] == characters[matched]);
            fallback[at] = matched;
        }
        Self {
            characters,
            fallback,
        }
    }

    /// A search through text that comes in pieces.
    pub fn search(&self) -> Search<'_> {
        Search {
            needle: self,
            matched: 0,
        }
    }

    /// Whether it is in this text.
    pub fn is_in(&self, text: &str) -> bool {
        self.search().feed(text)
    }
}

/// A search that is under way.
#[derive(Clone, Debug)]
pub struct Search<'n> {
    needle: &'n Needle,
    matched: usize,
}

impl Search<'_> {
    /// Goes on through more text. True from the piece in which the needle ends; an empty one is everywhere.
    pub fn feed(&mut self, text: &str) -> bool {
        let Needle {
            characters,
            fallback,
        } = self.needle;
        for character in text.chars() {
            if self.matched == characters.len() {
                break;
            }
            fold_char(character, |character| {
                if self.matched == characters.len() {
                    return;
                }
                while self.matched > 0 && characters[self.matched] != character {
                    self.matched = fallback[self.matched - 1];
                }
                self.matched += usize::from(characters[self.matched] == character);
            });
        }
        self.matched == characters.len()
    }
}

/// What of a message is searched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// SEARCH BODY: the text of all parts, and the headers of messages inside.
    Body,
    /// SEARCH TEXT: the header too.
    Text,
}

/// Whether the needle is in the text of the message whose root this is.
pub fn is_in_message(needle: &Needle, root: &Part, message: &[u8], scope: Scope) -> bool {
    (scope == Scope::Text && is_in_header(needle, root.header.of(message)))
        || is_in_part(needle, root, message)
}

/// Whether the needle is in one of these fields, decoded, each on one line.
pub fn is_in_header(needle: &Needle, header: &[u8]) -> bool {
    fields(header).any(|field| {
        let mut search = needle.search();
        search.feed(&String::from_utf8_lossy(field.name))
            || search.feed(": ")
            || search.feed(&field.text())
    })
}

fn is_in_part(needle: &Needle, part: &Part, message: &[u8]) -> bool {
    match &part.content {
        Content::Multipart(parts) => parts.iter().any(|part| is_in_part(needle, part, message)),
        Content::Message(embedded) => is_in_message(needle, &embedded.root, message, Scope::Text),
        Content::Leaf if is_text(part) => is_in_leaf(needle, part, message),
        Content::Leaf => false,
    }
}

/// Whether a part holds text that a search goes through.
pub fn is_text(part: &Part) -> bool {
    part.content == Content::Leaf && matches!(part.media.kind.as_str(), "text" | "message")
}

fn is_in_leaf(needle: &Needle, part: &Part, message: &[u8]) -> bool {
    let mut search = needle.search();
    let found = each_piece(part, message, |text| match search.feed(text) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    });
    found.is_break()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::mime::{Limits, scan};
    use proptest::prelude::*;

    #[test]
    fn matches_without_case_and_composition() {
        for (needle, text) in [
            ("HELLO", "say hello"),
            ("re\u{301}sume\u{301}", "RÉSUMÉ"),
            (
                "한글",
                "조합형 \u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}",
            ),
            ("abc", "ＡＢＣ"),
            ("STRASSE", "Straße"),
            ("οδοσ", "ΟΔΟΣ οδος"),
            ("aab", "aaab"),
            ("", ""),
        ] {
            assert!(Needle::new(needle).is_in(text), "{needle}");
        }
        assert!(!Needle::new("abd").is_in("ababc"));
        assert!(!Needle::new("x").is_in(""));
    }

    #[test]
    fn messages_are_searched_part_by_part() {
        let message = "Subject: =?euc-kr?B?x9Gx2w==?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n\
            --b\r\nContent-Type: text/plain; charset=euc-kr\r\nContent-Transfer-Encoding: base64\r\n\r\nx9Gx28C6\r\n\
            --b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nsoft=\r\nbreak\r\n\
            --b\r\nContent-Type: application/pdf\r\n\r\nnottext\r\n\
            --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nembedded\r\n--b--\r\nepilogue\r\n";
        let message = message.as_bytes();
        let root = scan(message, &Limits::default()).root;
        let found =
            |needle: &str, scope| is_in_message(&Needle::new(needle), &root, message, scope);
        for needle in ["한글은", "SOFTBREAK", "subject: INNER", "embedded"] {
            assert!(found(needle, Scope::Body), "{needle}");
        }
        for needle in ["nottext", "preamble", "epilogue", "subject: 한글", "Zx9"] {
            assert!(!found(needle, Scope::Body), "{needle}");
        }
        assert!(found("subject: 한글", Scope::Text));
    }

    #[test]
    fn large_parts_are_decoded_in_pieces() {
        let mut message = b"Content-Type: text/plain; charset=utf-8\r\n\r\n".to_vec();
        message.extend("가".repeat(PIECE).bytes());
        let root = scan(&message, &Limits::default()).root;
        let mut characters = 0;
        let mut longest = 0;
        let all = each_piece(&root, &message, |text| {
            characters += text.chars().filter(|character| *character == '가').count();
            longest = longest.max(text.len());
            ControlFlow::Continue(())
        });
        assert!(all.is_continue());
        assert_eq!(characters, PIECE);
        assert!(longest <= PIECE + 4);
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_search(needle in "[abA가É]{0,4}", text in "[abA가É]{0,30}", cut in 0usize..30) {
            let plain = fold(&text).contains(&fold(&needle));
            prop_assert_eq!(Needle::new(&needle).is_in(&text), plain);
            let cut = text.floor_char_boundary(cut);
            let prepared = Needle::new(&needle);
            let mut search = prepared.search();
            let first = search.feed(&text[..cut]);
            prop_assert_eq!(search.feed(&text[cut..]) || first, plain);
        }
    }
}
