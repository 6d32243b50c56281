//! Takes a Maildir++ into an account: the mailboxes with their UIDVALIDITY, the messages with their UIDs, flags, keywords, dates and unique-ids of POP3.
//!
//! Another server may go on writing the tree. A second run brings what came since, and nothing that was brought before, even if its owner has
//! moved or deleted it here: a body's name in the store follows from its file's name ([`Unique::derived`]), and the index knows where it was born.
//! Flags and keywords that changed there follow, as often as it is run, where nobody has changed those here (`Reflag`). What was deleted there since
//! stays here, and is counted: nobody can tell it from what its owner moved.
//!
//! A message whose file no list names (it arrived, and nobody has looked) gets a UID above all of the list. What arrives later there may get the
//! same number there; so the last run belongs to a time when the other server takes no mail.
//!
//! **Bounds.** [`AT_ONCE`] messages are read at a time, of [`IN_FLIGHT`] octets together but for one that is larger; 1 GiB a message.
//! **On failure.** A file that cannot be taken is left out and named. Trouble of index or store ends the run; the next goes on from there.

mod follow;
mod report;
mod take;

pub use report::{ImportError, ImportReport, Imported};

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use postrider_protocol::message::mime::Limits;
use postrider_storage::Error;
use postrider_storage::blob::{BlobBody, BlobKey, BlobMeta, BlobSource, Unique};
use postrider_storage::index::{
    Account, Change, CreateMailbox, Flags, Index, Mailbox, MailboxId, ModSeq, NewBlob, Outcome,
    PlaceMailbox, PlaceMessages, PlacedMessage, Repeat, Subscribe, Uid, UidValidity,
};
use tokio::sync::Semaphore;

use self::follow::Known;
use super::maildir::{self, Folder, Found, Tree};
use super::{Note, Watch};
use crate::blob::BlobPool;
use crate::{clock, config, limits};

/// Messages that are read and written at a time.
const AT_ONCE: usize = 16;
/// Messages that become rows together.
const BATCH: usize = 100;
/// Octets of the messages that are read at a time.
const IN_FLIGHT: u32 = 128 << 20;
/// How long the store may take for a body.
const PATIENCE: Duration = Duration::from_secs(300);
/// The host in the names of bodies.
const HOST: &str = "imported";

/// What becomes of a mailbox that has given UIDs of its own already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Merge {
    /// Nothing is imported at all.
    Refuse,
    /// Messages come behind its own, with new UIDs.
    NewUids,
}

/// An import into one account.
pub struct Import {
    index: Arc<dyn Index>,
    blobs: BlobPool,
    /// Within which messages are taken apart.
    limits: Limits,
    merge: Merge,
}

/// A message that was read and lies in the store.
struct Ready {
    found: Found,
    message: PlacedMessage,
    note: Option<&'static str>,
}

/// What became of a file.
enum Fetched {
    Ready(Box<Ready>),
    /// It is gone: its owner deleted it meanwhile.
    Gone,
    LeftOut(Note),
}

impl Import {
    /// Into this index and store.
    pub fn new(
        index: Arc<dyn Index>,
        blobs: BlobPool,
        limits: &config::Limits,
        merge: Merge,
    ) -> Self {
        Self {
            index,
            blobs,
            limits: limits::of_messages(limits),
            merge,
        }
    }

    /// Imports the tree at `root` into the account.
    ///
    /// # Errors
    /// [`ImportError`]. What was brought until then stays, and comes no second time.
    pub async fn run(
        &self,
        root: PathBuf,
        email: &str,
        watch: &dyn Watch,
    ) -> Result<ImportReport, ImportError> {
        let account = self.index.account(email).await?;
        let account = account.ok_or_else(|| ImportError::NoAccount(email.to_owned()))?;
        let shown = root.display().to_string();
        let scanned = tokio::task::spawn_blocking(move || maildir::scan(&root)).await;
        let scanned = scanned.map_err(|error| Error::Unavailable(error.to_string()))?;
        let tree = scanned.map_err(|error| ImportError::Tree { path: shown, error })?;
        self.room(&account, &tree).await?;
        watch.total(tree.messages());
        let mut report = ImportReport {
            left_out: tree.left_out,
            notes: tree.notes,
            ..ImportReport::default()
        };
        for folder in tree.folders {
            watch.mailbox(&folder.mailbox);
            let imported = self.folder(&account, folder, watch, &mut report).await?;
            report.mailboxes.push(imported);
        }
        for name in tree.subscriptions {
            let subscribe = Change::Subscribe(Subscribe {
                account: account.id,
                name,
                subscribed: true,
            });
            self.change(subscribe).await?;
        }
        Ok(report)
    }

