//! Whose a target is, by two leases in its index: [`UNDER_WAY`] while a copy is, and [`ENDED`] ever after, so that a run of the same copy that
//! comes behind its end can tell the copy from a server that happens to be there.
//!
//! **Invariants.** A target has no time without either: [`ENDED`] is taken before [`UNDER_WAY`] is given up.

use postrider_storage::Error;
use postrider_storage::index::{Change, Index, TakeLease, Timestamp};

use super::{Copy, CopyError};
use crate::clock;

/// The lease that says which copy is under way.
const UNDER_WAY: &str = "copy";
/// The lease that says which copy has come to its end.
const ENDED: &str = "copied";
/// A thousand years, in microseconds.
const LONG: i64 = 1_000 * 365 * 86_400_000_000;

/// How far earlier runs came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Begun {
    /// There was none.
    Now,
    /// Not to the end.
    Before,
    /// To the end.
    Ended,
}

impl Copy {
    /// Whether a copy into this index was begun and has not come to its end: nobody else changes it meanwhile.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn goes_on_into(index: &dyn Index) -> Result<bool, Error> {
        is_held(index, UNDER_WAY).await
    }

    /// Takes an empty target, or one that an earlier run took.
    pub(super) async fn claim(&self) -> Result<Begun, CopyError> {
        let index = self.to.index.as_ref();
        if index.domains().await?.is_empty() && index.accounts(None).await?.is_empty() {
            self.lease(UNDER_WAY, later()).await?;
            return Ok(Begun::Now);
        }
        if is_held(index, UNDER_WAY).await? {
            self.lease(UNDER_WAY, later()).await?;
            return Ok(Begun::Before);
        }
        if !is_held(index, ENDED).await? {
            return Err(CopyError::Occupied);
        }
        match self.lease(ENDED, later()).await {
            Ok(()) => Ok(Begun::Ended),
            Err(CopyError::Other) => Err(CopyError::Occupied),
            Err(error) => Err(error),
        }
    }

    /// From now on the target is a server of its own.
    pub(super) async fn end(&self) -> Result<(), CopyError> {
        match self.lease(ENDED, later()).await {
            // An earlier copy from elsewhere, of which nothing is left.
            Ok(()) | Err(CopyError::Other) => {}
            Err(error) => return Err(error),
        }
        self.lease(UNDER_WAY, clock::now()).await
    }

    async fn lease(&self, name: &str, until: Timestamp) -> Result<(), CopyError> {
        match self.change(take(name, &self.holder, until)).await {
            Ok(_) => Ok(()),
            Err(Error::Exists("lease")) => Err(CopyError::Other),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether anybody holds a lease: somebody who cannot keep it learns that.
async fn is_held(index: &dyn Index, name: &str) -> Result<bool, Error> {
    let asked = take(name, "nobody", Timestamp(0));
    match index.apply(vec![asked]).await.pop() {
        Some(Err(Error::Exists("lease"))) => Ok(true),
        Some(Err(error)) => Err(error),
        _ => Ok(false),
    }
}

fn take(name: &str, holder: &str, until: Timestamp) -> Change {
    Change::TakeLease(TakeLease {
        name: name.to_owned(),
        holder: holder.to_owned(),
        until,
        now: clock::now(),
    })
}

/// Later than any copy takes.
fn later() -> Timestamp {
    Timestamp(clock::now().0.saturating_add(LONG))
}
