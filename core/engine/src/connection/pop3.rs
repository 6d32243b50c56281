//! How the questions of POP3 sessions are answered. The maildrop is INBOX, locked for one session an account.

use postrider_protocol::imap::types::{Uid, UidValidity};
use postrider_protocol::pop3::Pop3Session;
use postrider_protocol::pop3::ask::{Answer, Ask, BodyAnswer, Listed, Opened, Removed};
use postrider_storage::Error;
use postrider_storage::index::{self as storage, Expunge, ExpungeWhich, INBOX, MailboxId};

use super::asks::{Asks, Desk};
use super::wire::Wire;
use crate::clock;
use crate::engine::MaildropLock;

/// Answers for one connection.
pub(crate) struct Pop3Asks {
    desk: Desk,
    maildrop: Option<Maildrop>,
}

struct Maildrop {
    mailbox: MailboxId,
    _lock: MaildropLock,
}

impl Pop3Asks {
    /// For a connection with this desk.
    pub fn new(desk: Desk) -> Self {
        Self {
            desk,
            maildrop: None,
        }
    }

    async fn open(&mut self) -> Result<Opened, Error> {
        let account = self
            .desk
            .account
            .as_ref()
            .ok_or(Error::NotFound("account"))?
            .id;
        let Some(lock) = self.desk.services.maildrops.lock(account) else {
            return Ok(Opened::InUse);
        };
        let index = &self.desk.services.index;
        let inbox = index
            .read(|index| index.mailbox(account, INBOX))
            .await?
            .ok_or(Error::NotFound("mailbox"))?;
        let id = inbox.id;
        let all = index
            .read(|index| index.changes(id, storage::ModSeq(0)))
            .await?;
        self.maildrop = Some(Maildrop {
            mailbox: id,
            _lock: lock,
        });
        let listed = |message: &storage::Message| Listed {
            uid: Uid(message.uid.0),
            octets: message.size,
        };
        Ok(Opened::Maildrop {
            messages: all.changed.iter().map(listed).collect(),
            uid_validity: UidValidity(inbox.uid_validity.0),
        })
    }

    async fn body(&mut self, uid: Uid) -> Result<BodyAnswer, Error> {
        let maildrop = self.maildrop.as_ref().ok_or(Error::NotFound("mailbox"))?;
        let (mailbox, uid) = (maildrop.mailbox, storage::Uid(uid.0));
        let index = &self.desk.services.index;
        let uids = [uid];
        let found = index.read(|index| index.blobs(mailbox, &uids)).await?;
        let Some((_, blob)) = found.into_iter().next() else {
            return Ok(BodyAnswer::Gone);
        };
        let octets = blob.size;
        match self.desk.begin(blob, 0..octets).await {
            Ok(()) => Ok(BodyAnswer::Ready { octets }),
            Err(error @ Error::NotFound(_)) => {
                tracing::error!(%error, uid = uid.0, "a row without its body");
                Ok(BodyAnswer::Gone)
            }
            Err(error) => Err(error),
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
        self.desk.services.index.expunge(expunge).await?;
        self.desk.services.mailboxes.notice(maildrop.mailbox);
        Ok(())
    }
}

impl Asks for Pop3Asks {
    type Session = Pop3Session;

    async fn answer(&mut self, ask: Ask, wire: &mut Wire) -> Answer {
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

    /// Whoever reads the answer to QUIT may come back at once.
    async fn closed(&mut self) {
        self.maildrop = None;
    }

    fn desk(&mut self) -> &mut Desk {
        &mut self.desk
    }

    fn command(session: &Pop3Session) -> &'static str {
        session.last_command()
    }
}
