//! All messages of a mailbox for who opens it: from one row that remembers them, where they are many.
//!
//! The row says what the messages were at a modification sequence; what changed and went since is read as for anybody who knows that much already.
//! Who writes messages does not touch it. It is written by who had to read many of their rows, after the answer and where connections are idle, so that
//! whoever opens the mailbox next, on any host, reads one row in place of ten thousand; and whoever brings every thousandth message has it read and
//! written once, before anybody waits for it (`grown`).
//!
//! **Invariants.** The answer is what the rows of the messages say. What is remembered counts only under the UIDVALIDITY it was made of, what is read since
//! must go on from there, and what comes out must agree with the counts of the mailbox's own row: mail that was placed with modification sequences of
//! its own, older than what is remembered, shows there.
//! **Bounds.** Mailboxes of 1,000 to 200,000 messages (`SIZES`), some 20 octets each; one row is written at a time in a process, and only once at least one
//! in `PART` of the mailbox's messages had to be read, a connection is idle and a place is left beside it. It waits for no lock longer than `PATIENCE`.
//! **On failure.** What is missing, cannot be read or is of another version is as if it were not there: the rows are read.

mod code;
mod opening;

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::{Row, types::Type};

use self::opening::{Opened, Opening, Seen};
use super::{
    PostgresIndex,
    changes::{Changed, Changes, Counts},
    look::{self, Ask, Look, State},
};
use crate::{
    Error,
    index::{Change, MailboxChanges, MailboxId, Message, ModSeq, Outcome, Uid, UidValidity},
};

/// Where there are fewer messages, their rows are read along with the mailbox's; where there are more, nothing is remembered.
const SIZES: RangeInclusive<u64> = 1_000..=200_000;
/// What is remembered is written anew once one in so many messages is new or gone.
const PART: u64 = 8;
/// How long writing waits for a lock.
const PATIENCE: &str = "1s";
/// How often it is looked for a connection that is idle, and the pause between.
const LOOKS: (u32, Duration) = (20, Duration::from_millis(100));

/// Only what the mailbox has come to, under the UIDVALIDITY it has by now, and only in place of what was read before.
const WRITE: &str = "INSERT INTO mailbox_snapshot AS s (account_id, mailbox_id, uid_validity, modseq, messages) \
    SELECT account_id, id, uid_validity, $2, $4 FROM mailbox WHERE id = $1 AND uid_validity = $3 AND highest_modseq >= $2 \
    ON CONFLICT (account_id, mailbox_id) DO UPDATE \
    SET uid_validity = excluded.uid_validity, modseq = excluded.modseq, messages = excluded.messages \
    WHERE s.uid_validity <> excluded.uid_validity OR s.modseq = $5";

/// What is remembered, and by whom it is written.
#[derive(Clone)]
pub(super) struct Remembered {
    sizes: RangeInclusive<u64>,
    writing: Arc<Semaphore>,
}

/// What was read, and how much of it from rows of messages.
struct Read {
    all: MailboxChanges,
    counts: Counts,
    new: u64,
}

impl Default for Remembered {
    fn default() -> Self {
        Self::of(SIZES)
    }
}

impl Remembered {
    /// For mailboxes of so many messages.
    pub(super) fn of(sizes: RangeInclusive<u64>) -> Self {
        let writing = Arc::new(Semaphore::new(1));
        Self { sizes, writing }
    }

    /// As [`Index::messages`](crate::index::Index::messages).
    pub(super) async fn messages(
        &self,
        index: &PostgresIndex,
        id: MailboxId,
    ) -> Result<MailboxChanges, Error> {
        let (read, seen) = self.read(index, id).await?;
        if self.is_worth(id, &read, &seen)
            && let Ok(place) = self.writing.clone().try_acquire_owned()
        {
            let (index, all) = (index.clone(), read.all.clone());
            let runtime = index.pool.runtime.clone();
            runtime.spawn(async move { write(&index, id, all, seen, &place).await });
        }
        Ok(read.all)
    }

