//! Deleted mail that can be brought back: it comes behind all that is there, with its bodies, and its time goes on (I10).
//!
//! Whoever was expunged longer ago than either side keeps such mail does not come. A run that goes on may find that the time of a message has come
//! whose body an earlier run has brought: it comes as well, so that the target's reaper finds the body.

use std::collections::{HashMap, HashSet};

use postrider_storage::Error;
use postrider_storage::blob::BlobKey;
use postrider_storage::index::{
    Account, AccountId, BlobRef, Change, ExpungedFrom, Flags, Index, MailboxId, ModSeq, NewBlob,
    Outcome, PlaceExpunged, PlacedExpunged, Recoverable, Timestamp, Uid,
};

use super::claim::Begun;
use super::{Copy, CopyError, CopyReport, Run};

/// Messages that come together.
const PAGE: u32 = 100;
/// Before the first message.
const FIRST: (MailboxId, Uid) = (MailboxId(0), Uid(0));

impl Copy {
    /// Copies what an account can bring back; `places` are its mailboxes in the target.
    pub(super) async fn deleted(
        &self,
        account: &Account,
        id: AccountId,
        places: &HashMap<MailboxId, MailboxId>,
        run: Run<'_>,
        report: &mut CopyReport,
    ) -> Result<(), CopyError> {
        run.watch
            .mailbox(&format!("{} deleted mail", account.email));
        let mut after = FIRST;
        loop {
            let page = self.from.index.recoverable(account.id, after, PAGE);
            let page = page.await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = (last.mailbox, last.uid);
            self.page(id, page, places, run, report).await?;
        }
    }

    async fn page(
        &self,
        id: AccountId,
        page: Vec<Recoverable>,
        places: &HashMap<MailboxId, MailboxId>,
        run: Run<'_>,
        report: &mut CopyReport,
    ) -> Result<(), CopyError> {
        let known = self.known(&page).await?;
        let mut coming = Vec::with_capacity(page.len());
        for message in page {
            if message.expunged >= run.since || self.is_left_over(&message, &known, run).await? {
                coming.push(message);
            }
        }
        let mut keys = HashSet::new();
        let bodies: Vec<&BlobRef> = coming
            .iter()
            .map(|it| &it.body)
            .filter(|it| !known.contains(&it.key) && keys.insert(&it.key))
            .collect();
        report.octets += self.bodies(bodies).await?;
        let in_time = coming.iter().map(|it| it.expunged >= run.since);
        let in_time: Vec<bool> = in_time.collect();
        let changes = changes(id, coming, places)?;
        if changes.is_empty() {
            return Ok(());
        }
        let mut placed = Vec::with_capacity(in_time.len());
        for outcome in self.to.index.apply(changes).await {
            match outcome? {
                Outcome::Placed(some) => placed.extend(some),
                _ => return Err(Error::Corrupt("unexpected outcome".to_owned()).into()),
            }
        }
        let before = placed.iter().zip(&in_time);
        let before = before.filter(|(placed, in_time)| placed.is_none() && **in_time);
        report.before += before.count() as u64;
        let done = in_time.into_iter().filter(|it| *it).count();
        run.watch.done(done as u64);
        Ok(())
    }

    /// The keys of a page that the target's index names, so that their bodies lie there (I2).
    async fn known(&self, page: &[Recoverable]) -> Result<HashSet<BlobKey>, Error> {
        let keys: Vec<BlobKey> = page.iter().map(|it| it.body.key.clone()).collect();
        let known = self.to.index.known_bodies(&keys).await?;
        Ok(known.into_iter().map(|it| it.body.key).collect())
    }

