//! What a check found, for `fsck --json` and for people.

use serde::Serialize;

/// Findings of one kind that are listed; further ones are only counted.
const LISTED: usize = 10_000;

/// The outcome of a check.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct FsckReport {
    /// Bodies that the index names.
    pub rows: u64,
    /// Bodies in the store.
    pub bodies: u64,
    /// Octets of the bodies in the store.
    pub octets: u64,
    /// Why the store was not listed, so that nobody knows what it has and the index lacks; none if it was.
    pub unlisted: Option<String>,
    /// Bodies without a row that are too young to tell: a server may be about to name them. Neither findings nor repaired.
    pub young: u64,
    /// Rows without a body: mail that the index knows and nobody can read.
    pub missing: Findings<Missing>,
    /// Bodies that are not what the index says.
    pub damaged: Findings<Damaged>,
    /// Bodies without a row.
    pub orphans: Findings<Orphan>,
    /// Accounts whose used quota is not the sum of their messages (I4).
    pub quotas: Findings<WrongQuota>,
}

impl FsckReport {
    /// Whether index and store agree, after what was repaired. Half a check finds out about half of it.
    pub fn is_clean(&self) -> bool {
        self.unlisted.is_none()
            && self.missing.total == 0
            && self.damaged.total == 0
            && self.orphans.total == self.orphans.mended
            && self.quotas.total == 0
    }
}

/// Findings of one kind.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Findings<T> {
    /// All of them.
    pub total: u64,
    /// Those that were put right.
    pub mended: u64,
    /// The first of them, at most 10,000.
    pub listed: Vec<T>,
}

impl<T> Default for Findings<T> {
    fn default() -> Self {
        Self {
            total: 0,
            mended: 0,
            listed: Vec::new(),
        }
    }
}

impl<T> Findings<T> {
    pub(super) fn add(&mut self, finding: T) {
        self.total += 1;
        if self.listed.len() < LISTED {
            self.listed.push(finding);
        }
    }
}

/// A row without a body.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Missing {
    /// Where the body should lie.
    pub key: String,
    /// Octets it should have.
    pub size: u64,
    /// The messages that cannot be read; none if they are expunged and only kept to be brought back.
    pub messages: Vec<Named>,
}

/// A message, for people.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Named {
    /// Address of its account.
    pub account: String,
    /// Name of its mailbox.
    pub mailbox: String,
    /// Its UID.
    pub uid: u32,
}

/// A used quota that is not the sum of the messages.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct WrongQuota {
    /// Address of the account.
    pub account: String,
    /// Octets that count as used.
    pub used: u64,
    /// Octets of its messages.
    pub sum: u64,
}

/// A body that is not what the index says.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Damaged {
    /// Where it lies.
    pub key: String,
    /// What is wrong.
    pub damage: Damage,
}

/// How a body differs from its row.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    /// Another length.
    Size {
        /// Octets that the index says.
        expected: u64,
        /// Octets that lie there.
        found: u64,
    },
    /// Other octets of the same length.
    Checksum,
    /// It cannot be read.
    Unreadable {
        /// Why.
        why: String,
    },
}

/// A body without a row.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Orphan {
    /// Where it lies.
    pub key: String,
    /// Its octets.
    pub size: u64,
    /// Whose it was at birth, if that is known.
    pub account: String,
    /// Where it was at birth, if that is known.
    pub mailbox: String,
    /// What became of it.
    pub fate: OrphanFate,
}

/// What became of an orphan.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrphanFate {
    /// It stays as it is: nothing was to be repaired.
    Found,
    /// It is a message again.
    Appended {
        /// Where.
        mailbox: String,
        /// Its UID.
        uid: u32,
    },
    /// It stays as it is and somebody has to look.
    Left {
        /// Why it could not be made a message again.
        why: String,
    },
}
