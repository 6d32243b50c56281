//! The way through a login, from what a client claims to the account it is.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use postrider_protocol::sasl::{Credentials, Verdict};
use postrider_protocol::secret::Secret;
use postrider_storage::Error;
use postrider_storage::index::{Account, AccountId, Change, SetPassword, Timestamp, TouchLogin};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use super::TARGET;
use super::cache::Cache;
use super::decision::{Decision, trail};
use super::expiring::Expiring;
use super::local::{Accounts, LocalResolver, Passwords};
use super::name::fold;
use super::password::kind;
use super::resolver::{Caching, Chain, Request, Resolver};
use super::throttle::Throttle;
use crate::clock::now;
use crate::config;
use crate::net::peer::{AddressKey, Peer};
use crate::telemetry::metrics::{PASSWORD_HASHES_UNVERIFIABLE, PASSWORD_UPGRADES};

/// A password right for a row that changed meanwhile is looked at again, so often in all.
const ROUNDS: usize = 4;
/// How often a login of an account is noted.
const NOTED_EVERY: Duration = Duration::from_secs(60);
/// Accounts whose last note is remembered.
const NOTED: usize = 65_536;
/// How often the log says of an account that nobody can log in with what is kept of its password, unless that changes.
const COMPLAINED_EVERY: Duration = Duration::from_secs(30 * 86_400);

/// What a client claims, and where it is.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What it claims.
    pub credentials: Credentials,
    /// Who it is on the network.
    pub peer: Peer,
    /// The service, as metrics and logs name it.
    pub protocol: &'static str,
}

/// What an [`Authenticator`] is made of.
pub struct Parts {
    /// Where accounts are.
    pub accounts: Arc<dyn Accounts>,
    /// Who compares passwords.
    pub passwords: Arc<dyn Passwords>,
    /// `[auth]`
    pub settings: config::Auth,
    /// Networks that are never throttled.
    pub exempt: Vec<IpNet>,
    /// How long a login may take in all.
    pub deadline: Duration,
    /// Resolvers that are asked before the local one, in order.
    pub resolvers: Vec<Arc<dyn Resolver>>,
}

/// Judges attempts to log in. Clones share everything.
#[derive(Clone)]
pub struct Authenticator(Arc<Shared>);

struct Shared {
    accounts: Arc<dyn Accounts>,
    passwords: Arc<dyn Passwords>,
    upgrade_hashes: AtomicBool,
    deadline: Duration,
    throttle: Arc<Throttle>,
    chain: Chain,
    cache: Cache,
    noted: Mutex<Expiring<AccountId, ()>>,
    /// Accounts in these versions, of whose hashes the log has complained.
    complained: Mutex<Expiring<(AccountId, i64), ()>>,
}

impl Authenticator {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        let local = Arc::new(LocalResolver::new(parts.passwords.clone()));
        Self(Arc::new(Shared {
            accounts: parts.accounts,
            passwords: parts.passwords,
            upgrade_hashes: AtomicBool::new(parts.settings.upgrade_hashes),
            deadline: parts.deadline,
            throttle: Arc::new(Throttle::new(parts.settings.throttle, parts.exempt)),
            chain: Chain::new(parts.resolvers, local),
            cache: Cache::new(parts.settings.cache),
            noted: Mutex::new(Expiring::new(NOTED)),
            complained: Mutex::new(Expiring::new(NOTED)),
        }))
    }

    /// Whether the client is who it claims to be. Leaves one log event.
    ///
    /// Goes on to its end when the future is dropped: a client that hangs up has guessed all the same.
    ///
    /// # Errors
    /// Never [`Verdict::Granted`].
    pub async fn authenticate(&self, attempt: Attempt) -> Result<Account, Verdict> {
        let shared = self.0.clone();
        let judged = async move {
            let began = Instant::now();
            let decision = shared.decide(&attempt).await;
            decision.record(&attempt, began.elapsed());
            decision.result
        };
        // An error is a panic of ours, or the end of the process.
        tokio::spawn(judged.in_current_span())
            .await
            .unwrap_or(Err(Verdict::Unavailable))
    }

    /// Takes over what can change while it runs: throttle, exempt networks, cache, upgrades of hashes. Bans that are on stay on.
    pub fn set(&self, settings: &config::Auth, exempt: Vec<IpNet>) {
        let shared = &self.0;
        shared
            .upgrade_hashes
            .store(settings.upgrade_hashes, Ordering::Relaxed);
        shared.throttle.set(settings.throttle, exempt);
        shared.cache.set(settings.cache);
    }

    /// How long no login from this address will be looked at, if it is banned.
    pub fn banned_for(&self, address: AddressKey) -> Option<Duration> {
        let until = self.0.throttle.banned_until(address)?;
        Some(until.saturating_duration_since(Instant::now()))
    }

    /// Whether no login of this client will be looked at, whatever it says. Cheap: for who lets connections in.
    pub fn is_banned(&self, peer: &Peer) -> bool {
        self.0.throttle.is_banned(peer)
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authenticator")
    }
}

