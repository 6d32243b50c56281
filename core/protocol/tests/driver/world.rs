//! A fake engine: accounts, aliases and messages in maps.

use std::collections::BTreeMap;

use postrider_protocol::imap::types::{Uid, UidValidity};
use postrider_protocol::message::address::Address;
use postrider_protocol::pop3::{Expire, ask as pop3};
use postrider_protocol::sasl::{Credentials, Verdict};
use postrider_protocol::smtp::ask::{
    Answer, Ask, Delivered, Envelope, RecipientAnswer, SenderAnswer,
};

use super::script::Step;

#[derive(Default)]
pub struct World {
    pub role: String,
    accounts: BTreeMap<String, Account>,
    aliases: BTreeMap<String, String>,
    faults: Vec<(String, String)>,
    logged_in: Option<String>,
    /// What the connection received.
    pub spool: Vec<u8>,
    /// What the engine opened for sending.
    pub body: Vec<u8>,
}

#[derive(Default)]
pub struct Account {
    password: String,
    quota: Option<u64>,
    next_uid: u32,
    messages: BTreeMap<u32, Vec<u8>>,
}

impl Account {
    fn used(&self) -> u64 {
        self.messages
            .values()
            .map(|message| message.len() as u64)
            .sum()
    }

    fn has_room(&self, octets: u64) -> bool {
        self.quota.is_none_or(|quota| self.used() + octets <= quota)
    }

    fn append(&mut self, message: &[u8]) {
        self.next_uid += 1;
        self.messages.insert(self.next_uid, message.to_vec());
    }
}

/// Where a recipient leads.
enum Route {
    Account(String),
    Remote,
    Refused(RecipientAnswer),
}

impl World {
    /// Takes what is there before the session.
    pub fn set_up(&mut self, step: &Step) {
        match step {
            Step::Account {
                email,
                password,
                quota,
            } => {
                let account = Account {
                    password: password.clone(),
                    quota: *quota,
                    ..Account::default()
                };
                self.accounts.insert(email.clone(), account);
            }
            Step::Alias {
                source,
                destination,
            } => {
                self.aliases.insert(source.clone(), destination.clone());
            }
            Step::Deliver { email, message } => {
                if let Some(account) = self.accounts.get_mut(email) {
                    account.append(message);
                }
            }
            _ => {}
        }
    }

    pub fn fault(&mut self, neighbour: &str, how: &str) -> Result<(), String> {
        match (neighbour, how) {
            ("auth", "unavailable" | "throttled")
            | ("index" | "spool", "unavailable")
            | ("blob", "unavailable" | "gone")
            | ("maildrop", "in-use" | "unavailable") => {
                self.faults.push((neighbour.to_owned(), how.to_owned()));
                Ok(())
            }
            _ => Err("unknown fault".to_owned()),
        }
    }

    fn broken(&self, neighbour: &str, how: &str) -> bool {
        self.faults.iter().any(|(n, h)| n == neighbour && h == how)
    }

    pub fn spool_fails(&self) -> bool {
        self.broken("spool", "unavailable")
    }

    pub fn authenticate(&mut self, credentials: &Credentials) -> Verdict {
        if self.broken("auth", "unavailable") {
            return Verdict::Unavailable;
        }
        if self.broken("auth", "throttled") {
            return Verdict::Throttled;
        }
        match self.accounts.get(&credentials.user) {
            Some(account)
                if account.password.as_bytes() == credentials.password.expose().as_slice()
                    && credentials.authorize_as.is_empty() =>
            {
                self.logged_in = Some(credentials.user.clone());
                Verdict::Granted {
                    account: credentials.user.clone(),
                }
            }
            _ => Verdict::Denied,
        }
    }

    /// Answers SMTP and LMTP sessions.
    pub fn smtp(&mut self, ask: Ask) -> Answer {
        let broken = self.broken("index", "unavailable");
        match ask {
            Ask::Authenticate(credentials) => Answer::Verdict(self.authenticate(&credentials)),
            Ask::Sender { .. } if broken && self.logged_in.is_some() => {
                Answer::Sender(SenderAnswer::Unavailable)
            }
            Ask::Sender { reverse_path, .. } => {
                Answer::Sender(match (&self.logged_in, reverse_path) {
                    (Some(account), Some(address)) if address.lookup_key() != *account => {
                        SenderAnswer::NotYours
                    }
                    _ => SenderAnswer::Accepted,
                })
            }
            Ask::Recipient { .. } if broken => Answer::Recipient(RecipientAnswer::Unavailable),
            Ask::Recipient { forward_path, size } => {
                Answer::Recipient(match self.route(&forward_path) {
                    Route::Refused(answer) => answer,
                    Route::Remote => RecipientAnswer::Accepted,
                    Route::Account(name) => match self.accounts.get(&name) {
                        Some(account) if account.has_room(size.unwrap_or(1)) => {
                            RecipientAnswer::Accepted
                        }
                        Some(_) => RecipientAnswer::Full,
                        None => RecipientAnswer::Unknown,
                    },
                })
            }
            Ask::Deliver(envelope) => Answer::Delivered(self.take(&envelope)),
        }
    }

