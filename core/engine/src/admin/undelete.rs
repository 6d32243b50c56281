//! Deleted messages: what there is of them, and how they come back (I10).
//!
//! **Invariants.** A message comes back once, whoever asks how often: the index decides it in the transaction that makes it a message again.
//! Its body stays where it lies.
//! **On failure.** What came back until then is there, and the rest can be asked for again; a crash leaves at worst an empty mailbox.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use postrider_protocol::message::address_list::AddressItem;
use postrider_protocol::message::encoded_word;
use postrider_protocol::message::summary::Kept;
use postrider_storage::{
    Error,
    index::{
        Account, Change, CreateMailbox, DELIMITER, INBOX, MailboxId, Outcome, Recoverable, Restore,
        Timestamp, Uid,
    },
};

use super::{Admin, AdminError, now};

/// Messages of one page of the index.
const PAGE: u32 = 500;
/// Messages that come back in one transaction.
const AT_A_TIME: usize = 2000;
/// How often a mailbox is made that somebody else removes.
const ATTEMPTS: u32 = 3;

/// Which deleted messages are meant; all that says nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WhichDeleted {
    /// Those that were in mailboxes of this name.
    pub mailbox: Option<String>,
    /// Those deleted since.
    pub since: Option<Timestamp>,
    /// Those with these UIDs; none: all.
    pub uids: Vec<RangeInclusive<u32>>,
}

/// A message that can be brought back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeletedMessage {
    /// The row of the mailbox it was in.
    pub mailbox: MailboxId,
    /// That mailbox's name; none if it is gone and nobody noted it.
    pub name: Option<String>,
    /// Whether it is there.
    pub there: bool,
    /// Its UID there.
    pub uid: Uid,
    /// When it was deleted.
    pub expunged: Timestamp,
    /// INTERNALDATE.
    pub internal_date: Timestamp,
    /// Octets.
    pub size: u64,
    /// Who wrote it, decoded; empty if it does not say.
    pub from: String,
    /// Its subject, decoded; empty if it has none.
    pub subject: String,
}

/// A message that came back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BroughtBack {
    /// As it was.
    pub was: DeletedMessage,
    /// Where it is now.
    pub mailbox: String,
    /// Its UID there.
    pub uid: Uid,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Undeleted {
    /// Whose.
    pub account: Account,
    /// The messages.
    pub messages: Vec<BroughtBack>,
    /// Mailboxes that were made for them.
    pub made: Vec<String>,
    /// How many somebody else brought back meanwhile, or the reaper gave up.
    pub passed_over: usize,
    /// Why others did not come back.
    pub refused: Option<Error>,
}

impl WhichDeleted {
    fn means(&self, message: &Recoverable) -> bool {
        let named = |wanted: &String| message.name.as_deref() == Some(&*mailbox_name(wanted));
        self.mailbox.as_ref().is_none_or(named)
            && self.since.is_none_or(|since| message.expunged >= since)
            && (self.uids.is_empty() || self.uids.iter().any(|it| it.contains(&message.uid.0)))
    }
}

/// INBOX in any case is INBOX (RFC 9051 section 5.1).
fn mailbox_name(text: &str) -> String {
    let (first, rest) = match text.find(DELIMITER) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    match first.eq_ignore_ascii_case(INBOX) {
        true => format!("{INBOX}{rest}"),
        false => text.to_owned(),
    }
}

impl Admin {
    /// The deleted messages of a user that can be brought back, by mailbox and UID.
    ///
    /// # Errors
    /// A user that is not there.
    pub async fn deleted(
        &self,
        email: &str,
        which: &WhichDeleted,
    ) -> Result<(Account, Vec<DeletedMessage>), AdminError> {
        let account = self.find_user(email).await?;
        let mut deleted = Vec::new();
        let mut after = (MailboxId(0), Uid(0));
        loop {
            let page = self.index.recoverable(account.id, after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok((account, deleted));
            };
            after = (last.mailbox, last.uid);
            let meant = page.into_iter().filter(|it| which.means(it));
            deleted.extend(meant.map(DeletedMessage::from));
        }
    }