impl Shared {
    async fn decide(&self, attempt: &Attempt) -> Decision {
        let credentials = &attempt.credentials;
        let user = fold(&credentials.user);
        let other = &credentials.authorize_as;
        if !other.is_empty() && fold(other) != user {
            let why = "asks to act for somebody else";
            return Decision::refused(Verdict::Denied, "policy", why);
        }
        let password = match str::from_utf8(credentials.password.expose()) {
            Ok(text) if !text.is_empty() => Secret::new(text.to_owned()),
            // Some directories take an empty password for a yes.
            _ => return Decision::refused(Verdict::Denied, "policy", "no password"),
        };
        let deadline = Instant::now() + self.deadline;
        let peer = &attempt.peer;
        let admitted = timeout_at(deadline, self.throttle.admit(peer, &user)).await;
        let reservation = match admitted {
            Ok(Ok(reservation)) => reservation,
            Ok(Err(door)) => {
                return Decision::refused(Verdict::Throttled, "throttle", door.why());
            }
            Err(_) => {
                let why = "too many logins at once";
                return Decision::refused(Verdict::Unavailable, "throttle", why);
            }
        };
        let request = Request {
            user: &user,
            account: None,
            password: &password,
            peer,
            protocol: attempt.protocol,
            deadline,
            in_doubt: false,
        };
        let decision = timeout_at(deadline, self.judge(request))
            .await
            .unwrap_or_else(|_| {
                Decision::refused(Verdict::Unavailable, "deadline", "no answer in time")
            });
        for door in reservation.settle(decision.settled()) {
            let why = door.why();
            tracing::warn!(target: TARGET, %peer, why, user, "too many failed logins");
        }
        if let Ok(account) = &decision.result {
            self.note(account);
        }
        decision
    }

    /// Looks at the password until the row before and after is the same.
    async fn judge(&self, request: Request<'_>) -> Decision {
        for _ in 0..ROUNDS {
            match self.judge_once(request).await {
                Ok(Some(decision)) => return decision,
                Ok(None) => {}
                Err(error) => {
                    return Decision::refused(Verdict::Unavailable, "index", error.to_string());
                }
            }
        }
        let why = "the account changes all the time";
        Decision::refused(Verdict::Unavailable, "index", why)
    }

