//! Accounts: table `virtual_users`.

use super::{AccountId, AuthType, DomainId, MailboxId, Timestamp, Uid};

/// Quota of a new account: 1 GiB.
pub const DEFAULT_QUOTA: u64 = 1 << 30;

/// An account and its one address; further addresses are aliases.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    /// Its row.
    pub id: AccountId,
    /// Local part and domain, lower case; unique.
    pub email: String,
    /// Its domain.
    pub domain: DomainId,
    /// Password hash with or without `{SCHEME}`; none for accounts that LDAP vouches for.
    pub password: Option<String>,
    /// Octets its messages may take; none: no limit.
    pub quota: Option<u64>,
    /// Octets its messages take (I4).
    pub used: u64,
    /// Who vouches for it.
    pub auth: AuthType,
    /// False for one that is switched off.
    pub active: bool,
    /// False if its domain is switched off.
    pub domain_active: bool,
    /// Rises with every change of address, password or activity: what was remembered of the account before no longer counts.
    pub version: i64,
    /// Last login.
    pub last_login: Option<Timestamp>,
    /// When it was added.
    pub created: Timestamp,
    /// When it got its address: then, or when it was renamed last.
    pub addressed: Timestamp,
    /// How long its messages stay after POP3 retrieved them; none: as the configuration says.
    pub pop3_retention: Option<Retention>,
}

/// How long a message stays in INBOX after POP3 retrieved it first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retention {
    /// Until somebody deletes it.
    Never,
    /// So many days, from 1 to [`Retention::LONGEST`].
    Days(u32),
}

impl Retention {
    /// A hundred years, in days.
    pub const LONGEST: u32 = 36_500;
}

/// A message that stayed as long as it should.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Overdue {
    /// Whose.
    pub account: AccountId,
    /// Its INBOX.
    pub mailbox: MailboxId,
    /// Which.
    pub uid: Uid,
}

/// What an account uses, as it is counted and as it is (I4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Usage {
    /// Octets that count as used.
    pub used: u64,
    /// Octets of its messages.
    pub sum: u64,
}

impl Account {
    /// Whether it may log in and get mail.
    pub fn enabled(&self) -> bool {
        self.active && self.domain_active
    }
}

/// An account to add.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewAccount {
    /// Local part and domain, lower case. The domain must exist.
    pub email: String,
    /// Password hash.
    pub password: Option<String>,
    /// Octets; none: no limit.
    pub quota: Option<u64>,
    /// Who vouches for it.
    pub auth: AuthType,
}
