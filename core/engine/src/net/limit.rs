//! How many connections there may be: in all, of an address, of an address before login, of an account.
//!
//! A connection first takes a [`Slot`] (total), with it a [`Permit`] (its address), and tells the permit
//! when it has logged in. Dropping gives back whatever was taken.
//!
//! **Invariants.** The counters equal the permits that live; an address or account without a connection has
//! no entry. Peers in `exempt` networks, processes of this host and proxies are never counted per address.
//! **Bounds.** Entries never outnumber connections. Zero means none, not unlimited.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use dashmap::{DashMap, Entry};
use ipnet::IpNet;
use tokio::sync::Notify;

use super::peer::AddressKey;
use crate::config::{self, Service};
use crate::telemetry::metrics::{CONNECTIONS_OPEN, CONNECTIONS_REFUSED};

/// What is allowed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Connections in this process.
    pub total: usize,
    /// Connections of an address.
    pub per_address: usize,
    /// Connections of an address that have not logged in.
    pub per_address_before_login: usize,
    /// Connections of an account.
    pub per_account: usize,
    /// Networks whose addresses are not counted.
    pub exempt: Vec<IpNet>,
}

impl From<&config::Limits> for Limits {
    fn from(limits: &config::Limits) -> Self {
        // No host has more descriptors than fit in a usize.
        let count = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        Self {
            total: count(limits.connections),
            per_address: count(limits.connections_per_ip),
            per_address_before_login: count(limits.connections_before_login_per_ip),
            per_account: count(limits.connections_per_account),
            exempt: limits.exempt.clone(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: 10_000,
            per_address: 1000,
            per_address_before_login: 100,
            per_account: 50,
            exempt: Vec::new(),
        }
    }
}

/// Why a connection may not go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// The address has too many connections.
    #[error("too many connections from your address")]
    Address,
    /// The address has too many connections that have not logged in.
    #[error("too many connections from your address without login")]
    AddressBeforeLogin,
    /// The account has too many connections.
    #[error("too many connections of this account")]
    Account,
    /// Too many logins from the address failed lately.
    #[error("too many failed logins from your address, try again later")]
    Banned,
}

impl Refused {
    pub(super) fn count(self, service: Service) {
        let labels = [("service", service.name()), ("reason", self.label())];
        metrics::counter!(CONNECTIONS_REFUSED, &labels).increment(1);
    }

    fn label(self) -> &'static str {
        match self {
            Self::Address => "limit_per_ip",
            Self::AddressBeforeLogin => "limit_before_login_per_ip",
            Self::Account => "limit_per_account",
            Self::Banned => "banned",
        }
    }
}

/// Whether connections of a service log in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Login {
    /// They must before they may do anything; until then they count as suspicious.
    Expected,
    /// They need not: mail from other servers, LMTP.
    NotExpected,
}

impl From<Service> for Login {
    fn from(service: Service) -> Self {
        match service {
            Service::Smtp | Service::Lmtp | Service::Metrics => Self::NotExpected,
            Service::Submission
            | Service::Submissions
            | Service::Imap
            | Service::Imaps
            | Service::Pop3
            | Service::Pop3s => Self::Expected,
        }
    }
}

/// Counts the connections of a process.
#[derive(Clone, Debug)]
pub struct Limiter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: ArcSwap<Limits>,
    open: AtomicUsize,
    freed: Notify,
    addresses: DashMap<AddressKey, Counts>,
    accounts: DashMap<Box<str>, usize>,
}

#[derive(Debug, Default)]
struct Counts {
    open: usize,
    before_login: usize,
}

impl Limiter {
    /// Counts from zero.
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared {
            limits: ArcSwap::from_pointee(limits),
            open: AtomicUsize::new(0),
            freed: Notify::new(),
            addresses: DashMap::default(),
            accounts: DashMap::default(),
        }))
    }

    /// Replaces the limits. Connections that are over a lowered one stay; no new one gets in.
    pub fn set(&self, limits: Limits) {
        self.0.limits.store(Arc::new(limits));
        self.0.freed.notify_waiters();
    }

    /// Connections that hold a slot.
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::SeqCst)
    }

    /// Waits until a slot is free, and takes it.
    pub async fn slot(&self, service: Service) -> Slot {
        self.wait(|| self.try_slot(service)).await
    }

    /// Whether no slot is free.
    pub fn is_full(&self) -> bool {
        self.open() >= self.0.limits.load().total
    }

    /// Waits until a slot is free, without taking it.
    pub async fn free(&self) {
        self.wait(|| (self.open() < self.0.limits.load().total).then_some(()))
            .await;
        // This wake-up took nothing, so the next waiter may have it.
        self.0.freed.notify_one();
    }

    async fn wait<T>(&self, take: impl Fn() -> Option<T>) -> T {
        loop {
            let mut freed = std::pin::pin!(self.0.freed.notified());
            freed.as_mut().enable();
            if let Some(taken) = take() {
                return taken;
            }
            freed.await;
        }
    }

    /// Takes a slot if one is free.
    pub fn try_slot(&self, service: Service) -> Option<Slot> {
        let total = self.0.limits.load().total;
        let take = |open: usize| (open < total).then_some(open + 1);
        self.0
            .open
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
            .ok()?;
        metrics::gauge!(CONNECTIONS_OPEN, "service" => service.name()).increment(1.0);
        Some(Slot {
            shared: self.0.clone(),
            service,
        })
    }

    #[cfg(test)]
    fn entries(&self) -> (usize, usize) {
        (self.0.addresses.len(), self.0.accounts.len())
    }
}

