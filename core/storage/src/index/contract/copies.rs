//! COPY and MOVE.

use std::sync::Arc;

use super::{Home, NOW, later};
use crate::{
    Error,
    index::{
        Change, Copy, CopyMode, ExpungeWhich, Flags, Index, MailboxId, ModSeq, SetQuota, StoreMode,
        Uid,
    },
};

pub(super) async fn all<F: AsyncFn() -> Arc<dyn Index>>(fresh: &F) {
    copy(fresh().await).await;
    move_away(fresh().await).await;
    into_itself(fresh().await).await;
    keywords_are_translated(fresh().await).await;
    quota(fresh().await).await;
}

async fn copy(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let uids = home.fill(home.inbox, "m", 4).await;
    home.store(home.inbox, &uids[1..3], StoreMode::Add, Flags::SEEN, &[])
        .await
        .expect("stored");
    home.store(home.inbox, &uids[2..3], StoreMode::Add, Flags::DELETED, &[])
        .await
        .expect("stored");
    let to = home.create("to").await.expect("made");
    home.fill(to, "t", 2).await;
    let before = home.mailbox(to).await;
    let asked = [uids[0], uids[1], uids[2], Uid(77)];
    let copied = home
        .copy(home.inbox, &asked, to, CopyMode::Copy)
        .await
        .expect("copied");
    assert_eq!(copied.uid_validity, before.uid_validity.0);
    assert_eq!(
        (copied.from, copied.to),
        (uids[..3].to_vec(), vec![Uid(3), Uid(4), Uid(5)])
    );
    let there = home
        .index
        .changes(to, before.highest_modseq)
        .await
        .expect("reads work")
        .changed;
    let here = home
        .index
        .changes(home.inbox, ModSeq(0))
        .await
        .expect("reads work")
        .changed;
    assert_eq!((here.len(), there.len()), (4, 3));
    for (new, old) in there.iter().zip(&here) {
        assert!(new.modseq > before.highest_modseq);
        assert_eq!(
            (new.flags, new.size, new.blob),
            (old.flags, old.size, old.blob)
        );
        assert_eq!((new.internal_date, new.save_date), (old.internal_date, NOW));
    }
    let mailbox = home.mailbox(to).await;
    assert_eq!(
        (
            mailbox.messages,
            mailbox.unseen,
            mailbox.deleted,
            mailbox.size
        ),
        (5, 3, 1, 50)
    );
    assert_eq!(home.account().await.used, 90);

    let nothing = home
        .copy(home.inbox, &[Uid(77)], to, CopyMode::Copy)
        .await
        .expect("nothing to do");
    assert_eq!((nothing.from.len(), nothing.to.len()), (0, 0));
    assert_eq!(nothing.uid_validity, before.uid_validity.0);
    assert_eq!(home.mailbox(to).await, mailbox);
    let none = MailboxId(i64::MAX);
    for (from, to) in [(none, to), (home.inbox, none)] {
        let refused = home.copy(from, &uids, to, CopyMode::Move).await;
        assert_eq!(refused, Err(Error::NotFound("mailbox")));
    }
    home.check().await;
}

async fn move_away(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let uids = home.fill(home.inbox, "m", 3).await;
    let to = home.create("to").await.expect("made");
    let before = home.mailbox(home.inbox).await.highest_modseq;
    let moved = home
        .copy(home.inbox, &uids[..2], to, CopyMode::Move)
        .await
        .expect("moved");
    assert_eq!(
        (moved.from, moved.to),
        (uids[..2].to_vec(), vec![Uid(1), Uid(2)])
    );
    let seen = home
        .index
        .changes(home.inbox, before)
        .await
        .expect("reads work");
    assert_eq!(seen.expunged, uids[..2]);
    assert!(seen.highest_modseq > before.0);
    assert_eq!(
        home.index.expunged(home.inbox).await,
        Ok(Vec::new()),
        "nothing to recover"
    );
    assert_eq!(home.account().await.used, 30);
    // A repetition finds nothing to move.
    let again = home
        .copy(home.inbox, &uids[..2], to, CopyMode::Move)
        .await
        .expect("nothing to do");
    assert_eq!(again.from, []);
    assert_eq!(home.uids(to).await, [Uid(1), Uid(2)]);
    home.check().await;
}

