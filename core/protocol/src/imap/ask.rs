//! What an IMAP session asks of the engine, and what comes back.
//!
//! Asks that change or read the selected mailbox name no mailbox: the connection knows the one that [`Ask::Open`] opened.
//! Answers that follow a change carry the mailbox as it is now, so that the session can tell its client at once.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

use super::snapshot::Snapshot;
use super::syntax::{flag::FlagList, mailbox::MailboxName, search::SearchKey};
use super::types::{ModSeq, Uid, UidValidity};
pub use super::types::{SpecialUse, StoreMode};
use crate::message::summary::Kept;
use crate::sasl::{Credentials, Verdict};

/// Messages that one [`Ask::Summaries`] or [`Ask::Search`] names at most.
pub const MESSAGES_PER_ASK: usize = 512;
/// Octets that one [`Ask::Read`] asks for at most.
pub const OCTETS_PER_READ: u64 = 1 << 20;

/// A question. At most one is open per session.
#[derive(Debug)]
pub enum Ask {
    /// Who is this? Answer: [`Answer::Verdict`].
    Authenticate(Credentials),
    /// Leave the selected mailbox, if any, and select this one. Answer: [`Answer::Opened`]; refused: none is selected.
    Open {
        /// Which.
        mailbox: MailboxName,
        /// SELECT or EXAMINE.
        access: Access,
        /// What becomes of what is `\Recent`.
        recent: Recent,
    },
    /// Leave the selected mailbox. Answer: [`Answer::Done`].
    Leave,
    /// The selected mailbox as it is now. Answer: [`Answer::Synced`].
    Sync {
        /// What becomes of what is `\Recent` among new messages.
        recent: Recent,
    },
    /// CREATE. Answer: [`Answer::Done`].
    Create {
        /// Which.
        mailbox: MailboxName,
        /// `USE` (RFC 6154).
        special_use: Option<SpecialUse>,
    },
    /// DELETE. Answer: [`Answer::Done`].
    Delete {
        /// Which.
        mailbox: MailboxName,
    },
    /// RENAME. Answer: [`Answer::Done`].
    Rename {
        /// Name now.
        from: MailboxName,
        /// Name then.
        to: MailboxName,
    },
    /// SUBSCRIBE and UNSUBSCRIBE. Answer: [`Answer::Done`].
    Subscribe {
        /// Which; need not exist.
        mailbox: MailboxName,
        /// On or off.
        subscribed: bool,
    },
    /// All mailboxes and subscriptions of the account, for LIST, LSUB and LIST-STATUS. Answer: [`Answer::Mailboxes`].
    Mailboxes,
    /// Counters of one mailbox. Answer: [`Answer::Status`].
    Status {
        /// Which.
        mailbox: MailboxName,
    },
    /// Quota of the account (RFC 9208). Answer: [`Answer::Quota`].
    Quota,
    /// Would a message of this size fit into this mailbox? Asked before the octets of an APPEND are taken. Answer: [`Answer::Done`].
    MayAppend {
        /// Where.
        mailbox: MailboxName,
        /// Announced.
        octets: u64,
    },
    /// Append the spooled message. Answer: [`Answer::Appended`].
    Append {
        /// Where.
        mailbox: MailboxName,
        /// Its flags.
        flags: FlagList,
        /// INTERNALDATE, seconds since 1970; none: now.
        internal_date: Option<i64>,
    },
    /// STORE. Answer: [`Answer::Stored`].
    Store {
        /// Which, rising.
        uids: Vec<Uid>,
        /// How.
        mode: StoreMode,
        /// Flags.
        flags: FlagList,
        /// Pass over messages changed after this (RFC 7162).
        unchanged_since: Option<ModSeq>,
    },
    /// COPY and MOVE. Answer: [`Answer::Copied`].
    Copy {
        /// Which, rising.
        uids: Vec<Uid>,
        /// To where.
        to: MailboxName,
        /// Stay or go.
        mode: CopyMode,
    },
    /// EXPUNGE, CLOSE (all with `\Deleted`) and UID EXPUNGE (those among `uids`). Answer: [`Answer::Synced`].
    Expunge {
        /// Only among these, rising.
        uids: Option<Vec<Uid>>,
    },
    /// Summaries of at most [`MESSAGES_PER_ASK`] messages. Answer: [`Answer::Summaries`], of the first of them at least.
    Summaries {
        /// Which, rising.
        uids: Vec<Uid>,
        /// Which will be asked for next, rising, as many at most: they may be read meanwhile.
        next: Vec<Uid>,
    },
    /// Opens a body for [`Action::Send`](crate::session::Action::Send). Answer: [`Answer::Body`].
    Body {
        /// Which.
        uid: Uid,
        /// The octets that will be sent first: what cannot be read is refused before it is announced.
        range: Range<u64>,
    },
    /// Reads a range of a body into memory, at most [`OCTETS_PER_READ`]. Answer: [`Answer::Read`].
    Read {
        /// Which.
        uid: Uid,
        /// Octets of the body.
        range: Range<u64>,
    },
    /// Undoes the transfer encoding of a part and opens the result as body (BINARY, RFC 3516). Answer: [`Answer::Body`], or
    /// [`Trouble::UnknownTransferEncoding`].
    Decode {
        /// Which.
        uid: Uid,
        /// The part's body within the message.
        range: Range<u64>,
        /// Its Content-Transfer-Encoding, lower case.
        encoding: String,
    },
    /// Which of these keys, each without keys inside, match which of these messages? Answer: [`Answer::Found`].
    Search {
        /// What to look for: `Address`, `Header`, `Body` and `Text`.
        keys: Arc<[SearchKey]>,
        /// Candidates, rising, at most [`MESSAGES_PER_ASK`].
        uids: Vec<Uid>,
    },
}

