//! How bodies end: recoverable, reaped, forgotten (I2, I10).

use std::sync::Arc;

use super::{Home, NOW, later};
use crate::{
    Error,
    index::{
        BlobId, Change, CopyMode, Doomed, ExpungeWhich, Flags, Forget, Index, ModSeq, Outcome,
        Reap, RemoveAccount, Restore, StoreMode, Timestamp, Uid,
    },
};

pub(super) async fn all<F: AsyncFn() -> Arc<dyn Index>>(fresh: &F) {
    expunged_reaped_forgotten(fresh().await).await;
    two_rows_hold_a_body(fresh().await).await;
    a_move_holds_nothing_behind(fresh().await).await;
    doomed_bodies_never_come_back(fresh().await).await;
    everybody_in_line_gets_a_turn(fresh().await).await;
    what_outlives_its_mailbox(fresh().await).await;
    the_log_forgets_in_the_end(fresh().await).await;
    restored(fresh().await).await;
    pages(fresh().await).await;
    known(fresh().await).await;
}

async fn reap(home: &Home, before: Timestamp, limit: u32) -> Vec<Doomed> {
    match home.one(Change::Reap(Reap { before, limit })).await {
        Ok(Outcome::Doomed(doomed)) => doomed,
        other => panic!("a reap brought {other:?}"),
    }
}

async fn forget(home: &Home, doomed: &[Doomed]) {
    let blobs = doomed.iter().map(|it| it.id).collect();
    let outcome = home.one(Change::Forget(Forget { blobs })).await;
    assert_eq!(outcome, Ok(Outcome::Done));
}

fn names(doomed: &[Doomed]) -> Vec<&str> {
    doomed
        .iter()
        .map(|it| it.key.as_str().rsplit('/').next().unwrap_or_default())
        .collect()
}

async fn expunge(home: &Home, uids: &[Uid], now: Timestamp) {
    let which = ExpungeWhich::Exactly(uids.to_vec());
    home.expunge(home.inbox, which, now).await.expect("gone");
}

/// What `fsck` asks: bodies by their keys, and what an account uses.
async fn known(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let uids = home.fill(home.inbox, "m", 3).await;
    let usage = async || {
        let usage = home.index.usage(home.account).await.expect("reads work");
        usage.map(|it| (it.used, it.sum))
    };
    let sum: u64 = home.account().await.used;
    assert!(sum > 0);
    assert_eq!(usage().await, Some((sum, sum)));
    let rows = home.index.all_blobs(BlobId(i64::MIN), 10).await;
    let rows = rows.expect("reads work");
    let stranger = super::body("nobody", 1).key;
    let mut keys: Vec<_> = rows.iter().map(|it| it.key.clone()).collect();
    keys.push(stranger);
    let ask = async || {
        let mut known = home.index.known_bodies(&keys).await.expect("reads work");
        known.sort_unstable_by_key(|it| it.body.id);
        known
    };
    let known = ask().await;
    assert!(known.iter().all(|it| !it.doomed));
    assert!(known.iter().map(|it| &it.body).eq(&rows));
    assert_eq!(home.index.known_bodies(&[]).await, Ok(Vec::new()));

    // Doomed bodies are known until they are forgotten; what can be brought back does not count as used.
    expunge(&home, &uids[..2], later(10)).await;
    let left = home.account().await.used;
    assert!(left < sum);
    assert_eq!(usage().await, Some((left, left)));
    let doomed = reap(&home, later(11), 1).await;
    let is_doomed: Vec<bool> = ask().await.iter().map(|it| it.doomed).collect();
    assert_eq!(is_doomed.iter().filter(|it| **it).count(), 1);
    forget(&home, &doomed).await;
    assert_eq!(ask().await.len(), 2);
    let account = home.account;
    let gone = RemoveAccount {
        account,
        now: later(12),
    };
    home.one(Change::RemoveAccount(gone)).await.expect("gone");
    assert_eq!(usage().await, None);
}

async fn expunged_reaped_forgotten(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let uids = home.fill(home.inbox, "m", 3).await;
    expunge(&home, &uids[..1], later(10)).await;
    expunge(&home, &uids[1..2], later(20)).await;
    assert_eq!(reap(&home, later(10), 100).await, [], "not before its time");
    assert_eq!(
        home.index
            .expunged(home.inbox)
            .await
            .expect("reads work")
            .len(),
        2
    );

    let doomed = reap(&home, later(11), 100).await;
    assert_eq!(names(&doomed), ["m.0"]);
    let left = home.index.expunged(home.inbox).await.expect("reads work");
    assert_eq!(left.iter().map(|it| it.uid).collect::<Vec<_>>(), uids[1..2]);
    assert_eq!(
        home.index
            .blobs(home.inbox, &uids)
            .await
            .expect("reads work")
            .len(),
        2
    );
    assert_eq!(
        reap(&home, later(11), 100).await,
        doomed,
        "again until it is forgotten"
    );
    forget(&home, &doomed).await;
    forget(&home, &doomed).await;
    assert_eq!(reap(&home, later(11), 100).await, []);
    assert_eq!(names(&reap(&home, later(21), 100).await), ["m.1"]);

    // What is not doomed is not forgotten.
    let live = home
        .index
        .all_blobs(BlobId(0), 10)
        .await
        .expect("reads work");
    assert_eq!(live.len(), 1);
    let blobs = vec![live[0].id];
    home.one(Change::Forget(Forget { blobs }))
        .await
        .expect("nothing to do");
    assert_eq!(home.index.all_blobs(BlobId(0), 10).await, Ok(live));
    home.check().await;
}

