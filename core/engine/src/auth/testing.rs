//! What the tests of logins share: an index in memory, hashers that count, clients.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postrider_protocol::sasl::Credentials;
use postrider_protocol::secret::Secret;
use postrider_storage::Error;
use postrider_storage::index::Index;
use postrider_storage::index::{
    Account, AccountId, AddAccounts, AddDomain, AuthType, Change, DomainId, MemoryIndex,
    NewAccount, Outcome, Timestamp,
};
use tokio::sync::Semaphore;

use super::authenticator::{Attempt, Authenticator, Parts};
use super::contract::{Fixture, USERS};
use super::hasher::HasherError;
use super::local::{Accounts, LocalResolver, Passwords};
use super::password::{PasswordError, VerifyError, check_password};
use super::resolver::{Answer, Request, Resolver};
use crate::config;
use crate::net::peer::{Peer, Remote};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// An account as the index brings it.
pub(super) fn account(email: &str) -> Account {
    Account {
        id: AccountId(7),
        email: email.to_owned(),
        domain: DomainId(1),
        password: None,
        quota: None,
        used: 0,
        auth: AuthType::Local,
        active: true,
        domain_active: true,
        version: 1,
        last_login: None,
        created: Timestamp(0),
        addressed: Timestamp(0),
        pop3_retention: None,
    }
}

pub(super) fn peer(ip: &str) -> Peer {
    from(Remote::inet(
        (ip.parse::<std::net::IpAddr>().unwrap(), 4711).into(),
    ))
}

pub(super) fn from(remote: Remote) -> Peer {
    Peer {
        remote,
        local: None,
        proxy: None,
        tls: None,
    }
}

/// Hashes that are `weak:` or `strong:` and the password; counts what is asked of it.
#[derive(Default)]
pub(super) struct FakePasswords {
    /// Verifications against a hash and against nobody's.
    pub work: AtomicUsize,
    pub hashed: AtomicUsize,
    pub overloaded: AtomicBool,
    /// While given, a verification takes a permit of it.
    pub gate: Mutex<Option<Arc<Semaphore>>>,
}

impl FakePasswords {
    pub(super) fn work(&self) -> usize {
        self.work.load(Ordering::SeqCst)
    }

    async fn work_once(&self) -> Result<(), HasherError> {
        if self.overloaded.load(Ordering::SeqCst) {
            return Err(HasherError::Overloaded);
        }
        self.work.fetch_add(1, Ordering::SeqCst);
        let gate = self.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        // Another task may come between, as it may with real hashers.
        tokio::task::yield_now().await;
        Ok(())
    }
}

#[async_trait::async_trait]
impl Passwords for FakePasswords {
    async fn verify(&self, hash: &str, password: &Secret<String>) -> Result<bool, HasherError> {
        let right = ["weak:", "strong:"]
            .iter()
            .find_map(|it| hash.strip_prefix(it));
        self.work_once().await?;
        let right = right.ok_or(VerifyError::Malformed("no scheme that we know"))?;
        if let Err(why @ (PasswordError::TooLong | PasswordError::Nul)) = check_password(password) {
            return Err(VerifyError::from(why).into());
        }
        Ok(right == password.expose())
    }

    async fn verify_nobody(&self) -> Result<(), HasherError> {
        self.work_once().await
    }

    async fn hash(&self, password: &Secret<String>) -> Result<String, HasherError> {
        self.work_once().await?;
        self.hashed.fetch_add(1, Ordering::SeqCst);
        Ok(format!("strong:{}", password.expose()))
    }

    fn is_weak(&self, hash: &str) -> bool {
        hash.starts_with("weak:")
    }
}

/// An index in memory whose connection can be cut.
#[derive(Default)]
pub(super) struct FakeAccounts {
    pub index: MemoryIndex,
    pub away: AtomicBool,
    /// Rows read as switched off by somebody who raised no version.
    pub switched_off: AtomicBool,
    pub changes: Mutex<Vec<Change>>,
}

impl FakeAccounts {
    pub(super) async fn apply(&self, change: Change) -> Outcome {
        self.index.apply(vec![change]).await.remove(0).unwrap()
    }

