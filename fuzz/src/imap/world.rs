//! An engine with one mailbox that changes by chance, and what a client knows that believes every response.

use std::sync::Arc;

use postrider_protocol::imap::ask::{
    Answer, Ask, CopyMode, Counters, Found, Listed, ListedKind, MESSAGES_PER_ASK, OCTETS_PER_READ,
    Opened, Quota, Synced, Trouble,
};
use postrider_protocol::imap::session::{Config, ImapSession};
use postrider_protocol::imap::snapshot::{Changes, Entry, Snapshot};
use postrider_protocol::imap::syntax::MailboxName;
use postrider_protocol::imap::types::{Flags, ModSeq, SpecialUse, StoreMode, Uid, UidValidity};
use postrider_protocol::message::transfer;
use postrider_protocol::message::{Encoding, Kept, Summary};
use postrider_protocol::sasl::{PlaintextLogin, Verdict};
use postrider_protocol::tls::Tls;

use super::super::script::Choices;
use super::super::wire::{Cause, Engine, Next, Turn};
use super::reader::Response;

const TROUBLES: [Trouble; 11] = [
    Trouble::Unavailable,
    Trouble::NonExistent,
    Trouble::NoSelect,
    Trouble::AlreadyExists,
    Trouble::HasChildren,
    Trouble::Cannot("it cannot be"),
    Trouble::Limit("too many"),
    Trouble::OverQuota,
    Trouble::Expunged,
    Trouble::Damaged,
    Trouble::UnknownTransferEncoding,
];

pub struct World {
    confidential: bool,
    logged_in: bool,
    message: Vec<u8>,
    summary: Kept,
    snapshot: Arc<Snapshot>,
    modseq: u64,
    body: Vec<u8>,
    client: Client,
}

/// What a client knows.
#[derive(Default)]
struct Client {
    /// First line of the command that is not answered yet.
    command: Option<Vec<u8>>,
    /// Messages of the selected mailbox, if it is sure of them.
    exists: Option<u32>,
}

impl World {
    pub fn new(config: &Config, message: &[u8]) -> Self {
        let mut world = Self {
            confidential: config.tls == Tls::Implicit
                || config.plaintext_login == PlaintextLogin::Allowed,
            logged_in: false,
            message: message.to_vec(),
            summary: Kept::new(&Summary::of(message).encode()).expect("it was encoded"),
            snapshot: Arc::new(Snapshot::empty(UidValidity(7))),
            modseq: 1,
            body: Vec::new(),
            client: Client::default(),
        };
        for _ in 0..3 {
            world.arrive();
        }
        world
    }

    fn change(&mut self, make: impl FnOnce(&mut Changes, ModSeq)) {
        self.modseq += 1;
        let mut changes = Changes {
            uid_next: self.snapshot.uid_next(),
            highest_modseq: ModSeq(self.modseq),
            keywords: self.snapshot.keywords().to_vec(),
            ..Changes::default()
        };
        make(&mut changes, ModSeq(self.modseq));
        self.snapshot = Arc::new(self.snapshot.apply(&changes));
    }

    fn arrive(&mut self) -> Uid {
        let uid = Uid(self.snapshot.last_uid().max(self.snapshot.uid_next()).0 + 1);
        let size = self.message.len() as u32;
        self.change(|changes, modseq| {
            changes.uid_next = Uid(uid.0 + 1);
            changes.changed.push(Entry {
                uid,
                size,
                modseq,
                flags: Flags::NONE,
                internal_date: 880_000_000,
            });
        });
        uid
    }

    fn entries(&self) -> Vec<Entry> {
        self.snapshot.iter().map(|(_, entry)| *entry).collect()
    }

