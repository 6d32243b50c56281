//! The mailbox actor: loads the snapshot once and moves it forward by modification sequence.
//!
//! It lives while there is something to read. When it has had nothing to do for a while it goes, and what its sessions share stays with
//! them; the next one goes on from there.

use std::sync::Arc;

use actix::{Actor, Context, Handler, Message, ResponseFuture};
use dashmap::DashMap;
use postrider_protocol::imap::snapshot::Snapshot;
use postrider_storage::Error;
use postrider_storage::index::{MailboxId, ModSeq};
use tokio::sync::Mutex;

use super::convert;
use super::joined::Shared;
use crate::index::IndexPool;

/// Be let in. The answer is what the mailbox shares with its sessions.
#[derive(Debug, Message)]
#[rtype(result = "Arc<Shared>")]
pub(super) struct Join;

/// Read what is newer than the snapshot.
#[derive(Debug, Message)]
#[rtype(result = "Result<Arc<Snapshot>, Error>")]
pub(super) struct Refresh;

/// An open mailbox.
pub(crate) struct Mailbox {
    id: MailboxId,
    index: IndexPool,
    shared: Arc<Shared>,
    known: Arc<DashMap<MailboxId, Arc<Shared>>>,
    /// One reader at a time; who waits finds what the one before it read.
    loaded: Arc<Mutex<Option<Arc<Snapshot>>>>,
}

impl Mailbox {
    pub(super) fn new(
        id: MailboxId,
        index: IndexPool,
        shared: Arc<Shared>,
        known: Arc<DashMap<MailboxId, Arc<Shared>>>,
    ) -> Self {
        let loaded = Arc::new(Mutex::new(shared.unfold()));
        Self {
            id,
            index,
            shared,
            known,
            loaded,
        }
    }
}

impl Actor for Mailbox {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        self.shared.fold();
        // A successor, or a session that is just joining, keeps what is shared.
        self.known.remove_if(&self.id, |_, shared| {
            Arc::ptr_eq(shared, &self.shared) && shared.is_empty()
        });
    }
}

impl Handler<Join> for Mailbox {
    type Result = actix::MessageResult<Join>;

    fn handle(&mut self, _: Join, _: &mut Self::Context) -> Self::Result {
        // Whoever is let in must be reached by notices, also if an old actor of this mailbox just took its leave.
        self.known.insert(self.id, self.shared.clone());
        actix::MessageResult(self.shared.clone())
    }
}

impl Handler<Refresh> for Mailbox {
    type Result = ResponseFuture<Result<Arc<Snapshot>, Error>>;

    fn handle(&mut self, _: Refresh, _: &mut Self::Context) -> Self::Result {
        let (id, index) = (self.id, self.index.clone());
        let (shared, loaded) = (self.shared.clone(), self.loaded.clone());
        Box::pin(async move {
            let mut loaded = loaded.lock().await;
            if let Some(snapshot) = shared.fresh() {
                return Ok(snapshot);
            }
            let includes = shared.noticed();
            let snapshot = Arc::new(forward(&index, id, loaded.as_deref()).await?);
            *loaded = Some(snapshot.clone());
            shared.publish(snapshot.clone(), includes);
            Ok(snapshot)
        })
    }
}

/// The mailbox now, starting from what is known of it.
async fn forward(
    index: &IndexPool,
    id: MailboxId,
    known: Option<&Snapshot>,
) -> Result<Snapshot, Error> {
    if let Some(known) = known {
        let since = ModSeq(known.highest_modseq().0);
        let changes = index.read(|index| index.changes(id, since)).await?;
        return Ok(known.apply(&convert::changes(changes)));
    }
    let all = index.read(|index| index.messages(id)).await?;
    let empty = Snapshot::empty(convert::uid_validity(all.uid_validity));
    Ok(empty.apply(&convert::changes(all)))
}
