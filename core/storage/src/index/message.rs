//! Messages of a mailbox.

use super::{BlobId, MailboxId, ModSeq, Timestamp, Uid, UidValidity};
use crate::blob::BlobKey;

/// Keywords that a mailbox may know; the bits of [`Flags`] that are not system flags.
pub const KEYWORD_LIMIT: usize = 58;
/// Longest keyword, in octets.
pub const KEYWORD_LENGTH: usize = 200;

/// Flags of a message: bits 0 to 4 are system flags, bit `5 + n` is the keyword number `n` of its mailbox.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Flags(pub u64);

impl Flags {
    /// `\Seen`
    pub const SEEN: Flags = Flags(1);
    /// `\Answered`
    pub const ANSWERED: Flags = Flags(1 << 1);
    /// `\Flagged`
    pub const FLAGGED: Flags = Flags(1 << 2);
    /// `\Deleted`
    pub const DELETED: Flags = Flags(1 << 3);
    /// `\Draft`
    pub const DRAFT: Flags = Flags(1 << 4);
    /// All system flags.
    pub const SYSTEM: Flags = Flags(0b1_1111);
    /// Bit of the first keyword.
    pub const FIRST_KEYWORD: u32 = 5;

    /// Whether all flags of `other` are set.
    pub fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What a list of messages needs, without their summaries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Message {
    /// Its UID.
    pub uid: Uid,
    /// Its last change.
    pub modseq: ModSeq,
    /// Its flags.
    pub flags: Flags,
    /// Octets of its body in the store.
    pub size: u64,
    /// INTERNALDATE.
    pub internal_date: Timestamp,
    /// When it came into this mailbox (SAVEDATE, RFC 8514).
    pub save_date: Timestamp,
    /// Its body.
    pub blob: BlobId,
}

/// What changed in a mailbox after a modification sequence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MailboxChanges {
    /// UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// Highest modification sequence these changes lead to.
    pub highest_modseq: u64,
    /// UID of the next message.
    pub uid_next: u32,
    /// New and changed messages, by UID.
    pub changed: Vec<Message>,
    /// UIDs that are gone, rising.
    pub expunged: Vec<Uid>,
    /// Names of the mailbox's keywords by number, all of them.
    pub keywords: Vec<String>,
}

/// A body in the store, and what was read from it once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewBlob {
    /// Where it lies; unique, so that a repeated append is recognised by it.
    pub key: BlobKey,
    /// Octets.
    pub size: u64,
    /// Octets when they are sent as lines (POP3): others than `size` where a line end is not CRLF, or the last line has none.
    pub line_size: u64,
    /// SHA-256 of the octets.
    pub sha256: [u8; 32],
    /// Encoded summary of the message; opaque here.
    pub summary: Vec<u8>,
}

/// Where a message's body lies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BlobRef {
    /// Its row.
    pub id: BlobId,
    /// Its place in the store.
    pub key: BlobKey,
    /// Octets.
    pub size: u64,
    /// SHA-256 of the octets.
    pub sha256: [u8; 32],
}

/// A body that the index knows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnownBody {
    /// It.
    pub body: BlobRef,
    /// Nothing names it any longer, and the store may delete it.
    pub doomed: bool,
}

/// An expunged message that can still be brought back (I10).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expunged {
    /// Its UID before.
    pub uid: Uid,
    /// Octets.
    pub size: u64,
    /// INTERNALDATE.
    pub internal_date: Timestamp,
    /// When it was expunged.
    pub expunged: Timestamp,
    /// Its body.
    pub blob: BlobId,
}

/// A message that can be brought back, whether or not its mailbox is still there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recoverable {
    /// Where it was.
    pub mailbox: MailboxId,
    /// Its name: what it is, or was when it went. None where nobody noted it.
    pub name: Option<String>,
    /// Whether that mailbox is there.
    pub there: bool,
    /// When that mailbox went, where it did and somebody noted it.
    pub deleted: Option<Timestamp>,
    /// Its UID before.
    pub uid: Uid,
    /// The modification sequence it went at.
    pub modseq: ModSeq,
    /// Its system flags before.
    pub flags: Flags,
    /// Its keywords before, as far as their names are known.
    pub keywords: Vec<String>,
    /// Octets.
    pub size: u64,
    /// Octets as lines.
    pub line_size: u64,
    /// INTERNALDATE.
    pub internal_date: Timestamp,
    /// When it was expunged.
    pub expunged: Timestamp,
    /// Its body.
    pub body: BlobRef,
    /// Its encoded summary.
    pub summary: Vec<u8>,
}
