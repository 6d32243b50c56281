//! From the index's words to the protocol's. Both name the same things; neither crate may know the other.

use postrider_protocol::imap::ask::SpecialUse;
use postrider_protocol::imap::snapshot::{Changes, Entry};
use postrider_protocol::imap::types::{Flags, ModSeq, Uid, UidValidity};
use postrider_storage::index as storage;

/// Seconds of a moment.
pub fn seconds(at: storage::Timestamp) -> i64 {
    at.0.div_euclid(1_000_000)
}

/// A message as the snapshot holds it.
pub fn entry(message: &storage::Message) -> Entry {
    Entry {
        uid: Uid(message.uid.0),
        size: u32::try_from(message.size).unwrap_or(u32::MAX),
        modseq: modseq(message.modseq),
        flags: Flags(message.flags.0),
        internal_date: seconds(message.internal_date),
    }
}

/// Changes of a mailbox.
pub fn changes(changes: storage::MailboxChanges) -> Changes {
    Changes {
        uid_next: Uid(changes.uid_next),
        highest_modseq: ModSeq(changes.highest_modseq),
        changed: changes.changed.iter().map(entry).collect(),
        expunged: changes.expunged.iter().map(|uid| Uid(uid.0)).collect(),
        keywords: changes.keywords,
    }
}

/// UIDVALIDITY.
pub fn uid_validity(uid_validity: storage::UidValidity) -> UidValidity {
    UidValidity(uid_validity.0)
}

/// A modification sequence.
pub fn modseq(modseq: storage::ModSeq) -> ModSeq {
    ModSeq(modseq.0)
}

/// UIDs for the index.
pub fn uids(uids: &[Uid]) -> Vec<storage::Uid> {
    uids.iter().map(|uid| storage::Uid(uid.0)).collect()
}

/// UIDs of the index.
pub fn uids_back(uids: &[storage::Uid]) -> Vec<Uid> {
    uids.iter().map(|uid| Uid(uid.0)).collect()
}

/// What a mailbox is for.
pub fn special_use(special_use: SpecialUse) -> storage::SpecialUse {
    match special_use {
        SpecialUse::Archive => storage::SpecialUse::Archive,
        SpecialUse::Drafts => storage::SpecialUse::Drafts,
        SpecialUse::Junk => storage::SpecialUse::Junk,
        SpecialUse::Sent => storage::SpecialUse::Sent,
        SpecialUse::Trash => storage::SpecialUse::Trash,
    }
}

/// What a mailbox is for, for LIST.
pub fn special_use_back(special_use: storage::SpecialUse) -> SpecialUse {
    match special_use {
        storage::SpecialUse::Archive => SpecialUse::Archive,
        storage::SpecialUse::Drafts => SpecialUse::Drafts,
        storage::SpecialUse::Junk => SpecialUse::Junk,
        storage::SpecialUse::Sent => SpecialUse::Sent,
        storage::SpecialUse::Trash => SpecialUse::Trash,
    }
}
