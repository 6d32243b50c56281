//! Moving in, out, and between: whole mailboxes with the numbers that their clients know.
//!
//! | | |
//! | --- | --- |
//! | [`Import`] | takes a Maildir++ as Dovecot keeps it into an account |
//! | [`Export`] | writes an account as such a tree |
//! | [`Copy`] | copies everything to another index and store |
//! | [`maildir`] | the files of such a tree |
//!
//! **Invariants.** A body lies in the store before a row names it (I2). Everything can be stopped at any moment and run again: it goes on where it
//! was, loses nothing and doubles nothing.

mod copy;
mod export;
mod import;
pub mod maildir;
#[cfg(test)]
mod tests;

pub use copy::{Copy, CopyError, CopyReport, Site};
pub use export::{Export, ExportError, ExportReport};
pub use import::{Import, ImportError, ImportReport, Imported, Merge};

use std::path::PathBuf;

/// Something of which somebody should hear.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub what: String,
}

/// Who watches how far it is. Called often, from any thread.
pub trait Watch: Send + Sync {
    /// So many messages are to be looked at in all.
    fn total(&self, messages: u64);
    /// This mailbox is next.
    fn mailbox(&self, name: &str);
    /// So many more messages are done.
    fn done(&self, messages: u64);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn total(&self, _: u64) {}
    fn mailbox(&self, _: &str) {}
    fn done(&self, _: u64) {}
}