    /// Something happens in another session, perhaps.
    fn live(&mut self, choices: &mut Choices<'_>) {
        let entries = self.entries();
        let (first, last) = (entries.first().copied(), entries.last().copied());
        match (choices.take() % 8, first, last) {
            (1, _, _) => drop(self.arrive()),
            (2, Some(entry), _) | (3, _, Some(entry)) => {
                self.change(|changes, _| changes.expunged.push(entry.uid))
            }
            (4, Some(entry), _) => self.change(|changes, modseq| {
                let flags = Flags(entry.flags.0 ^ Flags::DELETED.0);
                changes.changed.push(Entry {
                    flags,
                    modseq,
                    ..entry
                });
            }),
            (5, Some(entry), _) if self.snapshot.keywords().len() < 3 => {
                self.change(|changes, modseq| {
                    let number = changes.keywords.len();
                    changes.keywords.push(format!("$Keyword{number}"));
                    let flags = entry.flags | Flags::keyword(number);
                    changes.changed.push(Entry {
                        flags,
                        modseq,
                        ..entry
                    });
                })
            }
            _ => {}
        }
    }

    fn synced(&mut self, choices: &mut Choices<'_>) -> Synced {
        self.live(choices);
        let next = self.snapshot.uid_next().0;
        let recent = if choices.take().is_multiple_of(2) {
            0..0
        } else {
            next.saturating_sub(2)..next
        };
        Synced {
            snapshot: self.snapshot.clone(),
            recent,
        }
    }

    fn store(&mut self, uids: &[Uid], mode: StoreMode, flags: Flags) {
        let named: Vec<_> = self
            .entries()
            .into_iter()
            .filter(|entry| uids.contains(&entry.uid))
            .collect();
        self.change(|changes, modseq| {
            changes.changed.extend(named.into_iter().map(|entry| {
                let flags = match mode {
                    StoreMode::Replace => flags,
                    StoreMode::Add => entry.flags | flags,
                    StoreMode::Remove => Flags(entry.flags.0 & !flags.0),
                };
                Entry {
                    flags,
                    modseq,
                    ..entry
                }
            }));
        });
    }

    fn expunge(&mut self, goes: impl Fn(&Entry) -> bool) {
        let gone = self
            .entries()
            .into_iter()
            .filter(goes)
            .map(|entry| entry.uid)
            .collect();
        self.change(|changes, _| changes.expunged = gone);
    }

    fn mailboxes() -> Vec<Listed> {
        let names = [
            ("INBOX", ListedKind::Mailbox, None),
            ("Archive", ListedKind::Mailbox, Some(SpecialUse::Archive)),
            ("Entw\u{fc}rfe/alt", ListedKind::NonExistent, None),
            ("a", ListedKind::NoSelect, None),
            ("a/\u{65e5}\u{672c} \"x\\y\"", ListedKind::Mailbox, None),
        ];
        let listed = |(name, kind, special_use)| Listed {
            name: MailboxName::new(name).expect("a good name"),
            kind,
            subscribed: kind != ListedKind::NoSelect,
            special_use,
            counters: Counters::default(),
        };
        names.into_iter().map(listed).collect()
    }

    fn range(&self, start: u64, end: u64) -> Vec<u8> {
        let within = |offset: u64| {
            usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(self.message.len())
        };
        self.message[within(start)..within(end)].to_vec()
    }

