//! Changes that bring mail from elsewhere with the numbers that its clients know: another server's Maildir, another index of ours.
//!
//! They keep I3: a UID is placed only where the mailbox has given none as high, and a UIDVALIDITY only where the mailbox has given no UID at all.

use crate::index::{
    AccountId, Flags, MailboxId, ModSeq, NewBlob, SpecialUse, Timestamp, Uid, UidValidity,
};

/// Most messages in one [`PlaceMessages`] or [`PlaceExpunged`].
pub const PLACED_AT_ONCE: usize = 1000;
/// Longest unique-id of POP3 (RFC 1939 section 7).
pub const UNIQUE_ID_LIMIT: usize = 70;

/// Makes a mailbox with the UIDVALIDITY it had elsewhere, and the missing parents of its name; or gives it to one that has never given a UID. One
/// that has this UIDVALIDITY already only has its numbers raised and its keywords added to. `Exists("mailbox")` for any other. A special use that
/// another mailbox has is passed over. Outcome: `Mailbox`.
#[derive(Clone, Debug)]
pub struct PlaceMailbox {
    /// Whose.
    pub account: AccountId,
    /// Its name, valid and in NFC; the caller has checked it.
    pub name: String,
    /// False for a name that only stands as parent of others.
    pub selectable: bool,
    /// What it is for; none leaves what it says here.
    pub special_use: Option<SpecialUse>,
    /// From 1.
    pub uid_validity: UidValidity,
    /// UID of the next message, at least.
    pub uid_next: Uid,
    /// Highest modification sequence, at least. Of what vanished before a mailbox was made here nothing is known.
    pub highest_modseq: ModSeq,
    /// Messages from here on are `\Recent`, or from higher up.
    pub first_recent: Uid,
    /// Its keywords, by number where it is new.
    pub keywords: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
}

/// What tells that a message was placed before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Repeat {
    /// Its UID is below `UIDNEXT`: messages come once, in the order of their UIDs, and from nowhere else.
    Uid,
    /// Its body was born in this mailbox, wherever the message went since. A message whose UID is below `UIDNEXT`, or that has none, gets the next one.
    Body,
}

/// Adds messages, all or none, as they were elsewhere. They count against the quota, which refuses none of them. `Exists("blob")` and
/// `NotFound("blob")` as for [`Append`](super::Append). Outcome: `Placed`.
#[derive(Clone, Debug)]
pub struct PlaceMessages {
    /// Whose.
    pub account: AccountId,
    /// Where. `NotFound("mailbox")` if it went meanwhile or cannot be selected.
    pub mailbox: MailboxId,
    /// The messages, by rising UID; at most [`PLACED_AT_ONCE`].
    pub messages: Vec<PlacedMessage>,
    /// What tells that one was placed before.
    pub repeat: Repeat,
}

/// Gives messages that were placed the flags they have elsewhere by now, unless somebody changed them here since: then they are passed over. What
/// was changed like this may be again. Messages count as changed when their modification sequence is another than that of their birth, or their
/// mailbox or UID is. Outcome: `Stored`, whose `modified` are those that were passed over.
#[derive(Clone, Debug)]
pub struct Reflag {
    /// Whose.
    pub account: AccountId,
    /// Where. `NotFound("mailbox")` if it went meanwhile or cannot be selected.
    pub mailbox: MailboxId,
    /// The messages; at most [`PLACED_AT_ONCE`]. UIDs that are gone are passed over without a word.
    pub messages: Vec<Reflagged>,
}

/// What a message has elsewhere.
#[derive(Clone, Debug)]
pub struct Reflagged {
    /// Its UID here.
    pub uid: Uid,
    /// System flags.
    pub flags: Flags,
    /// Keywords by name; unknown ones are added, `Limit` if there is no room.
    pub keywords: Vec<String>,
}

/// A message as it was elsewhere.
#[derive(Clone, Debug)]
pub struct PlacedMessage {
    /// Its UID there.
    pub uid: Option<Uid>,
    /// Its modification sequence there; none: the next one here, which those of one change share.
    pub modseq: Option<ModSeq>,
    /// Its body, which lies in the store already.
    pub blob: NewBlob,
    /// System flags.
    pub flags: Flags,
    /// Keywords by name; unknown ones are added, `Limit` if there is no room.
    pub keywords: Vec<String>,
    /// INTERNALDATE.
    pub internal_date: Timestamp,
    /// SAVEDATE.
    pub save_date: Timestamp,
    /// When POP3 retrieved it first.
    pub retrieved: Option<Timestamp>,
    /// Its unique-id in POP3, where it is not the usual one. `Invalid` if it is not one.
    pub unique_id: Option<String>,
}

/// Adds messages that were expunged elsewhere, all or none: they can be brought back here as they could be there, and their time goes on (I10). They
/// do not count against the quota, no message and no number of a mailbox changes, and no session hears of them. Who was placed before stays as it is,
/// also if it was brought back since, and so does a message that has the UID. `Invalid` for a UID or a modification sequence that the mailbox has not
/// given, `Exists("blob")` and `NotFound("blob")` as for [`Append`](super::Append). Outcome: `Placed`.
#[derive(Clone, Debug)]
pub struct PlaceExpunged {
    /// Whose.
    pub account: AccountId,
    /// Where they were.
    pub from: ExpungedFrom,
    /// The messages, by rising UID, each once; at most [`PLACED_AT_ONCE`].
    pub messages: Vec<PlacedExpunged>,
}

/// Where messages were that were expunged elsewhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ExpungedFrom {
    /// In a mailbox that is there. `NotFound("mailbox")` if it went meanwhile or cannot be selected.
    There(MailboxId),
    /// In one that is gone: name and time together tell which, and are noted as when a mailbox goes here.
    Gone {
        /// Its name when it went, valid and in NFC.
        name: String,
        /// When it went.
        deleted: Timestamp,
    },
    /// In one that is gone, and nobody noted its name, nor those of its keywords.
    Unknown,
}

/// A message that was expunged, as it was elsewhere.
#[derive(Clone, Debug)]
pub struct PlacedExpunged {
    /// Its UID there.
    pub uid: Uid,
    /// The modification sequence it went at.
    pub modseq: ModSeq,
    /// Its body, which lies in the store already.
    pub blob: NewBlob,
    /// System flags.
    pub flags: Flags,
    /// Keywords by name; unknown ones are added, `Limit` if there is no room.
    pub keywords: Vec<String>,
    /// INTERNALDATE.
    pub internal_date: Timestamp,
    /// When it was expunged.
    pub expunged: Timestamp,
}