    /// Answers POP3 sessions.
    pub fn pop3(&mut self, ask: pop3::Ask) -> pop3::Answer {
        let broken = self.broken("index", "unavailable") || self.broken("maildrop", "unavailable");
        let gone = self.broken("blob", "gone");
        let unreadable = self.broken("blob", "unavailable");
        let in_use = self.broken("maildrop", "in-use");
        if let pop3::Ask::Authenticate(credentials) = &ask {
            return pop3::Answer::Verdict(self.authenticate(credentials));
        }
        let account = self
            .logged_in
            .as_ref()
            .and_then(|name| self.accounts.get_mut(name))
            .expect("a session asks nothing else before login");
        match ask {
            pop3::Ask::Authenticate(_) => unreachable!("answered above"),
            pop3::Ask::Open if broken => pop3::Answer::Opened(pop3::Opened::Unavailable),
            pop3::Ask::Open if in_use => pop3::Answer::Opened(pop3::Opened::InUse),
            pop3::Ask::Open => pop3::Answer::Opened(pop3::Opened::Maildrop {
                messages: account
                    .messages
                    .iter()
                    .map(|(&uid, message)| pop3::Listed {
                        uid: Uid(uid),
                        octets: message.len() as u64,
                    })
                    .collect(),
                uid_validity: UidValidity(0x00c0_ffee),
                unique_ids: Default::default(),
                expire: Expire::Days(7),
            }),
            pop3::Ask::Body { .. } if unreadable => {
                pop3::Answer::Body(pop3::BodyAnswer::Unavailable)
            }
            pop3::Ask::Body { .. } if gone => pop3::Answer::Body(pop3::BodyAnswer::Gone),
            pop3::Ask::Body { uid } => pop3::Answer::Body(match account.messages.get(&uid.0) {
                None => pop3::BodyAnswer::Gone,
                Some(message) => {
                    self.body = message.clone();
                    pop3::BodyAnswer::Ready {
                        octets: self.body.len() as u64,
                    }
                }
            }),
            pop3::Ask::Remove { .. } if broken => pop3::Answer::Removed(pop3::Removed::Unavailable),
            pop3::Ask::Remove { uids } => {
                account.messages.retain(|&uid, _| !uids.contains(&Uid(uid)));
                pop3::Answer::Removed(pop3::Removed::Removed)
            }
        }
    }

    fn route(&self, path: &Option<Address>) -> Route {
        let Some(address) = path else {
            return Route::Remote;
        };
        let mut name = address.lookup_key();
        for _ in 0..10 {
            match self.aliases.get(&name) {
                Some(destination) => name = destination.clone(),
                None if self.accounts.contains_key(&name) => return Route::Account(name),
                None => {
                    let domain = format!("@{}", address.domain());
                    let ours = self
                        .accounts
                        .keys()
                        .chain(self.aliases.keys())
                        .any(|known| known.ends_with(&domain));
                    return match (ours, &self.logged_in) {
                        (true, _) => Route::Refused(RecipientAnswer::Unknown),
                        (false, Some(_)) => Route::Remote,
                        (false, None) => Route::Refused(RecipientAnswer::RelayDenied),
                    };
                }
            }
        }
        Route::Refused(RecipientAnswer::Loop)
    }

    /// Over SMTP one outcome for all, over LMTP one for each.
    fn take(&mut self, envelope: &Envelope) -> Vec<Delivered> {
        let message = std::mem::take(&mut self.spool);
        let text = String::from_utf8_lossy(&message).into_owned();
        let common = if self.broken("blob", "unavailable") {
            Some(Delivered::Unavailable)
        } else if text.matches("Received:").count() > 30 {
            Some(Delivered::Loop)
        } else if text.contains("X-Reject: yes") {
            Some(Delivered::Rejected)
        } else {
            None
        };
        let mut outcomes = Vec::new();
        for path in &envelope.forward_paths {
            let outcome = common.unwrap_or_else(|| match self.route(&path.address) {
                Route::Remote => Delivered::Accepted,
                Route::Refused(_) => Delivered::Unknown,
                Route::Account(name) => match self.accounts.get_mut(&name) {
                    Some(account) if account.has_room(message.len() as u64) => {
                        account.append(&message);
                        Delivered::Accepted
                    }
                    Some(_) => Delivered::Full,
                    None => Delivered::Unknown,
                },
            });
            outcomes.push(outcome);
        }
        outcomes
    }
}