    /// Whether every mailbox can keep its numbers, before anything is done.
    async fn room(&self, account: &Account, tree: &Tree) -> Result<(), ImportError> {
        let mut occupied = Vec::new();
        for folder in &tree.folders {
            let found = self.index.mailbox(account.id, &folder.mailbox).await?;
            let kept = |it: &Mailbox| match folder.numbers {
                Some((uid_validity, _)) => it.uid_validity.0 != uid_validity,
                None => false,
            };
            if found.is_some_and(|it| it.uid_next.0 > 1 && kept(&it)) {
                occupied.push(folder.mailbox.clone());
            }
        }
        match occupied.is_empty() || self.merge == Merge::NewUids {
            true => Ok(()),
            false => Err(ImportError::Occupied(occupied)),
        }
    }

    async fn folder(
        &self,
        account: &Account,
        folder: Folder,
        watch: &dyn Watch,
        report: &mut ImportReport,
    ) -> Result<Imported, ImportError> {
        let (mailbox, keeps) = self.mailbox(account, &folder).await?;
        let Known { known, present } = self.known(&mailbox).await?;
        let mut imported = Imported {
            mailbox: mailbox.name.clone(),
            uid_validity: mailbox.uid_validity.0,
            brought: 0,
            renumbered: 0,
            before: 0,
            updated: 0,
            kept: 0,
            gone: 0,
        };
        let all = folder.messages.len();
        self.follow(account, &folder, &mailbox, present, &mut imported)
            .await?;
        let mut messages = folder.messages.clone();
        messages.retain(|it| !known.contains(&derivation(&folder, it)));
        imported.before = (all - messages.len()) as u64;
        watch.done(imported.before);
        let recent_from = first_recent(&folder);
        // Those of no list come behind all that the list has given, also behind what went.
        let unlisted = messages.split_off(messages.partition_point(|it| it.uid.is_some()));
        for (part, messages) in [messages, unlisted].into_iter().enumerate() {
            if let (1, Some((_, uid_next)), true) = (part, folder.numbers, keeps) {
                let raised = PlaceMailbox {
                    uid_next: Uid(uid_next),
                    first_recent: Uid(recent_from.min(uid_next)),
                    ..self.placed(account, &folder, &mailbox)
                };
                self.change(Change::PlaceMailbox(raised)).await?;
            }
            let wanted = Wanted {
                account,
                folder: &folder,
                mailbox: mailbox.id,
                keeps,
            };
            self.messages(wanted, messages, watch, report, &mut imported)
                .await?;
        }
        Ok(imported)
    }

    /// The mailbox of a folder, and whether it has the folder's numbers.
    async fn mailbox(
        &self,
        account: &Account,
        folder: &Folder,
    ) -> Result<(Mailbox, bool), ImportError> {
        let name = &folder.mailbox;
        let found = self.index.mailbox(account.id, name).await?;
        let placed = match (folder.numbers, &found) {
            (Some((uid_validity, _)), found) => {
                let free = found
                    .as_ref()
                    .is_none_or(|it| it.uid_next.0 == 1 || it.uid_validity.0 == uid_validity);
                free.then(|| {
                    let before = found.as_ref();
                    let again = before.is_some_and(|it| it.uid_validity.0 == uid_validity);
                    let now = clock::now();
                    // Clients know modification sequences of the other server: ours begin above all that it can have given, so that they hear
                    // of every change.
                    let seconds = u64::try_from(now.0 / 1_000_000).unwrap_or(1);
                    PlaceMailbox {
                        account: account.id,
                        name: name.clone(),
                        selectable: true,
                        special_use: None,
                        uid_validity: UidValidity(uid_validity),
                        uid_next: Uid(1),
                        highest_modseq: ModSeq(if again { 1 } else { seconds.max(1) }),
                        first_recent: Uid(1),
                        keywords: folder.keywords.all(),
                        created: now,
                    }
                })
            }
            (None, _) => None,
        };
        let keeps = placed.is_some();
        if let Some(placed) = placed {
            self.change(Change::PlaceMailbox(placed)).await?;
        } else if found.is_none() {
            let create = CreateMailbox {
                account: account.id,
                name: name.clone(),
                special_use: None,
                now: clock::now(),
            };
            self.change(Change::CreateMailbox(create)).await?;
        }
        let mailbox = self.index.mailbox(account.id, name).await?;
        Ok((mailbox.ok_or(Error::NotFound("mailbox"))?, keeps))
    }

