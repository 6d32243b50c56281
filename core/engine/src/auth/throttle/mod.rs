//! What guessing passwords costs: failures are counted by address, network and account, and too many close the door for a while.
//!
//! A failure counts against the client's address (IPv6: its /64), against its /48 with [`NETWORK_FACTOR`] times the patience, and against
//! the account, whether that exists or not.
//!
//! **Invariants.**
//! 1. An attempt takes its place before its password is looked at: failures and attempts under way never outnumber a limit together. What
//!    finds no place waits for the outcome of those before it: many clients that come back at once are let in one after the other, many
//!    guesses at once find the door closed.
//! 2. Under a ban nothing is looked at and nothing counted; so a ban ends, however often the door is tried.
//! 3. From an address that lately proved an account, its failures are counted apart: a stranger's guesses close the account to strangers
//!    alone, and a /48 never closes to it.
//! 4. Success gives back the attempt, and no failure before it: else own logins would pay for guesses at others.
//! 5. Peers in exempt networks pass uncounted. Processes of this host and the proxy in front have no address to count against.
//!
//! Counts are those of this process: a guesser who finds more processes has that many times the guesses.
//!
//! **Bounds.** [`POTS`] counts, of which the least guilty are forgotten first; [`KNOWN`] proven pairs of address and account.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::expiring::Expiring;
use crate::config;
use crate::limits::window::{Parts, Window};
use crate::net::peer::{AddressKey, Peer};

/// Things that failures are counted against.
const POTS: usize = 131_072;
/// Pairs of address and account that lately belonged together.
const KNOWN: usize = 65_536;
/// How long they do.
const KNOWN_FOR: Duration = Duration::from_secs(7 * 86_400);
/// How many times the failures of an address a /48 may have: it may be one customer, or many.
const NETWORK_FACTOR: u32 = 8;

/// What failures are counted against.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Pot {
    /// An address or /64.
    Address(AddressKey),
    /// A /48.
    Network(Ipv6Addr),
    /// An account, from whoever never proved it.
    Account(Box<str>),
    /// An account from where it was proven.
    Proven(Box<str>, Option<AddressKey>),
}

impl Pot {
    fn closed(&self) -> Closed {
        match self {
            Self::Address(_) => Closed::Address,
            Self::Network(_) => Closed::Network,
            Self::Account(_) | Self::Proven(..) => Closed::Account,
        }
    }
}

/// Which door is closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Closed {
    /// To the address.
    Address,
    /// To its /48.
    Network,
    /// Of the account.
    Account,
}

impl Closed {
    /// For the log.
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Address => "address is banned",
            Self::Network => "network is banned",
            Self::Account => "account is locked",
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    failures: Window,
    under_way: u32,
    closed_until: Option<Instant>,
}

impl Count {
    fn is_closed(&self, now: Instant) -> bool {
        self.closed_until.is_some_and(|until| until > now)
    }
}

#[derive(Debug)]
struct State {
    settings: config::Throttle,
    exempt: Vec<IpNet>,
    parts: Parts,
    pots: HashMap<Pot, Count>,
    known: Expiring<(Box<str>, Option<AddressKey>), ()>,
}

impl State {
    fn is_exempt(&self, ip: IpAddr) -> bool {
        self.exempt.iter().any(|network| network.contains(&ip))
    }
}

/// Counts failures.
#[derive(Debug)]
pub(super) struct Throttle {
    limit: usize,
    state: Mutex<State>,
    settled: Notify,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Settled {
    /// The password was right.
    Success,
    /// It was wrong.
    Failure,
    /// Nobody knows.
    Neither,
}

enum Admission {
    Admitted,
    Closed(Closed),
    Full,
}

impl Throttle {
    pub(super) fn new(settings: config::Throttle, exempt: Vec<IpNet>) -> Self {
        Self::bounded(settings, exempt, POTS)
    }

    fn bounded(settings: config::Throttle, exempt: Vec<IpNet>, limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::new(State {
                settings,
                exempt,
                parts: Parts::of(settings.window),
                pots: HashMap::new(),
                known: Expiring::new(KNOWN),
            }),
            settled: Notify::new(),
        }
    }

    /// Goes on with other settings. Doors that are closed stay so; with another window what was counted is forgotten.
    pub(super) fn set(&self, settings: config::Throttle, exempt: Vec<IpNet>) {
        let mut state = self.state();
        if settings.window != state.settings.window {
            state.parts = Parts::of(settings.window);
            for count in state.pots.values_mut() {
                count.failures = Window::default();
            }
        }
        state.settings = settings;
        state.exempt = exempt;
        drop(state);
        // A higher limit has room for who waits.
        self.settled.notify_waiters();
    }

    /// Takes a place for an attempt of `peer` at `user`, waiting for one if need be.
    ///
    /// # Errors
    /// Which door is closed.
    pub(super) async fn admit(
        self: &Arc<Self>,
        peer: &Peer,
        user: &str,
    ) -> Result<Reservation, Closed> {
        let ip = peer.ip().map(|ip| ip.to_canonical());
        let mut reservation = Reservation {
            throttle: self.clone(),
            user: user.into(),
            source: peer.key(),
            pots: Vec::new(),
        };
        loop {
            let mut settled = std::pin::pin!(self.settled.notified());
            settled.as_mut().enable();
            match self.try_admit(&mut reservation, ip) {
                Admission::Admitted => return Ok(reservation),
                Admission::Closed(door) => return Err(door),
                Admission::Full => settled.await,
            }
        }
    }

    /// Until when nothing from this address is looked at.
    pub(super) fn banned_until(&self, address: AddressKey) -> Option<Instant> {
        let state = self.state();
        let count = state.pots.get(&Pot::Address(address))?;
        count.closed_until.filter(|until| *until > Instant::now())
    }

