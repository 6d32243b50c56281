//! A client of a bare session: says one command with its literals, and hears what becomes of it.

use std::sync::Arc;

use postrider_protocol::imap::ask::{Answer, Ask, Opened, Synced};
use postrider_protocol::imap::session::{Config, ImapSession, Limits};
use postrider_protocol::imap::snapshot::{Changes, Entry, Snapshot};
use postrider_protocol::imap::types::{Flags, ModSeq, Uid, UidValidity};
use postrider_protocol::sasl::Verdict;
use postrider_protocol::sasl::exchange::PlaintextLogin;
use postrider_protocol::session::{Action, Input, Receive, Received, Session};
use postrider_protocol::tls::Tls;

/// Messages of the selected mailbox.
pub const MESSAGES: u32 = 9;

/// The UID of the message with this number: no number is its own UID.
pub fn uid(seq: u32) -> u32 {
    2 * seq + 10
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Not logged in; TLS is there from the first octet.
    Before,
    /// The same, in the clear, where TLS is offered.
    Clear,
    /// Logged in.
    LoggedIn,
    /// A mailbox of nine messages is selected.
    Selected,
    /// The same, by EXAMINE.
    Examined,
    /// The same as `Selected`, after ENABLE IMAP4rev2.
    Rev2,
}

/// What a command brought.
#[derive(Debug, Default)]
pub struct Heard {
    /// What the server said.
    pub said: String,
    /// What the command asked of the engine first, but for MayAppend and Sync.
    pub ask: Option<Ask>,
    /// The message of an APPEND.
    pub spooled: Vec<u8>,
    /// The command was answered or is being carried out, and all octets belonged to it.
    pub whole: bool,
}

impl Heard {
    /// Whether the grammar was kept: the command is whole, and nothing in it was `BAD`.
    pub fn is_taken(&self) -> bool {
        let gone = self.says(&["BYE"]) && !self.said.contains(" OK LOGOUT");
        self.whole && !gone && !self.says(&["BAD"])
    }

    /// Whether it names a message by a number that no message has: `BAD`, though the grammar is kept.
    pub fn is_beyond(&self) -> bool {
        self.said
            .contains(" BAD no message has this sequence number")
    }

    /// Whether it is `NO`.
    pub fn is_refused(&self) -> bool {
        self.says(&["NO"])
    }

    fn says(&self, conditions: &[&str]) -> bool {
        self.said
            .lines()
            .filter_map(|line| line.split(' ').nth(1))
            .any(|word| conditions.contains(&word))
    }
}

fn synced() -> Synced {
    let entry = |seq| Entry {
        uid: Uid(uid(seq)),
        size: 1,
        modseq: ModSeq(1),
        flags: Flags::NONE,
        internal_date: 0,
    };
    let changes = Changes {
        changed: (1..=MESSAGES).map(entry).collect(),
        ..Changes::default()
    };
    Synced {
        snapshot: Arc::new(Snapshot::empty(UidValidity(1)).apply(&changes)),
        recent: 0..0,
    }
}

/// A session in this state.
pub fn session(state: State) -> ImapSession {
    let mut session = ImapSession::new(Config {
        hostname: "mail.example.test".into(),
        tls: match state {
            State::Clear => Tls::Offered,
            _ => Tls::Implicit,
        },
        plaintext_login: PlaintextLogin::Refused,
        limits: Limits::default(),
    });
    session.on(Input::Open);
    if matches!(state, State::Before | State::Clear) {
        return session;
    }
    session.on(Input::Line(b"a LOGIN ada secret"));
    let account = "ada@example.test".into();
    session.on(Input::Answer(Answer::Verdict(Verdict::Granted { account })));
    if state == State::LoggedIn {
        return session;
    }
    if state == State::Rev2 {
        session.on(Input::Line(b"b ENABLE IMAP4rev2"));
    }
    session.on(Input::Line(match state {
        State::Examined => b"c EXAMINE INBOX",
        _ => b"c SELECT INBOX",
    }));
    session.on(Input::Answer(Answer::Opened(Box::new(Opened {
        synced: synced(),
        mailbox_id: "M1".into(),
    }))));
    session
}

/// Says a command, with its tag and its last CRLF, to a session of its own.
pub fn say(state: State, command: &[u8]) -> Heard {
    let mut session = session(state);
    let mut heard = Heard::default();
    let mut rest = command;
    let mut over = false;
    while !over {
        let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") else {
            return heard;
        };
        let line = &rest[..end];
        rest = &rest[end + 2..];
        let bare = line.iter().any(|octet| matches!(octet, b'\r' | b'\n'));
        let mut actions = session.on(match bare {
            true => Input::BareNewline,
            false => Input::Line(line),
        });
        loop {
            let mut next = None;
            for action in actions {
                match action {
                    Action::Write(octets) => {
                        let text = String::from_utf8_lossy(&octets);
                        over |= text.lines().any(ends_command) || text.starts_with("+ ");
                        heard.said.push_str(&text);
                    }
                    action => next = Some(action),
                }
            }
            let mut take = |octets: u64| {
                let octets = usize::try_from(octets).ok()?;
                let (taken, behind) = rest.split_at_checked(octets)?;
                rest = behind;
                Some(taken)
            };
            let received = |octets: u64| {
                Input::Received(Received {
                    octets,
                    fault: None,
                })
            };
            let input = match next {
                None => break,
                Some(Action::Ask(Ask::MayAppend { .. })) => Input::Answer(Answer::Done),
                Some(Action::Ask(Ask::Sync { .. })) => Input::Answer(Answer::Synced(synced())),
                Some(Action::Resume) => Input::Resume,
                Some(Action::Receive(Receive::Literal { octets })) => {
                    // It was a go-ahead.
                    over = false;
                    match take(octets as u64) {
                        Some(literal) => Input::Literal(literal),
                        None => return heard,
                    }
                }
                Some(Action::Receive(Receive::Discard { octets })) => match take(octets) {
                    Some(_) => received(octets),
                    None => return heard,
                },
                Some(Action::Receive(Receive::Binary { octets, .. })) => {
                    over = false;
                    match take(octets) {
                        Some(message) => heard.spooled = message.to_vec(),
                        None => return heard,
                    }
                    received(octets)
                }
                Some(Action::Ask(ask)) => {
                    heard.ask = Some(ask);
                    over = true;
                    break;
                }
                Some(_) => {
                    over = true;
                    break;
                }
            };
            actions = session.on(input);
        }
    }
    heard.whole = rest.is_empty();
    heard
}

/// A tagged response, or an untagged one that stands for it.
fn ends_command(line: &str) -> bool {
    let mut words = line.split(' ');
    match (words.next(), words.next()) {
        (Some("*"), Some("BAD" | "BYE")) => true,
        (Some("*" | "+"), _) => false,
        (_, Some("OK" | "NO" | "BAD")) => true,
        _ => false,
    }
}
