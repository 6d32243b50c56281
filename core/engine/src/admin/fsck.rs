//! Whether index and store agree, and how they are brought together again.
//!
//! May run beside a working server: a body that is on its way in (in the store, not yet in the index) is looked for
//! again before it counts as left over, and one that is on its way out is not missed.
//!
//! Repair never throws mail away that may be wanted. A body without a row becomes a message again, in the mailbox it was born in
//! (at worst a delivery that was tried twice comes twice, I9). A message without a body is expunged: it
//! cannot be read, but stays among the recoverable ones in case a backup brings its body back.
//!
//! **Bounds.** Holds the names of all objects of the store in memory, and one body at a time.

use std::{collections::HashMap, time::Duration};

use bytes::BytesMut;
use futures_util::{StreamExt, TryStreamExt};
use postrider_protocol::message::summary::Summary;
use postrider_storage::{
    Error,
    blob::{BlobKey, BlobStore},
    index::{
        Account, Append, BlobId, BlobRef, Change, CreateMailbox, Expunge, ExpungeWhich, Flags,
        INBOX, Index, MailboxId, ModSeq, NewBlob, Outcome, Timestamp, Uid,
    },
};
use sha2::{Digest, Sha256};

use super::now;

/// Rows of the index read at a time.
const PAGE: u32 = 1000;
/// A body older than this is on its way in no longer.
const ON_ITS_WAY: Duration = Duration::from_secs(120);
/// How often, and how many times, a younger one is looked for again.
const LOOK_AGAIN: (Duration, u32) = (Duration::from_millis(500), 10);
/// From this many missing bodies on, half of all missing means that the store is not the right one.
const TOO_MANY: usize = 20;

/// Whether to mend what is found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Repair {
    /// Only tell.
    No,
    /// Mend what can be.
    Yes,
}

/// What was looked at and found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FsckReport {
    /// Bodies that the index names.
    pub bodies: u64,
    /// Objects in the store.
    pub objects: u64,
    /// What does not agree.
    pub findings: Vec<Finding>,
}

/// Something that does not agree.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finding {
    /// A message's body is not in the store.
    Missing {
        /// Its key.
        key: String,
        /// Address of the account.
        email: String,
        /// Name of the mailbox.
        mailbox: String,
        /// The message's UID.
        uid: Uid,
        /// Whether it was expunged.
        repaired: bool,
    },
    /// An object that no row names.
    LeftOver {
        /// Its key.
        key: String,
        /// Octets.
        size: u64,
        /// Where it lies now, or why it could not be brought back; none if that was not tried.
        repair: Option<Result<Restored, String>>,
    },
    /// An object has another size than its row says.
    Damaged {
        /// Its key.
        key: String,
        /// Octets by the index.
        expected: u64,
        /// Octets in the store.
        found: u64,
    },
    /// The used quota is not the sum of the messages (I4).
    Quota {
        /// Address of the account.
        email: String,
        /// Octets that count as used.
        used: u64,
        /// Octets of its messages.
        sum: u64,
    },
}

/// A left-over body that is a message again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Restored {
    /// Address of the account.
    pub email: String,
    /// Name of the mailbox.
    pub mailbox: String,
    /// Its UID.
    pub uid: Uid,
}

impl Finding {
    /// Whether it was mended.
    pub fn is_repaired(&self) -> bool {
        match self {
            Self::Missing { repaired, .. } => *repaired,
            Self::LeftOver { repair, .. } => matches!(repair, Some(Ok(_))),
            Self::Damaged { .. } | Self::Quota { .. } => false,
        }
    }
}

