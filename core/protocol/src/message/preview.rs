//! A short text that says what a message is about (RFC 8970), taken from the first text a reader would see.
//!
//! **Bounds.** [`CHARACTERS`] are kept; [`LOOKED_AT`] octets of a part are looked at.

use super::part::{Content, Part};
use super::text::{PIECE, TextDecoder};

/// Characters of a preview.
pub const CHARACTERS: usize = 200;
/// Octets of a part that are looked at.
pub const LOOKED_AT: usize = 64 * 1024;

/// The beginning of the first text/plain that says something, else of the first text/html.
pub fn preview(root: &Part, message: &[u8]) -> String {
    let leaves = || {
        root.walk()
            .filter(|part| {
                part.content == Content::Leaf && part.media.kind == "text" && !part.is_attachment()
            })
            .take(20)
    };
    let plain = leaves().filter(|part| part.media.subtype != "html");
    let html = leaves().filter(|part| part.media.subtype == "html");
    plain
        .chain(html)
        .map(|part| of_part(part, message))
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}

fn of_part(part: &Part, message: &[u8]) -> String {
    let mut visible = Visible::default();
    let mut markup = (part.media.subtype == "html").then(Markup::default);
    let mut take = |text: &str| {
        for character in text.chars() {
            if visible.characters >= CHARACTERS {
                return false;
            }
            match &mut markup {
                Some(markup) => markup.take(character, &mut visible),
                None => visible.push(character),
            }
        }
        visible.characters < CHARACTERS
    };
    let body = part.body.of(message);
    let mut decoder = TextDecoder::new(part);
    let mut pieces = body[..body.len().min(LOOKED_AT)].chunks(PIECE);
    if pieces.all(|piece| take(decoder.feed(piece))) {
        take(decoder.finish());
    }
    visible.text.truncate(visible.text.trim_end().len());
    visible.text
}

/// Text on one line: several blanks are one, what cannot be seen is left out.
#[derive(Default)]
struct Visible {
    text: String,
    characters: usize,
}

impl Visible {
    fn push(&mut self, character: char) {
        let blank = character.is_whitespace() || character.is_control();
        let hidden = matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffd}');
        if hidden
            || self.characters >= CHARACTERS
            || (blank && (self.text.is_empty() || self.text.ends_with(' ')))
        {
            return;
        }
        self.text.push(if blank { ' ' } else { character });
        self.characters += 1;
    }
}

/// Longest name of a tag or entity that is told apart.
const NAME: usize = 12;

/// Leaves the text of HTML, as far as a preview needs it.
#[derive(Default)]
struct Markup {
    state: State,
    name: String,
    /// The element whose text is not shown.
    skipped: Option<&'static str>,
}

#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum State {
    #[default]
    Text,
    /// In the name of a tag.
    Name,
    /// After the name of a tag.
    Tag,
    /// In a quoted value of a tag.
    Quoted(char),
    /// After `<!--`, with so many dashes seen.
    Comment(u8),
    Entity,
}

/// Elements whose text is not shown.
const HIDDEN: [&str; 4] = ["style", "script", "head", "title"];

impl Markup {
    fn take(&mut self, character: char, visible: &mut Visible) {
        match (self.state, character) {
            (State::Text, '<') => self.begin(State::Name),
            (State::Text, '&') if self.skipped.is_none() => self.begin(State::Entity),
            (State::Text, _) if self.skipped.is_none() => visible.push(character),
            (State::Text, _) => {}
            (State::Name, '<') => self.begin(State::Name),
            (State::Name, '>') => self.end_tag(visible),
            (State::Name, _) if character.is_whitespace() => self.state = State::Tag,
            (State::Name, _) => {
                self.gather(character);
                if self.name == "!--" {
                    self.state = State::Comment(0);
                }
            }
            (State::Tag, '>') => self.end_tag(visible),
            (State::Tag, '"' | '\'') => self.state = State::Quoted(character),
            (State::Tag, _) => {}
            (State::Quoted(quote), _) if character == quote => self.state = State::Tag,
            (State::Quoted(_), _) => {}
            (State::Comment(dashes), '-') => self.state = State::Comment((dashes + 1).min(2)),
            (State::Comment(2), '>') => self.state = State::Text,
            (State::Comment(_), _) => self.state = State::Comment(0),
            (State::Entity, ';') => {
                self.state = State::Text;
                visible.push(entity(&self.name));
            }
            (State::Entity, '#' | '0'..='9' | 'A'..='Z' | 'a'..='z') if self.name.len() < NAME => {
                self.gather(character);
            }
            (State::Entity, _) => {
                self.state = State::Text;
                visible.push('&');
                core::mem::take(&mut self.name)
                    .chars()
                    .for_each(|character| visible.push(character));
                self.take(character, visible);
            }
        }
    }