async fn into_itself(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let uids = home.fill(home.inbox, "m", 2).await;
    home.store(home.inbox, &uids, StoreMode::Add, Flags(0), &["k"])
        .await
        .expect("stored");
    let copied = home
        .copy(home.inbox, &uids, home.inbox, CopyMode::Copy)
        .await
        .expect("copied");
    assert_eq!(copied.to, [Uid(3), Uid(4)]);
    assert_eq!(home.account().await.used, 40);
    let before = home.mailbox(home.inbox).await.highest_modseq;
    let moved = home
        .copy(home.inbox, &[Uid(1), Uid(3)], home.inbox, CopyMode::Move)
        .await
        .expect("moved");
    assert_eq!(moved.to, [Uid(5), Uid(6)]);
    assert_eq!(
        home.uids(home.inbox).await,
        [Uid(2), Uid(4), Uid(5), Uid(6)]
    );
    let seen = home
        .index
        .changes(home.inbox, before)
        .await
        .expect("reads work");
    assert_eq!(
        (seen.changed.len(), seen.expunged),
        (2, vec![Uid(1), Uid(3)])
    );
    assert!(seen.changed.iter().all(|it| it.flags.0 == 1 << 5));
    assert_eq!(home.account().await.used, 40);
    home.check().await;
}

async fn keywords_are_translated(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let uids = home.fill(home.inbox, "m", 3).await;
    home.store(
        home.inbox,
        &uids[..1],
        StoreMode::Add,
        Flags::SEEN,
        &["a", "b", "unused"],
    )
    .await
    .expect("stored");
    home.store(
        home.inbox,
        &uids[..1],
        StoreMode::Remove,
        Flags(0),
        &["unused"],
    )
    .await
    .expect("stored");
    home.store(home.inbox, &uids[1..2], StoreMode::Add, Flags(0), &["c"])
        .await
        .expect("stored");
    let to = home.create("to").await.expect("made");
    home.fill(to, "t", 1).await;
    home.store(to, &[Uid(1)], StoreMode::Add, Flags(0), &["x", "C", "B"])
        .await
        .expect("stored");
    home.copy(home.inbox, &uids, to, CopyMode::Copy)
        .await
        .expect("copied");
    let there = home.index.changes(to, ModSeq(0)).await.expect("reads work");
    assert_eq!(
        there.keywords,
        ["x", "C", "B", "a"],
        "found in any case, added where unknown, left where unused"
    );
    let flags: Vec<u64> = there.changed.iter().map(|it| it.flags.0).collect();
    let bit = |number: u32| 1 << (5 + number);
    assert_eq!(
        flags,
        [bit(0) | bit(1) | bit(2), 1 | bit(3) | bit(2), bit(1), 0]
    );
    home.check().await;
}

async fn quota(index: Arc<dyn Index>) {
    let home = Home::new(index, Some(50)).await;
    let uids = home.fill(home.inbox, "m", 3).await;
    let to = home.create("to").await.expect("made");
    let over = Err(Error::OverQuota {
        used: 30,
        quota: 50,
        wanted: 30,
    });
    let refused = home.copy(home.inbox, &uids, to, CopyMode::Copy).await;
    assert_eq!(refused, over, "all or none");
    assert_eq!(home.uids(to).await, []);
    home.copy(home.inbox, &uids[..2], to, CopyMode::Copy)
        .await
        .expect("exactly full");
    // A move needs no room, even above the quota.
    let set = SetQuota {
        account: home.account,
        quota: Some(1),
        now: NOW,
    };
    home.one(Change::SetQuota(set)).await.expect("set");
    home.copy(home.inbox, &uids, to, CopyMode::Move)
        .await
        .expect("moved");
    home.expunge(to, ExpungeWhich::Exactly(vec![Uid(1), Uid(2)]), later(1))
        .await
        .expect("gone");
    assert_eq!(home.account().await.used, 30);
    // Unsorted and doubled UIDs are what they name, once.
    let copy = Copy {
        account: home.account,
        from: to,
        uids: vec![Uid(5), Uid(3), Uid(5)],
        to: home.inbox,
        mode: CopyMode::Move,
        now: NOW,
    };
    home.one(Change::Copy(copy)).await.expect("moved");
    assert_eq!(home.uids(to).await, [Uid(4)]);
    assert_eq!(home.uids(home.inbox).await, [Uid(4), Uid(5)]);
    home.check().await;
}
