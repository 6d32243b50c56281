//! What comes out of what was known and what changed since.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::index::{BlobId, Flags, Timestamp};

fn message(uid: u32, flags: Flags) -> Message {
    Message {
        uid: Uid(uid),
        modseq: ModSeq(u64::from(uid)),
        flags,
        size: 10,
        internal_date: Timestamp(1),
        save_date: Timestamp(1),
        blob: BlobId(uid.into()),
    }
}

fn messages(uids: &[u32], flags: Flags) -> Vec<Message> {
    uids.iter().map(|uid| message(*uid, flags)).collect()
}

const AT: At = At {
    uid_validity: UidValidity(7),
    modseq: ModSeq(20),
};

fn news(changed: Vec<Message>, expunged: &[u32], all: &[Message]) -> Changed {
    Changed {
        counts: Counts::of(all),
        changes: MailboxChanges {
            uid_validity: AT.uid_validity,
            highest_modseq: 20,
            uid_next: 100,
            changed,
            expunged: expunged.iter().map(|uid| Uid(*uid)).collect(),
            keywords: Vec::new(),
        },
    }
}

#[test]
fn what_changed_and_what_went_is_merged() {
    let known = messages(&[2, 4, 6, 8], Flags(0));
    for (changed, gone, all) in [
        (&[][..], &[][..], &[2, 4, 6, 8][..]),
        (&[2], &[4], &[2, 6, 8]),
        (&[8, 9], &[2, 6], &[4, 8, 9]),
        (&[1, 3, 9], &[2, 4, 6, 8], &[1, 3, 9]),
        // Of what nobody knew, too.
        (&[6], &[1, 3, 5, 9, 50], &[2, 4, 6, 8]),
    ] {
        let changed = messages(changed, Flags::SEEN);
        let mut expected = messages(all, Flags(0));
        for message in &mut expected {
            if changed.iter().any(|it| it.uid == message.uid) {
                message.flags = Flags::SEEN;
            }
        }
        let read = brought_forward(AT, known.clone(), news(changed, gone, &expected)).unwrap();
        assert_eq!(read.all.changed, expected);
        assert_eq!(read.all.expunged, []);
    }
}

#[test]
fn what_does_not_go_on_from_there_is_not_taken() {
    let known = messages(&[1, 2], Flags(0));
    let well = || news(Vec::new(), &[], &known);
    assert!(brought_forward(AT, known.clone(), well()).is_some());
    let mut lost = well();
    lost.changes.highest_modseq -= 1;
    assert!(brought_forward(AT, known.clone(), lost).is_none());
    let mut renewed = well();
    renewed.changes.uid_validity = UidValidity(8);
    assert!(brought_forward(AT, known.clone(), renewed).is_none());
    for others in [
        messages(&[1], Flags(0)),
        messages(&[1, 2], Flags::SEEN),
        messages(&[1, 2], Flags::DELETED),
        Vec::from([
            Message {
                size: 21,
                ..known[0]
            },
            known[1],
        ]),
    ] {
        let counts = news(Vec::new(), &[], &others);
        assert!(
            brought_forward(AT, known.clone(), counts).is_none(),
            "{others:?}"
        );
    }
}

#[test]
fn a_mailbox_is_read_when_as_many_came_as_are_worth_writing() {
    let remembered = Remembered::default();
    let at = |first: u32, last: u32| remembered.is_another(&(first..=last));
    for uid in [
        1_000, 2_000, 7_000, 8_000, 10_000, 14_000, 16_000, 32_000, 128_000,
    ] {
        assert!(at(uid, uid), "{uid}");
        assert!(!at(uid + 1, uid + 1) && !at(uid - 1, uid - 1), "{uid}");
        assert!(at(uid - 5, uid + 5), "{uid}");
    }
    for uid in [0, 999, 1_500, 9_000, 11_000, 18_000, 129_000, u32::MAX] {
        assert!(!at(uid, uid), "{uid}");
    }
    // Each time there is enough to write.
    for last in (1_000..500_000).filter(|uid| at(*uid, *uid)) {
        let before = (1..last).rev().find(|uid| at(*uid, *uid)).unwrap_or(0);
        assert!(
            (last - before) as u64 >= u64::from(last).div_ceil(PART),
            "{before} {last}"
        );
    }
}