    async fn judge_once(&self, request: Request<'_>) -> Result<Option<Decision>, Error> {
        let Request { user, password, .. } = request;
        let before = self.accounts.account(user).await?;
        if let Some(account) = before.as_ref().filter(|it| it.enabled())
            && let Some(by) = self.cache.get(account, password)
        {
            let why = format!("{by}: granted lately");
            return Ok(Some(Decision::granted(account.clone(), by, why)));
        }
        let account = before.as_ref();
        let heard = self.chain.ask(Request { account, ..request }).await;
        let Some(granted) = heard.granted else {
            if let (Some(account), Some((by, why))) = (account, heard.damaged()) {
                self.complain(account, by, why);
            }
            return Ok(Some(Decision::unproven(&heard)));
        };
        let by = granted.by;
        let opened = heard.account.as_deref().unwrap_or(user);
        let Some(account) = self.accounts.account(opened).await? else {
            return Ok(Some(Decision::overruled(by, "no such account")));
        };
        if !account.enabled() {
            return Ok(Some(Decision::overruled(by, "switched off")));
        }
        // A resolver may have added the account just now; one that was there must be the one that was proven.
        let before = before.filter(|_| heard.account.is_none());
        if before.is_some_and(|it| (it.id, it.version) != (account.id, account.version)) {
            return Ok(None);
        }
        let account = match granted.is_last {
            true => self.upgrade(account, password).await,
            false => Some(account),
        };
        let Some(account) = account else {
            return Ok(None);
        };
        if granted.caching == Caching::Allowed {
            self.cache.put(&account, password, by);
        }
        Ok(Some(Decision::granted(account, by, trail(&heard))))
    }

    /// Puts a strong hash in the place of a weak one; brings the account as it then is, none if it became another meanwhile. That an
    /// upgrade does not succeed hinders no login.
    async fn upgrade(&self, account: Account, password: &Secret<String>) -> Option<Account> {
        let old = account.password.as_deref().unwrap_or_default();
        if !self.upgrade_hashes.load(Ordering::Relaxed) || !self.passwords.is_weak(old) {
            return Some(account);
        }
        let hash = match self.passwords.hash(password).await {
            Ok(hash) => hash,
            Err(error) => {
                tracing::warn!(account = %account.email, %error, "weak password hash not upgraded");
                return Some(account);
            }
        };
        let change = SetPassword {
            account: account.id,
            password: Some(hash.clone()),
            only_if: account.password.clone(),
            now: now(),
        };
        if let Err(error) = self.accounts.change(Change::SetPassword(change)).await {
            tracing::warn!(account = %account.email, %error, "weak password hash not upgraded");
            return Some(account);
        }
        let after = self.accounts.account(&account.email).await.ok()??;
        let ours = after.id == account.id && after.password.as_ref() == Some(&hash);
        if ours {
            let from = kind(old);
            tracing::info!(target: TARGET, account = %account.email, from, "password hash upgraded");
            metrics::counter!(PASSWORD_UPGRADES, "from" => from).increment(1);
        }
        (ours && after.enabled()).then_some(after)
    }

    /// Says, once, that what is kept of a password can be verified by nobody: the client hears "wrong password" and the user will ask why.
    fn complain(&self, account: &Account, by: &str, why: &str) {
        metrics::counter!(PASSWORD_HASHES_UNVERIFIABLE).increment(1);
        let (key, at) = ((account.id, account.version), Instant::now());
        let mut complained = self
            .complained
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if complained.get(&key, at).is_some() {
            return;
        }
        complained.insert(key, (), at + COMPLAINED_EVERY, at);
        tracing::warn!(target: TARGET, account = %account.email, by, why, "nobody can log in: set a new password");
    }

    /// Notes the login, behind its back.
    fn note(&self, account: &Account) {
        let (at, now) = (Instant::now(), now());
        let recent = |last: Timestamp| {
            let ago = u64::try_from(now.0.saturating_sub(last.0)).ok();
            ago.is_some_and(|ago| Duration::from_micros(ago) < NOTED_EVERY)
        };
        if account.last_login.is_some_and(recent) {
            return;
        }
        {
            let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            if noted.get(&account.id, at).is_some() {
                return;
            }
            noted.insert(account.id, (), at + NOTED_EVERY, at);
        }
        let (accounts, email, account) = (self.accounts.clone(), account.email.clone(), account.id);
        tokio::spawn(async move {
            let change = Change::TouchLogin(TouchLogin { account, now });
            if let Err(error) = accounts.change(change).await {
                tracing::warn!(account = %email, %error, "login not noted");
            }
        });
    }
}

#[cfg(test)]
mod tests;
