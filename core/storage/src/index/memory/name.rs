//! Names of mailboxes.

use super::{Folder, State};
use crate::{
    Error,
    index::{
        AccountId, CopyMode, CreateMailbox, DeleteMailbox, INBOX, Mailbox, MailboxId, ModSeq,
        Outcome, RenameMailbox, RenewUidValidities, SpecialUse, Timestamp, Uid, UidValidity, check,
    },
};

impl State {
    pub(super) fn create_mailbox(&mut self, change: CreateMailbox) -> Result<Outcome, Error> {
        check::mailbox_name(&change.name)?;
        self.owner(change.account)?;
        let same = self.named(change.account, &change.name);
        let same = same.map(|it| (it.mailbox.id, it.mailbox.selectable));
        if same.is_some_and(|(_, selectable)| selectable) {
            return Err(Error::Exists("mailbox"));
        }
        let mut own = self.mailboxes.values().map(|it| &it.mailbox);
        if change.special_use.is_some()
            && own.any(|it| it.account == change.account && it.special_use == change.special_use)
        {
            return Err(Error::Exists("special use"));
        }
        if let Some((id, _)) = same {
            if let Some(folder) = self.mailboxes.get_mut(&id) {
                folder.mailbox.selectable = true;
                folder.mailbox.special_use = change.special_use;
                folder.mailbox.created = change.now;
            }
            return Ok(Outcome::Mailbox(id));
        }
        self.make_parents(change.account, &change.name, 1, change.now)?;
        let id =
            self.insert_mailbox(change.account, &change.name, change.special_use, change.now)?;
        Ok(Outcome::Mailbox(id))
    }

    /// Makes the missing parents of a name, if there is room for them and `more` mailboxes.
    pub(super) fn make_parents(
        &mut self,
        account: AccountId,
        name: &str,
        more: u64,
        now: Timestamp,
    ) -> Result<(), Error> {
        let missing: Vec<&str> = check::parents(name)
            .filter(|it| self.named(account, it).is_none())
            .collect();
        let own = self
            .mailboxes
            .values()
            .filter(|it| it.mailbox.account == account);
        check::room_for_mailboxes(own.count() as u64, missing.len() as u64 + more)?;
        for parent in missing {
            self.insert_mailbox(account, parent, None, now)?;
        }
        Ok(())
    }

    pub(super) fn renew_uid_validities(
        &mut self,
        change: RenewUidValidities,
    ) -> Result<Outcome, Error> {
        let now = check::beyond_backups(change.now);
        for (id, owner) in &mut self.accounts {
            let mut last = owner.last_uid_validity;
            let folders = self.mailboxes.values_mut();
            for folder in folders.filter(|it| it.mailbox.account == *id) {
                last = check::uid_validity_after(last, now)?;
                folder.mailbox.uid_validity = UidValidity(last);
            }
            owner.last_uid_validity = last;
            owner.account.version += 1;
        }
        Ok(Outcome::Done)
    }

    pub(super) fn insert_mailbox(
        &mut self,
        account: AccountId,
        name: &str,
        special_use: Option<SpecialUse>,
        now: Timestamp,
    ) -> Result<MailboxId, Error> {
        let owner = self.owner(account)?;
        let uid_validity = check::uid_validity_after(owner.last_uid_validity, now)?;
        owner.last_uid_validity = uid_validity;
        self.last.mailbox += 1;
        let id = MailboxId(self.last.mailbox);
        let mailbox = Mailbox {
            account,
            id,
            name: name.to_owned(),
            selectable: true,
            special_use,
            uid_validity: UidValidity(uid_validity),
            uid_next: Uid(1),
            highest_modseq: ModSeq(1),
            first_recent: Uid(1),
            messages: 0,
            unseen: 0,
            deleted: 0,
            size: 0,
            created: now,
        };
        let folder = Folder {
            mailbox,
            keywords: Vec::new(),
            messages: Default::default(),
            floor: 0,
        };
        self.mailboxes.insert(id, folder);
        Ok(id)
    }

    pub(super) fn delete_mailbox(&mut self, change: DeleteMailbox) -> Result<Outcome, Error> {
        if change.name == INBOX {
            return Err(Error::Invalid("INBOX cannot be deleted"));
        }
        let found = self.named(change.account, &change.name);
        let found = found.ok_or(Error::NotFound("mailbox"))?.mailbox.clone();
        let parent = !self.children(change.account, &change.name).is_empty();
        if parent && !found.selectable {
            return Err(Error::Exists("child"));
        }
        self.take_all(found.id, change.now);
        self.note_gone(found.id, change.now);
        self.mailboxes.remove(&found.id);
        if parent {
            let id = self.insert_mailbox(change.account, &change.name, None, change.now)?;
            if let Some(folder) = self.mailboxes.get_mut(&id) {
                folder.mailbox.selectable = false;
            }
        }
        Ok(Outcome::Done)
    }

    fn children(&self, account: AccountId, name: &str) -> Vec<(MailboxId, String)> {
        let own = self.mailboxes.values().map(|it| &it.mailbox);
        own.filter(|it| it.account == account && check::below(&it.name, name))
            .map(|it| (it.id, it.name.clone()))
            .collect()
    }

    pub(super) fn rename_mailbox(&mut self, change: RenameMailbox) -> Result<Outcome, Error> {
        check::renaming(&change.from, &change.to)?;
        let from = self.named(change.account, &change.from);
        let from = from.ok_or(Error::NotFound("mailbox"))?.mailbox.id;
        if self.named(change.account, &change.to).is_some() {
            return Err(Error::Exists("mailbox"));
        }
        if change.from == INBOX {
            self.make_parents(change.account, &change.to, 1, change.now)?;
            let to = self.insert_mailbox(change.account, &change.to, None, change.now)?;
            let all: Vec<Uid> = self.folder(from)?.messages.keys().copied().collect();
            self.transfer(change.account, from, to, &all, CopyMode::Move, change.now)?;
            return Ok(Outcome::Mailbox(to));
        }
        let mut renamed = vec![(from, change.to.clone())];
        for (id, name) in self.children(change.account, &change.from) {
            let name = format!("{}{}", change.to, &name[change.from.len()..]);
            check::mailbox_name(&name)?;
            renamed.push((id, name));
        }
        self.make_parents(change.account, &change.to, 0, change.now)?;
        for (id, name) in renamed {
            if let Some(folder) = self.mailboxes.get_mut(&id) {
                folder.mailbox.name = name;
            }
        }
        Ok(Outcome::Mailbox(from))
    }
}
