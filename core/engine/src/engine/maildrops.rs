//! The maildrops that POP3 sessions hold (RFC 1939 section 4).
//!
//! In this process a table says who holds what. Where several hosts share the index, a lease there says it to all of them: it is prolonged
//! as long as the session lives, given back at its end, and ends by itself when its host dies.
//!
//! **Invariants.** A session that has lost its lease removes nothing: the index checks that in the transaction that removes.
//! **Bounds.** `deadlines.maildrop`: how long the maildrops of a host that died stay closed.
//! **On failure.** A lease that cannot be prolonged now is prolonged later, if nobody else has come by then.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use futures_util::StreamExt;
use postrider_storage::Error;
use postrider_storage::index::{AccountId, Change, Hold, HoldMaildrop, Timestamp};

use crate::actor::{Drain, ServiceRuntime};
use crate::index::IndexPool;
use crate::telemetry::metrics::MAILDROPS;

/// Leases that are prolonged at a time.
const AT_A_TIME: usize = 64;

/// The maildrops held here. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Maildrops(Arc<Inner>);

struct Inner {
    held: DashMap<AccountId, Held>,
    index: IndexPool,
    runtime: ServiceRuntime,
    /// How long a lease lasts when nobody prolongs it.
    lease: Duration,
    /// What no other process is called.
    process: String,
    sessions: AtomicU64,
}

/// How an account's maildrop is held.
#[derive(Debug, Default)]
struct Held {
    /// The session's name in the index, once it has a lease there; none also if it has lost it.
    holder: Option<Arc<str>>,
}

/// A held maildrop; free again when dropped, or sooner when given back.
pub(crate) struct MaildropLock {
    maildrops: Maildrops,
    account: AccountId,
    holder: Option<Arc<str>>,
}

impl Maildrops {
    /// Nobody holds any yet.
    pub fn new(index: IndexPool, runtime: ServiceRuntime, lease: Duration) -> Self {
        let mut chance = [0; 16];
        // Without chance the time and the number of the process have to do.
        let _ = getrandom::fill(&mut chance);
        let chance: String = chance.iter().map(|it| format!("{it:02x}")).collect();
        let process = format!("{}-{}-{chance}", std::process::id(), crate::clock::now().0);
        Self(Arc::new(Inner {
            held: DashMap::new(),
            index,
            runtime,
            lease,
            process,
            sessions: AtomicU64::new(0),
        }))
    }