    /// What raises the numbers of a mailbox that was placed.
    fn placed(&self, account: &Account, folder: &Folder, mailbox: &Mailbox) -> PlaceMailbox {
        PlaceMailbox {
            account: account.id,
            name: folder.mailbox.clone(),
            selectable: true,
            special_use: None,
            uid_validity: mailbox.uid_validity,
            uid_next: Uid(1),
            highest_modseq: ModSeq(1),
            first_recent: Uid(1),
            keywords: Vec::new(),
            created: mailbox.created,
        }
    }

    async fn messages(
        &self,
        wanted: Wanted<'_>,
        messages: Vec<Found>,
        watch: &dyn Watch,
        report: &mut ImportReport,
        imported: &mut Imported,
    ) -> Result<(), ImportError> {
        let room = Arc::new(Semaphore::new(IN_FLIGHT as usize));
        let reads = messages.into_iter().map(|found| {
            let (room, wanted) = (room.clone(), &wanted);
            async move { self.read(wanted, found, room).await }
        });
        let mut reads = stream::iter(reads).buffered(AT_ONCE);
        let mut batch = Vec::with_capacity(BATCH);
        while let Some(read) = reads.next().await {
            match read? {
                Fetched::Ready(ready) => {
                    let path = || ready.found.path.clone();
                    report.notes.extend(ready.note.map(|it| Note {
                        path: path(),
                        what: it.to_owned(),
                    }));
                    batch.push(*ready);
                }
                Fetched::Gone => watch.done(1),
                Fetched::LeftOut(note) => {
                    report.left_out.push(note);
                    watch.done(1);
                }
            }
            if batch.len() == BATCH {
                self.place(&wanted, std::mem::take(&mut batch), report, imported)
                    .await?;
                watch.done(BATCH as u64);
            }
        }
        let rest = batch.len() as u64;
        self.place(&wanted, batch, report, imported).await?;
        watch.done(rest);
        Ok(())
    }