async fn two_rows_hold_a_body(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let to = home.create("to").await.expect("made");
    let uids = home.fill(home.inbox, "m", 1).await;
    let copied = home
        .copy(home.inbox, &uids, to, CopyMode::Copy)
        .await
        .expect("copied");
    expunge(&home, &uids, later(1)).await;
    assert_eq!(reap(&home, later(100), 100).await, [], "the copy holds it");
    let which = ExpungeWhich::Exactly(copied.to);
    home.expunge(to, which, later(200)).await.expect("gone");
    assert_eq!(
        reap(&home, later(100), 100).await,
        [],
        "it can be brought back"
    );
    assert_eq!(names(&reap(&home, later(201), 100).await), ["m.0"]);
}

async fn a_move_holds_nothing_behind(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let to = home.create("to").await.expect("made");
    let uids = home.fill(home.inbox, "m", 1).await;
    let moved = home
        .copy(home.inbox, &uids, to, CopyMode::Move)
        .await
        .expect("moved");
    assert_eq!(reap(&home, Timestamp(NOW.0 - 1), 100).await, []);
    home.expunge(to, ExpungeWhich::Exactly(moved.to), Timestamp(NOW.0 - 10))
        .await
        .expect("gone");
    // The trace that the move left is younger, and does not keep the body.
    assert_eq!(names(&reap(&home, NOW, 100).await), ["m.0"]);
    assert_eq!(home.index.blobs(home.inbox, &uids).await, Ok(Vec::new()));
    let seen = home
        .index
        .changes(home.inbox, ModSeq(1))
        .await
        .expect("reads work");
    assert_eq!(seen.expunged, uids, "but tells who looks what went");
}

async fn doomed_bodies_never_come_back(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let uids = home.fill(home.inbox, "m", 1).await;
    expunge(&home, &uids, later(1)).await;
    let doomed = reap(&home, later(2), 100).await;
    assert_eq!(
        home.append(home.inbox, "m.0", 10).await,
        Err(Error::NotFound("blob"))
    );
    assert_eq!(home.index.all_blobs(BlobId(0), 10).await, Ok(Vec::new()));
    forget(&home, &doomed).await;
    // The store has deleted it, so who writes it anew appends a new body.
    let again = home
        .append(home.inbox, "m.0", 10)
        .await
        .expect("a new body");
    assert!(again.uid > uids[0]);
    let blobs = home
        .index
        .all_blobs(BlobId(0), 10)
        .await
        .expect("reads work");
    assert!(blobs[0].id > doomed[0].id, "no row is given twice");
    forget(&home, &doomed).await;
    assert_eq!(home.index.all_blobs(BlobId(0), 10).await, Ok(blobs));
}

async fn everybody_in_line_gets_a_turn(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let uids = home.fill(home.inbox, "m", 6).await;
    expunge(&home, &uids, later(1)).await;
    assert_eq!(reap(&home, later(2), 100).await.len(), 6);
    let mut seen = Vec::new();
    // The store deletes none of them, and still each is offered before one comes again.
    for _ in 0..3 {
        let doomed = reap(&home, later(2), 2).await;
        assert_eq!(doomed.len(), 2);
        seen.extend(names(&doomed).into_iter().map(str::to_owned));
    }
    seen.sort();
    assert_eq!(seen, ["m.0", "m.1", "m.2", "m.3", "m.4", "m.5"]);
    assert_eq!(reap(&home, later(2), 0).await, []);
}

async fn what_outlives_its_mailbox(index: Arc<dyn Index>) {
    let home = Home::new(index.clone(), None).await;
    Home::add(index, "bob@example.test", None).await;
    let id = home.create("a").await.expect("made");
    home.fill(id, "a", 2).await;
    home.fill(home.inbox, "i", 2).await;
    home.delete("a").await.expect("deleted");
    assert_eq!(home.account().await.used, 20);
    assert_eq!(reap(&home, NOW, 100).await, [], "kept for its time");
    let now = later(50);
    let account = home.account;
    home.one(Change::RemoveAccount(RemoveAccount { account, now }))
        .await
        .expect("removed");
    assert_eq!(names(&reap(&home, later(1), 100).await), ["a.0", "a.1"]);
    let doomed = reap(&home, later(51), 100).await;
    let mut all = names(&doomed);
    all.sort();
    assert_eq!(all, ["a.0", "a.1", "i.0", "i.1"]);
    forget(&home, &doomed).await;
    assert_eq!(reap(&home, later(1000), 100).await, []);
    assert_eq!(home.index.all_blobs(BlobId(0), 10).await, Ok(Vec::new()));
}

