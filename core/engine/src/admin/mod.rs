//! What an operator does: domains, users, aliases, deleted mail. For the control program, the admin pages and
//! embedding programs alike.
//!
//! All of it goes through the index, so it works beside a running server and without one.
//!
//! **Invariants.** Names that reach the index are whole addresses in their look-up form, lower-case A-labels for domains.
//! Each action is one change of the index: done or not done, never half;
//! but for what is brought back, which comes a mailbox at a time.

mod alias;
mod domain;
mod error;
mod import;
mod name;
#[cfg(test)]
mod tests;
mod undelete;
mod user;

pub use domain::DomainReport;
pub use error::AdminError;
pub use import::{ImportPassword, ImportProblem, ImportUser, PreparedImport};
pub use undelete::{BroughtBack, DeletedMessage, Undeleted, WhichDeleted};
pub use user::UserReport;

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::index::IndexPool;
use postrider_storage::{
    Error,
    index::{Change, Index, Outcome, Timestamp},
};

/// Acts on an index as its operator.
#[derive(Clone)]
pub struct Admin {
    index: Arc<dyn Index>,
    /// Of an engine in this process.
    pool: Option<IndexPool>,
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admin")
    }
}

impl Admin {
    /// Acts on this index. An engine that runs over it, in whatever process, sees changes within moments.
    pub fn new(index: Arc<dyn Index>) -> Self {
        Self { index, pool: None }
    }

    /// Acts on the index of an engine in this process, which sees changes at once.
    pub fn of(pool: &IndexPool) -> Self {
        Self {
            index: pool.raw().clone(),
            pool: Some(pool.clone()),
        }
    }

    async fn apply(&self, change: Change) -> Result<Outcome, Error> {
        if let Some(pool) = &self.pool {
            return pool.change(change).await;
        }
        let mut outcomes = self.index.apply(vec![change]).await;
        outcomes
            .pop()
            .unwrap_or_else(|| Err(Error::Corrupt("a change without an outcome".to_owned())))
    }
}

/// Now, as the index counts.
fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