/// SELECT or EXAMINE.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// SELECT
    ReadWrite,
    /// EXAMINE: nothing changes, not even `\Recent`.
    ReadOnly,
}

/// What becomes of what is `\Recent` (RFC 3501 section 2.3.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Recent {
    /// Take it: no later session sees it as recent.
    Claim,
    /// See it, and leave it to the next session (EXAMINE).
    See,
    /// Leave it alone.
    Leave,
}

/// Whether copied messages stay where they were.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CopyMode {
    /// COPY
    Copy,
    /// MOVE
    Move,
}

/// An answer to an [`Ask`]. Every ask may also bring [`Answer::Refused`].
#[derive(Debug)]
pub enum Answer {
    /// It is done.
    Done,
    /// It is not done, and nothing changed.
    Refused(Trouble),
    /// To `Authenticate`.
    Verdict(Verdict),
    /// To `Open`.
    Opened(Box<Opened>),
    /// To `Sync` and `Expunge`.
    Synced(Synced),
    /// To `Mailboxes`.
    Mailboxes(Vec<Listed>),
    /// To `Status`.
    Status(Box<Listed>),
    /// To `Quota`.
    Quota(Quota),
    /// To `Append`.
    Appended {
        /// Of the mailbox.
        uid_validity: UidValidity,
        /// Of the message.
        uid: Uid,
    },
    /// To `Store`.
    Stored {
        /// The mailbox now.
        synced: Synced,
        /// Passed over because of `unchanged_since`, rising.
        modified: Vec<Uid>,
    },
    /// To `Copy`. `from[n]` became `to[n]`; messages that were gone are left out.
    Copied {
        /// Of the mailbox copied to.
        uid_validity: UidValidity,
        /// UIDs here, rising.
        from: Vec<Uid>,
        /// UIDs there, rising.
        to: Vec<Uid>,
        /// The selected mailbox now.
        synced: Synced,
    },
    /// To `Summaries`; messages that are gone are left out.
    Summaries {
        /// What was found, rising.
        found: Vec<(Uid, Kept)>,
        /// What would be too much at once, rising, and behind all that was looked at: it is asked for again, before any others.
        rest: Vec<Uid>,
        /// Messages that are there but of which neither summary nor body can be read, rising.
        damaged: Vec<Uid>,
    },
    /// To `Body` and `Decode`: it is open.
    Body {
        /// Octets in all.
        octets: u64,
    },
    /// To `Read`; a range beyond the end brings what there is.
    Read(Bytes),
    /// To `Search`, rising; messages that are gone are left out.
    Found(Vec<Found>),
}

/// What a search found in a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// The message.
    pub uid: Uid,
    /// Whether it matches, for each key.
    pub matches: Vec<bool>,
}

/// A mailbox as it is now.
#[derive(Clone, Debug)]
pub struct Synced {
    /// Its messages.
    pub snapshot: Arc<Snapshot>,
    /// UIDs from `.start` up to `.end` (excluded) became `\Recent` for this session.
    pub recent: Range<u32>,
}

/// A mailbox just selected.
#[derive(Clone, Debug)]
pub struct Opened {
    /// It, now.
    pub synced: Synced,
    /// Object identifier (RFC 8474), made of letters and digits.
    pub mailbox_id: String,
}

/// A name as LIST and STATUS need it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// The name.
    pub name: MailboxName,
    /// How the name stands.
    pub kind: ListedKind,
    /// Whether it is subscribed.
    pub subscribed: bool,
    /// What it is for.
    pub special_use: Option<SpecialUse>,
    /// Its counters; all zero unless `kind` is `Mailbox`.
    pub counters: Counters,
}

/// How a listed name stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ListedKind {
    /// It can be selected.
    Mailbox,
    /// It is only a parent (`\Noselect`).
    NoSelect,
    /// It is subscribed but does not exist (`\NonExistent`).
    NonExistent,
}

/// What STATUS tells (RFC 9051 section 6.3.11).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// MESSAGES
    pub messages: u32,
    /// UIDNEXT
    pub uid_next: u32,
    /// UIDVALIDITY
    pub uid_validity: u32,
    /// UNSEEN
    pub unseen: u32,
    /// DELETED
    pub deleted: u32,
    /// SIZE, octets
    pub size: u64,
    /// RECENT
    pub recent: u32,
    /// HIGHESTMODSEQ
    pub highest_modseq: u64,
    /// MAILBOXID
    pub mailbox_id: String,
}

/// Quota of an account (RFC 9208).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quota {
    /// Octets used.
    pub used: u64,
    /// Octets allowed; none: no limit.
    pub limit: Option<u64>,
}

/// Why an ask was refused; `response` turns it into a tagged `NO` with its code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// The mailbox does not exist (`NONEXISTENT`, or `TRYCREATE` where the command calls for it).
    NonExistent,
    /// It cannot be selected (`\Noselect`).
    NoSelect,
    /// It exists already (`ALREADYEXISTS`).
    AlreadyExists,
    /// It has children (`HASCHILDREN`).
    HasChildren,
    /// A mailbox cannot have this special use (`USEATTR`, RFC 6154), and why.
    Use(&'static str),
    /// This can never be (`CANNOT`), and why.
    Cannot(&'static str),
    /// A numbered limit (`LIMIT`), and which.
    Limit(&'static str),
    /// No room left (`OVERQUOTA`).
    OverQuota,
    /// The message is gone (`EXPUNGEISSUED`).
    Expunged,
    /// The message is known, but its octets are not there (`CORRUPTION`); others may be.
    Damaged,
    /// The transfer encoding is not known or broken (`UNKNOWN-CTE`).
    UnknownTransferEncoding,
    /// Ours, try again later (`UNAVAILABLE`).
    Unavailable,
}