    /// Whether an earlier run brought the body of a message that no longer comes, and nothing else names it.
    async fn is_left_over(
        &self,
        message: &Recoverable,
        known: &HashSet<BlobKey>,
        run: Run<'_>,
    ) -> Result<bool, Error> {
        if run.begun == Begun::Now || known.contains(&message.body.key) {
            return Ok(false);
        }
        let meta = self.to.blobs.meta(&message.body.key, super::deadline());
        match meta.await {
            Ok(_) => Ok(true),
            Err(Error::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Compares what can be brought back of an account on both sides.
    pub(super) async fn deleted_is_same(
        &self,
        one: &Account,
        other: &Account,
        since: Timestamp,
        report: &mut CopyReport,
    ) -> Result<(), CopyError> {
        let ours = all(self.from.index.as_ref(), one.id, since).await?;
        let theirs = all(self.to.index.as_ref(), other.id, since).await?;
        let what = format!("{} deleted mail", one.email);
        if ours.len() != theirs.len() {
            super::verify::same(&what, &ours.len(), &theirs.len())?;
        }
        for (one, other) in ours.iter().zip(&theirs) {
            super::verify::same(&what, one, other)?;
        }
        report.deleted += ours.len() as u64;
        Ok(())
    }
}

/// The changes that bring messages, one for each mailbox they were in.
fn changes(
    id: AccountId,
    coming: Vec<Recoverable>,
    places: &HashMap<MailboxId, MailboxId>,
) -> Result<Vec<Change>, CopyError> {
    let mut changes: Vec<PlaceExpunged> = Vec::new();
    let mut last = None;
    for message in coming {
        let mailbox = message.mailbox;
        if last != Some(mailbox) {
            let from = from(&message, places)?;
            let (account, messages) = (id, Vec::new());
            changes.push(PlaceExpunged {
                account,
                from,
                messages,
            });
            last = Some(mailbox);
        }
        if let Some(change) = changes.last_mut() {
            change.messages.push(placed(message));
        }
    }
    Ok(changes.into_iter().map(Change::PlaceExpunged).collect())
}

/// Where a message was, as the target says it.
fn from(
    message: &Recoverable,
    places: &HashMap<MailboxId, MailboxId>,
) -> Result<ExpungedFrom, CopyError> {
    if message.there {
        let place = places.get(&message.mailbox).copied();
        let changed = || CopyError::Differs("the source is being written".to_owned());
        return place.map(ExpungedFrom::There).ok_or_else(changed);
    }
    Ok(match (message.name.clone(), message.deleted) {
        (Some(name), Some(deleted)) => ExpungedFrom::Gone { name, deleted },
        _ => ExpungedFrom::Unknown,
    })
}

fn placed(message: Recoverable) -> PlacedExpunged {
    PlacedExpunged {
        uid: message.uid,
        modseq: message.modseq,
        blob: NewBlob {
            key: message.body.key,
            size: message.body.size,
            line_size: message.line_size,
            sha256: message.body.sha256,
            summary: message.summary,
        },
        flags: message.flags,
        keywords: message.keywords,
        internal_date: message.internal_date,
        expunged: message.expunged,
    }
}

/// A message that can be brought back, in all that is to be the same.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Same {
    /// Its mailbox's name, whether that is there, and when it went.
    mailbox: (Option<String>, bool, Option<Timestamp>),
    message: (Uid, ModSeq, u64, Timestamp, Timestamp),
    keywords: Vec<String>,
    body: (String, u64, u64, [u8; 32]),
}

impl From<Recoverable> for Same {
    fn from(it: Recoverable) -> Self {
        let mut keywords = it.keywords;
        keywords.sort();
        let Flags(flags) = it.flags;
        Self {
            mailbox: (it.name, it.there, it.deleted),
            message: (it.uid, it.modseq, flags, it.internal_date, it.expunged),
            keywords,
            body: (
                it.body.key.to_string(),
                it.size,
                it.line_size,
                it.body.sha256,
            ),
        }
    }
}

/// All that an account can bring back, in an order that does not depend on rows.
async fn all(index: &dyn Index, id: AccountId, since: Timestamp) -> Result<Vec<Same>, Error> {
    let (mut all, mut after) = (Vec::new(), FIRST);
    loop {
        let page = index.recoverable(id, after, PAGE).await?;
        let Some(last) = page.last() else {
            all.sort_unstable();
            return Ok(all);
        };
        after = (last.mailbox, last.uid);
        let page = page.into_iter().filter(|it| it.expunged >= since);
        all.extend(page.map(Same::from));
    }
}