async fn the_log_forgets_in_the_end(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let uids = home.fill(home.inbox, "m", 6).await;
    let start = home.mailbox(home.inbox).await.highest_modseq;
    expunge(&home, &uids[1..2], later(1)).await;
    let middle = home.mailbox(home.inbox).await.highest_modseq;
    expunge(&home, &uids[3..4], later(5)).await;
    reap(&home, later(2), 100).await;
    // Who asks from before the log begins is told all that is not there; who asks later, what went since.
    let since = home
        .index
        .changes(home.inbox, start)
        .await
        .expect("reads work");
    assert_eq!(since.expunged, [uids[1], uids[3]]);
    let since = home
        .index
        .changes(home.inbox, middle)
        .await
        .expect("reads work");
    assert_eq!(since.expunged, [uids[3]]);
    let all = home
        .index
        .changes(home.inbox, ModSeq(0))
        .await
        .expect("reads work");
    assert_eq!(all.expunged, []);
}

async fn restored(index: Arc<dyn Index>) {
    let home = Home::new(index.clone(), Some(100)).await;
    let bob = Home::add(index, "bob@example.test", None).await;
    let id = home.create("a").await.expect("made");
    let uids = home.fill(id, "a", 4).await;
    let seen_and_deleted = Flags(Flags::SEEN.0 | Flags::DELETED.0);
    let store = home.store(id, &uids[..1], StoreMode::Add, seen_and_deleted, &["k"]);
    store.await.expect("stored");
    home.copy(id, &uids[3..], home.inbox, CopyMode::Move)
        .await
        .expect("moved");
    let restore = |home: &Home, uids: &[Uid]| {
        Change::Restore(Restore {
            account: home.account,
            from: id,
            uids: uids.to_vec(),
            to: home.inbox,
            now: later(9),
        })
    };
    let which = ExpungeWhich::Exactly(uids[..1].to_vec());
    home.expunge(id, which, NOW).await.expect("gone");
    home.delete("a").await.expect("with the others");
    assert_eq!(home.account().await.used, 10);
    // A trace of what moved, what never was, and what another account lost, are passed over (I6).
    let nothing = bob.one(restore(&bob, &uids)).await;
    assert!(matches!(nothing, Ok(Outcome::Copied(it)) if it.from.is_empty()));
    let answer = home
        .one(restore(&home, &[uids[0], uids[2], uids[3], Uid(99)]))
        .await;
    let Ok(Outcome::Copied(copied)) = answer else {
        panic!("a restore brought {answer:?}");
    };
    assert_eq!(
        (copied.from, copied.to),
        (vec![uids[0], uids[2]], vec![Uid(2), Uid(3)])
    );
    let inbox = home
        .index
        .changes(home.inbox, ModSeq(0))
        .await
        .expect("reads work")
        .changed;
    assert_eq!(
        (inbox[1].flags, inbox[1].size, inbox[1].save_date),
        (Flags(Flags::SEEN.0 | 1 << 5), 10, later(9))
    );
    assert!(inbox[1].modseq > inbox[0].modseq);
    assert_eq!(home.account().await.used, 30);

    // Once is enough; what was brought back holds its body, what was not goes.
    let again = home.one(restore(&home, &uids[..1])).await;
    assert!(matches!(again, Ok(Outcome::Copied(it)) if it.from.is_empty()));
    assert_eq!(names(&reap(&home, later(1000), 100).await), ["a.1"]);
    assert_eq!(
        home.index
            .blobs(home.inbox, &[Uid(2), Uid(3)])
            .await
            .expect("reads work")
            .len(),
        2
    );
    let late = home.one(restore(&home, &uids)).await;
    assert!(matches!(late, Ok(Outcome::Copied(it)) if it.from.is_empty()));

    // Only as far as there is room.
    home.append(home.inbox, "full", 70)
        .await
        .expect("exactly full");
    let which = ExpungeWhich::Exactly(vec![Uid(2)]);
    home.expunge(home.inbox, which, NOW).await.expect("gone");
    home.append(home.inbox, "fuller", 5).await.expect("room");
    let back = Change::Restore(Restore {
        account: home.account,
        from: home.inbox,
        uids: vec![Uid(2)],
        to: home.inbox,
        now: NOW,
    });
    let over = Error::OverQuota {
        used: 95,
        quota: 100,
        wanted: 10,
    };
    assert_eq!(home.one(back).await, Err(over));
    assert_eq!(
        home.index
            .expunged(home.inbox)
            .await
            .expect("reads work")
            .len(),
        1
    );
    home.check().await;
}

async fn pages(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    home.fill(home.inbox, "m", 5).await;
    let mut after = BlobId(0);
    let mut all = Vec::new();
    loop {
        let page = home.index.all_blobs(after, 2).await.expect("reads work");
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2 && last.id > after);
        after = last.id;
        all.extend(page.into_iter().map(|it| it.key));
    }
    assert_eq!(all.len(), 5);
    assert!(all[4].as_str().ends_with("m.4"));
}
