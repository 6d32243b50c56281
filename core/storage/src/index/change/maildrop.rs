//! Changes of a maildrop: INBOX as POP3 sees it, held by one session at a time (RFC 1939 section 4).

use crate::index::{AccountId, Expunge, Timestamp};

/// Takes, prolongs or gives back the right to be the one POP3 session of an account, on whatever host. Outcome: `Done`.
#[derive(Clone, Debug)]
pub struct HoldMaildrop {
    /// Whose maildrop.
    pub account: AccountId,
    /// Which session: a name that no other one has, nor ever had.
    pub holder: String,
    /// What with it.
    pub hold: Hold,
    /// Now, by the clock of [`Index::shared_clock`](crate::index::Index::shared_clock).
    pub now: Timestamp,
}

/// What a session does with a maildrop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hold {
    /// Takes it until then. `Exists("maildrop")` while another session has it.
    Take(Timestamp),
    /// Keeps it until then. `NotFound("maildrop lease")` if another session has had it since, or it was given back.
    Prolong(Timestamp),
    /// Gives it back. Nothing happens if it is another session's, or nobody's.
    Release,
}

/// Expunges messages of a maildrop, as far as who holds it allows that in the same transaction. Outcome: `Expunged`.
#[derive(Clone, Debug)]
pub struct ExpungeMaildrop {
    /// What goes.
    pub expunge: Expunge,
    /// For whom.
    pub by: MaildropBy,
}

/// Who expunges from a maildrop.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MaildropBy {
    /// The session of this name, which thereby gives the maildrop back. `NotFound("maildrop lease")` if it has lost it.
    Holder(String),
    /// Nobody's session. `Exists("maildrop")` while one has it.
    Nobody,
}