    /// Holds the maildrop of an account; none if another session does, here or elsewhere.
    ///
    /// # Errors
    /// Those of the index; then nobody holds it.
    pub async fn hold(&self, account: AccountId) -> Result<Option<MaildropLock>, Error> {
        match self.0.held.entry(account) {
            Entry::Occupied(_) => {
                metrics::counter!(MAILDROPS, "outcome" => "in_use").increment(1);
                return Ok(None);
            }
            Entry::Vacant(free) => drop(free.insert(Held::default())),
        }
        let mut lock = MaildropLock {
            maildrops: self.clone(),
            account,
            holder: None,
        };
        let Some(now) = self.0.index.read(|index| index.shared_clock()).await? else {
            metrics::counter!(MAILDROPS, "outcome" => "held").increment(1);
            return Ok(Some(lock));
        };
        let number = self.0.sessions.fetch_add(1, Ordering::Relaxed);
        let holder: Arc<str> = format!("{}-{number}", self.0.process).into();
        // From here on there may be a lease, whatever is answered.
        lock.holder = Some(holder.clone());
        let take = Hold::Take(self.0.until(now));
        match self.0.change(account, &holder, take, now).await {
            Ok(()) => {
                if let Some(mut held) = self.0.held.get_mut(&account) {
                    held.holder = Some(holder);
                }
                metrics::counter!(MAILDROPS, "outcome" => "held").increment(1);
                Ok(Some(lock))
            }
            Err(Error::Exists(_)) => {
                metrics::counter!(MAILDROPS, "outcome" => "in_use").increment(1);
                lock.holder = None;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a session of this process holds the maildrop of an account.
    pub fn is_held(&self, account: AccountId) -> bool {
        self.0.held.contains_key(&account)
    }

    /// Now, as the leases of maildrops see it.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn now(&self) -> Result<Timestamp, Error> {
        let shared = self.0.index.read(|index| index.shared_clock()).await?;
        Ok(shared.unwrap_or_else(crate::clock::now))
    }

    /// Prolongs what is held until `drain` is over.
    pub async fn keep(self, drain: Drain) {
        loop {
            tokio::select! {
                () = drain.over() => return,
                () = tokio::time::sleep(self.0.lease / 3) => {}
            }
            if let Err(error) = self.prolong().await {
                tracing::warn!(%error, "the leases of maildrops are prolonged later");
            }
        }
    }

    async fn prolong(&self) -> Result<(), Error> {
        let leases: Vec<(AccountId, Arc<str>)> = self
            .0
            .held
            .iter()
            .filter_map(|it| Some((*it.key(), it.holder.clone()?)))
            .collect();
        if leases.is_empty() {
            return Ok(());
        }
        let now = self.now().await?;
        let prolonged = leases.into_iter().map(|(account, holder)| async move {
            let prolong = Hold::Prolong(self.0.until(now));
            match self.0.change(account, &holder, prolong, now).await {
                Err(Error::NotFound(_)) => {
                    self.lost(account, &holder);
                    Ok(())
                }
                other => other,
            }
        });
        let ended: Vec<_> = futures_util::stream::iter(prolonged)
            .buffer_unordered(AT_A_TIME)
            .collect()
            .await;
        ended.into_iter().collect()
    }

    fn lost(&self, account: AccountId, holder: &Arc<str>) {
        let Some(mut held) = self.0.held.get_mut(&account) else {
            return;
        };
        // Unless it ended meanwhile, by itself.
        if held.holder.as_ref() == Some(holder) {
            held.holder = None;
            metrics::counter!(MAILDROPS, "outcome" => "lost").increment(1);
            tracing::warn!(
                account = account.0,
                "the lease of a maildrop was lost; its session will remove nothing"
            );
        }
    }
}

impl Inner {
    fn until(&self, now: Timestamp) -> Timestamp {
        let lease = i64::try_from(self.lease.as_micros()).unwrap_or(i64::MAX);
        Timestamp(now.0.saturating_add(lease))
    }

    async fn change(
        &self,
        account: AccountId,
        holder: &str,
        hold: Hold,
        now: Timestamp,
    ) -> Result<(), Error> {
        let change = HoldMaildrop {
            account,
            holder: holder.to_owned(),
            hold,
            now,
        };
        let change = Change::HoldMaildrop(change);
        self.index.change(change).await.map(drop)
    }

    /// Gives back a lease. What cannot be given back ends by itself.
    async fn release(&self, account: AccountId, holder: &str) {
        let now = Timestamp(0);
        if let Err(error) = self.change(account, holder, Hold::Release, now).await {
            tracing::debug!(%error, "the lease of a maildrop ends by itself");
        }
    }
}

impl MaildropLock {
    /// The session's name in the index, where it has a lease there, or had.
    pub fn holder(&self) -> Option<&str> {
        self.holder.as_deref()
    }

    /// Gives it back; when this returns anybody may have it.
    pub async fn release(mut self) {
        if let Some(holder) = &self.holder {
            self.maildrops.0.release(self.account, holder).await;
            self.holder = None;
        }
    }
}

impl Drop for MaildropLock {
    fn drop(&mut self) {
        let (maildrops, account) = (self.maildrops.clone(), self.account);
        match self.holder.take() {
            None => drop(maildrops.0.held.remove(&account)),
            // Cut off in the middle of something.
            Some(holder) => {
                let runtime = maildrops.0.runtime.clone();
                drop(runtime.spawn(async move {
                    maildrops.0.release(account, &holder).await;
                    maildrops.0.held.remove(&account);
                }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use postrider_storage::index::MemoryIndex;

    use super::*;
    use crate::actor::{Escalation, Supervisor};

    #[actix::test]
    async fn one_maildrop_one_session() {
        let runtime = ServiceRuntime::start(1, 4).expect("threads");
        let supervisor = Supervisor::new(Escalation::log_only());
        let index = Arc::new(MemoryIndex::new());
        let index = IndexPool::new(index, runtime.clone(), &supervisor);
        let maildrops = Maildrops::new(index, runtime, Duration::from_secs(60));
        let hold = async |id| maildrops.hold(AccountId(id)).await.expect("well");
        let lock = hold(1).await.expect("free");
        assert_eq!(lock.holder(), None, "nobody else shares this index");
        assert!(hold(1).await.is_none());
        assert!(maildrops.is_held(AccountId(1)) && !maildrops.is_held(AccountId(2)));
        assert!(hold(2).await.is_some());
        drop(lock);
        hold(1).await.expect("free").release().await;
        assert!(hold(1).await.is_some());
    }
}
