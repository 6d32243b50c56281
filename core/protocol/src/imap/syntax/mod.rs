//! What a client says: the grammar of commands (RFC 9051 section 9, RFC 3501 section 9).
//!
//! | File | Parses |
//! | --- | --- |
//! | [`args`], [`literal`], [`command`] | tokens, announcements of literals, the frame of a command |
//! | [`sequence`] | sequence sets, and sets of numbers as they are written |
//! | [`mailbox`], [`utf7`], [`pattern`] | names of mailboxes and the patterns that match them |
//! | [`flag`], [`date`], [`section`] | flags, dates, sections of a message |
//! | the others | the arguments of the command they are named after |
//!
//! **Invariants.** Strict: one space where the grammar says SP, nothing left over, every number in its range.
//! What is refused is refused with a fixed text. **Bounds.** Work is linear in the length of the command;
//! nesting, list and set lengths are limited ([`args::Bounds`]).

pub mod append;
pub mod args;
pub mod charset;
pub mod command;
pub mod create;
pub mod date;
pub mod fetch;
pub mod flag;
pub mod list;
pub mod literal;
pub mod mailbox;
pub mod pattern;
pub mod search;
mod search_return;
pub mod section;
pub mod select;
pub mod sequence;
pub mod status;
pub mod store;
pub mod utf7;

pub use args::{Args, Parsed, SyntaxError, Utf8};
pub use command::{Command, CommandError, Numbering};
pub use literal::LiteralHeader;
pub use mailbox::{MailboxName, NameError};
pub use sequence::{NumberSet, SequenceSet};

/// An argument that is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ArgumentError {
    /// `BAD`: the grammar is broken.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// `NO [CANNOT]`: no mailbox can have this name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// `NO [BADCHARSET]`: the charset of a search is not known.
    #[error("unknown charset")]
    Charset {
        /// Whether its result was to be saved (RFC 5182).
        save: bool,
    },
}

impl Args<'_> {
    /// `mailbox = "INBOX" / astring`
    ///
    /// # Errors
    /// No string, or a string that cannot be the name of a mailbox.
    pub fn mailbox(&mut self) -> Result<MailboxName, ArgumentError> {
        let utf8 = self.utf8();
        let name = self.astring()?;
        Ok(MailboxName::from_wire(&name, utf8)?)
    }
}
