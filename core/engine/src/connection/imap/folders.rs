//! Mailboxes as a whole: CREATE, DELETE, RENAME, SUBSCRIBE, LIST, STATUS, quota.

use std::collections::BTreeSet;

use postrider_protocol::imap::ask::{
    Answer, Counters, Listed, ListedKind, Quota, SpecialUse, Trouble,
};
use postrider_protocol::imap::syntax::mailbox::MailboxName;
use postrider_storage::Error;
use postrider_storage::index::{
    Change, CreateMailbox, DeleteMailbox, Mailbox, RenameMailbox, Subscribe,
};

use super::{Answered, ImapAsks};
use crate::clock;
use crate::mailbox::convert;

impl ImapAsks {
    pub(super) async fn create(
        &mut self,
        mailbox: MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Answered {
        let create = CreateMailbox {
            account: self.account()?.id,
            name: mailbox.as_str().to_owned(),
            special_use: special_use.map(convert::special_use),
            now: clock::now(),
        };
        self.desk.services.index.create_mailbox(create).await?;
        Ok(Answer::Done)
    }

    pub(super) async fn delete(&mut self, name: MailboxName) -> Answered {
        let mailbox = self.mailbox(&name).await?;
        let delete = DeleteMailbox {
            account: self.account()?.id,
            name: name.as_str().to_owned(),
            now: clock::now(),
        };
        self.change(Change::DeleteMailbox(delete)).await?;
        // Who has it selected finds it gone.
        self.desk.services.mailboxes.notice(mailbox.id);
        Ok(Answer::Done)
    }

    pub(super) async fn rename(&mut self, from: MailboxName, to: MailboxName) -> Answered {
        // The messages of INBOX move, and it stays where it is (RFC 9051 section 6.3.6).
        if to.is_below(&from) && !from.is_inbox() {
            return Err(Trouble::Cannot("a mailbox cannot be moved into itself").into());
        }
        let mailbox = self.mailbox(&from).await?;
        let rename = RenameMailbox {
            account: self.account()?.id,
            from: from.as_str().to_owned(),
            to: to.as_str().to_owned(),
            now: clock::now(),
        };
        self.desk.services.index.rename_mailbox(rename).await?;
        // The messages of INBOX have moved; elsewhere nothing in the mailbox changed.
        self.desk.services.mailboxes.notice(mailbox.id);
        Ok(Answer::Done)
    }

    pub(super) async fn subscribe(&mut self, mailbox: MailboxName, subscribed: bool) -> Answered {
        let subscribe = Subscribe {
            account: self.account()?.id,
            name: mailbox.as_str().to_owned(),
            subscribed,
        };
        self.change(Change::Subscribe(subscribe)).await?;
        Ok(Answer::Done)
    }

    pub(super) async fn mailboxes(&mut self) -> Answered {
        let account = self.account()?.id;
        let index = &self.desk.services.index;
        let mailboxes = index.read(|index| index.mailboxes(account)).await?;
        let subscriptions = index.read(|index| index.subscriptions(account)).await?;
        let mut subscribed: BTreeSet<String> = subscriptions.into_iter().collect();
        let mut all = Vec::with_capacity(mailboxes.len());
        for mailbox in &mailboxes {
            let is_subscribed = subscribed.remove(&mailbox.name);
            all.extend(self.listed(mailbox, is_subscribed));
        }
        for name in subscribed {
            let Ok(name) = MailboxName::new(&name) else {
                continue;
            };
            all.push(Listed {
                name,
                kind: ListedKind::NonExistent,
                subscribed: true,
                special_use: None,
                counters: Counters::default(),
            });
        }
        Ok(Answer::Mailboxes(all))
    }

    pub(super) async fn status(&mut self, name: MailboxName) -> Answered {
        let mailbox = self.selectable(&name).await?;
        let listed = self.listed(&mailbox, false).ok_or(Trouble::NonExistent)?;
        Ok(Answer::Status(Box::new(listed)))
    }

    pub(super) async fn quota(&mut self) -> Answered {
        let account = self.account()?.id;
        let found = self
            .desk
            .services
            .index
            .read(|index| index.account_by_id(account))
            .await?
            .ok_or(Error::NotFound("account"))?;
        Ok(Answer::Quota(Quota {
            used: found.used,
            limit: found.quota,
        }))
    }

    pub(super) async fn change(&self, change: Change) -> Result<(), Error> {
        self.desk.services.index.change(change).await.map(drop)
    }

    /// A mailbox as LIST and STATUS tell it. A name that IMAP could not say is passed over; none can be made.
    fn listed(&self, mailbox: &Mailbox, subscribed: bool) -> Option<Listed> {
        // What a session of this process has shown may not be noted yet.
        let claimed = self.desk.services.mailboxes.claimed(mailbox.id);
        let first = mailbox.first_recent.0.max(claimed);
        let recent = mailbox.uid_next.0.saturating_sub(first);
        Some(Listed {
            name: MailboxName::new(&mailbox.name).ok()?,
            kind: match mailbox.selectable {
                true => ListedKind::Mailbox,
                false => ListedKind::NoSelect,
            },
            subscribed,
            special_use: mailbox.special_use.map(convert::special_use_back),
            counters: Counters {
                messages: mailbox.messages,
                uid_next: mailbox.uid_next.0,
                uid_validity: mailbox.uid_validity.0,
                unseen: mailbox.unseen,
                deleted: mailbox.deleted,
                size: mailbox.size,
                recent: recent.min(mailbox.messages),
                highest_modseq: mailbox.highest_modseq.0,
                mailbox_id: format!("M{}", mailbox.id),
            },
        })
    }
}
