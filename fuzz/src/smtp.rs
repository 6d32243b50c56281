//! The SMTP and LMTP sessions, by the invariants of `postrider_protocol::smtp`.
//!
//! 1: one reply a command, over LMTP one a recipient after a message. 4: 2yz after a message only from accepted deliveries.
//! 5: no password in clear. 6: exactly the accepted recipients are in the envelope.

use std::sync::Arc;

use postrider_protocol::lmtp::LmtpSession;
use postrider_protocol::message::Address;
use postrider_protocol::sasl::{PlaintextLogin, Verdict};
use postrider_protocol::session::Session;
use postrider_protocol::smtp::ask::{Answer, Ask, Delivered, RecipientAnswer, SenderAnswer};
use postrider_protocol::smtp::{Chunking, Config, Reports, Role, SmtpSession};
use postrider_protocol::tls::Tls;

use super::script::{Choices, Script};
use super::wire::{Cause, Engine, Next, Turn, lines, play};

/// Longest reply line with its CRLF (RFC 5321 section 4.5.3.1.5).
const REPLY_LINE: usize = 512;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Dialect {
    Smtp,
    Lmtp,
}

/// Plays an input to an SMTP session.
pub fn run(octets: &[u8]) {
    let script = Script::of(octets);
    let config = config(script.setting);
    let world = World::new(Dialect::Smtp, &config);
    play(SmtpSession::new(Arc::new(config)), world, &script);
}

/// Plays an input to an LMTP session.
pub fn run_lmtp(octets: &[u8]) {
    let script = Script::of(octets);
    let config = config(script.setting);
    let world = World::new(Dialect::Lmtp, &config);
    play(LmtpSession::new(Arc::new(config)), world, &script);
}

fn config(setting: u8) -> Config {
    Config {
        role: if setting & 1 == 0 {
            Role::Mx
        } else {
            Role::Submission
        },
        tls: [Tls::Implicit, Tls::Offered, Tls::Required, Tls::Absent]
            [usize::from(setting >> 1 & 3)],
        plaintext_login: match setting & 8 {
            0 => PlaintextLogin::Refused,
            _ => PlaintextLogin::Allowed,
        },
        message_size: if setting & 16 == 0 { 100 << 20 } else { 7 },
        recipients: if setting & 16 == 0 { 1_000 } else { 2 },
        chunking: if setting & 32 == 0 {
            Chunking::Offered
        } else {
            Chunking::Absent
        },
        reports: if setting & 64 == 0 {
            Reports::Offered
        } else {
            Reports::Absent
        },
        ..Config::default()
    }
}

struct World {
    dialect: Dialect,
    role: Role,
    confidential: bool,
    allowed: PlaintextLogin,
    logged_in: bool,
    /// Recipients that were accepted since the last MAIL.
    accepted: Vec<Option<Address>>,
    /// What became of the message of this turn.
    delivered: Option<Vec<Delivered>>,
}

impl World {
    fn new(dialect: Dialect, config: &Config) -> Self {
        Self {
            dialect,
            role: config.role,
            confidential: config.tls == Tls::Implicit,
            allowed: config.plaintext_login,
            logged_in: false,
            accepted: Vec::new(),
            delivered: None,
        }
    }
}