    /// Makes rows of messages that lie in the store.
    async fn place(
        &self,
        wanted: &Wanted<'_>,
        batch: Vec<Ready>,
        report: &mut ImportReport,
        imported: &mut Imported,
    ) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let (from, messages): (Vec<Found>, Vec<PlacedMessage>) =
            batch.into_iter().map(|it| (it.found, it.message)).unzip();
        let sizes: Vec<u64> = messages.iter().map(|it| it.blob.size).collect();
        let place = PlaceMessages {
            account: wanted.account.id,
            mailbox: wanted.mailbox,
            messages,
            repeat: Repeat::Body,
        };
        let Outcome::Placed(placed) = self.change(Change::PlaceMessages(place)).await? else {
            return Err(Error::Corrupt("unexpected outcome".to_owned()));
        };
        for ((from, size), placed) in from.iter().zip(sizes).zip(placed) {
            let Some(uid) = placed else {
                imported.before += 1;
                continue;
            };
            imported.brought += 1;
            report.octets += size;
            let had = from.uid.filter(|had| *had != uid.0);
            if let Some(had) = had.filter(|_| wanted.keeps) {
                imported.renumbered += 1;
                let what = format!("its UID {had} was given here already; it has {uid} now");
                let path = from.path.clone();
                report.notes.push(Note { path, what });
            } else if from.uid.is_some() && !wanted.keeps {
                imported.renumbered += 1;
            }
        }
        Ok(())
    }

    /// Reads a message and puts its body into the store.
    async fn read(
        &self,
        wanted: &Wanted<'_>,
        mut found: Found,
        room: Arc<Semaphore>,
    ) -> Result<Fetched, Error> {
        let left_out = |path: PathBuf, what: String| Ok(Fetched::LeftOut(Note { path, what }));
        let size = std::fs::symlink_metadata(&found.path).map_or(0, |it| it.len());
        let share = u32::try_from(size).unwrap_or(IN_FLIGHT).clamp(1, IN_FLIGHT);
        let permit = room.acquire_many_owned(share).await;
        let permit = permit.map_err(|error| Error::Unavailable(error.to_string()))?;
        let (folder, within) = (wanted.folder.path.clone(), self.limits);
        let work = move || {
            let taken = take::take(&folder, &mut found, &within);
            (found, taken)
        };
        let joined = tokio::task::spawn_blocking(work).await;
        let (found, taken) = joined.map_err(|error| Error::Unavailable(error.to_string()))?;
        let taken = match taken {
            Ok(Some(taken)) => taken,
            Ok(None) => return Ok(Fetched::Gone),
            Err(what) => return left_out(found.path, what),
        };
        let account = wanted.account;
        let (local, domain) = account
            .email
            .rsplit_once('@')
            .ok_or(Error::Invalid("account without domain"))?;
        let seed = seed(&wanted.folder.mailbox, &found);
        let unique = Unique::derived(HOST, account.addressed, &seed, &taken.written);
        let key = BlobKey::for_message(domain, local, &wanted.folder.mailbox, &unique)?;
        let meta = BlobMeta {
            account: account.email.clone(),
            mailbox: wanted.folder.mailbox.clone(),
            internal_date: taken.internal_date.0,
            sender: String::new(),
            recipient: String::new(),
        };
        let source = BlobSource {
            prefix: Bytes::new(),
            body: BlobBody::Memory(taken.octets),
        };
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let confirmed = self.blobs.put(&key, source, &meta, deadline).await?;
        drop(permit);
        if confirmed != taken.written {
            return Err(Error::Corrupt(format!("{key}: written other octets")));
        }
        let letters = found.name.letters.iter();
        let keywords = letters.filter_map(|it| wanted.folder.keywords.name(*it));
        let message = PlacedMessage {
            uid: found.uid.filter(|_| wanted.keeps).map(Uid),
            modseq: None,
            blob: NewBlob {
                key,
                size: taken.written.size,
                line_size: taken.line_size,
                sha256: taken.written.sha256,
                summary: taken.summary,
            },
            flags: Flags(found.name.flags),
            keywords: keywords.map(str::to_owned).collect(),
            internal_date: taken.internal_date,
            save_date: taken.save_date,
            retrieved: None,
            unique_id: found.unique_id.clone(),
        };
        let note = taken.note;
        Ok(Fetched::Ready(Box::new(Ready {
            found,
            message,
            note,
        })))
    }

    async fn change(&self, change: Change) -> Result<Outcome, Error> {
        let outcome = self.index.apply(vec![change]).await.pop();
        outcome.unwrap_or_else(|| Err(Error::Corrupt("a change without an outcome".to_owned())))
    }
}

/// Where messages go.
struct Wanted<'a> {
    account: &'a Account,
    folder: &'a Folder,
    mailbox: MailboxId,
    /// Whether UIDs are those of the folder.
    keeps: bool,
}

/// What names a message's source: its mailbox and its file without flags.
fn seed(mailbox: &str, found: &Found) -> Vec<u8> {
    [mailbox.as_bytes(), b"\0", &found.identity].concat()
}

fn derivation(folder: &Folder, found: &Found) -> u128 {
    Unique::derivation(&seed(&folder.mailbox, found))
}

/// The first UID from which on all messages with UIDs are in `new/`.
fn first_recent(folder: &Folder) -> u32 {
    let seen = folder.messages.iter().filter(|it| !it.recent);
    seen.filter_map(|it| it.uid).max().map_or(1, |uid| uid + 1)
}
