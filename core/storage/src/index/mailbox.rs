//! Mailboxes of an account.

use super::{AccountId, MailboxId, ModSeq, Timestamp, Uid, UidValidity};

/// Longest mailbox name, in octets of UTF-8.
pub const NAME_LIMIT: usize = 500;
/// Mailboxes an account may have.
pub const MAILBOX_LIMIT: u64 = 10_000;
/// Hierarchy delimiter of mailbox names.
pub const DELIMITER: char = '/';
/// The name of the mailbox that every account has.
pub const INBOX: &str = "INBOX";

/// What a mailbox is for (RFC 6154).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SpecialUse {
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}

/// Mailboxes that a new account starts with, beside INBOX. All are subscribed.
pub const FIRST_MAILBOXES: [(&str, SpecialUse); 5] = [
    ("Archive", SpecialUse::Archive),
    ("Drafts", SpecialUse::Drafts),
    ("Junk", SpecialUse::Junk),
    ("Sent", SpecialUse::Sent),
    ("Trash", SpecialUse::Trash),
];

/// A mailbox and its counters, all kept in the transactions that change its messages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mailbox {
    /// Whose it is.
    pub account: AccountId,
    /// Its row.
    pub id: MailboxId,
    /// NFC, levels parted by [`DELIMITER`]; `INBOX` in exactly these letters.
    pub name: String,
    /// False for a name that only stands as parent of others (`\Noselect`).
    pub selectable: bool,
    /// What it is for.
    pub special_use: Option<SpecialUse>,
    /// Tells its UIDs from those of an earlier mailbox of this name.
    pub uid_validity: UidValidity,
    /// UID of the next message; greater than all given so far (I3).
    pub uid_next: Uid,
    /// Highest modification sequence given so far; at least 1 (I3).
    pub highest_modseq: ModSeq,
    /// Messages with a UID from here on are `\Recent` for who claims them next (RFC 3501 section 2.3.2).
    pub first_recent: Uid,
    /// Messages in it.
    pub messages: u32,
    /// Messages without `\Seen`.
    pub unseen: u32,
    /// Messages with `\Deleted`.
    pub deleted: u32,
    /// Octets of its messages.
    pub size: u64,
    /// When it was made.
    pub created: Timestamp,
}
