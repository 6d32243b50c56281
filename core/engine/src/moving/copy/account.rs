//! One account of a copy: its settings, its mailboxes, its messages.

use std::collections::{BTreeMap, HashMap, HashSet};

use postrider_storage::Error;
use postrider_storage::index::{
    Account, AccountId, AddAccounts, BindEntry, BindTo, BlobRef, Change, DeleteMailbox,
    FIRST_MAILBOXES, Flags, Mailbox, MailboxId, Message, ModSeq, NewAccount, NewBlob, NewEntry,
    Outcome, PlaceMailbox, PlaceMessages, PlacedMessage, Repeat, SetAccountActive, SetEntryActive,
    SetRetention, Subscribe, Timestamp, TouchLogin, Uid,
};

use super::{Copy, CopyError, CopyReport, Run};
use crate::clock;
use crate::moving::Watch;

/// The directory that accounts are bound to.
const DIRECTORY: &str = "ldap";
/// Messages that become rows together.
const BATCH: usize = 100;

/// What is read beside the messages of a mailbox.
struct Beside {
    keywords: Vec<String>,
    retrieved: HashMap<Uid, Timestamp>,
    unique_ids: HashMap<Uid, String>,
    line_sizes: HashMap<Uid, u64>,
}

impl Copy {
    pub(super) async fn account(
        &self,
        account: &Account,
        run: Run<'_>,
        report: &mut CopyReport,
    ) -> Result<(), CopyError> {
        let id = self.made(account).await?;
        let mailboxes = self.from.index.mailboxes(account.id).await?;
        self.drop_first(id, &mailboxes).await?;
        let mut places = HashMap::new();
        for mailbox in &mailboxes {
            let name = format!("{} {}", account.email, mailbox.name);
            run.watch.mailbox(&name);
            let place = self.mailbox(id, mailbox, run.watch, report).await?;
            places.insert(mailbox.id, place);
        }
        self.deleted(account, id, &places, run, report).await?;
        self.subscriptions(account, id).await?;
        self.entry(account, id).await?;
        if let Some(now) = account.last_login {
            let touch = TouchLogin { account: id, now };
            self.change(Change::TouchLogin(touch)).await?;
        }
        if !account.active {
            let off = SetAccountActive {
                account: id,
                active: false,
                now: clock::now(),
            };
            self.change(Change::SetAccountActive(off)).await?;
        }
        Ok(())
    }

    /// The account in the target, made if it is not there.
    async fn made(&self, account: &Account) -> Result<AccountId, CopyError> {
        let add = AddAccounts {
            accounts: vec![NewAccount {
                email: account.email.clone(),
                password: account.password.clone(),
                quota: account.quota,
                auth: account.auth,
            }],
            now: account.created,
        };
        self.once(Change::AddAccounts(add)).await?;
        let made = self.to.index.account(&account.email).await?;
        let id = made.ok_or(Error::NotFound("account"))?.id;
        let retention = SetRetention {
            account: id,
            retention: account.pop3_retention,
            now: clock::now(),
        };
        self.change(Change::SetRetention(retention)).await?;
        Ok(id)
    }

    /// Removes the mailboxes that the account began with and the source no longer has in this form, before anything lies in them.
    async fn drop_first(&self, id: AccountId, wanted: &[Mailbox]) -> Result<(), CopyError> {
        for (name, special_use) in FIRST_MAILBOXES {
            let same = |it: &&Mailbox| it.name == name && it.special_use == Some(special_use);
            let found = self.to.index.mailbox(id, name).await?;
            let unused = found.is_some_and(|it| it.uid_next.0 == 1 && it.highest_modseq.0 == 1);
            if unused && wanted.iter().find(same).is_none() {
                let delete = DeleteMailbox {
                    account: id,
                    name: name.to_owned(),
                    now: clock::now(),
                };
                self.change(Change::DeleteMailbox(delete)).await?;
            }
        }
        Ok(())
    }

    async fn subscriptions(&self, account: &Account, id: AccountId) -> Result<(), CopyError> {
        let wanted = self.from.index.subscriptions(account.id).await?;
        let present = self.to.index.subscriptions(id).await?;
        let off = present.iter().filter(|it| !wanted.contains(it));
        let all = off
            .map(|it| (it, false))
            .chain(wanted.iter().map(|it| (it, true)));
        for (name, subscribed) in all {
            let subscribe = Subscribe {
                account: id,
                name: name.clone(),
                subscribed,
            };
            self.change(Change::Subscribe(subscribe)).await?;
        }
        Ok(())
    }

    async fn entry(&self, account: &Account, id: AccountId) -> Result<(), CopyError> {
        let entry = self.from.index.directory_entry_of(account.id).await?;
        let Some(entry) = entry else {
            return Ok(());
        };
        debug_assert_eq!(entry.source, DIRECTORY);
        let bind = BindEntry {
            to: BindTo::Existing(id),
            entry: NewEntry {
                source: entry.source,
                stable_id: entry.stable_id,
                display_name: entry.display_name,
                department: entry.department,
                aliases: entry.aliases,
            },
            now: entry.seen,
        };
        self.change(Change::BindEntry(bind)).await?;
        if let Some(now) = entry.disabled {
            let off = SetEntryActive {
                account: id,
                active: false,
                now,
            };
            self.change(Change::SetEntryActive(off)).await?;
        }
        Ok(())
    }

