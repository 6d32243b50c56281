//! Bodies read ahead of a client that reads one message after the other: FETCH of a whole mailbox, RETR from the first to the last.
//!
//! Asked for one at a time, each small body costs a look into the index and a visit of the store, with two threads waking each other
//! every time. From the second message in a row on, those behind it are asked for together, while the ones before go out.
//!
//! **Invariants.** What is read ahead is a hint: a body that is not here, or failed, is read as if nobody had tried. Bodies never change,
//! and one expunged lately may still be read, so nothing here grows wrong.
//! **Bounds.** Two batches of [`MESSAGES`] messages and [`OCTETS`] octets, from the memory budget and only while nobody waits for it.
//! They go with a command of another kind, or when the client is silent for [`SILENCE`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postrider_storage::Error;
use postrider_storage::index::{BlobRef, MailboxId, Uid};

use crate::actor::{ByteCount, Share, Taker, Task};
use crate::engine::Services;

/// Messages of the first batch.
const FIRST: usize = 8;
/// Messages of a batch at most.
const MESSAGES: usize = 64;
/// Octets of a batch at most.
const OCTETS: u64 = 1024 * 1024;
/// Octets of a body that is worth it; a larger one is streamed.
pub(super) const BODY: u64 = 256 * 1024;
/// How long a silent client keeps what was read for it.
pub(super) const SILENCE: Duration = Duration::from_millis(200);

/// Names messages of the mailbox that follow one, rising, at most so many.
pub(crate) type Following<'a> = &'a (dyn Fn(Uid, usize) -> Vec<Uid> + Sync);

/// Where a body was found.
#[derive(Debug)]
pub(crate) enum Place {
    /// In memory.
    Here(Bytes, Arc<Share>),
    /// In the store.
    There(BlobRef),
}

/// What was read ahead, and what is being read.
pub(crate) struct Ahead {
    mailbox: MailboxId,
    /// The message asked for last.
    last: Uid,
    /// Messages of the batch before.
    width: usize,
    ready: VecDeque<Found>,
    coming: Option<Task<Result<Vec<Found>, Error>>>,
}

struct Found {
    uid: Uid,
    blob: BlobRef,
    octets: Option<(Bytes, Arc<Share>)>,
}

impl Found {
    fn place(&self) -> Place {
        match &self.octets {
            Some((octets, share)) => Place::Here(octets.clone(), share.clone()),
            None => Place::There(self.blob.clone()),
        }
    }
}

impl Ahead {
    /// A client has read one message, whole.
    pub fn after(mailbox: MailboxId, uid: Uid) -> Self {
        Self {
            mailbox,
            last: uid,
            width: 0,
            ready: VecDeque::new(),
            coming: None,
        }
    }

    /// Whether the next message is likely to be in memory.
    pub fn at_hand(&self) -> bool {
        self.ready.len() > 1
    }

    /// The body of a message, if the client goes on as it began. `None`: nothing is known of it here.
    pub async fn find(
        &mut self,
        services: &Services,
        taker: &Taker,
        mailbox: MailboxId,
        uid: Uid,
        following: Following<'_>,
    ) -> Option<Place> {
        if mailbox != self.mailbox || uid < self.last {
            return None;
        }
        if uid != self.last && self.width == 0 {
            if following(self.last, 1) != [uid] {
                return None;
            }
            self.begin(services, taker, following(Uid(uid.0 - 1), FIRST));
        }
        let place = self.take(uid).await?;
        self.last = uid;
        if self.coming.is_none() && self.ready.len() <= self.width / 2 {
            let last = self.ready.back().map_or(uid, |found| found.uid);
            let most = (self.width * 2).min(MESSAGES);
            self.begin(services, taker, following(last, most));
        }
        Some(place)
    }

    async fn take(&mut self, uid: Uid) -> Option<Place> {
        loop {
            while self.ready.front().is_some_and(|found| found.uid < uid) {
                self.ready.pop_front();
            }
            if let Some(found) = self.ready.front() {
                return (found.uid == uid).then(|| found.place());
            }
            // What failed is read again by whoever needs it, and said then.
            let came = self.coming.take()?.await.ok()?.ok()?;
            self.ready.extend(came);
        }
    }

    fn begin(&mut self, services: &Services, taker: &Taker, uids: Vec<Uid>) {
        if uids.is_empty() {
            return;
        }
        self.width = uids.len().max(FIRST);
        let (services, taker, mailbox) = (services.clone(), taker.clone(), self.mailbox);
        let runtime = services.runtime.clone();
        self.coming =
            Some(runtime.spawn(async move { read(&services, &taker, mailbox, uids).await }));
    }
}

async fn read(
    services: &Services,
    taker: &Taker,
    mailbox: MailboxId,
    uids: Vec<Uid>,
) -> Result<Vec<Found>, Error> {
    let index = &services.index;
    let mut refs = index.read(|index| index.blobs(mailbox, &uids)).await?;
    refs.sort_unstable_by_key(|(uid, _)| *uid);
    let mut left = OCTETS;
    let mut wanted = Vec::with_capacity(refs.len());
    for (_, blob) in &refs {
        let fits = blob.size <= BODY && blob.size <= left;
        left -= if fits { blob.size } else { 0 };
        wanted.push(fits);
    }
    // Politely: who needs memory for mail that comes in goes first.
    let share = taker.try_take(ByteCount::bytes(OCTETS - left)).ok();
    let bodies = match &share {
        None => Vec::new(),
        Some(_) => {
            let some = refs.iter().zip(&wanted).filter(|(_, wanted)| **wanted);
            let bodies = some.map(|((_, blob), _)| (blob.key.clone(), blob.size));
            let deadline = tokio::time::Instant::now() + services.config.deadlines.answer;
            services.blobs.get_all(bodies.collect(), deadline).await?
        }
    };
    let share = share.map(Arc::new);
    let mut bodies = bodies.into_iter();
    let found = refs.into_iter().zip(wanted).map(|((uid, blob), wanted)| {
        let octets = if wanted { bodies.next() } else { None };
        let octets = octets.and_then(Result::ok).zip(share.clone());
        Found { uid, blob, octets }
    });
    Ok(found.collect())
}
