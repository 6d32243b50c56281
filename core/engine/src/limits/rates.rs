//! How much mail a client, an account and a domain may send within a window of time.
//!
//! A message counts at MAIL and a recipient at RCPT, whatever becomes of it. A client counts by its address (IPv6: its /64) while it
//! has not logged in; then its account counts, and the account's domain.
//!
//! **Invariants.**
//! 1. Asked at the same time or one after the other, no more than a limit is let through within any window.
//! 2. What is refused counts nowhere: whoever keeps asking is let in again as early as whoever waits, and an account that is refused takes
//!    nothing of its domain's share.
//! 3. Addresses of this host and of exempt networks have no count: behind them are webmail, relays and filters of one's own.
//!
//! Counts are those of this process.
//!
//! **Bounds.** [`COUNTS`], of which the least are forgotten first.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use tokio::time::Instant;

use super::window::{Parts, Window};
use super::{Limit, reached};
use crate::config;
use crate::net::peer::{AddressKey, Peer};

/// Addresses, accounts and domains that are counted.
pub(crate) const COUNTS: usize = 131_072;

/// Who sends.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Sender {
    Address(AddressKey),
    Account(Box<str>),
    Domain(Box<str>),
}

impl std::fmt::Display for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => write!(f, "address {address}"),
            Self::Account(account) => write!(f, "account {account}"),
            Self::Domain(domain) => write!(f, "domain {domain}"),
        }
    }
}

/// What is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sent {
    /// A message begins.
    Message,
    /// A recipient of it.
    Recipient,
}

impl Sent {
    fn limit(self) -> Limit {
        match self {
            Self::Message => Limit::MessageRate,
            Self::Recipient => Limit::RecipientRate,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    messages: Window,
    recipients: Window,
    /// The part of the window in which the operator was told last, and one more.
    told: u64,
}

impl Count {
    fn of(&mut self, sent: Sent) -> &mut Window {
        match sent {
            Sent::Message => &mut self.messages,
            Sent::Recipient => &mut self.recipients,
        }
    }

    fn total(&self, part: u64) -> u64 {
        u64::from(self.messages.total(part)) + u64::from(self.recipients.total(part))
    }
}

#[derive(Debug)]
struct State {
    rates: config::Rates,
    exempt: Vec<IpNet>,
    parts: Parts,
    counts: HashMap<Sender, Count>,
}

impl State {
    fn senders(&self, peer: &Peer, account: Option<&str>) -> Vec<Sender> {
        if let Some(account) = account {
            let domain = account.rsplit_once('@').map(|(_, domain)| domain);
            return std::iter::once(Sender::Account(account.into()))
                .chain(domain.map(|domain| Sender::Domain(domain.into())))
                .collect();
        }
        let counts =
            |ip: &IpAddr| !ip.is_loopback() && !self.exempt.iter().any(|net| net.contains(ip));
        let ip = peer.ip().map(|ip| ip.to_canonical()).filter(counts);
        ip.map(|ip| Sender::Address(ip.into()))
            .into_iter()
            .collect()
    }

    fn limit(&self, sender: &Sender, sent: Sent) -> u32 {
        let rates = &self.rates;
        match (sender, sent) {
            (Sender::Address(_), Sent::Message) => rates.messages_per_ip,
            (Sender::Address(_), Sent::Recipient) => rates.recipients_per_ip,
            (Sender::Account(_), Sent::Message) => rates.messages_per_account,
            (Sender::Account(_), Sent::Recipient) => rates.recipients_per_account,
            (Sender::Domain(_), Sent::Message) => rates.messages_per_domain,
            (Sender::Domain(_), Sent::Recipient) => rates.recipients_per_domain,
        }
    }
}

/// Counts what is sent.
#[derive(Debug)]
pub(crate) struct Rates {
    limit: usize,
    state: Mutex<State>,
}

impl Rates {
    pub fn new(limits: &config::Limits) -> Self {
        Self::bounded(limits, COUNTS)
    }

    fn bounded(limits: &config::Limits, limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::new(State {
                rates: limits.rates,
                exempt: limits.exempt.clone(),
                parts: Parts::of(limits.rates.window),
                counts: HashMap::new(),
            }),
        }
    }

    /// Goes on with other settings; with another window what was counted is forgotten.
    pub fn set(&self, limits: &config::Limits) {
        let mut state = self.state();
        if limits.rates.window != state.rates.window {
            state.parts = Parts::of(limits.rates.window);
            state.counts.clear();
        }
        state.rates = limits.rates;
        state.exempt.clone_from(&limits.exempt);
    }

    /// Counts what `peer` sends, logged in as `account` or not. Whether it may: if not, nothing was counted.
    pub fn allow(&self, sent: Sent, peer: &Peer, account: Option<&str>) -> bool {
        let mut state = self.state();
        let part = state.parts.at(Instant::now());
        let senders = state.senders(peer, account);
        for sender in &senders {
            let limit = state.limit(sender, sent);
            let Some(count) = state.counts.get_mut(sender) else {
                continue;
            };
            if count.of(sent).total(part) < limit {
                continue;
            }
            let news = count.told != part + 1;
            count.told = part + 1;
            drop(state);
            reached(sent.limit());
            // An operator wants to hear of it, and not at every message.
            if news {
                tracing::warn!(%peer, %sender, limit, ?sent, "sends too much, and is to come later");
            }
            return false;
        }
        for sender in senders {
            if state.counts.len() >= self.limit && !state.counts.contains_key(&sender) {
                self.make_room(&mut state, part);
            }
            let count = match state.counts.entry(sender) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(Count::default()),
            };
            count.of(sent).add(part);
        }
        true
    }

    /// Forgets what no longer counts, then an eighth of the rest: first what sent least.
    fn make_room(&self, state: &mut State, part: u64) {
        state.counts.retain(|_, count| count.total(part) > 0);
        if state.counts.len() < self.limit {
            return;
        }
        let mut totals: Vec<_> = state.counts.values().map(|it| it.total(part)).collect();
        let mut surplus = (self.limit / 8 + 1).min(totals.len());
        let (_, &mut last, _) = totals.select_nth_unstable(surplus - 1);
        state.counts.retain(|_, count| {
            let goes = surplus > 0 && count.total(part) <= last;
            surplus -= usize::from(goes);
            !goes
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