/// Compares index and store.
///
/// # Errors
/// Either is away; a store that lacks most of its bodies is not repaired ([`Error::Unavailable`]), since it is more
/// likely the wrong one.
pub async fn fsck(
    index: &dyn Index,
    store: &dyn BlobStore,
    repair: Repair,
) -> Result<FsckReport, Error> {
    let mut report = FsckReport::default();
    // The store first: what comes in meanwhile is then in the index, not the other way round.
    let mut objects: HashMap<BlobKey, u64> = store.list("").await?.try_collect().await?;
    report.objects = objects.len() as u64;
    let mut missing = Vec::new();
    let last = compare(index, store, &mut objects, &mut missing, &mut report).await?;
    let missing = messages_without_body(index, missing).await?;
    if repair == Repair::Yes
        && missing.len() >= TOO_MANY
        && missing.len() as u64 * 2 > report.bodies
    {
        return Err(Error::Unavailable(format!(
            "{} of {} bodies are missing; is this the right store? nothing was repaired",
            missing.len(),
            report.bodies
        )));
    }
    wait_for_arrivals(index, &mut objects, last).await?;
    for message in missing {
        let finding = message.settle(index, repair).await?;
        report.findings.push(finding);
    }
    let mut left_over: Vec<_> = objects.into_iter().collect();
    left_over.sort();
    for (key, size) in left_over {
        let repaired = match repair {
            Repair::No => None,
            Repair::Yes => Some(
                restore(index, store, &key, size)
                    .await
                    .map_err(|it| it.to_string()),
            ),
        };
        report.findings.push(Finding::LeftOver {
            key: key.as_str().to_owned(),
            size,
            repair: repaired,
        });
    }
    check_quotas(index, &mut report).await?;
    Ok(report)
}

/// Goes through all rows; takes what they name out of `objects`. Gives the last row.
async fn compare(
    index: &dyn Index,
    store: &dyn BlobStore,
    objects: &mut HashMap<BlobKey, u64>,
    missing: &mut Vec<BlobRef>,
    report: &mut FsckReport,
) -> Result<BlobId, Error> {
    let mut last = BlobId(0);
    loop {
        let page = index.all_blobs(last, PAGE).await?;
        let Some(end) = page.last() else {
            return Ok(last);
        };
        last = end.id;
        for blob in page {
            report.bodies += 1;
            match objects.remove(&blob.key) {
                Some(size) if size == blob.size => {}
                Some(size) => report.findings.push(Finding::Damaged {
                    key: blob.key.as_str().to_owned(),
                    expected: blob.size,
                    found: size,
                }),
                // It may have come after the listing.
                None if is_there(store, &blob).await? => {}
                None => missing.push(blob),
            }
        }
    }
}

async fn is_there(store: &dyn BlobStore, blob: &BlobRef) -> Result<bool, Error> {
    let mut stream = match store.get(&blob.key, 0..blob.size.min(1)).await {
        Ok(stream) => stream,
        Err(Error::NotFound(_)) => return Ok(false),
        // There, but shorter than the row says.
        Err(Error::Corrupt(_)) => return Ok(true),
        Err(other) => return Err(other),
    };
    match stream.next().await {
        Some(Err(Error::NotFound(_))) => Ok(false),
        Some(Err(error)) if error.class() == postrider_storage::Class::Temporary => Err(error),
        _ => Ok(true),
    }
}

/// Objects that were not in the index may be on their way into it.
async fn wait_for_arrivals(
    index: &dyn Index,
    objects: &mut HashMap<BlobKey, u64>,
    mut last: BlobId,
) -> Result<(), Error> {
    let (pause, times) = LOOK_AGAIN;
    for _ in 0..times {
        let young = |key: &BlobKey| {
            let made = key.unique().map_or(Timestamp(0), |it| it.made());
            now().0.saturating_sub(made.0) < ON_ITS_WAY.as_micros() as i64
        };
        if !objects.keys().any(young) {
            return Ok(());
        }
        tokio::time::sleep(pause).await;
        loop {
            let page = index.all_blobs(last, PAGE).await?;
            let Some(end) = page.last() else { break };
            last = end.id;
            for blob in page {
                objects.remove(&blob.key);
            }
        }
    }
    Ok(())
}

/// A message whose body is not there.
struct Bodiless {
    key: String,
    account: Account,
    mailbox: MailboxId,
    mailbox_name: String,
    uid: Uid,
}

/// Who names the missing bodies. Those that no message names are on their way out.
async fn messages_without_body(
    index: &dyn Index,
    missing: Vec<BlobRef>,
) -> Result<Vec<Bodiless>, Error> {
    let missing: HashMap<BlobId, BlobKey> = missing.into_iter().map(|it| (it.id, it.key)).collect();
    let mut messages = Vec::new();
    if missing.is_empty() {
        return Ok(messages);
    }
    for account in index.accounts(None).await? {
        for mailbox in index.mailboxes(account.id).await? {
            let changes = match index.changes(mailbox.id, ModSeq(0)).await {
                Ok(changes) => changes,
                Err(Error::NotFound(_)) => continue,
                Err(other) => return Err(other),
            };
            for message in changes.changed {
                if let Some(key) = missing.get(&message.blob) {
                    messages.push(Bodiless {
                        key: key.as_str().to_owned(),
                        account: account.clone(),
                        mailbox: mailbox.id,
                        mailbox_name: mailbox.name.clone(),
                        uid: message.uid,
                    });
                }
            }
        }
    }
    Ok(messages)
}

