//! Message bodies on their way: where received octets wait, the pool in front of the store, and who cleans up.
//!
//! A body is received into a [`Spool`], which becomes a [`Spooled`] that can be scanned and given to the [`BlobPool`] once
//! for every recipient. The [`Reaper`] deletes what no message names any longer (I10); [`Fsck`] compares index and store.

mod fsck;
mod gc;
mod open;
mod pool;
mod spool;
#[cfg(test)]
mod testing;

use postrider_storage::{
    Error,
    index::{Change, Index, Outcome},
};

pub use fsck::{
    Damage, Damaged, Depth, Findings, Fsck, FsckOptions, FsckReport, Missing, Named, Orphan,
    OrphanFate, Owner, Repair, Summarize, WrongQuota,
};
pub use gc::{Reaped, Reaper, ReaperSettings};
pub use open::{look_into_s3, open_s3};
pub use pool::{BlobPool, PoolLimits};
pub use spool::{Spool, SpoolError, Spooled, Spools};

/// Applies one change.
async fn apply(index: &dyn Index, change: Change) -> Result<Outcome, Error> {
    let mut outcomes = index.apply(vec![change]).await;
    outcomes
        .pop()
        .unwrap_or_else(|| Err(Error::Unavailable("the index gave no outcome".to_owned())))
}
