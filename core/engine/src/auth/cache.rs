//! The success cache: who proved a password lately need not pay for bcrypt again.
//!
//! **Invariants.** An entry is found only with the same account row, the same version of it and the same password: its key is their
//! HMAC-SHA256 under a key that this process made up. So two accounts never share one, and an account that changed has none. Only
//! successes are kept, no password, and nothing that a memory dump could be searched with after the process has ended.
//! **Bounds.** [`LIMIT`] entries, each for the configured time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hmac::{Hmac, Mac};
use postrider_protocol::secret::Secret;
use postrider_storage::index::Account;
use sha2::Sha256;
use tokio::time::Instant;
use zeroize::Zeroize;

use super::expiring::Expiring;

/// Successes that are remembered.
pub(crate) const LIMIT: usize = 65_536;

/// Remembers successes.
pub(super) struct Cache {
    /// None where the system gave no random numbers.
    key: Option<Hmac<Sha256>>,
    state: Mutex<State>,
}

struct State {
    lifetime: Duration,
    entries: Expiring<[u8; 32], &'static str>,
}

impl Cache {
    /// Remembers each success for `lifetime`; zero: not at all.
    pub(super) fn new(lifetime: Duration) -> Self {
        Self {
            key: make_key(),
            state: Mutex::new(State {
                lifetime,
                entries: Expiring::new(LIMIT),
            }),
        }
    }

    /// Remembers what comes for another time. A shorter one forgets what is remembered.
    pub(super) fn set(&self, lifetime: Duration) {
        let mut state = self.state();
        if lifetime < state.lifetime {
            state.entries = Expiring::new(LIMIT);
        }
        state.lifetime = lifetime;
    }

    /// The resolver that vouched for this account and password lately.
    pub(super) fn get(&self, account: &Account, password: &Secret<String>) -> Option<&'static str> {
        let mark = self.mark(account, password)?;
        self.state().entries.get(&mark, Instant::now()).copied()
    }

    /// Remembers that `resolver` vouched.
    pub(super) fn put(&self, account: &Account, password: &Secret<String>, resolver: &'static str) {
        let Some(mark) = self.mark(account, password) else {
            return;
        };
        let (now, mut state) = (Instant::now(), self.state());
        let until = now + state.lifetime;
        if until > now {
            state.entries.insert(mark, resolver, until, now);
        }
    }

    /// Forgets that anybody vouched.
    pub(super) fn forget(&self, account: &Account, password: &Secret<String>) {
        if let Some(mark) = self.mark(account, password) {
            self.state().entries.remove(&mark);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers of fixed length stand before the password, so that no two of them read alike.
    fn mark(&self, account: &Account, password: &Secret<String>) -> Option<[u8; 32]> {
        let mut mac = self.key.clone()?;
        mac.update(&account.id.0.to_be_bytes());
        mac.update(&account.version.to_be_bytes());
        mac.update(password.expose().as_bytes());
        Some(mac.finalize().into_bytes().into())
    }
}

fn make_key() -> Option<Hmac<Sha256>> {
    let mut key = [0u8; 32];
    if let Err(error) = getrandom::fill(&mut key) {
        tracing::error!(%error, "no random numbers, so no login is remembered");
        return None;
    }
    let hmac = Hmac::new_from_slice(&key).ok();
    key.zeroize();
    hmac
}

#[cfg(test)]
mod tests {
    use super::super::testing::{account, secret};
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn remembers_for_its_time() {
        let cache = Cache::new(MINUTE);
        let ada = account("ada@example.test");
        assert_eq!(cache.get(&ada, &secret("one")), None);
        cache.put(&ada, &secret("one"), "local");
        assert_eq!(cache.get(&ada, &secret("one")), Some("local"));
        tokio::time::advance(MINUTE).await;
        assert_eq!(cache.get(&ada, &secret("one")), None);
    }

    #[tokio::test(start_paused = true)]
    async fn attack_31_nothing_but_the_same_account_version_and_password_is_found() {
        let cache = Cache::new(MINUTE);
        let ada = account("ada@example.test");
        cache.put(&ada, &secret("1secret"), "local");
        let mut other = ada.clone();
        other.id.0 += 1;
        let mut changed = ada.clone();
        changed.version += 1;
        assert_eq!(cache.get(&other, &secret("1secret")), None);
        assert_eq!(cache.get(&changed, &secret("1secret")), None);
        for password in ["", "1", "secret", "1secre", "1secret ", "1Secret"] {
            assert_eq!(cache.get(&ada, &secret(password)), None, "{password}");
        }
        // Numbers whose digits run into the password are not mistaken for others.
        let (mut one, mut eleven) = (ada.clone(), ada.clone());
        (one.id.0, one.version) = (1, 11);
        (eleven.id.0, eleven.version) = (11, 1);
        cache.put(&one, &secret("x"), "local");
        assert_eq!(cache.get(&eleven, &secret("x")), None);
        // Another process has another key.
        assert_ne!(
            cache.mark(&ada, &secret("x")),
            Cache::new(MINUTE).mark(&ada, &secret("x"))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_lifetime_nothing_is_remembered() {
        let cache = Cache::new(Duration::ZERO);
        let ada = account("ada@example.test");
        cache.put(&ada, &secret("one"), "local");
        assert_eq!(cache.get(&ada, &secret("one")), None);
        cache.set(2 * MINUTE);
        cache.put(&ada, &secret("one"), "local");
        cache.set(3 * MINUTE);
        assert_eq!(cache.get(&ada, &secret("one")), Some("local"));
        cache.set(MINUTE);
        assert_eq!(cache.get(&ada, &secret("one")), None);
    }
}
