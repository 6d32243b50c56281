//! Mail that comes from elsewhere with its numbers.

use std::sync::Arc;

use super::{Home, NOW, body, later, one};
use crate::{
    Error,
    index::{
        Change, ExpungeWhich, Flags, Index, MailboxId, ModSeq, Outcome, PlaceMailbox,
        PlaceMessages, PlacedMessage, Reflag, Reflagged, Repeat, SpecialUse, StoreMode, Stored,
        Uid, UidValidity,
    },
};

pub(super) async fn all<F: AsyncFn() -> Arc<dyn Index>>(fresh: &F) {
    a_mailbox_keeps_its_numbers(Home::new(fresh().await, None).await).await;
    a_mailbox_that_gave_uids_keeps_its_own(Home::new(fresh().await, None).await).await;
    special_uses_stay_one(Home::new(fresh().await, None).await).await;
    messages_keep_theirs(Home::new(fresh().await, Some(5)).await).await;
    attack_43_no_uid_is_given_twice(Home::new(fresh().await, None).await).await;
    bodies_tell_what_was_placed(Home::new(fresh().await, None).await).await;
    flags_follow_until_somebody_changes_them(Home::new(fresh().await, None).await).await;
    all_or_none(Home::new(fresh().await, None).await).await;
    what_is_no_message_is_refused(Home::new(fresh().await, None).await).await;
}

impl Home {
    pub(crate) fn place(&self, name: &str) -> PlaceMailbox {
        PlaceMailbox {
            account: self.account,
            name: name.to_owned(),
            selectable: true,
            special_use: None,
            uid_validity: UidValidity(1_234_567),
            uid_next: Uid(1),
            highest_modseq: ModSeq(5_000),
            first_recent: Uid(1),
            keywords: Vec::new(),
            created: later(-9),
        }
    }

    pub(crate) async fn placed(&self, change: PlaceMailbox) -> Result<MailboxId, Error> {
        match one(&*self.index, Change::PlaceMailbox(change)).await? {
            Outcome::Mailbox(id) => Ok(id),
            other => panic!("a placed mailbox brought {other:?}"),
        }
    }

    pub(crate) async fn bring(
        &self,
        mailbox: MailboxId,
        repeat: Repeat,
        messages: Vec<PlacedMessage>,
    ) -> Result<Vec<Option<Uid>>, Error> {
        let change = PlaceMessages {
            account: self.account,
            mailbox,
            messages,
            repeat,
        };
        match one(&*self.index, Change::PlaceMessages(change)).await? {
            Outcome::Placed(placed) => Ok(placed),
            other => panic!("placed messages brought {other:?}"),
        }
    }
}

/// Flags that change elsewhere after a message was placed, as often as they do; what somebody changed here stays.
async fn flags_follow_until_somebody_changes_them(home: Home) {
    let inbox = home.inbox;
    let all = (1..=5).map(|it| message(it, &format!("m.{it}"))).collect();
    home.bring(inbox, Repeat::Body, all).await.expect("placed");
    let other = home.create("Other").await.expect("made");
    home.store(inbox, &[Uid(2)], StoreMode::Add, Flags(1), &[])
        .await
        .expect("marked");
    home.copy(inbox, &[Uid(3)], other, super::CopyMode::Move)
        .await
        .expect("moved");
    let reflag = async |mailbox, of: &[(u32, u64, &[&str])]| {
        let messages = of.iter().map(|(uid, flags, keywords)| Reflagged {
            uid: Uid(*uid),
            flags: Flags(*flags),
            keywords: keywords.iter().map(|it| (*it).to_owned()).collect(),
        });
        let change = Reflag {
            account: home.account,
            mailbox,
            messages: messages.collect(),
        };
        match one(&*home.index, Change::Reflag(change)).await {
            Ok(Outcome::Stored(Stored { modified, .. })) => modified,
            other => panic!("flags from elsewhere brought {other:?}"),
        }
    };
    let flags = async || {
        let all = home
            .index
            .changes(inbox, ModSeq(0))
            .await
            .expect("reads work");
        let keywords = all.keywords.clone();
        let mut all: Vec<_> = all
            .changed
            .iter()
            .map(|it| (it.uid.0, it.flags.0 & 31, it.flags.0 >> 5))
            .collect();
        all.sort_unstable();
        (all, keywords)
    };
    let before = home.mailbox(inbox).await.highest_modseq;
    let wanted: [(u32, u64, &[&str]); 5] = [
        (1, 1, &["$x"]),
        (2, 4, &[]),
        (3, 1, &[]),
        (4, 0, &[]),
        (9, 1, &[]),
    ];
    assert_eq!(reflag(inbox, &wanted).await, [Uid(2)]);
    assert_eq!(
        flags().await.0,
        [(1, 1, 1), (2, 1, 0), (4, 0, 0), (5, 0, 0)]
    );
    assert_eq!(flags().await.1, ["$x"]);
    let after = home.mailbox(inbox).await.highest_modseq;
    assert!(after > before);
    // The same again changes nothing, and what followed once follows again.
    assert_eq!(reflag(inbox, &wanted).await, [Uid(2)]);
    assert_eq!(home.mailbox(inbox).await.highest_modseq, after);
    assert_eq!(reflag(inbox, &[(1, 8, &[]), (4, 2, &["$X"])]).await, []);
    assert_eq!(
        flags().await.0,
        [(1, 8, 0), (2, 1, 0), (4, 2, 1), (5, 0, 0)]
    );
    // Until somebody changes it here; and never in another mailbox than the one it came to.
    home.store(inbox, &[Uid(1)], StoreMode::Remove, Flags(8), &[])
        .await
        .expect("marked");
    assert_eq!(reflag(inbox, &[(1, 1, &[])]).await, [Uid(1)]);
    assert_eq!(reflag(other, &[(1, 1, &[])]).await, [Uid(1)]);
    home.check().await;
}