impl<S: Session<Ask = Ask, Answer = Answer>> Engine<S> for World {
    fn answer(&mut self, ask: Ask, choices: &mut Choices<'_>) -> Answer {
        let submission = self.dialect == Dialect::Smtp && self.role == Role::Submission;
        match ask {
            Ask::Authenticate(credentials) => {
                assert!(submission, "a login where there is none");
                assert!(
                    self.confidential || self.allowed == PlaintextLogin::Allowed,
                    "a password in clear"
                );
                assert!(!credentials.user.is_empty() && !credentials.password.expose().is_empty());
                let account = "ada@example.test".to_owned();
                let granted = Verdict::Granted { account };
                let verdict = match choices.take() % 8 {
                    5 => Verdict::Denied,
                    6 => Verdict::Throttled,
                    7 => Verdict::Unavailable,
                    _ => granted,
                };
                self.logged_in |= matches!(verdict, Verdict::Granted { .. });
                Answer::Verdict(verdict)
            }
            Ask::Sender { .. } => {
                assert!(self.logged_in || !submission, "mail of somebody unknown");
                self.accepted.clear();
                Answer::Sender(choices.one_of(&[
                    SenderAnswer::Accepted,
                    SenderAnswer::Accepted,
                    SenderAnswer::NotYours,
                    SenderAnswer::Rejected,
                    SenderAnswer::Accepted,
                    SenderAnswer::Throttled,
                    SenderAnswer::Unavailable,
                ]))
            }
            Ask::Recipient { forward_path, .. } => {
                let answer = choices.one_of(&[
                    RecipientAnswer::Accepted,
                    RecipientAnswer::Accepted,
                    RecipientAnswer::Unknown,
                    RecipientAnswer::Disabled,
                    RecipientAnswer::RelayDenied,
                    RecipientAnswer::Accepted,
                    RecipientAnswer::Full,
                    RecipientAnswer::Loop,
                    RecipientAnswer::Rejected,
                    RecipientAnswer::Throttled,
                    RecipientAnswer::Unavailable,
                ]);
                if answer == RecipientAnswer::Accepted {
                    self.accepted.push(forward_path);
                }
                Answer::Recipient(answer)
            }
            Ask::Deliver(envelope) => {
                let paths = envelope.forward_paths.iter().map(|path| &path.address);
                assert!(paths.eq(&self.accepted), "not the accepted recipients");
                assert!(!envelope.forward_paths.is_empty(), "a message for nobody");
                assert!(!envelope.helo.is_empty(), "a client without a name");
                let mut outcome = || {
                    choices.one_of(&[
                        Delivered::Accepted,
                        Delivered::Accepted,
                        Delivered::Full,
                        Delivered::Unknown,
                        Delivered::Loop,
                        Delivered::Rejected,
                        Delivered::Unfit,
                        Delivered::Unavailable,
                    ])
                };
                let count = envelope.forward_paths.len();
                let outcomes: Vec<_> = match self.dialect {
                    Dialect::Smtp => vec![outcome(); count],
                    Dialect::Lmtp => (0..count).map(|_| outcome()).collect(),
                };
                self.delivered = Some(outcomes.clone());
                Answer::Delivered(outcomes)
            }
        }
    }

    fn body(&self) -> &[u8] {
        &[]
    }

    fn secured(&mut self) {
        self.confidential = true;
        self.logged_in = false;
        self.accepted.clear();
    }

    fn judge(&mut self, turn: &Turn<'_>) {
        let codes = replies(turn.said);
        let finals: Vec<u16> = codes
            .iter()
            .copied()
            .filter(|code| !matches!(code, 334 | 354))
            .collect();
        let waits = usize::from(codes.contains(&334));
        match turn.cause {
            Cause::Open => assert_eq!(codes, [220]),
            Cause::Line(_) | Cause::Broken if turn.next == Next::Octets => {
                assert!(finals.is_empty(), "{codes:?} before the octets");
            }
            Cause::Line(_) | Cause::Broken => {
                assert_eq!(finals.len() + waits, 1, "{codes:?} to {:?}", turn.cause)
            }
            Cause::Octets => self.judge_message(&finals),
            Cause::Changed => assert!(codes.is_empty(), "it says {codes:?} by itself"),
            Cause::Ending => assert_eq!(codes.len(), 1),
        }
        self.delivered = None;
    }
}

impl World {
    fn judge_message(&self, finals: &[u16]) {
        let Some(outcomes) = &self.delivered else {
            let usual = finals.len() == 1;
            let each = self.dialect == Dialect::Lmtp && finals.len() == self.accepted.len();
            return assert!(usual || each, "{finals:?} to octets");
        };
        let expected = match self.dialect {
            Dialect::Smtp => &outcomes[..1],
            Dialect::Lmtp => &outcomes[..],
        };
        assert_eq!(finals.len(), expected.len(), "{finals:?} to {outcomes:?}");
        for (code, outcome) in finals.iter().zip(expected) {
            assert_eq!(
                *code < 300,
                *outcome == Delivered::Accepted,
                "{code} to {outcome:?}"
            );
        }
    }
}

/// The codes of the replies.
pub fn replies(said: &[u8]) -> Vec<u16> {
    let mut codes = Vec::new();
    let mut open = None;
    for line in lines(said) {
        assert!(
            line.len() + 2 <= REPLY_LINE,
            "a reply line of {} octets",
            line.len()
        );
        let text = std::str::from_utf8(line).expect("replies are UTF-8");
        assert!(!text.starts_with("421 4.3.0"), "it believes to have a bug");
        let code: u16 = text
            .get(..3)
            .and_then(|code| code.parse().ok())
            .expect("a code");
        assert!((200..600).contains(&code));
        assert!(
            open.is_none_or(|before| before == code),
            "two codes in one reply"
        );
        match line.get(3) {
            Some(b'-') => open = Some(code),
            Some(b' ') => {
                open = None;
                codes.push(code);
            }
            _ => panic!("a reply without text: {text:?}"),
        }
    }
    assert!(open.is_none(), "half a reply");
    codes
}
