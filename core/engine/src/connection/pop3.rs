//! How the questions of POP3 sessions are answered. The maildrop is INBOX, locked for one session an account
//! on all hosts. What a client has retrieved
//! whole is noted: from then on its time runs (`mailbox::maildrop`).

use std::collections::HashMap;

use postrider_protocol::imap::types::{Uid, UidValidity};
use postrider_protocol::pop3::ask::{Answer, Ask, BodyAnswer, Listed, Opened, Removed};
use postrider_protocol::pop3::{Expire, Pop3Session};
use postrider_protocol::session::Framing;
use postrider_storage::Error;
use postrider_storage::index::{
    self as storage, AccountId, Change, Expunge, ExpungeMaildrop, ExpungeWhich, INBOX, MailboxId,
    MaildropBy, Retention, Retrieved,
};

use super::asks::{Asks, Desk};
use super::wire::{Broken, Wire};
use crate::clock;
use crate::config::Config;
use crate::engine::MaildropLock;

/// Answers for one connection.
pub(crate) struct Pop3Asks {
    desk: Desk,
    maildrop: Option<Maildrop>,
}

struct Maildrop {
    account: AccountId,
    mailbox: MailboxId,
    /// The message whose body is open.
    open: Option<storage::Uid>,
    /// The message that was sent whole; the client has it when it says something more.
    sent: Option<storage::Uid>,
    /// Messages that the client has, not yet noted in the index.
    retrieved: Vec<storage::Uid>,
    /// Its messages, rising.
    uids: Box<[storage::Uid]>,
    lock: MaildropLock,
}

/// Messages that are noted as retrieved at a time. What a crash forgets of them stays longer, no more.
const NOTED: usize = 100;

impl Pop3Asks {
    /// For a connection with this desk.
    pub fn new(desk: Desk) -> Self {
        Self {
            desk,
            maildrop: None,
        }
    }

    async fn open(&mut self) -> Result<Opened, Error> {
        let account = self.desk.account.as_deref();
        let account = account.ok_or(Error::NotFound("account"))?;
        let expire = expire(account.pop3_retention, &self.desk.services.config);
        let account = account.id;
        let Some(lock) = self.desk.services.maildrops.hold(account).await? else {
            return Ok(Opened::InUse);
        };
        let index = &self.desk.services.index;
        let inbox = index
            .read(|index| index.mailbox(account, INBOX))
            .await?
            .ok_or(Error::NotFound("mailbox"))?;
        let id = inbox.id;
        let all = index.read(|index| index.messages(id)).await?;
        let mut uids: Vec<_> = all.changed.iter().map(|message| message.uid).collect();
        uids.sort_unstable();
        self.maildrop = Some(Maildrop {
            account,
            mailbox: id,
            open: None,
            sent: None,
            retrieved: Vec::new(),
            uids: uids.into(),
            lock,
        });
        // Of the few whose line ends are not those of the wire.
        let others = index.read(|index| index.line_sizes(id)).await?;
        let others: HashMap<_, _> = others.into_iter().collect();
        let own = index.read(|index| index.unique_ids(id)).await?;
        let own = own.into_iter().map(|(uid, own)| (Uid(uid.0), own));
        let listed = |message: &storage::Message| Listed {
            uid: Uid(message.uid.0),
            octets: others.get(&message.uid).copied().unwrap_or(message.size),
        };
        Ok(Opened::Maildrop {
            messages: all.changed.iter().map(listed).collect(),
            uid_validity: UidValidity(inbox.uid_validity.0),
            unique_ids: own.collect(),
            expire,
        })
    }

    async fn body(&mut self, uid: Uid) -> Result<BodyAnswer, Error> {
        let maildrop = self.maildrop.as_mut().ok_or(Error::NotFound("mailbox"))?;
        maildrop.open = Some(storage::Uid(uid.0));
        let uids = &maildrop.uids;
        let following = |after: storage::Uid, most: usize| {
            let behind = &uids[uids.partition_point(|uid| *uid <= after)..];
            behind[..most.min(behind.len())].to_vec()
        };
        let (mailbox, uid) = (maildrop.mailbox, storage::Uid(uid.0));
        // As many octets as there are: TOP sends fewer, but which only shows on the way.
        match self.desk.open(mailbox, uid, 0..u64::MAX, &following).await {
            Ok(Some(octets)) => Ok(BodyAnswer::Ready { octets }),
            Ok(None) => Ok(BodyAnswer::Gone),
            Err(error @ Error::NotFound(_)) => {
                tracing::error!(%error, uid = uid.0, "a row without its body");
                Ok(BodyAnswer::Gone)
            }
            Err(error) => Err(error),
        }
    }