    pub(super) async fn add(
        &self,
        email: &str,
        password: Option<&str>,
        auth: AuthType,
    ) -> AccountId {
        let add = AddAccounts {
            accounts: vec![NewAccount {
                email: email.to_owned(),
                password: password.map(str::to_owned),
                quota: None,
                auth,
            }],
            now: Timestamp(0),
        };
        match self.apply(Change::AddAccounts(add)).await {
            Outcome::Accounts(ids) => ids[0],
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn row(&self, email: &str) -> Account {
        self.index.account(email).await.unwrap().unwrap()
    }
}

#[async_trait::async_trait]
impl Accounts for FakeAccounts {
    async fn account(&self, email: &str) -> Result<Option<Account>, Error> {
        if self.away.load(Ordering::SeqCst) {
            return Err(Error::Unavailable("cut".to_owned()));
        }
        let mut row = self.index.account(email).await?;
        if let Some(row) = &mut row {
            row.active &= !self.switched_off.load(Ordering::SeqCst);
        }
        Ok(row)
    }

    async fn change(&self, change: Change) -> Result<Outcome, Error> {
        self.changes.lock().unwrap().push(change.clone());
        self.index.apply(vec![change]).await.remove(0)
    }
}

/// The engine's part of a server: `ada`, `bob` and `carol` of `example.test`, all with the password `secret`, and some who cannot log in.
pub(super) struct House {
    pub accounts: Arc<FakeAccounts>,
    pub passwords: Arc<FakePasswords>,
    pub auth: Authenticator,
}

pub(super) fn settings() -> config::Auth {
    config::Auth {
        upgrade_hashes: true,
        cache: 5 * MINUTE,
        hash_wait: 10 * SECOND,
        throttle: config::Throttle {
            failures_per_ip: 10,
            failures_per_account: 5,
            window: 10 * MINUTE,
            ban: 20 * MINUTE,
        },
        ldap: None,
    }
}

impl House {
    pub(super) async fn new() -> Self {
        Self::with(settings(), Vec::new()).await
    }

    pub(super) async fn with(settings: config::Auth, resolvers: Vec<Arc<dyn Resolver>>) -> Self {
        let accounts = Arc::new(FakeAccounts::default());
        let domain = AddDomain {
            name: "example.test".to_owned(),
            auth: AuthType::Local,
            ldap_base_dn: None,
            now: Timestamp(0),
        };
        accounts.apply(Change::AddDomain(domain)).await;
        for name in ["ada", "bob", "carol"] {
            let email = format!("{name}@example.test");
            accounts
                .add(&email, Some("strong:secret"), AuthType::Local)
                .await;
        }
        let passwords = Arc::new(FakePasswords::default());
        let auth = Authenticator::new(Parts {
            accounts: accounts.clone(),
            passwords: passwords.clone(),
            settings,
            exempt: vec!["198.51.100.0/24".parse().unwrap()],
            deadline: MINUTE,
            resolvers,
        });
        Self {
            accounts,
            passwords,
            auth,
        }
    }

    pub(super) fn attempt(ip: &str, user: &str, password: &str) -> Attempt {
        Attempt {
            credentials: Credentials {
                mechanism: "PLAIN",
                user: user.to_owned(),
                authorize_as: String::new(),
                password: Secret::new(password.as_bytes().to_vec()),
            },
            peer: peer(ip),
            protocol: "imaps",
        }
    }
}

/// The local resolver over the contract's users, as a chain asks it.
pub(super) struct LocalFixture {
    accounts: Arc<FakeAccounts>,
    passwords: Arc<FakePasswords>,
    local: LocalResolver,
}

impl LocalFixture {
    pub(super) async fn new() -> Self {
        let house = House::new().await;
        let passwords = house.passwords.clone();
        for (user, password) in USERS {
            let hash = format!("strong:{password}");
            if let Ok(Some(row)) = house.accounts.index.account(user).await {
                let set = postrider_storage::index::SetPassword {
                    account: row.id,
                    password: Some(hash),
                    only_if: None,
                    now: Timestamp(0),
                };
                house.accounts.apply(Change::SetPassword(set)).await;
            } else {
                house.accounts.add(user, Some(&hash), AuthType::Local).await;
            }
        }
        let carol = house.accounts.row("carol@example.test").await;
        let remove = postrider_storage::index::RemoveAccount {
            account: carol.id,
            now: Timestamp(0),
        };
        house.accounts.apply(Change::RemoveAccount(remove)).await;
        Self {
            accounts: house.accounts,
            local: LocalResolver::new(passwords.clone()),
            passwords,
        }
    }
}

#[async_trait::async_trait]
impl Resolver for LocalFixture {
    fn name(&self) -> &'static str {
        self.local.name()
    }

    async fn authenticate(&self, request: Request<'_>) -> Answer {
        let row = self.accounts.index.account(request.user).await.unwrap();
        let account = row.as_ref();
        self.local
            .authenticate(Request { account, ..request })
            .await
    }
}

#[async_trait::async_trait]
impl Fixture for LocalFixture {
    fn resolver(&self) -> &dyn Resolver {
        self
    }

    async fn set_reachable(&self, reachable: bool) -> Option<()> {
        self.passwords
            .overloaded
            .store(!reachable, Ordering::SeqCst);
        Some(())
    }
}
