//! Appends, what changed, expunges.

use std::sync::Arc;

use super::{Home, NOW, body, later};
use crate::{
    Error,
    index::{
        Append, BlobId, Change, CopyMode, ExpungeWhich, Flags, Index, KEYWORD_LENGTH,
        KEYWORD_LIMIT, MailboxId, ModSeq, Outcome, StoreMode, Timestamp, Uid,
    },
};

pub(super) async fn all<F: AsyncFn() -> Arc<dyn Index>>(fresh: &F) {
    append(fresh().await).await;
    a_repeated_append_brings_the_same(fresh().await).await;
    keys_are_guarded(fresh().await).await;
    append_refused(fresh().await).await;
    keyword_limit(fresh().await).await;
    changes(fresh().await).await;
    bodies(fresh().await).await;
    expunge(fresh().await).await;
    attack_38_nothing_of_another_account(fresh().await).await;
}

async fn append(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let before = home.mailbox(home.inbox).await;
    let first = Append {
        flags: Flags(Flags::SEEN.0 | Flags::FLAGGED.0 | 1 << 40),
        keywords: vec![
            "$Forwarded".to_owned(),
            "work".to_owned(),
            "WORK".to_owned(),
        ],
        ..home.append_of(home.inbox, body("a", 100))
    };
    let outcome = home.one(Change::Append(first)).await;
    let Ok(Outcome::Appended(appended)) = outcome else {
        panic!("an append brought {outcome:?}");
    };
    assert_eq!(
        (appended.uid, appended.uid_validity),
        (Uid(1), before.uid_validity)
    );
    assert!(appended.modseq > before.highest_modseq);
    let second = home
        .append(home.inbox, "b", 0)
        .await
        .expect("an empty body");
    assert_eq!(second.uid, Uid(2));
    assert!(second.modseq > appended.modseq);

    let all = home
        .index
        .changes(home.inbox, ModSeq(0))
        .await
        .expect("reads work");
    assert_eq!(all.keywords, ["$Forwarded", "work"]);
    assert_eq!((all.uid_next, all.highest_modseq), (3, second.modseq.0));
    assert_eq!(all.uid_validity, before.uid_validity);
    assert_eq!(all.expunged, []);
    let message = all.changed[0];
    assert_eq!(
        (message.uid, message.modseq, message.size),
        (Uid(1), appended.modseq, 100)
    );
    assert_eq!(
        message.flags,
        Flags(Flags::SEEN.0 | Flags::FLAGGED.0 | 0b11 << 5)
    );
    assert_eq!(
        (message.internal_date, message.save_date),
        (Timestamp(NOW.0 - 5), NOW)
    );
    let mailbox = home.mailbox(home.inbox).await;
    assert_eq!(
        (
            mailbox.messages,
            mailbox.unseen,
            mailbox.deleted,
            mailbox.size
        ),
        (2, 1, 0, 100)
    );
    home.check().await;
}

async fn a_repeated_append_brings_the_same(index: Arc<dyn Index>) {
    let home = Home::new(index, Some(100)).await;
    let first = home.append(home.inbox, "a", 60).await.expect("room");
    // Even where there would be no room for another.
    assert_eq!(home.append(home.inbox, "a", 60).await, Ok(first));
    let both = Change::Append(home.append_of(home.inbox, body("b", 10)));
    let answers = home.index.apply(vec![both.clone(), both]).await;
    assert!(answers[0].is_ok());
    assert_eq!(answers[0], answers[1], "in one batch");
    assert_eq!(home.account().await.used, 70);
    assert_eq!(home.uids(home.inbox).await, [Uid(1), Uid(2)]);

    // Whatever became of the message since.
    let to = home.create("to").await.expect("made");
    home.copy(home.inbox, &[Uid(1)], to, CopyMode::Move)
        .await
        .expect("moved");
    assert_eq!(home.append(home.inbox, "a", 60).await, Ok(first));
    home.expunge(to, ExpungeWhich::Exactly(vec![Uid(1)]), NOW)
        .await
        .expect("gone");
    assert_eq!(home.append(home.inbox, "a", 60).await, Ok(first));
    assert_eq!(home.uids(home.inbox).await, [Uid(2)]);

    // In another mailbox it is another message with the same body.
    let other = home.append(to, "b", 10).await.expect("room");
    assert_eq!(home.append(to, "b", 10).await, Ok(other));
    assert_eq!(home.account().await.used, 20);
    home.check().await;
}

