//! `dovecot-keywords`: which keyword a letter in a file's name means. Lines `<number> <keyword>`; number 0 is `a`, 25 is `z`.

use super::BadLine;

/// Letters there are.
const LETTERS: usize = 26;
/// Longest keyword that is taken over, in octets.
const LENGTH: usize = 200;

/// The keywords of a mailbox by their letters.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeywordList {
    names: Vec<Option<String>>,
}

impl KeywordList {
    /// The most keywords a list can have.
    pub const LIMIT: usize = LETTERS;

    /// A list of these keywords; those behind the 26th have no letter.
    pub fn of(names: &[String]) -> Self {
        let names = names.iter().take(LETTERS).cloned().map(Some);
        Self {
            names: names.collect(),
        }
    }

    /// Reads a list, and names the lines that make no sense.
    pub fn parse(text: &[u8]) -> (KeywordList, Vec<BadLine>) {
        let mut list = KeywordList::default();
        let mut bad = Vec::new();
        for (number, line) in (1..).zip(text.split(|it| *it == b'\n')) {
            if line.is_empty() {
                continue;
            }
            let mut refuse = |why| bad.push(BadLine { line: number, why });
            let Some((letter, name)) = entry(line) else {
                refuse("not a number from 0 to 25 and a keyword");
                continue;
            };
            if !is_keyword(name) {
                refuse("not a keyword that IMAP can say");
                continue;
            }
            let taken = list.names.get(letter).is_some_and(Option::is_some);
            let mut others = list.names.iter().flatten();
            if taken || others.any(|it| it.eq_ignore_ascii_case(name)) {
                refuse("the letter or the keyword stands there twice");
                continue;
            }
            if list.names.len() <= letter {
                list.names.resize(letter + 1, None);
            }
            list.names[letter] = Some(name.to_owned());
        }
        (list, bad)
    }

    /// The keyword of a letter.
    pub fn name(&self, letter: u8) -> Option<&str> {
        let number = letter.checked_sub(b'a').filter(|it| *it < LETTERS as u8)?;
        self.names.get(usize::from(number))?.as_deref()
    }

    /// The letter of a keyword.
    pub fn letter(&self, name: &str) -> Option<u8> {
        let number = self
            .names
            .iter()
            .position(|it| it.as_deref() == Some(name))?;
        u8::try_from(number).ok().map(|number| b'a' + number)
    }

    /// All keywords, by letter.
    pub fn all(&self) -> Vec<String> {
        self.names.iter().flatten().cloned().collect()
    }

    /// Writes the list.
    pub fn write(&self) -> String {
        let known = self.names.iter().enumerate();
        let known = known.filter_map(|(number, it)| Some(format!("{number} {}\n", it.as_ref()?)));
        known.collect()
    }
}

fn entry(line: &[u8]) -> Option<(usize, &str)> {
    let (number, name) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let plain = number.bytes().all(|it| it.is_ascii_digit());
    let number = number.parse().ok().filter(|it| plain && *it < LETTERS)?;
    Some((number, name))
}

/// An atom (RFC 9051 section 9, `flag-keyword`).
pub fn is_keyword(name: &str) -> bool {
    let atom = |it: u8| it.is_ascii_graphic() && !b"(){%*\"\\]".contains(&it);
    (1..=LENGTH).contains(&name.len()) && name.bytes().all(atom)
}
