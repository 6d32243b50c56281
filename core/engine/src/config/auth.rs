//! `[auth]`: who may log in.

use std::time::Duration;

use super::{
    ldap::{self, Ldap},
    source::Table,
};

/// Who may log in, and what guessing costs.
#[derive(Clone, Debug)]
pub struct Auth {
    /// A weaker hash becomes bcrypt at the next login.
    pub upgrade_hashes: bool,
    /// How long a success is remembered.
    pub cache: Duration,
    /// How long a login waits for a free password hasher before it is told to come back.
    pub hash_wait: Duration,
    /// What guessing costs.
    pub throttle: Throttle,
    /// The directory.
    pub ldap: Option<Ldap>,
}

/// What guessing passwords costs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Throttle {
    /// Failures within `window` after which an address is banned (IPv6: its /64).
    pub failures_per_ip: u32,
    /// Failures within `window`, from any address, after which an account answers "later".
    pub failures_per_account: u32,
    /// How long a failure counts.
    pub window: Duration,
    /// How long a ban lasts.
    pub ban: Duration,
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// Reads the section.
pub(super) fn read(root: &Table<'_>) -> Auth {
    let table = root.table("auth");
    let throttle = table.table("throttle");
    let second = Duration::from_secs(1);
    Auth {
        upgrade_hashes: table.or("upgrade_hashes", true),
        cache: table.within("cache", 5 * MINUTE, Duration::ZERO..=DAY),
        hash_wait: table.within(
            "hash_wait",
            10 * second,
            Duration::from_millis(100)..=5 * MINUTE,
        ),
        throttle: Throttle {
            failures_per_ip: throttle.within("failures_per_ip", 100, 1..=1_000_000),
            failures_per_account: throttle.within("failures_per_account", 20, 1..=1_000_000),
            window: throttle.within("window", 10 * MINUTE, second..=DAY),
            ban: throttle.within("ban", 10 * MINUTE, second..=30 * DAY),
        },
        ldap: ldap::read(&table.table("ldap")),
    }
}
