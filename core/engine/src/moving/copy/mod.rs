//! Copies a whole server to another index and store: domains, accounts with their hashes, quotas and retentions, aliases, entries of the directory,
//! mailboxes with UIDVALIDITY, UIDs and modification sequences, messages with flags, keywords, dates and what POP3 knows of them, subscriptions,
//! deleted mail that can be brought back, and bodies under the same keys.
//!
//! The server that is copied from must not run, and while one does nothing is begun ([`Index::is_served`]); what changes all the same is noticed at the
//! end, and then the copy is not good. The target holds
//! nothing, or what an earlier run of the same copy left; a lease in its index says which. At the end both are read and compared. A run behind
//! the end, as after one that was killed before it could say that it had come there, compares once more and does nothing else.
//!
//! Not copied: deleted mail whose time has come on either side, mail of users that were removed, bodies that no message names, and what a directory
//! will say again at its next synchronisation.
//!
//! **Invariants.** Messages come in the order of their UIDs and no other program writes the target, so what is below `UIDNEXT` has come: a run that was
//! killed loses nothing and doubles nothing. A deleted message comes once, by mailbox and UID, whatever became of it since.
//! **Bounds.** [`AT_ONCE`] bodies at a time, of [`IN_FLIGHT`] octets together but for one that is larger.

mod account;
mod body;
mod claim;
mod deleted;
#[cfg(test)]
mod tests;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use postrider_storage::Error;
use postrider_storage::index::{
    AddAlias, AddDomain, Change, Index, Outcome, SetDomainActive, Timestamp,
};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use self::claim::Begun;
use super::Watch;
use crate::blob::BlobPool;
use crate::clock;

/// Bodies that are copied at a time.
const AT_ONCE: usize = 16;
/// Octets of the bodies that are copied at a time.
const IN_FLIGHT: u32 = 128 << 20;
/// How long a store may take for a body.
const PATIENCE: Duration = Duration::from_secs(300);

/// An index and its store.
#[derive(Clone)]
pub struct Site {
    /// The index.
    pub index: Arc<dyn Index>,
    /// The store.
    pub blobs: BlobPool,
    /// How long deleted mail can be brought back there.
    pub retention: Duration,
}

/// What one run goes by.
#[derive(Clone, Copy)]
struct Run<'a> {
    watch: &'a dyn Watch,
    begun: Begun,
    /// What was deleted before can no longer be brought back.
    since: Timestamp,
}

/// A copy of one site to another.
pub struct Copy {
    from: Site,
    to: Site,
    /// Who copies: the same for every run of the same copy.
    holder: String,
}

/// Why a copy did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The target is somebody's.
    #[error("the target holds other data already")]
    Occupied,
    /// Another copy of the same is under way, or was begun from somewhere else.
    #[error("the target belongs to a copy from somewhere else")]
    Other,
    /// A server works on the source, or on the target.
    #[error("a server works on the {0}")]
    Served(&'static str),
    /// What was read at the end is not what was copied.
    #[error("the copy differs from its source: {0}")]
    Differs(String),
    /// Trouble of an index or a store.
    #[error(transparent)]
    Storage(#[from] Error),
}

/// What a copy brought.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CopyReport {
    /// Domains that are there now.
    pub domains: u64,
    /// Accounts.
    pub accounts: u64,
    /// Aliases.
    pub aliases: u64,
    /// Mailboxes.
    pub mailboxes: u64,
    /// Messages.
    pub messages: u64,
    /// Deleted messages that can be brought back.
    pub deleted: u64,
    /// Of both kinds, messages that were there before this run.
    pub before: u64,
    /// Octets of the bodies that were copied now.
    pub octets: u64,
}

impl Copy {
    /// From one site to another; `source` names the one copied from, the same way each time.
    pub fn new(from: Site, to: Site, source: &str) -> Self {
        let digest = Sha256::digest(source.as_bytes());
        let mark: String = digest[..8].iter().map(|it| format!("{it:02x}")).collect();
        Self {
            from,
            to,
            holder: format!("copy of {mark}"),
        }
    }

