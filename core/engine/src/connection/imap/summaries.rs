//! Summaries for lists, structures and searches: from memory, else from the index, a few hundred ahead of the client.
//!
//! **Invariants.** What is in memory is told of messages that are known to be there; the index decides about the others.
//! **Bounds.** [`MESSAGES_PER_ASK`](postrider_protocol::imap::ask::MESSAGES_PER_ASK) that were asked for, and as many that will be; the
//! latter go when the command is over.

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
type Read = Vec<(Uid, Option<Kept>)>;

/// Summaries that will be asked for next.
pub(super) struct Coming {
    uids: Vec<Uid>,
    read: Task<Result<Read, Error>>,
}

/// Summaries that there are, and the messages of which there is none and no body to make it from.
pub(super) type Found = (Vec<(Uid, Kept)>, Vec<Uid>);

impl ImapAsks {
    pub(super) async fn summaries(&mut self, uids: &[Uid], next: Vec<Uid>) -> Answered {
        let (found, damaged) = self.read_summaries(uids, next).await?;
        Ok(Answer::Summaries { found, damaged })
    }

    pub(super) async fn read_summaries(
        &mut self,
        uids: &[Uid],
        next: Vec<Uid>,
    ) -> Result<Found, Refused> {
        let coming = self.coming.take();
        let joined = self.joined()?;
        let mut found = joined.kept(uids);
        let wanted = all_but(uids, &found);
        let read = match (wanted.is_empty(), coming) {
            (true, _) => Vec::new(),
            (false, Some(coming)) if wanted.iter().all(|uid| coming.has(*uid)) => {
                let read = coming.read.await;
                read.map_err(|gone| Error::Unavailable(gone.to_string()))??
            }
            (false, _) => self.read_now(joined, &wanted).await?,
        };
        let ahead = self.read_ahead(joined, next);
        let mut damaged = Vec::new();
        let mut fresh = Vec::with_capacity(read.len());
        for (uid, kept) in read {
            let kept = match kept {
                Some(kept) => Ok(kept),
                None => self.made_anew(uid).await,
            };
            match kept {
                Ok(kept) => fresh.push((uid, kept)),
                Err(Refused::Trouble(Trouble::Damaged)) => damaged.push(uid),
                Err(Refused::Trouble(Trouble::Expunged)) => {}
                Err(refused) => return Err(refused),
            }
        }
        if !fresh.is_empty() {
            joined.keep(&fresh);
            fresh.retain(|(uid, _)| wanted.binary_search(uid).is_ok());
            found.append(&mut fresh);
            found.sort_by_key(|(uid, _)| *uid);
        }
        self.coming = ahead;
        Ok((found, damaged))
    }

    async fn read_now(&self, joined: &Joined, uids: &[Uid]) -> Result<Read, Error> {
        if uids.len() <= SURVEYED_HERE {
            return read(joined.index(), joined.id(), uids).await;
        }
        // A large list must not hold up the neighbours on this arbiter.
        let read = self.read_elsewhere(joined, uids.to_vec()).await;
        read.map_err(|gone| Error::Unavailable(gone.to_string()))?
    }

    fn read_ahead(&self, joined: &Joined, mut uids: Vec<Uid>) -> Option<Coming> {
        let here = joined.kept(&uids);
        if !here.is_empty() {
            uids = all_but(&uids, &here);
        }
        let some = !uids.is_empty();
        some.then(|| Coming {
            read: self.read_elsewhere(joined, uids.clone()),
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
    let encoded = index.read(|index| index.summaries(mailbox, &uids)).await?;
    let kept = |(uid, octets): (storage::Uid, Vec<u8>)| (Uid(uid.0), Kept::new(&octets).ok());
    Ok(encoded.into_iter().map(kept).collect())
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
