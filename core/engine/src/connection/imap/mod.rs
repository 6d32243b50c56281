//! How the questions of IMAP sessions are answered.

mod folders;
mod messages;
mod summaries;

use postrider_protocol::imap::ask::{Answer, Ask, Opened, Recent, Synced, Trouble};
use postrider_protocol::imap::session::ImapSession;
use postrider_protocol::imap::syntax::mailbox::MailboxName;
use postrider_storage::Error;
use postrider_storage::index::{self as storage, Account, ClaimRecent, Mailbox};

use super::asks::{Asks, Desk};
use super::wire::Wire;
use crate::mailbox::{Joined, convert};

/// Answers for one connection.
pub(crate) struct ImapAsks {
    desk: Desk,
    joined: Option<Joined>,
    /// The first UID that this session has not looked at for `\Recent`.
    unclaimed: u32,
    /// Whether this session takes what is recent.
    recent: Recent,
    /// Taken already: what this session appended itself, and what was recent before that.
    reserved: Option<std::ops::Range<u32>>,
    /// Read ahead of a list.
    coming: Option<summaries::Coming>,
}

/// Why an ask is refused.
enum Refused {
    Trouble(Trouble),
    Error(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Trouble> for Refused {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

type Answered = Result<Answer, Refused>;

impl ImapAsks {
    /// For a connection with this desk.
    pub fn new(desk: Desk) -> Self {
        Self {
            desk,
            joined: None,
            unclaimed: 0,
            recent: Recent::Leave,
            reserved: None,
            coming: None,
        }
    }

    fn account(&self) -> Result<&Account, Refused> {
        // No session asks this before login; one that does is broken, and that is for the log.
        let account = self.desk.account.as_deref();
        account.ok_or(Refused::Error(Error::Corrupt("no account".into())))
    }

    fn joined(&self) -> Result<&Joined, Refused> {
        let joined = self.joined.as_ref();
        joined.ok_or(Refused::Error(Error::Corrupt("no mailbox selected".into())))
    }

    /// The mailbox of this name.
    async fn mailbox(&self, name: &MailboxName) -> Result<Mailbox, Refused> {
        let (account, name) = (self.account()?.id, name.as_str());
        let found = self
            .desk
            .services
            .index
            .read(|index| index.mailbox(account, name))
            .await?;
        Ok(found.ok_or(Trouble::NonExistent)?)
    }

    /// A mailbox that can hold messages.
    async fn selectable(&self, name: &MailboxName) -> Result<Mailbox, Refused> {
        let mailbox = self.mailbox(name).await?;
        match mailbox.selectable {
            true => Ok(mailbox),
            false => Err(Trouble::NoSelect.into()),
        }
    }

    async fn open(&mut self, name: MailboxName, recent: Recent) -> Answered {
        self.joined = None;
        self.desk.ahead = None;
        let mailbox = self.selectable(&name).await?;
        let services = &self.desk.services;
        let joined = services
            .mailboxes
            .join(mailbox.id, self.desk.signals.clone())
            .await?;
        let seen = convert::modseq(mailbox.highest_modseq);
        joined.reach(seen).await?;
        self.joined = Some(joined);
        self.unclaimed = mailbox.first_recent.0;
        self.reserved = None;
        self.recent = recent;
        let synced = self.synced(recent).await?;
        Ok(Answer::Opened(Box::new(Opened {
            synced,
            mailbox_id: format!("M{}", mailbox.id),
        })))
    }

    /// The selected mailbox now. New messages become `\Recent` for the first session that claims them.
    async fn synced(&mut self, recent: Recent) -> Result<Synced, Refused> {
        let snapshot = self.joined()?.snapshot().await?;
        let next = snapshot.uid_next().0;
        if recent == Recent::Leave || next <= self.unclaimed {
            return Ok(Synced {
                snapshot,
                recent: 0..0,
            });
        }
        if recent == Recent::See {
            // Somebody else may claim them meanwhile; then they are recent for both (RFC 3501 section 2.3.2).
            let first = self.joined()?.claimed().max(self.unclaimed).min(next);
            self.unclaimed = next;
            return Ok(Synced {
                snapshot,
                recent: first..next,
            });
        }
        let joined = self.joined()?;
        let mailbox = joined.id();
        let claimed = joined.claim(next).max(self.unclaimed).min(next);
        self.unclaimed = next;
        let recent = match self.reserved.take() {
            Some(reserved) if reserved.end == claimed => reserved.start..next,
            Some(reserved) => reserved,
            None => claimed..next,
        };
        if !recent.is_empty() {
            // Nobody waits for the disk to hear of new mail. Until it is noted there, a session of another process may see the same
            // messages as recent, as RFC 3501 section 2.3.2 wants it where one cannot tell; a note that is lost costs no more.
            let index = self.desk.services.index.clone();
            actix_rt::spawn(async move {
                if let Err(error) = index.claim_recent(ClaimRecent { mailbox }).await {
                    tracing::debug!(%error, "what is recent is not noted");
                }
            });
        }
        Ok(Synced { snapshot, recent })
    }

    /// Who appends to the mailbox it has selected sees its own message as recent, before the others hear of it.
    fn reserve_recent(&mut self, mailbox: storage::MailboxId, uid: storage::Uid) {
        let Some(joined) = self.joined.as_ref().filter(|joined| joined.id() == mailbox) else {
            return;
        };
        let next = uid.0.saturating_add(1);
        if self.recent != Recent::Claim || self.reserved.is_some() {
            return;
        }
        let first = joined.claim(next).max(self.unclaimed);
        self.reserved = (first < next).then_some(first..next);
    }

    /// The selected mailbox after a change of ours.
    async fn synced_after_change(&mut self) -> Result<Synced, Refused> {
        let snapshot = self.joined()?.changed().await?;
        Ok(Synced {
            snapshot,
            recent: 0..0,
        })
    }

    async fn ask(&mut self, ask: Ask, wire: &mut Wire) -> Answered {
        match ask {
            Ask::Authenticate(credentials) => Ok(Answer::Verdict(
                self.desk.authenticate(credentials, wire).await,
            )),
            Ask::Open {
                mailbox, recent, ..
            } => self.open(mailbox, recent).await,
            Ask::Leave => {
                self.joined = None;
                self.desk.ahead = None;
                Ok(Answer::Done)
            }
            Ask::Sync { recent } => {
                self.recent = recent;
                Ok(Answer::Synced(self.synced(recent).await?))
            }
            Ask::Create {
                mailbox,
                special_use,
            } => self.create(mailbox, special_use).await,
            Ask::Delete { mailbox } => self.delete(mailbox).await,
            Ask::Rename { from, to } => self.rename(from, to).await,
            Ask::Subscribe {
                mailbox,
                subscribed,
            } => self.subscribe(mailbox, subscribed).await,
            Ask::Mailboxes => self.mailboxes().await,
            Ask::Status { mailbox } => self.status(mailbox).await,
            Ask::Quota => self.quota().await,
            Ask::MayAppend { mailbox, octets } => self.may_append(mailbox, octets).await,
            Ask::Append {
                mailbox,
                flags,
                internal_date,
            } => self.append(mailbox, flags, internal_date).await,
            Ask::Store {
                uids,
                mode,
                flags,
                unchanged_since,
            } => self.store(&uids, mode, flags, unchanged_since).await,
            Ask::Copy { uids, to, mode } => self.copy(&uids, to, mode).await,
            Ask::Expunge { uids } => self.expunge(uids).await,
            Ask::Summaries { uids, next } => self.summaries(&uids, &next).await,
            Ask::Body { uid, range } => self.body(uid, range).await,
            Ask::Read { uid, range } => self.read(uid, range).await,
            Ask::Decode {
                uid,
                range,
                encoding,
            } => self.decode(uid, range, &encoding).await,
            Ask::Search { keys, uids } => self.search(keys, &uids).await,
        }
    }
}

impl Asks for ImapAsks {
    type Session = ImapSession;

    async fn answer(&mut self, ask: Ask, wire: &mut Wire) -> Answer {
        match self.ask(ask, wire).await {
            Ok(answer) => answer,
            Err(Refused::Trouble(trouble)) => Answer::Refused(trouble),
            Err(Refused::Error(error)) => {
                let trouble = trouble(&error);
                if trouble == Trouble::Unavailable {
                    tracing::warn!(%error, "cannot answer a client");
                }
                Answer::Refused(trouble)
            }
        }
    }

    fn desk(&mut self) -> &mut Desk {
        &mut self.desk
    }

    fn command(session: &ImapSession) -> &'static str {
        session.last_command()
    }

    fn answered(&mut self, session: &ImapSession) {
        self.coming = None;
        if Self::command(session) == "IDLE"
            && let Some(joined) = &self.joined
        {
            joined.rest();
        }
        self.desk.answered(Self::command(session));
    }
}

/// What a client is told of trouble with what is kept.
fn trouble(error: &Error) -> Trouble {
    match error {
        Error::NotFound(_) => Trouble::NonExistent,
        Error::Exists("child") => Trouble::HasChildren,
        Error::Exists("special use") => Trouble::Use("another mailbox has this use"),
        Error::Exists(_) => Trouble::AlreadyExists,
        Error::OverQuota { .. } => Trouble::OverQuota,
        Error::Limit { what, .. } => Trouble::Limit(what),
        Error::Invalid(why) => Trouble::Cannot(why),
        Error::Unavailable(_)
        | Error::Denied(_)
        | Error::Corrupt(_)
        | Error::NewerSchema { .. } => Trouble::Unavailable,
    }
}

/// Flags for the index.
fn flags(flags: postrider_protocol::imap::types::Flags) -> storage::Flags {
    storage::Flags(flags.0)
}