    fn do_it(&mut self, ask: Ask, choices: &mut Choices<'_>) -> Answer {
        match ask {
            Ask::Authenticate(_) => unreachable!("answered before"),
            Ask::Open { .. } => {
                let synced = self.synced(choices);
                Answer::Opened(Box::new(Opened {
                    synced,
                    mailbox_id: "F1".to_owned(),
                }))
            }
            Ask::Leave
            | Ask::Create { .. }
            | Ask::Delete { .. }
            | Ask::Rename { .. }
            | Ask::Subscribe { .. }
            | Ask::MayAppend { .. } => Answer::Done,
            Ask::Sync { .. } => Answer::Synced(self.synced(choices)),
            Ask::Mailboxes => Answer::Mailboxes(Self::mailboxes()),
            Ask::Status { mailbox } => Answer::Status(Box::new(Listed {
                name: mailbox,
                ..Self::mailboxes().remove(0)
            })),
            Ask::Quota => Answer::Quota(Quota {
                used: 12,
                limit: (choices.take().is_multiple_of(2)).then_some(u64::MAX),
            }),
            Ask::Append { .. } => Answer::Appended {
                uid_validity: UidValidity(7),
                uid: self.arrive(),
            },
            Ask::Store {
                uids, mode, flags, ..
            } => {
                rising(&uids);
                self.store(&uids, mode, flags.system);
                Answer::Stored {
                    synced: self.synced(choices),
                    modified: Vec::new(),
                }
            }
            Ask::Copy { uids, mode, .. } => {
                rising(&uids);
                let from: Vec<Uid> = self
                    .entries()
                    .iter()
                    .map(|entry| entry.uid)
                    .filter(|uid| uids.contains(uid))
                    .collect();
                let to = (1..).map(Uid).take(from.len()).collect();
                if mode == CopyMode::Move {
                    self.expunge(|entry| from.contains(&entry.uid));
                }
                Answer::Copied {
                    uid_validity: UidValidity(8),
                    from,
                    to,
                    synced: self.synced(choices),
                }
            }
            Ask::Expunge { uids } => {
                let named =
                    |entry: &Entry| uids.as_ref().is_none_or(|uids| uids.contains(&entry.uid));
                self.expunge(|entry| entry.flags.contains(Flags::DELETED) && named(entry));
                Answer::Synced(self.synced(choices))
            }
            Ask::Summaries { uids, next } => {
                bounded(&uids);
                assert!(next.len() <= MESSAGES_PER_ASK, "{} ahead", next.len());
                let chosen = choices.take();
                let lost = chosen % 8 == 7;
                // As where the summaries are large: at least one of them was looked at.
                let fit = match chosen / 8 % 4 {
                    3 => uids.len().div_ceil(2),
                    _ => uids.len(),
                };
                let found = uids[..fit]
                    .iter()
                    .skip(usize::from(lost))
                    .map(|uid| (*uid, self.summary.clone()));
                Answer::Summaries {
                    found: found.collect(),
                    rest: uids[fit..].to_vec(),
                    damaged: Vec::new(),
                }
            }
            Ask::Body { .. } => {
                self.body = self.message.clone();
                Answer::Body {
                    octets: self.body.len() as u64,
                }
            }
            Ask::Read { range, .. } => {
                let octets = range.end.saturating_sub(range.start);
                assert!(octets <= OCTETS_PER_READ, "{octets} octets at once");
                Answer::Read(self.range(range.start, range.end).into())
            }
            Ask::Decode {
                range, encoding, ..
            } => match Encoding::named(encoding.as_bytes()) {
                Encoding::Other(_) => Answer::Refused(Trouble::UnknownTransferEncoding),
                encoding => {
                    self.body = transfer::decode(&encoding, &self.range(range.start, range.end));
                    Answer::Body {
                        octets: self.body.len() as u64,
                    }
                }
            },
            Ask::Search { keys, uids } => {
                bounded(&uids);
                let mut found = |uid| Found {
                    uid,
                    matches: keys
                        .iter()
                        .map(|_| choices.take().is_multiple_of(2))
                        .collect(),
                };
                Answer::Found(uids.into_iter().map(&mut found).collect())
            }
        }
    }
}

fn rising(uids: &[Uid]) {
    assert!(
        uids.is_sorted_by(|one, other| one < other),
        "{uids:?} do not rise"
    );
}

fn bounded(uids: &[Uid]) {
    rising(uids);
    assert!(
        uids.len() <= MESSAGES_PER_ASK,
        "{} messages at once",
        uids.len()
    );
}

impl Engine<ImapSession> for World {
    fn hears(&mut self, line: &[u8]) {
        self.client.command.get_or_insert_with(|| line.to_vec());
    }

