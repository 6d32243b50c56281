//! Summaries for lists, structures and searches: from memory, else from the index, a few hundred ahead of the client.
//!
//! **Invariants.** What is in memory is told of messages that are known to be there; the index decides about the others.
//! **Bounds.** Of [`MESSAGES_PER_ASK`](postrider_protocol::imap::ask::MESSAGES_PER_ASK) that were asked for, as many as the index reads at a time
//! ([`SUMMARIES_LIMIT`](postrider_storage::index::SUMMARIES_LIMIT) octets), and as many that will be asked for; these go when the command is over.

use postrider_protocol::imap::ask::{Answer, Trouble};
use postrider_protocol::imap::types::Uid;
use postrider_protocol::message::{Kept, Summary};
use postrider_storage::Error;
use postrider_storage::index as storage;
use postrider_storage::index::MailboxId;

use super::messages::missing;
use super::{Answered, ImapAsks, Refused};
use crate::actor::Task;
use crate::index::IndexPool;
use crate::mailbox::{Joined, convert};

/// Summaries surveyed on the arbiter itself; more of them are worth a way to another thread.
const SURVEYED_HERE: usize = 16;

/// Summaries as they were read; none where one cannot be.
#[derive(Default)]
struct Read {
    summaries: Vec<(Uid, Option<Kept>)>,
    /// The first that there was no room for.
    next: Option<Uid>,
}

/// Summaries that will be asked for next.
pub(super) struct Coming {
    uids: Vec<Uid>,
    /// The last that was looked for in memory, or is read.
    last: Uid,
    read: Task<Result<Read, Error>>,
}

/// What became of the messages asked for; each rises.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub summaries: Vec<(Uid, Kept)>,
    /// There is no summary, and no body to make it from.
    pub damaged: Vec<Uid>,
    /// Not looked at, and behind all others.
    pub rest: Vec<Uid>,
}

impl ImapAsks {
    pub(super) async fn summaries(&mut self, uids: &[Uid], next: &[Uid]) -> Answered {
        let found = self.read_summaries(uids, next).await?;
        Ok(Answer::Summaries {
            found: found.summaries,
            rest: found.rest,
            damaged: found.damaged,
        })
    }

    pub(super) async fn read_summaries(
        &mut self,
        uids: &[Uid],
        next: &[Uid],
    ) -> Result<Found, Refused> {
        let mut here = self.joined()?.kept(uids);
        let wanted = all_but(uids, &here);
        let is_there = |coming: &mut Coming| wanted.iter().all(|uid| coming.has(*uid));
        let coming = self.coming.take_if(|it| !wanted.is_empty() && is_there(it));
        let joined = self.joined()?;
        // Begun before this answer is waited for: the index has two pages to read at any time.
        let ahead = self.read_ahead(joined, next);
        let read = match coming {
            Some(coming) => {
                let read = coming.read.await;
                read.map_err(|gone| Error::Unavailable(gone.to_string()))??
            }
            None if wanted.is_empty() => Read::default(),
            None => self.read_now(joined, &wanted).await?,
        };
        let mut found = Found::default();
        let mut fresh = Vec::with_capacity(read.summaries.len());
        for (uid, kept) in read.summaries {
            let kept = match kept {
                Some(kept) => Ok(kept),
                None => self.made_anew(uid).await,
            };
            match kept {
                Ok(kept) => fresh.push((uid, kept)),
                Err(Refused::Trouble(Trouble::Damaged)) => found.damaged.push(uid),
                Err(Refused::Trouble(Trouble::Expunged)) => {}
                Err(refused) => return Err(refused),
            }
        }
        if !fresh.is_empty() {
            joined.keep(&fresh);
            fresh.retain(|(uid, _)| wanted.binary_search(uid).is_ok());
            here.append(&mut fresh);
            here.sort_by_key(|(uid, _)| *uid);
        }
        if let Some(next) = read.next {
            here.truncate(here.partition_point(|(uid, _)| *uid < next));
            found.rest = uids[uids.partition_point(|uid| *uid < next)..].to_vec();
        }
        found.summaries = here;
        // Who asks for something in between still finds it.
        if ahead.is_some() {
            self.coming = ahead;
        }
        Ok(found)
    }

    async fn read_now(&self, joined: &Joined, uids: &[Uid]) -> Result<Read, Error> {
        if uids.len() <= SURVEYED_HERE {
            return read(joined.index(), joined.id(), uids).await;
        }
        // A large list must not hold up the neighbours on this arbiter.
        let read = self.read_elsewhere(joined, uids.to_vec()).await;
        read.map_err(|gone| Error::Unavailable(gone.to_string()))?
    }

    /// Begins to read what will be asked for, unless that is under way.
    fn read_ahead(&self, joined: &Joined, uids: &[Uid]) -> Option<Coming> {
        let last = *uids.last()?;
        if self.coming.as_ref().is_some_and(|it| it.last >= last) {
            return None;
        }
        let uids = all_but(uids, &joined.kept(uids));
        let some = !uids.is_empty();
        some.then(|| Coming {
            read: self.read_elsewhere(joined, uids.clone()),
            last,
            uids,
        })
    }

    fn read_elsewhere(&self, joined: &Joined, uids: Vec<Uid>) -> Task<Result<Read, Error>> {
        let (index, mailbox) = (joined.index().clone(), joined.id());
        let runtime = &self.desk.services.runtime;
        runtime.spawn(async move { read(&index, mailbox, &uids).await })
    }

    /// The summary of a message whose own cannot be read: made from the body, for as long as it is in memory.
    async fn made_anew(&self, uid: Uid) -> Result<Kept, Refused> {
        tracing::error!(uid = uid.0, "summary cannot be read");
        let blob = self.blob(uid).await?;
        let share = self.reserve(blob.size).await?;
        let message = self.octets(&blob, 0..blob.size).await;
        let message = message.map_err(|error| missing(uid, error))?;
        let runtime = &self.desk.services.runtime;
        let made = runtime.spawn_blocking(move || {
            let summary = Summary::of(&message);
            drop((message, share));
            Kept::new(&summary.encode())
        });
        let made = made
            .await
            .map_err(|gone| Error::Unavailable(gone.to_string()))?;
        made.map_err(|_| Trouble::Damaged.into())
    }
}

impl Coming {
    fn has(&self, uid: Uid) -> bool {
        self.uids.binary_search(&uid).is_ok()
    }
}

async fn read(index: &IndexPool, mailbox: MailboxId, uids: &[Uid]) -> Result<Read, Error> {
    let uids = convert::uids(uids);
    let page = index.read(|index| index.summaries(mailbox, &uids)).await?;
    let kept = |(uid, octets): (storage::Uid, Vec<u8>)| (Uid(uid.0), Kept::new(&octets).ok());
    Ok(Read {
        summaries: page.found.into_iter().map(kept).collect(),
        next: page.next.map(|uid| Uid(uid.0)),
    })
}

/// Those that are not among what was found; both rise.
fn all_but(uids: &[Uid], found: &[(Uid, Kept)]) -> Vec<Uid> {
    if found.len() == uids.len() {
        return Vec::new();
    }
    let mut found = found.iter().peekable();
    let is_left = |uid: &Uid| found.next_if(|(found, _)| found == uid).is_none();
    uids.iter().copied().filter(is_left).collect()
}
