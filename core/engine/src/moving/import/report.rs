//! What became of an import.

use postrider_storage::Error;

use crate::moving::Note;

/// Why nothing more was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There is no such account.
    #[error("user {0} does not exist")]
    NoAccount(String),
    /// The tree cannot be read.
    #[error("{path}: {error}")]
    Tree {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// These mailboxes have UIDs of their own.
    #[error("mailboxes that have given UIDs of their own: {}", .0.join(", "))]
    Occupied(Vec<String>),
    /// Trouble of index or store.
    #[error(transparent)]
    Storage(#[from] Error),
}

/// What became of an import.
#[derive(Clone, Debug, Default)]
pub struct ImportReport {
    /// Mailboxes by their order.
    pub mailboxes: Vec<Imported>,
    /// Octets of what was brought.
    pub octets: u64,
    /// What was not taken.
    pub left_out: Vec<Note>,
    /// What was taken, but not as it stood.
    pub notes: Vec<Note>,
}

/// What became of a mailbox.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Imported {
    /// Its name.
    pub mailbox: String,
    /// Its UIDVALIDITY here.
    pub uid_validity: u32,
    /// Messages that were brought now.
    pub brought: u64,
    /// Of these, messages that got another UID than they had.
    pub renumbered: u64,
    /// Messages that were brought before.
    pub before: u64,
    /// Of these, messages whose flags or keywords changed there since, and now did here.
    pub updated: u64,
    /// Of these, messages that have other flags here because somebody here changed them.
    pub kept: u64,
    /// Messages that were brought before and are gone there. They stay.
    pub gone: u64,
}

impl ImportReport {
    /// Messages that were brought now.
    pub fn brought(&self) -> u64 {
        self.mailboxes.iter().map(|it| it.brought).sum()
    }

    /// Messages that were brought before.
    pub fn before(&self) -> u64 {
        self.mailboxes.iter().map(|it| it.before).sum()
    }
}