    /// Brings deleted messages of a user back to where they were, which is made again if it is gone, or into a mailbox of this name.
    ///
    /// # Errors
    /// A user that is not there; no such message; no room in the quota for all of them. Nothing was done then.
    pub async fn undelete(
        &self,
        email: &str,
        which: &WhichDeleted,
        into: Option<&str>,
    ) -> Result<Undeleted, AdminError> {
        let (account, deleted) = self.deleted(email, which).await?;
        if deleted.is_empty() {
            return Err(AdminError::NothingDeleted(account.email));
        }
        let wanted: u64 = deleted.iter().map(|it| it.size).sum();
        let room = account.quota.map(|it| it.saturating_sub(account.used));
        if room.is_some_and(|room| wanted > room) {
            return Err(AdminError::NoRoom {
                email: account.email,
                wanted,
                room: room.unwrap_or_default(),
            });
        }
        let mut groups: BTreeMap<MailboxId, Vec<DeletedMessage>> = BTreeMap::new();
        for message in deleted {
            groups.entry(message.mailbox).or_default().push(message);
        }
        let mut undeleted = Undeleted {
            account,
            messages: Vec::new(),
            made: Vec::new(),
            passed_over: 0,
            refused: None,
        };
        for (from, messages) in groups {
            let name = messages.first().and_then(|it| it.name.as_deref());
            // Where nobody knows where it was.
            let name = mailbox_name(into.or(name).unwrap_or(INBOX));
            for some in messages.chunks(AT_A_TIME) {
                if let Err(error) = self.bring_back(&mut undeleted, from, some, &name).await {
                    undeleted.refused = Some(error);
                    return Ok(undeleted);
                }
            }
        }
        Ok(undeleted)
    }

    async fn bring_back(
        &self,
        undeleted: &mut Undeleted,
        from: MailboxId,
        messages: &[DeletedMessage],
        name: &str,
    ) -> Result<(), Error> {
        let mut attempt = 1;
        let copied = loop {
            let to = self.mailbox_for(undeleted, name).await?;
            let restore = Restore {
                account: undeleted.account.id,
                from,
                uids: messages.iter().map(|it| it.uid).collect(),
                to,
                now: now(),
            };
            match self.apply(Change::Restore(restore)).await {
                Ok(Outcome::Copied(copied)) => break copied,
                Ok(other) => return Err(Error::Corrupt(format!("unexpected outcome {other:?}"))),
                // Somebody removed it again.
                Err(Error::NotFound("mailbox")) if attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
        };
        undeleted.passed_over += messages.len() - copied.from.len();
        let by_uid: BTreeMap<Uid, &DeletedMessage> =
            messages.iter().map(|it| (it.uid, it)).collect();
        let pairs = copied.from.iter().zip(copied.to);
        undeleted.messages.extend(pairs.filter_map(|(old, uid)| {
            Some(BroughtBack {
                was: (*by_uid.get(old)?).clone(),
                mailbox: name.to_owned(),
                uid,
            })
        }));
        Ok(())
    }

    /// The mailbox of this name, made if it is not there.
    async fn mailbox_for(&self, undeleted: &mut Undeleted, name: &str) -> Result<MailboxId, Error> {
        let account = undeleted.account.id;
        for _ in 0..ATTEMPTS {
            let found = self.index.mailbox(account, name).await?;
            if let Some(found) = found.filter(|it| it.selectable) {
                return Ok(found.id);
            }
            let create = CreateMailbox {
                account,
                name: name.to_owned(),
                special_use: None,
                now: now(),
            };
            match self.apply(Change::CreateMailbox(create)).await {
                Ok(Outcome::Mailbox(id)) => {
                    undeleted.made.push(name.to_owned());
                    return Ok(id);
                }
                Ok(other) => return Err(Error::Corrupt(format!("unexpected outcome {other:?}"))),
                // It came between the look and here.
                Err(Error::Exists(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::NotFound("mailbox"))
    }
}

impl From<Recoverable> for DeletedMessage {
    fn from(message: Recoverable) -> Self {
        let (from, subject) = described(&message.summary);
        Self {
            mailbox: message.mailbox,
            name: message.name,
            there: message.there,
            uid: message.uid,
            expunged: message.expunged,
            internal_date: message.internal_date,
            size: message.size,
            from,
            subject,
        }
    }
}

/// Who wrote it, and its subject. A summary that cannot be read says nothing, and holds up nobody.
fn described(summary: &[u8]) -> (String, String) {
    let Ok(kept) = Kept::new(summary) else {
        return (String::new(), String::new());
    };
    let envelope = kept.envelope();
    let from = envelope.from.iter().find_map(|item| match item {
        AddressItem::Mailbox {
            local, domain: [], ..
        } => Some(String::from_utf8_lossy(local).into_owned()),
        AddressItem::Mailbox { local, domain, .. } => Some(format!(
            "{}@{}",
            String::from_utf8_lossy(local),
            String::from_utf8_lossy(domain)
        )),
        AddressItem::GroupStart(_) | AddressItem::GroupEnd => None,
    });
    let subject = envelope.subject.map(encoded_word::decode);
    (from.unwrap_or_default(), subject.unwrap_or_default())
}
