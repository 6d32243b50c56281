//! The POP3 session, by the invariants of `postrider_protocol::pop3`.
//!
//! 1: one response a command. 2: messages go after QUIT alone, and only those marked. 6: no password in clear.

use std::sync::Arc;

use postrider_protocol::imap::types::{Uid, UidValidity};
use postrider_protocol::pop3::ask::{Answer, Ask, BodyAnswer, Listed, Opened, Removed};
use postrider_protocol::pop3::{Config, Expire, Pop3Session};
use postrider_protocol::sasl::{PlaintextLogin, Verdict};
use postrider_protocol::tls::Tls;

use super::script::{Choices, Script};
use super::wire::{Cause, Engine, Next, Turn, lines, play};

/// Plays an input to a POP3 session.
pub fn run(octets: &[u8]) {
    let script = Script::of(octets);
    let setting = script.setting;
    let config = Config {
        tls: [Tls::Implicit, Tls::Offered, Tls::Required, Tls::Absent]
            [usize::from(setting >> 1 & 3)],
        plaintext_login: match setting & 8 {
            0 => PlaintextLogin::Refused,
            _ => PlaintextLogin::Allowed,
        },
        expire: if setting & 16 == 0 {
            Expire::Never
        } else {
            Expire::DaysAtLeast(7)
        },
        ..Config::default()
    };
    let world = World {
        confidential: config.tls == Tls::Implicit,
        allowed: config.plaintext_login,
        messages: if setting & 32 == 0 { 3 } else { 9_000 },
        open: false,
        quits: false,
        body: Vec::new(),
    };
    play(Pop3Session::new(Arc::new(config)), world, &script);
}

struct World {
    confidential: bool,
    allowed: PlaintextLogin,
    messages: u32,
    open: bool,
    quits: bool,
    body: Vec<u8>,
}

impl Engine<Pop3Session> for World {
    fn hears(&mut self, line: &[u8]) {
        self.quits = line
            .get(..4)
            .is_some_and(|name| name.eq_ignore_ascii_case(b"QUIT"));
    }

    fn answer(&mut self, ask: Ask, choices: &mut Choices<'_>) -> Answer {
        let choice = choices.take() % 8;
        match ask {
            Ask::Authenticate(credentials) => {
                assert!(
                    self.confidential || self.allowed == PlaintextLogin::Allowed,
                    "a password in clear"
                );
                assert!(!credentials.user.is_empty() && !credentials.password.expose().is_empty());
                assert!(!self.open, "a second login");
                Answer::Verdict(match choice {
                    5 => Verdict::Denied,
                    6 => Verdict::Throttled,
                    7 => Verdict::Unavailable,
                    _ => Verdict::Granted {
                        account: "ada@example.test".to_owned(),
                    },
                })
            }
            Ask::Open => {
                self.open = choice < 6;
                Answer::Opened(match choice {
                    6 => Opened::InUse,
                    7 => Opened::Unavailable,
                    _ => Opened::Maildrop {
                        messages: (1..=self.messages)
                            .map(|n| Listed {
                                uid: Uid(n * 2),
                                octets: u64::from(n),
                            })
                            .collect(),
                        uid_validity: UidValidity(1),
                        unique_ids: Default::default(),
                        expire: Expire::Days(7),
                    },
                })
            }
            Ask::Body { uid } => {
                assert!(
                    self.open && uid.0 % 2 == 0 && uid.0 <= self.messages * 2,
                    "a message of nobody"
                );
                self.body = match choice {
                    1 => Vec::new(),
                    2 => b"Subject: x\n\n.\n..\nbare\rhere".to_vec(),
                    3 => b".".to_vec(),
                    _ => b"Subject: x\r\n\r\n.dot\r\nline\r\n".to_vec(),
                };
                Answer::Body(match choice {
                    6 => BodyAnswer::Gone,
                    7 => BodyAnswer::Unavailable,
                    _ => BodyAnswer::Ready {
                        octets: self.body.len() as u64,
                    },
                })
            }
            Ask::Remove { uids } => {
                assert!(self.open && self.quits, "messages go without QUIT");
                assert!(
                    !uids.is_empty() && uids.is_sorted_by(|one, other| one < other),
                    "{uids:?}"
                );
                Answer::Removed(if choice == 7 {
                    Removed::Unavailable
                } else {
                    Removed::Removed
                })
            }
        }
    }

    fn body(&self) -> &[u8] {
        &self.body
    }

    fn secured(&mut self) {
        self.confidential = true;
        self.open = false;
    }

    fn judge(&mut self, turn: &Turn<'_>) {
        let lines = lines(turn.said);
        match turn.cause {
            Cause::Open => assert_eq!(lines.len(), 1),
            Cause::Changed => return assert!(lines.is_empty(), "it speaks by itself"),
            Cause::Ending if lines.is_empty() => return,
            _ => {}
        }
        assert_ne!(turn.next, Next::Octets, "POP3 has no octets");
        let (first, rest) = lines.split_first().expect("a response");
        let status =
            first.starts_with(b"+OK") || first.starts_with(b"-ERR") || first.starts_with(b"+ ");
        assert!(status, "{:?}", String::from_utf8_lossy(first));
        assert!(
            !first.ends_with(b"internal error, closing"),
            "it believes to have a bug"
        );
        if let Some((last, rest)) = rest.split_last() {
            assert!(first.starts_with(b"+OK"), "lines behind an error");
            assert_eq!(*last, b".", "the end of the lines");
            let early = rest
                .iter()
                .any(|line| *line == b"." || (line.starts_with(b".") && !line.starts_with(b"..")));
            assert!(!early, "a line that begins with a dot");
        }
    }
}
