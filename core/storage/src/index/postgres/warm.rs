//! Connections that know what clients wait for most, before the first of them does.
//!
//! A server process of PostgreSQL reads its catalogue and plans a statement when it first meets it: 3 ms on top of the first page of a list, which itself
//! takes 2 ms. So at the start two connections, as many as a session uses that lists a mailbox, ask for what is not there.
//!
//! **Bounds.** [`PATIENCE`]. **On failure.** Nothing is lost but the head start.

use std::time::Duration;

use futures_util::future::join;
use tokio::time::timeout;

use super::PostgresIndex;
use crate::index::{Index, MailboxId, Uid};

/// How long a start waits for it, which takes some ms.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) async fn up(index: &PostgresIndex) {
    let _late = timeout(PATIENCE, join(meets(index), meets(index))).await;
}

async fn meets(index: &PostgresIndex) {
    let none = MailboxId(0);
    let _not_there = index.messages(none).await;
    let _nothing = index.summaries(none, &[Uid(1)]).await;
}
