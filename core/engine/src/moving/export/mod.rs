//! Writes an account as a Maildir++ that Dovecot opens with the same UIDVALIDITY, UIDs, flags, keywords, dates, subscriptions and unique-ids of POP3.
//!
//! A second run brings the tree up to date: what came is written, what changed its flags gets another name, what went is removed. Names of files follow
//! from the message, so nothing is written twice, and an export of what was imported from an export is the same tree.
//!
//! **Invariants.** A file appears under its name whole and synced, and a list names only files that are there. Nothing that another program wrote is
//! overwritten or removed: a folder that has mail is written to only if an export of the same account made it, and nobody delivered to it since.
//!
//! **On failure.** A message whose body cannot be read is left out and named; then it has no line in the list. Trouble of the index ends the run.

mod disk;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use postrider_storage::Error;
use postrider_storage::index::{
    Account, BlobRef, Index, Mailbox, MailboxChanges, Message, ModSeq, Uid,
};

use super::maildir::{FileName, KeywordList, Listed, UidList, name, subscriptions};
use super::{Note, Watch};
use crate::blob::BlobPool;
use disk::Disk;

/// Messages that are written at a time.
const AT_ONCE: usize = 16;
/// UIDs that are asked for at a time.
const PAGE: usize = 500;
/// How long the store may take for a body.
const PATIENCE: Duration = Duration::from_secs(300);

/// An export of one account.
pub struct Export {
    index: Arc<dyn Index>,
    blobs: BlobPool,
}

/// Why nothing more was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is no such account.
    #[error("user {0} does not exist")]
    NoAccount(String),
    /// The folder is somebody else's.
    #[error("{path}: {why}")]
    Occupied {
        /// Which.
        path: String,
        /// Why.
        why: &'static str,
    },
    /// It cannot be written.
    #[error("{path}: {error}")]
    Disk {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// Trouble of the index.
    #[error(transparent)]
    Storage(#[from] Error),
}

/// What became of an export.
#[derive(Clone, Debug, Default)]
pub struct ExportReport {
    /// Mailboxes.
    pub mailboxes: u64,
    /// Messages that were written now.
    pub written: u64,
    /// Messages that were there already.
    pub before: u64,
    /// Messages that were removed, because they are gone here.
    pub removed: u64,
    /// Octets of what was written now.
    pub octets: u64,
    /// What is not there, or not as it is here.
    pub left_out: Vec<Note>,
}

/// A message and what its file is.
struct Wanted {
    uid: Uid,
    recent: bool,
    name: FileName,
    message: Message,
}

impl Export {
    /// From this index and store.
    pub fn new(index: Arc<dyn Index>, blobs: BlobPool) -> Self {
        Self { index, blobs }
    }

    /// Exports the account into the folder.
    ///
    /// # Errors
    /// [`ExportError`]. What was written until then stays, and the next run goes on.
    pub async fn run(
        &self,
        email: &str,
        root: PathBuf,
        watch: &dyn Watch,
    ) -> Result<ExportReport, ExportError> {
        let account = self.index.account(email).await?;
        let account = account.ok_or_else(|| ExportError::NoAccount(email.to_owned()))?;
        let disk = Disk::claim(root, &account.email)?;
        let mut mailboxes = self.index.mailboxes(account.id).await?;
        mailboxes.retain(|it| it.selectable);
        watch.total(mailboxes.iter().map(|it| u64::from(it.messages)).sum());
        let mut report = ExportReport::default();
        let folders = folders(&mailboxes, &disk, &mut report);
        for (mailbox, folder) in mailboxes.iter().zip(&folders) {
            watch.mailbox(&mailbox.name);
            self.mailbox(mailbox, disk.folder(folder)?, watch, &mut report)
                .await?;
            report.mailboxes += 1;
        }
        for path in disk.others(&folders)? {
            let what = "is no mailbox here any longer; remove it".to_owned();
            report.left_out.push(Note { path, what });
        }
        self.subscriptions(&account, &mailboxes, &folders, &disk)
            .await?;
        Ok(report)
    }

    async fn subscriptions(
        &self,
        account: &Account,
        mailboxes: &[Mailbox],
        folders: &[String],
        disk: &Disk,
    ) -> Result<(), ExportError> {
        let known: HashMap<&str, &str> = mailboxes
            .iter()
            .map(|it| it.name.as_str())
            .zip(folders.iter().map(String::as_str))
            .collect();
        let mut lines = Vec::new();
        for subscribed in self.index.subscriptions(account.id).await? {
            let folder = match known.get(subscribed.as_str()) {
                Some(folder) => (*folder).to_owned(),
                None => name::folder_of(&subscribed).map_or(String::new(), |(folder, _)| folder),
            };
            lines.push(match folder.strip_prefix('.') {
                Some(folder) => folder.to_owned(),
                None => "INBOX".to_owned(),
            });
        }
        let text = subscriptions::write(lines.iter().map(String::as_str));
        disk.list("subscriptions", text.as_bytes())
    }

    async fn mailbox(
        &self,
        mailbox: &Mailbox,
        disk: Disk,
        watch: &dyn Watch,
        report: &mut ExportReport,
    ) -> Result<(), ExportError> {
        let all = self.index.changes(mailbox.id, ModSeq(0)).await?;
        let unique_ids = self.index.unique_ids(mailbox.id).await?;
        let keywords = KeywordList::of(&all.keywords);
        let lost = lost_keywords(&all, &keywords);
        let wanted = wanted(mailbox, &all, &keywords);
        let names: HashSet<&[u8]> = wanted.iter().map(|it| it.name.base.as_slice()).collect();
        let mut present = disk.present()?;
        for gone in present.extract_if(|base, _| !names.contains(base.as_slice())) {
            disk.remove(&gone.1)?;
            report.removed += 1;
        }
        let mut missing = Vec::new();
        for it in &wanted {
            match present.get(&it.name.base) {
                Some(here) if here.size == it.message.size => {
                    disk.rename(here, &it.name, it.recent)?;
                    report.before += 1;
                    watch.done(1);
                }
                // What was cut short by a power failure is written again.
                _ => missing.push(it),
            }
        }
        let mut left_out = BTreeSet::new();
        for page in missing.chunks(PAGE) {
            let uids: Vec<Uid> = page.iter().map(|it| it.uid).collect();
            let bodies: BTreeMap<Uid, BlobRef> = self
                .index
                .blobs(mailbox.id, &uids)
                .await?
                .into_iter()
                .collect();
            let writes = page.iter().map(|it| {
                let (body, disk) = (bodies.get(&it.uid), &disk);
                async move { (*it, self.write(it, body, disk).await) }
            });
            let mut writes = stream::iter(writes).buffer_unordered(AT_ONCE);
            while let Some((it, written)) = writes.next().await {
                watch.done(1);
                match written? {
                    None => {
                        report.written += 1;
                        report.octets += it.message.size;
                    }
                    Some(what) => {
                        left_out.insert(it.uid);
                        let what = format!("message {} of {}: {what}", it.uid, mailbox.name);
                        let path = disk.path().to_owned();
                        report.left_out.push(Note { path, what });
                    }
                }
            }
        }
        for keyword in lost {
            let what = format!(
                "a Maildir has letters for {} keywords; messages of {} lose {keyword}",
                KeywordList::LIMIT,
                mailbox.name
            );
            let path = disk.path().join("dovecot-keywords");
            report.left_out.push(Note { path, what });
        }
        let mut own: HashMap<Uid, String> = unique_ids.into_iter().collect();
        let listed = wanted.iter().filter(|it| !left_out.contains(&it.uid));
        let files = listed.map(|it| {
            let listed = Listed {
                uid: it.uid.0,
                unique_id: own.remove(&it.uid),
            };
            (it.name.base.clone(), listed)
        });
        let list = UidList {
            uid_validity: mailbox.uid_validity.0,
            uid_next: all.uid_next,
            files: files.collect(),
        };
        disk.list("dovecot-keywords", keywords.write().as_bytes())?;
        disk.sync()?;
        disk.list(
            "dovecot-uidlist",
            &list.write(&disk.guid(list.uid_validity)),
        )?;
        disk.sync()
    }

    /// Writes a message; why it cannot be, if its body is not what it should be.
    async fn write(
        &self,
        wanted: &Wanted,
        body: Option<&BlobRef>,
        disk: &Disk,
    ) -> Result<Option<String>, ExportError> {
        let Some(body) = body else {
            return Ok(Some("it was expunged meanwhile".to_owned()));
        };
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let chunks = match self.blobs.get(&body.key, 0..body.size, deadline).await {
            Ok(chunks) => chunks,
            Err(Error::Unavailable(text)) => return Err(Error::Unavailable(text).into()),
            Err(error) => return Ok(Some(error.to_string())),
        };
        disk.write(&wanted.name, wanted.recent, &wanted.message, body, chunks)
            .await
    }
}

/// A folder for each mailbox; mailboxes whose names make the same one get different ones.
fn folders(mailboxes: &[Mailbox], disk: &Disk, report: &mut ExportReport) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut folders = Vec::new();
    for mailbox in mailboxes {
        let Some((mut folder, exact)) = name::folder_of(&mailbox.name) else {
            folders.push(String::new());
            continue;
        };
        while !taken.insert(folder.to_ascii_lowercase()) && !exact {
            folder.push('_');
        }
        if !exact {
            let what = format!(
                "is the mailbox {:?}, which has no form of its own",
                mailbox.name
            );
            let path = disk.path().join(&folder);
            report.left_out.push(Note { path, what });
        }
        folders.push(folder);
    }
    folders
}

