//! How long messages stay that POP3 has retrieved.

use super::State;
use crate::{
    Error,
    index::{
        AccountId, INBOX, Outcome, Overdue, Retention, Retrieved, SetRetention, Timestamp, check,
    },
};

impl State {
    pub(super) fn set_retention(&mut self, change: SetRetention) -> Result<Outcome, Error> {
        change.retention.map(check::retention).transpose()?;
        self.owner(change.account)?.account.pop3_retention = change.retention;
        Ok(Outcome::Done)
    }

    pub(super) fn retrieve(&mut self, change: Retrieved) -> Result<Outcome, Error> {
        let folder = self.owned(change.account, change.mailbox)?;
        let present = |uid: &&_| folder.messages.contains_key(*uid);
        let uids: Vec<_> = change.uids.iter().filter(present).copied().collect();
        for uid in uids {
            let first = self.retrieved.entry((change.mailbox, uid));
            first.or_insert(change.now);
        }
        Ok(Outcome::Done)
    }

    pub(super) fn overdue(
        &self,
        default: Retention,
        after: AccountId,
        now: Timestamp,
        limit: u32,
    ) -> Vec<Overdue> {
        // A UID is given once, so what is noted of messages that went means nothing.
        let noted = self.retrieved.iter().filter_map(|((mailbox, uid), at)| {
            let folder = self.mailboxes.get(mailbox)?;
            let owner = self.accounts.get(&folder.mailbox.account)?;
            let retention = owner.account.pop3_retention.unwrap_or(default);
            let due = match retention {
                Retention::Never => false,
                Retention::Days(days) => at.0 <= now.0 - i64::from(days) * 86_400_000_000,
            };
            let here = folder.mailbox.name == INBOX && folder.messages.contains_key(uid);
            (due && here && owner.account.id > after).then_some(Overdue {
                account: owner.account.id,
                mailbox: *mailbox,
                uid: *uid,
            })
        });
        let mut overdue: Vec<_> = noted.collect();
        overdue.sort_unstable_by_key(|it| (it.account, it.mailbox, it.uid));
        overdue.truncate(limit as usize);
        overdue
    }
}