    /// Whether nothing from this peer is looked at. Exempt networks and what is no client never are.
    pub(super) fn is_banned(&self, peer: &Peer) -> bool {
        let (Some(ip), Some(key)) = (peer.ip(), peer.key()) else {
            return false;
        };
        let (now, state) = (Instant::now(), self.state());
        let count = state.pots.get(&Pot::Address(key));
        count.is_some_and(|it| it.is_closed(now)) && !state.is_exempt(ip.to_canonical())
    }

    fn try_admit(&self, reservation: &mut Reservation, ip: Option<IpAddr>) -> Admission {
        let (now, mut state) = (Instant::now(), self.state());
        if ip.is_some_and(|ip| state.is_exempt(ip)) {
            return Admission::Admitted;
        }
        let part = state.parts.at(now);
        let pots = reservation.pots_now(&state, ip, now);
        let mut full = false;
        for pot in &pots {
            let Some(count) = state.pots.get(pot) else {
                continue;
            };
            if count.is_closed(now) {
                return Admission::Closed(pot.closed());
            }
            let taken = count.failures.total(part).saturating_add(count.under_way);
            full |= count.under_way > 0 && taken >= limit_of(&state.settings, pot);
        }
        if full {
            return Admission::Full;
        }
        for pot in &pots {
            if state.pots.len() >= self.limit && !state.pots.contains_key(pot) {
                self.make_room(&mut state, now);
            }
            state.pots.entry(pot.clone()).or_default().under_way += 1;
        }
        reservation.pots = pots;
        Admission::Admitted
    }

    /// Gives the places of an attempt back; brings the doors that it closed.
    fn settle(&self, reservation: &mut Reservation, how: Settled) -> Vec<Closed> {
        let pots = std::mem::take(&mut reservation.pots);
        if pots.is_empty() {
            return Vec::new();
        }
        let (now, mut state) = (Instant::now(), self.state());
        let (settings, part) = (state.settings, state.parts.at(now));
        let mut closed = Vec::new();
        for pot in &pots {
            let Some(count) = state.pots.get_mut(pot) else {
                continue;
            };
            count.under_way = count.under_way.saturating_sub(1);
            if how == Settled::Failure {
                count.failures.add(part);
                if count.failures.total(part) >= limit_of(&settings, pot) {
                    *count = Count {
                        failures: Window::default(),
                        closed_until: Some(now + settings.ban),
                        ..*count
                    };
                    closed.push(pot.closed());
                }
            }
            let idle =
                count.under_way == 0 && !count.is_closed(now) && count.failures.total(part) == 0;
            if idle {
                state.pots.remove(pot);
            }
        }
        if how == Settled::Success {
            let pair = (reservation.user.clone(), reservation.source);
            state.known.insert(pair, (), now + KNOWN_FOR, now);
        }
        drop(state);
        self.settled.notify_waiters();
        closed
    }

    /// Forgets what no longer counts, then an eighth of the rest: first what is not closed and failed least. Never an attempt under way.
    fn make_room(&self, state: &mut State, now: Instant) {
        let part = state.parts.at(now);
        let guilt = |count: &Count| {
            (
                count.closed_until.filter(|until| *until > now),
                count.failures.total(part),
            )
        };
        state
            .pots
            .retain(|_, count| count.under_way > 0 || guilt(count) != (None, 0));
        if state.pots.len() < self.limit {
            return;
        }
        let idle = |count: &Count| count.under_way == 0;
        let mut ranks: Vec<_> = state
            .pots
            .values()
            .filter(|it| idle(it))
            .map(guilt)
            .collect();
        let mut surplus = (self.limit / 8 + 1).min(ranks.len());
        if surplus == 0 {
            return;
        }
        let (_, &mut last, _) = ranks.select_nth_unstable_by_key(surplus - 1, |it| *it);
        state.pots.retain(|_, count| {
            let goes = surplus > 0 && idle(count) && guilt(count) <= last;
            surplus -= usize::from(goes);
            !goes
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.state().pots.len()
    }
}

fn limit_of(settings: &config::Throttle, pot: &Pot) -> u32 {
    match pot {
        Pot::Address(_) => settings.failures_per_ip,
        Pot::Network(_) => settings.failures_per_ip.saturating_mul(NETWORK_FACTOR),
        Pot::Account(_) | Pot::Proven(..) => settings.failures_per_account,
    }
}

/// An attempt under way. One that ends without a word was a failure.
#[derive(Debug)]
pub(super) struct Reservation {
    throttle: Arc<Throttle>,
    user: Box<str>,
    source: Option<AddressKey>,
    /// What it is counted against; empty for an exempt peer.
    pots: Vec<Pot>,
}

impl Reservation {
    /// Says how it ended; brings the doors that this closed.
    pub(super) fn settle(mut self, how: Settled) -> Vec<Closed> {
        self.throttle.clone().settle(&mut self, how)
    }

    fn pots_now(&self, state: &State, ip: Option<IpAddr>, now: Instant) -> Vec<Pot> {
        let pair = (self.user.clone(), self.source);
        let known = state.known.get(&pair, now).is_some();
        let network = match ip {
            Some(IpAddr::V6(ip)) if !known => {
                Some(Pot::Network(Ipv6Addr::from_bits(ip.to_bits() & !0 << 80)))
            }
            _ => None,
        };
        let account = match known {
            true => Pot::Proven(pair.0, pair.1),
            false => Pot::Account(pair.0),
        };
        let address = self.source.map(Pot::Address);
        address
            .into_iter()
            .chain(network)
            .chain([account])
            .collect()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.throttle.clone().settle(self, Settled::Failure);
    }
}

#[cfg(test)]
mod tests;
