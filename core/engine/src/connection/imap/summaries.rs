//! Summaries for lists, structures and searches: from memory, else from the index, a few hundred ahead of the client.
//!
//! **Invariants.** What is in memory is told of messages that are known to be there; the index decides about the others.
//! **Bounds.** Of [`MESSAGES_PER_ASK`](postrider_protocol::imap::ask::MESSAGES_PER_ASK) that were asked for, as many as a [`SummaryRoom`] has room for,
//! whether they come from memory or from the index, and as many that will be asked for; these go when the command is over.

use postrider_protocol::imap::ask::{Answer, Trouble};
use postrider_protocol::imap::types::Uid;
use postrider_protocol::message::{Kept, Summary};
use postrider_storage::Error;
use postrider_storage::index as storage;
use postrider_storage::index::{MailboxId, SummaryRoom};

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
#[derive(Debug)]
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
        let joined = self.joined()?;
        let mut here = joined.kept(uids);
        // What is in memory for all is too much for one session all the same.
        let mut end = full_at(&here);
        here.truncate(here.partition_point(|(uid, _)| is_before(*uid, end)));
        let asked = &uids[..uids.partition_point(|uid| is_before(*uid, end))];
        let wanted = all_but(asked, &here);
        let begun = self.coming.take_if(|it| it.serves(asked, &wanted));
        let joined = self.joined()?;
        // Begun before this answer is waited for.
        let ahead = self.read_ahead(joined, next);
        let read = match begun {
            Some(coming) => {
                let read = coming.read.await;
                read.map_err(|gone| Error::Unavailable(gone.to_string()))??
            }
            None if wanted.is_empty() => Read::default(),
            None => self.read_now(joined, &wanted).await?,
        };
        end = first(end, read.next);
        let mut room = SummaryRoom::default();
        let (mut fresh, mut damaged) = (Vec::with_capacity(read.summaries.len()), Vec::new());
        for (uid, kept) in read.summaries {
            if wanted.binary_search(&uid).is_err() {
                // Another session brought it meanwhile.
                continue;
            }
            let kept = match kept {
                Some(kept) => Ok(kept),
                None => self.made_anew(uid).await,
            };
            match kept {
                // One that was made anew is larger than what could not be read of it.
                Ok(kept) if !room.takes(kept.octets()) => {
                    end = first(end, Some(uid));
                    break;
                }
                Ok(kept) => fresh.push((uid, kept)),
                Err(Refused::Trouble(Trouble::Damaged)) => damaged.push(uid),
                Err(Refused::Trouble(Trouble::Expunged)) => {}
                Err(refused) => return Err(refused),
            }
        }
        if !fresh.is_empty() {
            joined.keep(&fresh);
            here.append(&mut fresh);
            here.sort_by_key(|(uid, _)| *uid);
        }
        end = first(end, full_at(&here));
        here.truncate(here.partition_point(|(uid, _)| is_before(*uid, end)));
        damaged.retain(|uid| is_before(*uid, end));
        let left = uids.partition_point(|uid| is_before(*uid, end));
        // Who asks for something in between still finds it.
        if ahead.is_some() {
            self.coming = ahead;
        }
        Ok(Found {
            summaries: here,
            damaged,
            rest: uids[left..].to_vec(),
        })
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
    /// Whether all that is wanted of what is asked for comes with it, and nothing before that.
    fn serves(&self, asked: &[Uid], wanted: &[Uid]) -> bool {
        let has = |uid: &Uid| self.uids.binary_search(uid).is_ok();
        !wanted.is_empty() && self.uids.first() >= asked.first() && wanted.iter().all(has)
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

/// The first of these, which rise, for which a session has no room beside those before it.
fn full_at(summaries: &[(Uid, Kept)]) -> Option<Uid> {
    let mut room = SummaryRoom::default();
    let mut all = summaries.iter();
    let full = all.find(|(_, kept)| !room.takes(kept.octets()));
    full.map(|(uid, _)| *uid)
}

/// Whichever comes first, if any.
fn first(one: Option<Uid>, other: Option<Uid>) -> Option<Uid> {
    one.into_iter().chain(other).min()
}

fn is_before(uid: Uid, end: Option<Uid>) -> bool {
    end.is_none_or(|end| uid < end)
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