/// A key names one body of one account (I6).
async fn keys_are_guarded(index: Arc<dyn Index>) {
    let home = Home::new(index.clone(), None).await;
    let bob = Home::add(index, "bob@example.test", None).await;
    home.append(home.inbox, "a", 10).await.expect("room");
    assert_eq!(
        bob.append(bob.inbox, "a", 10).await,
        Err(Error::Exists("blob"))
    );
    assert_eq!(
        home.append(home.inbox, "a", 11).await,
        Err(Error::Exists("blob"))
    );
    let mut other = body("a", 10);
    other.sha256[31] ^= 1;
    let refused = home
        .one(Change::Append(home.append_of(home.inbox, other)))
        .await;
    assert_eq!(refused, Err(Error::Exists("blob")));
    assert_eq!(bob.uids(bob.inbox).await, []);
}

async fn append_refused(index: Arc<dyn Index>) {
    let home = Home::new(index, Some(100)).await;
    let none = MailboxId(i64::MAX);
    assert_eq!(
        home.append(none, "x", 1).await,
        Err(Error::NotFound("mailbox"))
    );
    let over = Err(Error::OverQuota {
        used: 0,
        quota: 100,
        wanted: 101,
    });
    assert_eq!(home.append(home.inbox, "x", 101).await, over);
    for size in [u64::MAX, i64::MAX as u64 + 1] {
        let refused = home.append(home.inbox, "x", size).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    let refused = home.append(home.inbox, "x", i64::MAX as u64).await;
    assert!(
        matches!(refused, Err(Error::OverQuota { .. })),
        "{refused:?}"
    );
    for keyword in ["", "two words", "a\0", &"k".repeat(KEYWORD_LENGTH + 1)] {
        let append = Append {
            keywords: vec!["fine".to_owned(), keyword.to_owned()],
            ..home.append_of(home.inbox, body("x", 1))
        };
        let refused = home.one(Change::Append(append)).await;
        assert!(
            matches!(refused, Err(Error::Invalid(_))),
            "{keyword:?}: {refused:?}"
        );
    }
    // Nothing of all that left a trace.
    let all = home
        .index
        .changes(home.inbox, ModSeq(0))
        .await
        .expect("reads work");
    assert_eq!(
        (all.uid_next, all.highest_modseq, all.keywords.len()),
        (1, 1, 0)
    );
    assert_eq!(home.index.all_blobs(BlobId(0), 10).await, Ok(Vec::new()));
    home.append(home.inbox, "x", 100)
        .await
        .expect("exactly full");
    assert!(matches!(
        home.append(home.inbox, "y", 1).await,
        Err(Error::OverQuota { .. })
    ));
    home.check().await;
}

async fn keyword_limit(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let names: Vec<String> = (0..KEYWORD_LIMIT).map(|nth| format!("k{nth}")).collect();
    let append = Append {
        keywords: names.clone(),
        ..home.append_of(home.inbox, body("a", 1))
    };
    home.one(Change::Append(append))
        .await
        .expect("as many as may be");
    let full = Err(Error::Limit {
        what: "keywords",
        limit: KEYWORD_LIMIT as u64,
    });
    let refused = home
        .store(
            home.inbox,
            &[Uid(1)],
            StoreMode::Add,
            Flags::SEEN,
            &["one-more"],
        )
        .await;
    assert_eq!(refused, full.clone());
    let to = home.create("to").await.expect("made");
    home.append(to, "b", 1).await.expect("room");
    home.store(to, &[Uid(1)], StoreMode::Add, Flags::SEEN, &["one-more"])
        .await
        .expect("room there");
    let copied = home.copy(to, &[Uid(1)], home.inbox, CopyMode::Copy).await;
    assert_eq!(copied.map(|_| ()), full.map(|_| ()));
    let all = home
        .index
        .changes(home.inbox, ModSeq(0))
        .await
        .expect("reads work");
    assert_eq!(all.keywords, names);
    assert_eq!(all.changed.len(), 1);
    assert_eq!(all.changed[0].flags, Flags(((1 << KEYWORD_LIMIT) - 1) << 5));
    home.store(
        home.inbox,
        &[Uid(1)],
        StoreMode::Remove,
        Flags(0),
        &["unknown", "K57"],
    )
    .await
    .expect("known or not");
    let all = home
        .index
        .changes(home.inbox, ModSeq(0))
        .await
        .expect("reads work");
    assert_eq!(
        all.changed[0].flags,
        Flags(((1 << (KEYWORD_LIMIT - 1)) - 1) << 5)
    );
    home.check().await;
}

async fn changes(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let uids = home.fill(home.inbox, "m", 6).await;
    let at = home.mailbox(home.inbox).await.highest_modseq;
    let nothing = home
        .index
        .changes(home.inbox, at)
        .await
        .expect("reads work");
    assert!(nothing.changed.is_empty() && nothing.expunged.is_empty());
    home.store(home.inbox, &uids[3..4], StoreMode::Add, Flags::SEEN, &[])
        .await
        .expect("stored");
    home.store(home.inbox, &uids[1..2], StoreMode::Add, Flags::SEEN, &[])
        .await
        .expect("stored");
    home.expunge(
        home.inbox,
        ExpungeWhich::Exactly(vec![uids[4], uids[0]]),
        NOW,
    )
    .await
    .expect("gone");
    let since = home
        .index
        .changes(home.inbox, at)
        .await
        .expect("reads work");
    let changed: Vec<Uid> = since.changed.iter().map(|it| it.uid).collect();
    assert_eq!(changed, [uids[1], uids[3]], "by UID");
    assert_eq!(since.expunged, [uids[0], uids[4]], "rising");
    let all = home
        .index
        .changes(home.inbox, ModSeq(0))
        .await
        .expect("reads work");
    assert_eq!(all.changed.len(), 4);
    assert_eq!(all.expunged, []);
    assert_eq!(home.index.messages(home.inbox).await, Ok(all));
    for beyond in [since.highest_modseq, since.highest_modseq + 1, u64::MAX] {
        let none = home
            .index
            .changes(home.inbox, ModSeq(beyond))
            .await
            .expect("reads work");
        assert!(none.changed.is_empty() && none.expunged.is_empty());
        assert_eq!(none.highest_modseq, since.highest_modseq);
    }
    let gone = home.index.changes(MailboxId(i64::MAX), ModSeq(0)).await;
    assert_eq!(gone, Err(Error::NotFound("mailbox")));
    let gone = home.index.messages(MailboxId(i64::MAX)).await;
    assert_eq!(gone, Err(Error::NotFound("mailbox")));
}

async fn bodies(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let uids = home.fill(home.inbox, "m", 3).await;
    let asked = [uids[0], uids[2], Uid(77)];
    let summaries = home.summaries(home.inbox, &asked).await;
    let expected = [
        (uids[0], b"summary of m.0".to_vec()),
        (uids[2], b"summary of m.2".to_vec()),
    ];
    assert_eq!(summaries, expected);
    let blobs = home
        .index
        .blobs(home.inbox, &asked)
        .await
        .expect("reads work");
    assert_eq!(blobs.len(), 2);
    assert_eq!(blobs[1].0, uids[2]);
    let expected = body("m.2", 10);
    assert_eq!(blobs[1].1.key, expected.key);
    assert_eq!((blobs[1].1.size, blobs[1].1.sha256), (10, expected.sha256));

    // Who was told of a message can still read it.
    home.expunge(home.inbox, ExpungeWhich::Exactly(vec![uids[0]]), NOW)
        .await
        .expect("gone");
    let to = home.create("to").await.expect("made");
    home.copy(home.inbox, &[uids[2]], to, CopyMode::Move)
        .await
        .expect("moved");
    assert_eq!(home.index.blobs(home.inbox, &asked).await, Ok(blobs));
    assert!(home.summaries(home.inbox, &asked).await.is_empty());
    // Neighbours, where one between is not asked for, and one alone; of these only the second is still there.
    for asked in [&uids[..], &[uids[0], uids[2]], &uids[1..2]] {
        let blobs = home.index.blobs(home.inbox, asked).await;
        let found: Vec<Uid> = blobs
            .expect("reads work")
            .into_iter()
            .map(|it| it.0)
            .collect();
        assert_eq!(found, asked);
        let summaries = home.summaries(home.inbox, asked).await;
        let found: Vec<Uid> = summaries.into_iter().map(|it| it.0).collect();
        let there = asked.iter().filter(|uid| **uid == uids[1]);
        assert_eq!(found, there.copied().collect::<Vec<_>>());
    }
    let none = MailboxId(i64::MAX);
    assert!(home.summaries(none, &asked).await.is_empty());
    assert_eq!(home.index.blobs(none, &asked).await, Ok(Vec::new()));
    assert_eq!(home.index.blobs(home.inbox, &[]).await, Ok(Vec::new()));
}

async fn expunge(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let uids = home.fill(home.inbox, "m", 5).await;
    let marked = [uids[0], uids[2], uids[4]];
    home.store(home.inbox, &marked, StoreMode::Add, Flags::DELETED, &[])
        .await
        .expect("stored");
    assert_eq!(home.mailbox(home.inbox).await.deleted, 3);
    let before = home.mailbox(home.inbox).await.highest_modseq.0;

    let among = ExpungeWhich::DeletedAmong(vec![uids[1], uids[2], Uid(99)]);
    let gone = home
        .expunge(home.inbox, among.clone(), later(1))
        .await
        .expect("gone");
    assert_eq!(gone.uids, [uids[2]]);
    assert!(gone.highest_modseq > before);
    let nothing = home
        .expunge(home.inbox, among, later(1))
        .await
        .expect("nothing to do");
    assert_eq!(
        (nothing.uids, nothing.highest_modseq),
        (vec![], gone.highest_modseq)
    );
    let exactly = ExpungeWhich::Exactly(vec![uids[1], uids[2]]);
    let gone = home
        .expunge(home.inbox, exactly, later(2))
        .await
        .expect("gone");
    assert_eq!(gone.uids, [uids[1]]);
    let gone = home
        .expunge(home.inbox, ExpungeWhich::Deleted, later(3))
        .await
        .expect("gone");
    assert_eq!(gone.uids, [uids[0], uids[4]]);
    assert_eq!(home.uids(home.inbox).await, [uids[3]]);
    assert_eq!(home.account().await.used, 10);

    let expunged = home.index.expunged(home.inbox).await.expect("reads work");
    let times: Vec<_> = expunged.iter().map(|it| (it.uid, it.expunged)).collect();
    let expected = [
        (uids[0], later(3)),
        (uids[1], later(2)),
        (uids[2], later(1)),
        (uids[4], later(3)),
    ];
    assert_eq!(times, expected);
    assert!(
        expunged
            .iter()
            .all(|it| it.size == 10 && it.internal_date == Timestamp(NOW.0 - 5))
    );

    // No UID comes twice (I3).
    let next = home.append(home.inbox, "n", 1).await.expect("room");
    assert_eq!(next.uid, Uid(6));
    let none = MailboxId(i64::MAX);
    let refused = home.expunge(none, ExpungeWhich::Deleted, NOW).await;
    assert_eq!(refused, Err(Error::NotFound("mailbox")));
    home.check().await;
}

/// A change that names another account's mailbox finds nothing (I6).
async fn attack_38_nothing_of_another_account(index: Arc<dyn Index>) {
    let home = Home::new(index.clone(), None).await;
    let bob = Home::add(index, "bob@example.test", None).await;
    let uids = home.fill(home.inbox, "m", 2).await;
    let none = || Error::NotFound("mailbox");
    assert_eq!(bob.append(home.inbox, "x", 1).await, Err(none()));
    for mode in [CopyMode::Copy, CopyMode::Move] {
        assert_eq!(
            bob.copy(home.inbox, &uids, bob.inbox, mode).await,
            Err(none())
        );
        assert_eq!(
            home.copy(home.inbox, &uids, bob.inbox, mode).await,
            Err(none())
        );
    }
    let exactly = ExpungeWhich::Exactly(uids.clone());
    assert_eq!(bob.expunge(home.inbox, exactly, NOW).await, Err(none()));
    assert_eq!(home.uids(home.inbox).await, uids);
    bob.create("private").await.expect("made");
    assert_eq!(home.index.mailbox(home.account, "private").await, Ok(None));
    assert_eq!(home.delete("private").await, Err(none()));
    assert_eq!(home.rename("private", "mine").await, Err(none()));
    home.check().await;
    bob.check().await;
}
