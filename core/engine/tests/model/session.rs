//! An IMAP session that believes nothing: it keeps its view as RFC 9051 section 7.4 says and complains where the server breaks it.
//!
//! 1. EXPUNGE names a message of the view, and comes only where the numbers are not in use: never with FETCH, STORE and SEARCH
//!    (RFC 9051 section 7.5.1).
//! 2. EXISTS never shrinks the view: messages go by EXPUNGE alone. New ones have higher UIDs than all before.
//! 3. A number keeps its meaning: what FETCH says of a message is said of the same UID for ever.

use std::collections::{BTreeMap, BTreeSet};

use super::client::{Answer, Client};
use super::house::House;

/// Flags without `\Recent`, which is another thing for every session.
pub type Flags = BTreeSet<String>;

/// A session and what it was told.
pub struct Session {
    client: Client,
    pub selected: Option<&'static str>,
    /// UIDs by sequence number.
    pub view: Vec<u32>,
    /// Flags, where they were told.
    pub flags: BTreeMap<u32, Flags>,
    /// EXPUNGEs since they were last taken.
    pub expunged: Vec<u32>,
}

impl Session {
    pub async fn new(house: &House, account: &str) -> Self {
        Self {
            client: house.imap(account).await,
            selected: None,
            view: Vec::new(),
            flags: BTreeMap::new(),
            expunged: Vec::new(),
        }
    }

    /// APPEND; the UID that was told, or the refusal.
    pub async fn append(&mut self, mailbox: &str, message: &str) -> Result<u32, String> {
        let command = format!("APPEND {mailbox} {{{}+}}\r\n{message}", message.len());
        let Answer { untagged, tagged } = self.client.imap(&command).await;
        let exists = self.notice("APPEND", &untagged);
        self.catch_up(exists).await;
        let uid = code(&tagged, "[APPENDUID ").and_then(|it| it.rsplit_once(' ')?.1.parse().ok());
        match tagged.starts_with("OK") {
            true => Ok(uid.unwrap_or_else(|| panic!("no UID: {tagged}"))),
            false => Err(tagged),
        }
    }

    /// SELECT, and a look at everything.
    pub async fn select(&mut self, mailbox: &'static str) {
        let answer = self.client.imap(&format!("SELECT {mailbox}")).await;
        assert!(answer.is_ok(), "{answer:?}");
        self.selected = Some(mailbox);
        (self.view, self.flags) = (Vec::new(), BTreeMap::new());
        let exists = answer
            .untagged
            .iter()
            .find_map(|line| numbered(line, "EXISTS"));
        self.catch_up(exists).await;
    }

    /// A command; all that it brings is taken into the view.
    pub async fn command(&mut self, command: &str) -> Answer {
        let answer = self.client.imap(command).await;
        let exists = self.notice(command, &answer.untagged);
        self.catch_up(exists).await;
        answer
    }

    /// Learns the UIDs of messages that are new.
    async fn catch_up(&mut self, mut exists: Option<usize>) {
        while let Some(count) = exists.filter(|count| *count > self.view.len()) {
            let command = format!("FETCH {}:{count} (UID FLAGS)", self.view.len() + 1);
            let answer = self.client.imap(&command).await;
            assert!(answer.is_ok(), "{command}: {answer:?}");
            exists = self.notice(&command, &answer.untagged).or(Some(count));
            if self.view.len() < count {
                // Those that are gone already are not told; EXPUNGE has to say so before we ask again.
                let answer = self.client.imap("NOOP").await;
                exists = self.notice("NOOP", &answer.untagged).or(exists);
                let left = self.view.len();
                assert!(
                    answer.is_ok() && (left > 0 || exists.is_none_or(|it| it > left)),
                    "{command} did not bring what EXISTS said: {answer:?}"
                );
            }
        }
    }

    /// Takes untagged responses into the view; the last EXISTS above it.
    fn notice(&mut self, command: &str, untagged: &[String]) -> Option<usize> {
        let in_use = ["FETCH", "STORE", "SEARCH"].iter();
        let in_use = in_use.into_iter().any(|it| command.starts_with(it));
        // Messages that EXISTS has told of and no FETCH has named.
        let mut exists = None;
        for line in untagged {
            if let Some(number) = numbered(line, "EXPUNGE") {
                assert!(!in_use, "{command} brought {line}");
                let count = exists.unwrap_or(self.view.len());
                assert!((1..=count).contains(&number), "{line} of {count}");
                if number <= self.view.len() {
                    let uid = self.view.remove(number - 1);
                    self.flags.remove(&uid);
                    self.expunged.push(uid);
                }
                exists = exists.map(|it| it - 1);
            } else if let Some(count) = numbered(line, "EXISTS") {
                let before = exists.unwrap_or(self.view.len());
                assert!(count >= before, "{line} after {before}, at {command}");
                exists = Some(count);
            } else if let Some(number) = numbered(line, "FETCH") {
                self.fetched(number, line, exists);
            }
        }
        exists
    }

    fn fetched(&mut self, number: usize, line: &str, exists: Option<usize>) {
        let uid = line.split_once("UID ").map(|(_, rest)| {
            let end = rest.find([' ', ')']).unwrap_or(rest.len());
            rest[..end].parse::<u32>().expect("a UID is a number")
        });
        let count = exists.unwrap_or(self.view.len());
        match (self.view.get(number - 1), uid) {
            (Some(known), Some(uid)) => {
                assert_eq!(*known, uid, "number {number} changed its meaning: {line}");
            }
            (Some(_), None) => {}
            // Flags of a message that EXISTS has told of and nobody has asked for yet: the answer that names it says them too.
            (None, None) => return,
            // The same at a command by UID, which names it: those before it are asked for as well.
            (None, Some(_)) if number > self.view.len() + 1 => {
                assert!(number <= count, "{line}; {count} exist");
                return;
            }
            (None, Some(uid)) => {
                let last = self.view.last().copied().unwrap_or(0);
                assert!(uid > last, "UID {uid} behind {last}");
                self.view.push(uid);
            }
        }
        if let Some(flags) = flags(line) {
            self.flags.insert(self.view[number - 1], flags);
        }
    }
}

/// `* 7 EXISTS` and its like.
fn numbered(line: &str, what: &str) -> Option<usize> {
    let (number, rest) = line.strip_prefix("* ")?.split_once(' ')?;
    let rest = rest.strip_prefix(what)?;
    (rest.is_empty() || rest.starts_with(' '))
        .then(|| number.parse().ok())
        .flatten()
}

fn flags(line: &str) -> Option<Flags> {
    let (flags, _) = line.split_once("FLAGS (")?.1.split_once(')')?;
    let flags = flags
        .split(' ')
        .filter(|it| !it.is_empty() && *it != "\\Recent");
    Some(flags.map(str::to_owned).collect())
}

/// What stands in a response code.
pub fn code<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    Some(line.split_once(name)?.1.split_once(']')?.0)
}

/// `1,3:5` as numbers.
pub fn set(text: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        let number = |it: &str| it.parse::<u32>().expect("a number");
        number(first)..=number(last)
    };
    text.split(',').flat_map(range).collect()
}