    /// Has mailboxes that grew by many messages read and written once.
    pub(super) fn grown(
        &self,
        index: &PostgresIndex,
        changes: &[Change],
        answers: &[Result<Outcome, Error>],
    ) {
        let answered = changes.iter().zip(answers);
        let mut grown: Vec<MailboxId> = answered
            .filter_map(|(change, answer)| Some(came(change, answer.as_ref().ok()?)))
            .flatten()
            .filter(|(_, uids)| self.is_another(uids))
            .map(|(mailbox, _)| mailbox)
            .collect();
        if grown.is_empty() {
            return;
        }
        // Whoever comes while another is at it leaves it to who opens the mailbox.
        let Ok(place) = self.writing.clone().try_acquire_owned() else {
            return;
        };
        grown.dedup();
        let (remembered, index) = (self.clone(), index.clone());
        let runtime = index.pool.runtime.clone();
        runtime.spawn(async move {
            for id in grown {
                if !has_spare(&index).await {
                    return;
                }
                match remembered.read(&index, id).await {
                    Ok((read, seen)) if remembered.is_worth(id, &read, &seen) => {
                        write(&index, id, read.all, seen, &place).await;
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(%error, mailbox = id.0, "a mailbox that grew was not read");
                    }
                }
            }
        });
    }

    async fn read(&self, index: &PostgresIndex, id: MailboxId) -> Result<(Read, Seen), Error> {
        let opening = || Opening::new(id, self.sizes.clone());
        let (opened, seen) = index.look(State::One, opening).await?;
        let read = match opened {
            Opened::Rows(changed) => Read::rows(changed),
            Opened::Remembered(changed) => Read {
                all: changed.changes,
                counts: changed.counts,
                new: 0,
            },
            Opened::At(at, known) => {
                let since = || Changes::new(id, at.modseq);
                let news = index.look(State::One, since).await?;
                match brought_forward(at, known, news) {
                    Some(read) => read,
                    None => rows(index, id).await?,
                }
            }
            Opened::Unreadable => rows(index, id).await?,
        };
        Ok((read, seen))
    }

    /// Whether it is worth to be remembered.
    fn is_worth(&self, id: MailboxId, read: &Read, seen: &Seen) -> bool {
        let count = read.all.changed.len() as u64;
        if !self.sizes.contains(&count) || read.new < count.div_ceil(PART) || seen.is_standby {
            return false;
        }
        // What does not add up would be taken for unreadable each time.
        let adds_up = Counts::of(&read.all.changed) == read.counts;
        if !adds_up {
            tracing::warn!(
                mailbox = id.0,
                "a mailbox counts otherwise than its messages; opening it takes longer"
            );
        }
        adds_up
    }

    /// Whether as many came as are worth it since it was last so, as their UIDs tell.
    fn is_another(&self, uids: &RangeInclusive<u32>) -> bool {
        let (first, last) = (u64::from(*uids.start()), u64::from(*uids.end()));
        let mut step = *self.sizes.start();
        while last / step >= PART {
            step *= 2;
        }
        first.saturating_sub(1) / step < last / step
    }
}

/// Writes what is remembered, where a connection has nothing better to do.
async fn write(
    index: &PostgresIndex,
    id: MailboxId,
    all: MailboxChanges,
    seen: Seen,
    _place: &OwnedSemaphorePermit,
) {
    let (validity, modseq) = (all.uid_validity, i64::try_from(all.highest_modseq));
    let coding = tokio::task::spawn_blocking(move || code::encode(&all.changed));
    let (Ok(octets), Ok(modseq)) = (coding.await, modseq) else {
        return;
    };
    let write = Write {
        id,
        modseq,
        validity,
        octets,
        before: seen.modseq,
    };
    if !has_spare(index).await {
        return;
    }
    let Some(lease) = index.pool.at_once() else {
        return;
    };
    // Whether it outlives a crash does not matter.
    let begin = format!(
        "{}; SET LOCAL lock_timeout = '{PATIENCE}'; SET LOCAL synchronous_commit = off",
        index.begin.0
    );
    let written = look::once(lease, index.pool.clone(), Some(begin), write).await;
    if let Err(failed) = written {
        tracing::debug!(?failed, mailbox = id.0, "what opens fast was not written");
    }
}

/// Waits for an idle connection: whoever opened the mailbox most likely reads on at first.
async fn has_spare(index: &PostgresIndex) -> bool {
    for _ in 0..LOOKS.0 {
        if index.pool.has_spare() {
            return true;
        }
        tokio::time::sleep(LOOKS.1).await;
    }
    false
}

