//! The index, as this part of the house uses it: of an engine in this process, or of a control program.

use std::fmt;
use std::sync::Arc;

use futures_util::future::join_all;
use postrider_storage::Error;
use postrider_storage::index::{Change, Index, Outcome};

use crate::index::IndexPool;

/// Changes that share a transaction.
const BATCH: usize = 64;

/// The index.
#[derive(Clone)]
pub struct Rows {
    index: Arc<dyn Index>,
    /// Of an engine in this process.
    pool: Option<IndexPool>,
}

impl Rows {
    /// Of a control program.
    pub fn new(index: Arc<dyn Index>) -> Self {
        Self { index, pool: None }
    }

    /// Of an engine in this process, which sees changes at once.
    pub fn of(pool: &IndexPool) -> Self {
        Self {
            index: pool.raw().clone(),
            pool: Some(pool.clone()),
        }
    }

    /// To read from.
    pub(super) fn index(&self) -> &dyn Index {
        &*self.index
    }

    /// Makes one change.
    pub(super) async fn change(&self, change: Change) -> Result<Outcome, Error> {
        let answer = self.change_all(vec![change]).await.pop();
        answer.unwrap_or_else(|| Err(Error::Corrupt("no answer to a change".to_owned())))
    }

    /// Makes changes, each for itself; an answer for each.
    pub(super) async fn change_all(&self, changes: Vec<Change>) -> Vec<Result<Outcome, Error>> {
        let mut answers = Vec::with_capacity(changes.len());
        for batch in changes.chunks(BATCH) {
            match &self.pool {
                Some(pool) => {
                    let all = batch.iter().map(|it| pool.change(it.clone()));
                    answers.extend(join_all(all).await);
                }
                None => answers.extend(self.index.apply(batch.to_vec()).await),
            }
        }
        answers
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rows")
    }
}