/// Keywords in use that have no letter.
fn lost_keywords(all: &MailboxChanges, keywords: &KeywordList) -> Vec<String> {
    let used = all.changed.iter().fold(0, |used, it| used | it.flags.0);
    let names = all.keywords.iter().enumerate();
    let lost = names
        .filter(|(number, name)| used >> (5 + number) & 1 == 1 && keywords.letter(name).is_none());
    lost.map(|(_, name)| name.clone()).collect()
}

/// What the files of a mailbox are, by UID.
fn wanted(mailbox: &Mailbox, all: &MailboxChanges, keywords: &KeywordList) -> Vec<Wanted> {
    let letters: Vec<Option<u8>> = all.keywords.iter().map(|it| keywords.letter(it)).collect();
    // Files in `new/` have no flags, and all that come after them are there too.
    let seen = |it: &&Message| it.uid < mailbox.first_recent || it.flags.0 != 0;
    let new_from = all.changed.iter().filter(seen).map(|it| it.uid).max();
    let file = |message: &Message| {
        let of = letters.iter().enumerate();
        let own = of.filter(|(number, _)| message.flags.0 >> (5 + number) & 1 == 1);
        let mut letters: Vec<u8> = own.filter_map(|(_, letter)| *letter).collect();
        letters.sort_unstable();
        Wanted {
            uid: message.uid,
            recent: new_from.is_none_or(|it| message.uid > it),
            name: FileName {
                base: disk::base(message, mailbox.uid_validity.0),
                flags: message.flags.0 & 0b1_1111,
                letters,
            },
            message: *message,
        }
    };
    let mut wanted: Vec<Wanted> = all.changed.iter().map(file).collect();
    wanted.sort_unstable_by_key(|it| it.uid);
    wanted
}