pub(crate) fn message(uid: u32, name: &str) -> PlacedMessage {
    PlacedMessage {
        uid: Some(Uid(uid)),
        modseq: None,
        blob: body(name, 10),
        flags: Flags::default(),
        keywords: Vec::new(),
        internal_date: later(-5),
        save_date: later(-4),
        retrieved: None,
        unique_id: None,
    }
}

fn some(uids: &[u32]) -> Vec<Option<Uid>> {
    uids.iter().map(|uid| Some(Uid(*uid))).collect()
}

async fn a_mailbox_keeps_its_numbers(home: Home) {
    // INBOX is there, and has given nothing yet.
    assert_eq!(home.placed(home.place("INBOX")).await, Ok(home.inbox));
    let inbox = home.mailbox(home.inbox).await;
    assert_eq!(inbox.uid_validity, UidValidity(1_234_567));
    assert_eq!(
        (inbox.uid_next, inbox.highest_modseq),
        (Uid(1), ModSeq(5_000))
    );
    let new = PlaceMailbox {
        uid_next: Uid(77),
        first_recent: Uid(70),
        keywords: vec!["$Junk".to_owned(), "later".to_owned()],
        ..home.place("a/b")
    };
    let id = home.placed(new.clone()).await.expect("made");
    let made = home.mailbox(id).await;
    assert_eq!((made.uid_next, made.first_recent), (Uid(77), Uid(70)));
    assert_eq!(
        (made.uid_validity, made.created),
        (new.uid_validity, later(-9))
    );
    let parent = home.index.mailbox(home.account, "a").await;
    assert!(parent.expect("reads work").expect("made").selectable);
    // Again, with more: numbers only rise.
    let more = PlaceMailbox {
        uid_next: Uid(60),
        first_recent: Uid(75),
        highest_modseq: ModSeq(6_000),
        keywords: vec!["LATER".to_owned(), "more".to_owned()],
        ..new.clone()
    };
    assert_eq!(home.placed(more).await, Ok(id));
    let made = home.mailbox(id).await;
    assert_eq!((made.uid_next, made.first_recent), (Uid(77), Uid(75)));
    assert_eq!(made.highest_modseq, ModSeq(6_000));
    let keywords = home.index.changes(id, ModSeq(0)).await;
    assert_eq!(
        keywords.expect("reads work").keywords,
        ["$Junk", "later", "more"]
    );
    // One that nothing happened to has the same by chance.
    let trash = home.index.mailbox(home.account, "Trash").await;
    let trash = trash.expect("reads work").expect("there");
    let own = PlaceMailbox {
        uid_validity: trash.uid_validity,
        ..home.place("Trash")
    };
    assert_eq!(home.placed(own).await, Ok(trash.id));
    assert_eq!(home.mailbox(trash.id).await.created, later(-9));
    // What comes later has another UIDVALIDITY than all that came.
    let high = PlaceMailbox {
        uid_validity: UidValidity(3_000_000_000),
        ..home.place("high")
    };
    home.placed(high).await.expect("made");
    let next = home.create("next").await.expect("made");
    assert_eq!(
        home.mailbox(next).await.uid_validity,
        UidValidity(3_000_000_001)
    );
    home.check().await;
}