    fn begin(&mut self, state: State) {
        self.state = state;
        self.name.clear();
    }

    fn gather(&mut self, character: char) {
        if self.name.len() < NAME {
            self.name.push(character.to_ascii_lowercase());
        }
    }

    fn end_tag(&mut self, visible: &mut Visible) {
        self.state = State::Text;
        let (closing, name) = match self.name.strip_prefix('/') {
            Some(name) => (true, name),
            None => (false, self.name.trim_end_matches('/')),
        };
        match self.skipped {
            Some(skipped) if closing && skipped == name => self.skipped = None,
            // A body ends a head that was left open.
            Some("head") if name == "body" => self.skipped = None,
            Some(_) => {}
            None if !closing => self.skipped = HIDDEN.into_iter().find(|hidden| *hidden == name),
            None => {}
        }
        let inline = ["a", "b", "i", "u", "em", "span", "strong", "font"].contains(&name);
        if !inline {
            visible.push(' ');
        }
    }
}

fn entity(name: &str) -> char {
    match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "zwnj" => '\u{200c}',
        "zwj" => '\u{200d}',
        "shy" => '\u{ad}',
        _ => {
            let code = name
                .strip_prefix('#')
                .and_then(|number| match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16).ok(),
                    None => number.parse().ok(),
                });
            code.and_then(char::from_u32).unwrap_or('\u{fffd}')
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::mime::{Limits, scan};
    use proptest::prelude::*;

    fn shown(message: &str) -> String {
        preview(
            &scan(message.as_bytes(), &Limits::default()).root,
            message.as_bytes(),
        )
    }

    #[test]
    fn plain_text_on_one_line() {
        assert_eq!(
            shown("A: b\r\n\r\n  Hello,\r\n\r\n\tworld \u{200b}!\r\n"),
            "Hello, world !"
        );
        assert_eq!(shown("A: b\r\n\r\n"), "");
        assert_eq!(
            shown(&format!("\r\n{}", "가".repeat(1000))).chars().count(),
            CHARACTERS
        );
    }

    #[test]
    fn html_without_its_markup() {
        let html = "Content-Type: text/html\r\n\r\n<html><head><title>no</title><style>p { a: b }</style></head>\
            <body><!-- <b>not</b> this --><p class=\"a>b\">One &amp; <b>t</b>wo<br>three&#46;&nbsp;&x</p><script>1<2</script> end";
        assert_eq!(shown(html), "One & two three. &x end");
    }

    #[test]
    fn plain_before_html_and_no_attachments() {
        let message = "Content-Type: multipart/mixed; boundary=b\n\n\
            --b\nContent-Disposition: attachment\n\nattached\n--b\nContent-Type: text/html\n\n<p>html\n\
            --b\nContent-Type: text/plain\n\n  \n--b\n\nplain\n--b--\n";
        assert_eq!(shown(message), "plain");
        let only_html = message.replace("\n\nplain\n", "\n\n\n");
        assert_eq!(shown(&only_html), "html");
    }

    proptest! {
        #[test]
        fn any_html_is_short_and_visible(body in "(<[a-z!/-]{0,4}|>|&[#a-z0-9]{0,4};?|\"|[a-z \r\n])*") {
            let text = shown(&format!("Content-Type: text/html\r\n\r\n{body}"));
            prop_assert!(text.chars().count() <= CHARACTERS);
            prop_assert!(!text.contains(char::is_control));
        }
    }
}