/// The right to hold a connection at all.
#[derive(Debug)]
pub struct Slot {
    shared: Arc<Shared>,
    service: Service,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::SeqCst);
        self.shared.freed.notify_one();
        metrics::gauge!(CONNECTIONS_OPEN, "service" => self.service.name()).decrement(1.0);
    }
}

impl Slot {
    /// Counts the connection under its address. A refused one keeps its slot until it is told and closed.
    pub fn admit(self, ip: Option<IpAddr>, login: Login) -> Result<Permit, (Self, Refused)> {
        let limits = self.shared.limits.load_full();
        let exempt = |ip: &IpAddr| limits.exempt.iter().any(|network| network.contains(ip));
        let key = ip
            .map(|ip| ip.to_canonical())
            .filter(|ip| !exempt(ip))
            .map(AddressKey::from);
        let address = match key {
            Some(key) => match Address::take(&self.shared, key, login, &limits) {
                Ok(address) => Some(address),
                Err(refused) => {
                    refused.count(self.service);
                    return Err((self, refused));
                }
            },
            None => None,
        };
        Ok(Permit {
            account: None,
            address,
            slot: self,
        })
    }
}

/// The right to hold a connection from an address and, after login, of an account.
#[derive(Debug)]
pub struct Permit {
    account: Option<Account>,
    address: Option<Address>,
    slot: Slot,
}

impl Permit {
    /// Counts the connection under its account, and no longer as one before login.
    ///
    /// # Errors
    /// [`Refused::Account`]: nothing changed.
    pub fn log_in(&mut self, account: &str) -> Result<(), Refused> {
        let taken = Account::take(&self.slot.shared, account)
            .inspect_err(|refused| refused.count(self.slot.service))?;
        self.account = Some(taken);
        if let Some(address) = &mut self.address {
            address.logged_in();
        }
        Ok(())
    }
}

/// One connection counted under an address.
#[derive(Debug)]
struct Address {
    shared: Arc<Shared>,
    key: AddressKey,
    before_login: bool,
}

impl Address {
    fn take(
        shared: &Arc<Shared>,
        key: AddressKey,
        login: Login,
        limits: &Limits,
    ) -> Result<Self, Refused> {
        let before_login = login == Login::Expected;
        let allow = |counts: &Counts| {
            if counts.open >= limits.per_address {
                return Err(Refused::Address);
            }
            if before_login && counts.before_login >= limits.per_address_before_login {
                return Err(Refused::AddressBeforeLogin);
            }
            Ok(())
        };
        let mut counts = match shared.addresses.entry(key) {
            Entry::Occupied(entry) => {
                allow(entry.get())?;
                entry.into_ref()
            }
            Entry::Vacant(entry) => {
                allow(&Counts::default())?;
                entry.insert(Counts::default())
            }
        };
        counts.open += 1;
        counts.before_login += usize::from(before_login);
        drop(counts);
        Ok(Self {
            shared: shared.clone(),
            key,
            before_login,
        })
    }

    fn logged_in(&mut self) {
        if std::mem::take(&mut self.before_login)
            && let Some(mut counts) = self.shared.addresses.get_mut(&self.key)
        {
            counts.before_login = counts.before_login.saturating_sub(1);
        }
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        if let Entry::Occupied(mut entry) = self.shared.addresses.entry(self.key) {
            let counts = entry.get_mut();
            counts.open = counts.open.saturating_sub(1);
            let before_login = usize::from(self.before_login);
            counts.before_login = counts.before_login.saturating_sub(before_login);
            if counts.open == 0 {
                entry.remove();
            }
        }
    }
}

/// One connection counted under an account.
#[derive(Debug)]
struct Account {
    shared: Arc<Shared>,
    name: Box<str>,
}

impl Account {
    fn take(shared: &Arc<Shared>, name: &str) -> Result<Self, Refused> {
        let limit = shared.limits.load().per_account;
        match shared.accounts.entry(name.into()) {
            Entry::Occupied(mut entry) if *entry.get() < limit => *entry.get_mut() += 1,
            Entry::Vacant(entry) if limit > 0 => drop(entry.insert(1)),
            Entry::Occupied(_) | Entry::Vacant(_) => return Err(Refused::Account),
        }
        Ok(Self {
            shared: shared.clone(),
            name: name.into(),
        })
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        if let Entry::Occupied(mut entry) = self.shared.accounts.entry(name) {
            let open = entry.get().saturating_sub(1);
            match open {
                0 => drop(entry.remove()),
                _ => *entry.get_mut() = open,
            }
        }
    }
}

#[cfg(test)]
mod tests;