    /// Notes what was retrieved, if it is so much.
    async fn note(&mut self, least: usize) {
        let Some(maildrop) = self.maildrop.as_mut() else {
            return;
        };
        if maildrop.retrieved.len() < least {
            return;
        }
        let retrieved = Retrieved {
            account: maildrop.account,
            mailbox: maildrop.mailbox,
            uids: std::mem::take(&mut maildrop.retrieved),
            now: clock::now(),
        };
        let change = Change::Retrieved(retrieved);
        if let Err(error) = self.desk.services.index.change(change).await {
            tracing::warn!(%error, "retrieved mail is not noted, and stays longer");
        }
    }

    async fn remove(&mut self, uids: &[Uid]) -> Result<(), Error> {
        let account = self
            .desk
            .account
            .as_ref()
            .ok_or(Error::NotFound("account"))?
            .id;
        let maildrop = self.maildrop.as_ref().ok_or(Error::NotFound("mailbox"))?;
        let mut uids: Vec<storage::Uid> = uids.iter().map(|uid| storage::Uid(uid.0)).collect();
        uids.sort_unstable();
        let expunge = Expunge {
            account,
            mailbox: maildrop.mailbox,
            which: ExpungeWhich::Exactly(uids),
            now: clock::now(),
        };
        let index = &self.desk.services.index;
        match maildrop.lock.holder() {
            None => index.expunge(expunge).await?,
            // Whoever came since may have seen another maildrop: nothing goes then.
            Some(holder) => {
                let by = MaildropBy::Holder(holder.to_owned());
                let expunge = ExpungeMaildrop { expunge, by };
                index.expunge_maildrop(expunge).await?
            }
        };
        self.desk.services.mailboxes.notice(maildrop.mailbox);
        Ok(())
    }
}

impl Asks for Pop3Asks {
    type Session = Pop3Session;

    async fn answer(&mut self, ask: Ask, wire: &mut Wire) -> Answer {
        self.note(NOTED).await;
        let unavailable = |error: Error| tracing::warn!(%error, "maildrop unavailable");
        match ask {
            Ask::Authenticate(credentials) => {
                Answer::Verdict(self.desk.authenticate(credentials, wire).await)
            }
            Ask::Open => Answer::Opened(self.open().await.unwrap_or_else(|error| {
                unavailable(error);
                Opened::Unavailable
            })),
            Ask::Body { uid } => Answer::Body(self.body(uid).await.unwrap_or_else(|error| {
                unavailable(error);
                BodyAnswer::Unavailable
            })),
            Ask::Remove { uids } => Answer::Removed(match self.remove(&uids).await {
                Ok(()) => Removed::Removed,
                Err(error) => {
                    unavailable(error);
                    Removed::Unavailable
                }
            }),
        }
    }

    /// A client that goes on has all of what it was sent.
    fn heard(&mut self) {
        if let Some(maildrop) = &mut self.maildrop {
            maildrop.retrieved.extend(maildrop.sent.take());
        }
        self.desk.heard();
    }

    /// RETR retrieves a message, TOP does not.
    async fn send(
        &mut self,
        wire: &mut Wire,
        offset: u64,
        octets: u64,
        framing: Framing,
    ) -> Result<(), Broken> {
        self.desk.send(wire, offset, octets, framing).await?;
        let whole = framing == Framing::DotStuffed { body_lines: None };
        if let Some(maildrop) = self.maildrop.as_mut().filter(|_| whole) {
            maildrop.sent = maildrop.open;
        }
        Ok(())
    }

    /// Whoever reads the answer to QUIT may come back at once.
    async fn closed(&mut self) {
        self.note(1).await;
        if let Some(maildrop) = self.maildrop.take() {
            maildrop.lock.release().await;
        }
    }

    fn desk(&mut self) -> &mut Desk {
        &mut self.desk
    }

    fn command(session: &Pop3Session) -> &'static str {
        session.last_command()
    }
}

/// What CAPA says of an account's mail.
fn expire(own: Option<Retention>, config: &Config) -> Expire {
    match own.unwrap_or(config.retention.retrieved.0) {
        Retention::Never => Expire::Never,
        Retention::Days(days) => Expire::Days(days),
    }
}
