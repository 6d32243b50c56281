//! Who is logged in here.
//!
//! An account that is switched off, removed, or whose password changed must not keep its sessions. Whoever changes it (a control
//! program, another process) raises the account's version; [`watch`] sees that and revokes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use postrider_storage::index::{Account, AccountId, News};
use tokio::sync::broadcast;

use super::parts::Services;
use crate::actor::Drain;
use crate::connection::Signals;

/// How often the index is asked whether anything changed that others did. What this process changes is looked at at once.
const LOOK: Duration = Duration::from_millis(250);
/// The same where news tell of it: in case some are lost.
const LOOK_FOR_LOST: Duration = Duration::from_secs(1);
/// How long sessions may go without looking, whatever notices came (design section 4).
const LOOK_ANYWAY: Duration = Duration::from_secs(30);

/// The sessions of each account. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sessions(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    sessions: DashMap<AccountId, Vec<Session>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Session {
    number: u64,
    version: i64,
    signals: Signals,
}

/// A session's entry; gone with it.
#[derive(Debug)]
pub(crate) struct Entry {
    sessions: Sessions,
    account: AccountId,
    number: u64,
}

impl Sessions {
    /// Notes a login.
    pub fn logged_in(&self, account: &Account, signals: &Signals) -> Entry {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let session = Session {
            number,
            version: account.version,
            signals: signals.clone(),
        };
        // Most accounts have one.
        let mut of_account = self.0.sessions.entry(account.id).or_default();
        of_account.reserve_exact(1);
        of_account.push(session);
        drop(of_account);
        Entry {
            sessions: self.clone(),
            account: account.id,
            number,
        }
    }

    fn accounts(&self) -> Vec<AccountId> {
        self.0.sessions.iter().map(|entry| *entry.key()).collect()
    }

    /// Revokes the sessions of an account that are older than what it is now.
    fn check(&self, id: AccountId, now: Option<&Account>) {
        let Some(sessions) = self.0.sessions.get(&id) else {
            return;
        };
        for session in sessions.iter() {
            let good = now.is_some_and(|now| now.enabled() && now.version == session.version);
            if !good {
                session.signals.revoke();
            }
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let sessions = &self.sessions.0.sessions;
        if let Some(mut of_account) = sessions.get_mut(&self.account) {
            of_account.retain(|session| session.number != self.number);
        }
        sessions.remove_if(&self.account, |_, of_account| of_account.is_empty());
    }
}

/// Looks for what others changed, until `drain`.
pub(super) async fn watch(services: Services, drain: Drain) {
    let mut seen = None;
    // A login that read its row just before a change, and noted its session just after, is found by the look after that.
    let mut look_again = false;
    let mut looked = tokio::time::Instant::now();
    let mut news = services.index.raw().news();
    let mut look = tokio::time::Instant::now();
    loop {
        tokio::select! {
            () = drain.begun() => return,
            () = services.index.access_changed() => {}
            () = services.index.restored() => {
                services.mailboxes.notice_everywhere();
                continue;
            }
            () = tokio::time::sleep_until(look) => {}
            heard = heard(&mut news) => match heard {
                News::Mailbox { mailbox, .. } => {
                    services.mailboxes.notice(mailbox);
                    continue;
                }
                News::Directory => {}
                News::Anything => services.mailboxes.notice_everywhere(),
            },
        }
        let told = news.is_some() && !services.index.raw().is_deaf();
        look = tokio::time::Instant::now() + if told { LOOK_FOR_LOST } else { LOOK };
        let now = match services.index.read(|index| index.generation()).await {
            Ok(now) => now,
            Err(error) => {
                tracing::debug!(%error, "cannot ask for changes");
                continue;
            }
        };
        // The first look too: somebody may have logged in, and lost the right to it, before it.
        let changed = seen.replace(now) != Some(now);
        if changed || look_again {
            revoke(&services).await;
        }
        look_again = changed;
        if changed || looked.elapsed() >= LOOK_ANYWAY {
            looked = tokio::time::Instant::now();
            services.mailboxes.notice_everywhere();
        }
    }
}

/// The next news; never, where none come.
async fn heard(news: &mut Option<broadcast::Receiver<News>>) -> News {
    let Some(receiver) = news else {
        return std::future::pending().await;
    };
    match receiver.recv().await {
        Ok(heard) => heard,
        Err(broadcast::error::RecvError::Lagged(_)) => News::Anything,
        Err(broadcast::error::RecvError::Closed) => {
            *news = None;
            News::Anything
        }
    }
}

async fn revoke(services: &Services) {
    for id in services.sessions.accounts() {
        let account = services.index.read(|index| index.account_by_id(id)).await;
        // What cannot be asked now is asked with the next change.
        if let Ok(account) = account {
            services.sessions.check(id, account.as_ref());
        }
    }
}