/// The mailboxes that messages came to, and their UIDs there.
fn came(change: &Change, outcome: &Outcome) -> Vec<(MailboxId, RangeInclusive<u32>)> {
    let range = |uids: &[Uid]| Some(uids.first()?.0..=uids.last()?.0);
    let one = |uids: Option<RangeInclusive<u32>>, to: MailboxId| {
        let came = uids.map(|uids| (to, uids));
        came.into_iter().collect()
    };
    match (change, outcome) {
        (Change::Append(it), Outcome::Appended(at)) => {
            vec![(it.mailbox, at.uid.0..=at.uid.0)]
        }
        (Change::AppendAll(it), Outcome::AllAppended(all)) => {
            let mailboxes = it.appends.iter().map(|it| it.mailbox);
            let uids = all.iter().map(|at| at.uid.0..=at.uid.0);
            mailboxes.zip(uids).collect()
        }
        (Change::Copy(it), Outcome::Copied(copied)) => one(range(&copied.to), it.to),
        (Change::PlaceMessages(it), Outcome::Placed(placed)) => {
            let placed: Vec<Uid> = placed.iter().flatten().copied().collect();
            one(range(&placed), it.mailbox)
        }
        _ => Vec::new(),
    }
}

/// All from the rows of the messages.
async fn rows(index: &PostgresIndex, id: MailboxId) -> Result<Read, Error> {
    let all = || Changes::new(id, ModSeq(0));
    Ok(Read::rows(index.look(State::One, all).await?))
}

impl Read {
    fn rows(all: Changed) -> Self {
        Self {
            new: all.changes.changed.len() as u64,
            all: all.changes,
            counts: all.counts,
        }
    }
}

/// Where what is remembered stands.
#[derive(Clone, Copy, Debug)]
struct At {
    uid_validity: UidValidity,
    modseq: ModSeq,
}

/// What was known with what changed since; none if that does not go on from there, or the mailbox counts otherwise.
fn brought_forward(at: At, known: Vec<Message>, news: Changed) -> Option<Read> {
    let mut all = news.changes;
    // The database may have lost what it knew between both reads.
    if all.uid_validity != at.uid_validity || all.highest_modseq < at.modseq.0 {
        return None;
    }
    let gone = std::mem::take(&mut all.expunged);
    let new = (all.changed.len() + gone.len()) as u64;
    all.changed = merged(known, all.changed, &gone);
    let counts = news.counts;
    (Counts::of(&all.changed) == counts).then_some(Read { all, counts, new })
}

/// Messages as they became; all by rising UID.
fn merged(known: Vec<Message>, changed: Vec<Message>, expunged: &[Uid]) -> Vec<Message> {
    let mut all = Vec::with_capacity(known.len() + changed.len());
    let (mut changed, mut expunged) = (changed.into_iter().peekable(), expunged.iter().peekable());
    for old in known {
        while let Some(new) = changed.next_if(|new| new.uid < old.uid) {
            all.push(new);
        }
        while expunged.next_if(|uid| **uid < old.uid).is_some() {}
        let gone = expunged.next_if(|uid| **uid == old.uid).is_some();
        match changed.next_if(|new| new.uid == old.uid) {
            Some(new) => all.push(new),
            None if gone => {}
            None => all.push(old),
        }
    }
    all.extend(changed);
    all
}

struct Write {
    id: MailboxId,
    modseq: i64,
    validity: UidValidity,
    octets: Vec<u8>,
    /// What was read before.
    before: Option<i64>,
}

impl Look for Write {
    type Found = ();

    fn asks(&self) -> Vec<Ask<'_>> {
        let octets = (Box::new(self.octets.clone()) as _, Type::BYTEA);
        vec![Ask::Planned(
            WRITE,
            vec![
                look::number(self.id.0),
                look::number(self.modseq),
                look::number(self.validity.0.into()),
                octets,
                look::number(self.before.unwrap_or(-1)),
            ],
        )]
    }

    fn row(&mut self, _: usize, _: Row) -> Result<(), Error> {
        Ok(())
    }

    fn found(self) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