    async fn mailbox(
        &self,
        id: AccountId,
        mailbox: &Mailbox,
        watch: &dyn Watch,
        report: &mut CopyReport,
    ) -> Result<MailboxId, CopyError> {
        let (mut messages, keywords) = match mailbox.selectable {
            true => {
                let all = self.from.index.changes(mailbox.id, ModSeq(0)).await?;
                (all.changed, all.keywords)
            }
            false => Default::default(),
        };
        let begun = PlaceMailbox {
            account: id,
            name: mailbox.name.clone(),
            selectable: mailbox.selectable,
            special_use: mailbox.special_use,
            uid_validity: mailbox.uid_validity,
            uid_next: Uid(1),
            highest_modseq: mailbox.highest_modseq,
            first_recent: Uid(1),
            keywords: keywords.clone(),
            created: mailbox.created,
        };
        let Outcome::Mailbox(to) = self.change(Change::PlaceMailbox(begun.clone())).await? else {
            return Err(Error::Corrupt("unexpected outcome".to_owned()).into());
        };
        let here = self.to.index.mailbox_by_id(to).await?;
        let here = here.ok_or(Error::NotFound("mailbox"))?;
        let beside = Beside {
            keywords,
            retrieved: self
                .from
                .index
                .retrieved(mailbox.id)
                .await?
                .into_iter()
                .collect(),
            unique_ids: self
                .from
                .index
                .unique_ids(mailbox.id)
                .await?
                .into_iter()
                .collect(),
            line_sizes: self
                .from
                .index
                .line_sizes(mailbox.id)
                .await?
                .into_iter()
                .collect(),
        };
        messages.sort_unstable_by_key(|it| it.uid);
        let missing = messages.split_off(messages.partition_point(|it| it.uid < here.uid_next));
        report.before += messages.len() as u64;
        watch.done(messages.len() as u64);
        for batch in missing.chunks(BATCH) {
            let placed = self.messages(mailbox, batch, &beside, report).await?;
            let place = PlaceMessages {
                account: id,
                mailbox: to,
                messages: placed,
                repeat: Repeat::Uid,
            };
            self.change(Change::PlaceMessages(place)).await?;
            watch.done(batch.len() as u64);
        }
        let ended = PlaceMailbox {
            uid_next: mailbox.uid_next,
            first_recent: mailbox.first_recent,
            ..begun
        };
        self.change(Change::PlaceMailbox(ended)).await?;
        Ok(to)
    }

    /// Messages as the target gets them; their bodies lie there then.
    async fn messages(
        &self,
        mailbox: &Mailbox,
        batch: &[Message],
        beside: &Beside,
        report: &mut CopyReport,
    ) -> Result<Vec<PlacedMessage>, CopyError> {
        let uids: Vec<Uid> = batch.iter().map(|it| it.uid).collect();
        let index = &self.from.index;
        let blobs: BTreeMap<Uid, BlobRef> =
            index.blobs(mailbox.id, &uids).await?.into_iter().collect();
        let mut summaries = BTreeMap::new();
        let mut left = &uids[..];
        while !left.is_empty() {
            let page = index.summaries(mailbox.id, left).await?;
            summaries.extend(page.found);
            left = match page.next {
                Some(next) => &left[left.partition_point(|uid| *uid < next)..],
                None => &[],
            };
        }
        let mut placed = Vec::with_capacity(batch.len());
        let mut keys = HashSet::new();
        let mut bodies = Vec::new();
        for message in batch {
            let changed = || CopyError::Differs("the source is being written".to_owned());
            let blob = blobs.get(&message.uid).ok_or_else(changed)?;
            let summary = summaries.remove(&message.uid).ok_or_else(changed)?;
            if keys.insert(&blob.key) {
                bodies.push(blob);
            }
            let names = beside.keywords.iter().enumerate();
            let own = names.filter(|(number, _)| message.flags.0 >> (5 + number) & 1 == 1);
            let line_size = beside.line_sizes.get(&message.uid).copied();
            placed.push(PlacedMessage {
                uid: Some(message.uid),
                modseq: Some(message.modseq),
                blob: NewBlob {
                    key: blob.key.clone(),
                    size: blob.size,
                    line_size: line_size.unwrap_or(blob.size),
                    sha256: blob.sha256,
                    summary,
                },
                flags: Flags(message.flags.0),
                keywords: own.map(|(_, name)| name.clone()).collect(),
                internal_date: message.internal_date,
                save_date: message.save_date,
                retrieved: beside.retrieved.get(&message.uid).copied(),
                unique_id: beside.unique_ids.get(&message.uid).cloned(),
            });
        }
        report.octets += self.bodies(bodies).await?;
        Ok(placed)
    }
}