async fn a_mailbox_that_gave_uids_keeps_its_own(home: Home) {
    home.append(home.inbox, "m", 10).await.expect("room");
    let before = home.mailbox(home.inbox).await;
    let refused = home.placed(home.place("INBOX")).await;
    assert_eq!(refused, Err(Error::Exists("mailbox")));
    home.expunge(home.inbox, ExpungeWhich::Exactly(vec![Uid(1)]), NOW)
        .await
        .expect("there");
    let refused = home.placed(home.place("INBOX")).await;
    assert_eq!(refused, Err(Error::Exists("mailbox")), "though it is empty");
    assert_eq!(
        home.mailbox(home.inbox).await.uid_validity,
        before.uid_validity
    );
    for wrong in [
        PlaceMailbox {
            uid_validity: UidValidity(0),
            ..home.place("x")
        },
        PlaceMailbox {
            uid_next: Uid(0),
            ..home.place("x")
        },
        PlaceMailbox {
            highest_modseq: ModSeq(u64::MAX),
            ..home.place("x")
        },
        home.place("a//b"),
    ] {
        let refused = home.placed(wrong).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
}

async fn special_uses_stay_one(home: Home) {
    let sent = PlaceMailbox {
        special_use: Some(SpecialUse::Sent),
        ..home.place("Gesendet")
    };
    let id = home.placed(sent).await.expect("made");
    assert_eq!(home.mailbox(id).await.special_use, None, "Sent has it");
    let sent = home.placed(home.place("Sent")).await.expect("taken over");
    let kept = home.mailbox(sent).await.special_use;
    assert_eq!(kept, Some(SpecialUse::Sent));
}

async fn messages_keep_theirs(home: Home) {
    let id = home.placed(home.place("INBOX")).await.expect("taken over");
    let first = PlacedMessage {
        flags: Flags(Flags::SEEN.0 | 1 << 40),
        keywords: vec!["$Work".to_owned()],
        retrieved: Some(later(3)),
        unique_id: Some("of.another-server".to_owned()),
        ..message(3, "three")
    };
    let second = PlacedMessage {
        modseq: Some(ModSeq(9_000)),
        ..message(7, "seven")
    };
    let both = vec![first.clone(), second.clone()];
    // The quota of 5 octets is passed.
    let placed = home.bring(id, Repeat::Uid, both.clone()).await;
    assert_eq!(placed, Ok(some(&[3, 7])));
    assert_eq!(home.account().await.used, 20);
    let all = home.index.changes(id, ModSeq(0)).await.expect("reads work");
    assert_eq!((all.uid_next, all.highest_modseq), (8, 9_000));
    assert_eq!(all.keywords, ["$Work"]);
    let three = all.changed[0];
    assert_eq!(
        three.flags,
        Flags(Flags::SEEN.0 | 1 << Flags::FIRST_KEYWORD)
    );
    assert_eq!(
        (three.internal_date, three.save_date),
        (later(-5), later(-4))
    );
    assert_eq!(
        (three.modseq, all.changed[1].modseq),
        (ModSeq(5_001), ModSeq(9_000))
    );
    let ids = home.index.unique_ids(id).await.expect("reads work");
    assert_eq!(ids, [(Uid(3), "of.another-server".to_owned())]);
    let retrieved = home.index.retrieved(id).await.expect("reads work");
    assert_eq!(retrieved, [(Uid(3), later(3))]);
    let summaries = home.summaries(id, &[Uid(7)]).await;
    assert_eq!(summaries, [(Uid(7), b"summary of seven".to_vec())]);
    // Again: nothing is doubled.
    assert_eq!(
        home.bring(id, Repeat::Uid, both).await,
        Ok(vec![None, None])
    );
    // A second message of a body that is there, even in the same mailbox.
    let copy = PlacedMessage {
        uid: Some(Uid(8)),
        ..second
    };
    assert_eq!(
        home.bring(id, Repeat::Uid, vec![copy]).await,
        Ok(some(&[8]))
    );
    assert_eq!(home.uids(id).await, [Uid(3), Uid(7), Uid(8)]);
    home.check().await;
    home.expunge(id, ExpungeWhich::Exactly(vec![Uid(3)]), NOW)
        .await
        .expect("there");
    assert_eq!(home.index.unique_ids(id).await, Ok(Vec::new()));
    assert_eq!(home.index.retrieved(id).await, Ok(Vec::new()));
    assert_eq!(home.index.unique_ids(MailboxId(999)).await, Ok(Vec::new()));
    assert_eq!(home.index.retrieved(MailboxId(999)).await, Ok(Vec::new()));
}

async fn attack_43_no_uid_is_given_twice(home: Home) {
    let id = home.placed(home.place("INBOX")).await.expect("taken over");
    let both = vec![message(5, "five"), message(6, "six")];
    home.bring(id, Repeat::Uid, both).await.expect("placed");
    home.expunge(id, ExpungeWhich::Exactly(vec![Uid(6)]), NOW)
        .await
        .expect("there");
    let again = home.bring(id, Repeat::Uid, vec![message(6, "other")]).await;
    assert_eq!(again, Ok(vec![None]), "6 was given");
    let late = vec![message(2, "two"), message(9, "nine")];
    let late = home.bring(id, Repeat::Body, late).await;
    assert_eq!(late, Ok(some(&[7, 9])), "2 comes too late");
    let appended = home.append(id, "next", 10).await.expect("room");
    assert_eq!(appended.uid, Uid(10));
    assert!(appended.modseq > ModSeq(5_000));
    home.check().await;
}

async fn bodies_tell_what_was_placed(home: Home) {
    let id = home.placed(home.place("INBOX")).await.expect("taken over");
    let two = || vec![message(1, "one"), message(2, "two")];
    assert_eq!(home.bring(id, Repeat::Body, two()).await, Ok(some(&[1, 2])));
    home.expunge(id, ExpungeWhich::Exactly(vec![Uid(1)]), NOW)
        .await
        .expect("there");
    let unnumbered = |name| PlacedMessage {
        uid: None,
        ..message(1, name)
    };
    let again = vec![
        message(1, "one"),
        unnumbered("two"),
        unnumbered("new"),
        unnumbered("new"),
    ];
    let placed = home.bring(id, Repeat::Body, again).await;
    assert_eq!(placed, Ok(vec![None, None, Some(Uid(3)), None]));
    let refused = home.bring(id, Repeat::Uid, vec![unnumbered("other")]).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    home.check().await;
}

async fn all_or_none(home: Home) {
    let other = Home::add(home.index.clone(), "bob@example.test", None).await;
    other.append(other.inbox, "his", 10).await.expect("room");
    let id = home.placed(home.place("INBOX")).await.expect("taken over");
    let stolen = vec![message(1, "mine"), message(2, "his")];
    let refused = home.bring(id, Repeat::Uid, stolen).await;
    assert_eq!(refused, Err(Error::Exists("blob")));
    assert_eq!(home.uids(id).await, []);
    let nowhere = other
        .bring(home.inbox, Repeat::Uid, vec![message(1, "m")])
        .await;
    assert_eq!(nowhere, Err(Error::NotFound("mailbox")), "not his");
    home.check().await;
    other.check().await;
}

async fn what_is_no_message_is_refused(home: Home) {
    let id = home.placed(home.place("INBOX")).await.expect("taken over");
    let named = |text: &str| PlacedMessage {
        unique_id: Some(text.to_owned()),
        ..message(1, "one")
    };
    for wrong in [
        named(""),
        named("a b"),
        named("ä"),
        named(&"x".repeat(71)),
        message(0, "one"),
    ] {
        let refused = home.bring(id, Repeat::Uid, vec![wrong]).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    let placed = home
        .bring(id, Repeat::Uid, vec![named(&"x".repeat(70))])
        .await;
    assert_eq!(placed, Ok(some(&[1])));
    let many = (2..1_003)
        .map(|uid| message(uid, &format!("m{uid}")))
        .collect();
    let refused = home.bring(id, Repeat::Uid, many).await;
    assert!(matches!(refused, Err(Error::Limit { .. })), "{refused:?}");
    let last = home
        .bring(id, Repeat::Uid, vec![message(u32::MAX, "last")])
        .await;
    assert!(matches!(last, Err(Error::Limit { .. })), "{last:?}");
    let many = (2..1_002)
        .map(|uid| message(uid, &format!("m{uid}")))
        .collect();
    let placed = home.bring(id, Repeat::Uid, many).await.expect("placed");
    assert_eq!(placed.len(), 1_000);
    home.check().await;
}