    fn answer(&mut self, ask: Ask, choices: &mut Choices<'_>) -> Answer {
        if let Ask::Authenticate(credentials) = &ask {
            assert!(self.confidential, "a password in clear");
            assert!(!self.logged_in, "a second login");
            assert!(!credentials.user.is_empty() && !credentials.password.expose().is_empty());
            let verdict = match choices.take() % 8 {
                5 => Verdict::Denied,
                6 => Verdict::Throttled,
                7 => Verdict::Unavailable,
                _ => Verdict::Granted {
                    account: "ada@example.test".to_owned(),
                },
            };
            self.logged_in = matches!(verdict, Verdict::Granted { .. });
            return Answer::Verdict(verdict);
        }
        assert!(self.logged_in, "{ask:?} of nobody");
        let choice = choices.take();
        if choice % 16 == 15 {
            let trouble = TROUBLES[usize::from(choice / 16) % TROUBLES.len()];
            return Answer::Refused(trouble);
        }
        self.do_it(ask, choices)
    }

    fn body(&self) -> &[u8] {
        &self.body
    }

    fn secured(&mut self) {
        self.confidential = true;
    }

    fn judge(&mut self, turn: &Turn<'_>) {
        let responses = Response::all(turn.said);
        let bug = responses
            .iter()
            .any(|response| response.text.contains("internal error"));
        assert!(!bug, "it believes to have a bug");
        let ends: Vec<&str> = responses.iter().filter_map(Response::ends).collect();
        let continued = responses.iter().any(Response::is_continuation);
        let closed = turn.next == Next::Closed;
        match turn.cause {
            Cause::Line(_) | Cause::Broken if closed => assert!(ends.len() <= 1, "{responses:?}"),
            Cause::Line(_) | Cause::Broken => {
                let waits = continued || turn.next == Next::Octets;
                assert_eq!(
                    ends.len() + usize::from(waits),
                    1,
                    "{responses:?} to {:?}",
                    self.client.command
                );
            }
            _ => assert!(ends.is_empty(), "{responses:?} to {:?}", turn.cause),
        }
        self.client.believe(&responses);
        if let [tag] = ends[..] {
            self.client.answered(tag, &responses);
        }
    }
}

impl Client {
    /// The name of the command, and whether UID stood before it.
    fn name(&self) -> (String, bool) {
        let line = String::from_utf8_lossy(self.command.as_deref().unwrap_or_default())
            .to_ascii_uppercase();
        let mut words = line.split(' ').skip(1);
        match words.next() {
            Some("UID") => (words.next().unwrap_or_default().to_owned(), true),
            name => (name.unwrap_or_default().to_owned(), false),
        }
    }

    fn believe(&mut self, responses: &[Response]) {
        let (name, by_uid) = self.name();
        let selects = matches!(name.as_str(), "SELECT" | "EXAMINE");
        for (number, word) in responses.iter().filter_map(Response::numbered) {
            match (word, self.exists) {
                ("EXISTS", _) if selects => self.exists = Some(number),
                ("EXISTS", Some(exists)) => {
                    assert!(number >= exists, "messages went without EXPUNGE");
                    self.exists = Some(number);
                }
                ("EXPUNGE", Some(exists)) => {
                    let forbidden =
                        !by_uid && matches!(name.as_str(), "FETCH" | "STORE" | "SEARCH");
                    assert!(!forbidden, "EXPUNGE during {name}");
                    assert!(
                        (1..=exists).contains(&number),
                        "{number} of {exists} messages is gone"
                    );
                    self.exists = Some(exists - 1);
                }
                ("FETCH", Some(exists)) => {
                    assert!(
                        (1..=exists).contains(&number),
                        "message {number} of {exists}"
                    );
                }
                _ => {}
            }
        }
    }

    fn answered(&mut self, tag: &str, responses: &[Response]) {
        let command = self.command.clone().unwrap_or_default();
        let said = command
            .split(|octet| *octet == b' ')
            .next()
            .unwrap_or_default();
        assert!(
            tag == "*" || said.starts_with(tag.as_bytes()),
            "{tag} answers {:?}",
            String::from_utf8_lossy(&command)
        );
        let ok = responses
            .iter()
            .any(|response| response.text.starts_with(&format!("{tag} OK")));
        match (self.name().0.as_str(), ok) {
            // Whether a mailbox is still selected is not said.
            ("SELECT" | "EXAMINE", false) | ("CLOSE" | "UNSELECT", true) => self.exists = None,
            _ => {}
        }
        self.command = None;
    }
}