impl Bodiless {
    async fn settle(self, index: &dyn Index, repair: Repair) -> Result<Finding, Error> {
        if repair == Repair::Yes {
            let change = Change::Expunge(Expunge {
                account: self.account.id,
                mailbox: self.mailbox,
                which: ExpungeWhich::Exactly(vec![self.uid]),
                now: now(),
            });
            apply(index, change).await?;
        }
        Ok(Finding::Missing {
            key: self.key,
            email: self.account.email,
            mailbox: self.mailbox_name,
            uid: self.uid,
            repaired: repair == Repair::Yes,
        })
    }
}

/// Makes a left-over body a message again. The same key twice is the same message, so this cannot race a delivery.
async fn restore(
    index: &dyn Index,
    store: &dyn BlobStore,
    key: &BlobKey,
    size: u64,
) -> Result<Restored, Error> {
    let email = key
        .account()
        .ok_or(Error::Invalid("its key names no account"))?;
    let account = index.account(&email).await?;
    let account = account.ok_or(Error::NotFound("its account"))?;
    let name = key.mailbox().unwrap_or_else(|| INBOX.to_owned());
    let body = read(store, key, size).await?;
    let sha256: [u8; 32] = Sha256::digest(&body).into();
    let made = key.unique();
    if let Some(unique) = &made
        && (unique.size() != size || unique.checksum() != sha256[..8])
    {
        return Err(Error::Corrupt(
            "its octets are not those it was written with".to_owned(),
        ));
    }
    let mailbox = match index.mailbox(account.id, &name).await? {
        Some(mailbox) if mailbox.selectable => mailbox.id,
        _ => {
            let change = Change::CreateMailbox(CreateMailbox {
                account: account.id,
                name: name.clone(),
                special_use: None,
                now: now(),
            });
            match apply(index, change).await? {
                Outcome::Mailbox(id) => id,
                _ => {
                    return Err(Error::Corrupt(
                        "a mailbox was made without its number".to_owned(),
                    ));
                }
            }
        }
    };
    let change = Change::Append(Append {
        account: account.id,
        mailbox,
        blob: NewBlob {
            key: key.clone(),
            size,
            sha256,
            summary: Summary::of(&body).encode(),
        },
        flags: Flags::default(),
        keywords: Vec::new(),
        internal_date: made.map_or_else(now, |it| it.made()),
        now: now(),
    });
    match apply(index, change).await? {
        Outcome::Appended(appended) => Ok(Restored {
            email,
            mailbox: name,
            uid: appended.uid,
        }),
        _ => Err(Error::Corrupt(
            "a message was added without its number".to_owned(),
        )),
    }
}

async fn read(store: &dyn BlobStore, key: &BlobKey, size: u64) -> Result<BytesMut, Error> {
    let mut stream = store.get(key, 0..size).await?;
    let mut body = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        body.extend_from_slice(&chunk?);
    }
    Ok(body)
}

/// Compares used quotas with the sums of the mailboxes, twice where they differ: mail may be coming in.
async fn check_quotas(index: &dyn Index, report: &mut FsckReport) -> Result<(), Error> {
    for account in index.accounts(None).await? {
        if sum(index, &account).await? == account.used {
            continue;
        }
        let Some(again) = index.account_by_id(account.id).await? else {
            continue;
        };
        let sum = sum(index, &again).await?;
        if sum != again.used && again.used == account.used {
            report.findings.push(Finding::Quota {
                email: again.email,
                used: again.used,
                sum,
            });
        }
    }
    Ok(())
}

async fn sum(index: &dyn Index, account: &Account) -> Result<u64, Error> {
    let mailboxes = index.mailboxes(account.id).await?;
    Ok(mailboxes.iter().map(|it| it.size).sum())
}

async fn apply(index: &dyn Index, change: Change) -> Result<Outcome, Error> {
    let outcome = index.apply(vec![change]).await.pop();
    outcome.unwrap_or_else(|| Err(Error::Corrupt("a change without an outcome".to_owned())))
}
