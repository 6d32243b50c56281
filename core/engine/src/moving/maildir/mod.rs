//! A Maildir++ as Dovecot keeps it: which files there are, and what is in them.
//!
//! | File | What it says | Here |
//! | --- | --- | --- |
//! | `dovecot-uidlist` | UIDVALIDITY, UIDs, unique-ids of POP3 | [`UidList`] |
//! | `dovecot-keywords` | keywords of the letters in file names | [`KeywordList`] |
//! | `subscriptions` | subscribed mailboxes | [`subscriptions`] |
//! | `.Folder.Sub/` | a mailbox, in modified UTF-7 | [`name`] |
//! | `cur/`, `new/` | messages; flags in their names, INTERNALDATE as time of change | [`FileName`], [`Tree`] |
//!
//! **Bounds.** Files that list something are read up to [`LIST_LIMIT`] octets. **On failure.** A line that cannot be understood is passed over and noted.

mod file;
mod keywords;
pub mod name;
pub mod subscriptions;
#[cfg(test)]
mod tests;
mod uidlist;
mod walk;

pub use file::FileName;
pub use keywords::KeywordList;
pub use uidlist::{Listed, UidList};
pub use walk::{Folder, Found, Tree, find_again, open_regular, scan};

/// Longest file that lists something: five million messages.
pub const LIST_LIMIT: u64 = 1 << 30;

/// A line that was passed over, counted from 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadLine {
    /// Which.
    pub line: usize,
    /// Why.
    pub why: &'static str,
}