    /// Copies everything and compares it.
    ///
    /// # Errors
    /// [`CopyError`]. What was copied until then stays, and the next run goes on, unless the source was written meanwhile.
    pub async fn run(&self, watch: &dyn Watch) -> Result<CopyReport, CopyError> {
        for (site, what) in [(&self.from, "source"), (&self.to, "target")] {
            if site.index.is_served().await? {
                return Err(CopyError::Served(what));
            }
        }
        let since = self.since();
        let begun = self.claim().await?;
        if begun == Begun::Ended {
            return self.compare_once_more(since).await;
        }
        let run = Run {
            watch,
            begun,
            since,
        };
        let mut report = CopyReport::default();
        let accounts = self.from.index.accounts(None).await?;
        let mut total = 0;
        for account in &accounts {
            let mailboxes = self.from.index.mailboxes(account.id).await?;
            total += mailboxes
                .iter()
                .map(|it| u64::from(it.messages))
                .sum::<u64>();
            total += self.from.index.recoverable_count(account.id, since).await?;
        }
        watch.total(total);
        self.domains().await?;
        for account in &accounts {
            self.account(account, run, &mut report).await?;
        }
        self.aliases().await?;
        // An account that is switched off or whose domain is may be copied all the same; that comes last.
        for domain in self.from.index.domains().await? {
            if !domain.active {
                let (name, active) = (domain.name, false);
                let off = SetDomainActive { name, active };
                self.change(Change::SetDomainActive(off)).await?;
            }
        }
        self.verify(since, &mut report).await?;
        self.end().await?;
        Ok(report)
    }

    /// Behind the end: what is there may be the copy, or a server that has worked since.
    async fn compare_once_more(&self, since: Timestamp) -> Result<CopyReport, CopyError> {
        let mut report = CopyReport::default();
        match self.verify(since, &mut report).await {
            Ok(()) => {}
            Err(CopyError::Differs(_)) => return Err(CopyError::Occupied),
            Err(error) => return Err(error),
        }
        report.before = report.messages + report.deleted;
        Ok(report)
    }

    /// What was deleted before is kept no longer, on one of the sides.
    fn since(&self) -> Timestamp {
        let kept = self.from.retention.min(self.to.retention).as_micros();
        let kept = i64::try_from(kept).unwrap_or(i64::MAX);
        Timestamp(clock::now().0.saturating_sub(kept))
    }

    async fn domains(&self) -> Result<(), CopyError> {
        for domain in self.from.index.domains().await? {
            if domain.transport != "virtual:" || domain.company.is_some() {
                let what = format!("{} has a transport or a company of its own", domain.name);
                return Err(CopyError::Differs(what));
            }
            let add = AddDomain {
                name: domain.name,
                auth: domain.auth,
                ldap_base_dn: domain.ldap_base_dn,
                now: domain.created,
            };
            self.once(Change::AddDomain(add)).await?;
        }
        Ok(())
    }

    async fn aliases(&self) -> Result<(), CopyError> {
        for alias in self.from.index.aliases(None).await? {
            self.once(Change::AddAlias(AddAlias { alias })).await?;
        }
        Ok(())
    }

    /// Makes a change of the target that an earlier run may have made.
    async fn once(&self, change: Change) -> Result<(), Error> {
        match self.change(change).await {
            Ok(_) | Err(Error::Exists(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn change(&self, change: Change) -> Result<Outcome, Error> {
        let outcome = self.to.index.apply(vec![change]).await.pop();
        outcome.unwrap_or_else(|| Err(Error::Corrupt("a change without an outcome".to_owned())))
    }
}

/// Until when a store may take for a body that is asked for now.
fn deadline() -> Instant {
    Instant::now() + PATIENCE
}
