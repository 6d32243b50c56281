//! STORE.

use std::sync::Arc;

use super::{Home, NOW};
use crate::{
    Error,
    index::{
        Change, ExpungeWhich, Flags, Index, MailboxId, ModSeq, Outcome, Store, StoreMode, Stored,
        Uid,
    },
};

pub(super) async fn all<F: AsyncFn() -> Arc<dyn Index>>(fresh: &F) {
    modes(fresh().await).await;
    unchanged_since(fresh().await).await;
    ten_thousand(fresh().await).await;
}

async fn flags(home: &Home) -> Vec<(Uid, u64)> {
    let all = home
        .index
        .changes(home.inbox, ModSeq(0))
        .await
        .expect("reads work");
    all.changed.iter().map(|it| (it.uid, it.flags.0)).collect()
}

async fn modes(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let uids = home.fill(home.inbox, "m", 3).await;
    let (seen, flagged) = (Flags::SEEN, Flags::FLAGGED);
    let two = [uids[0], uids[1], Uid(99)];
    let first = home
        .store(home.inbox, &two, StoreMode::Add, seen, &["a", "b"])
        .await
        .expect("stored");
    assert_eq!(first.modified, []);
    let (a, b) = (1 << 5, 1 << 6);
    assert_eq!(
        flags(&home).await,
        [
            (uids[0], seen.0 | a | b),
            (uids[1], seen.0 | a | b),
            (uids[2], 0)
        ]
    );
    assert_eq!(home.mailbox(home.inbox).await.unseen, 1);

    // What does not change keeps its modification sequence, and the mailbox keeps its own.
    let again = home
        .store(home.inbox, &two, StoreMode::Add, seen, &["A"])
        .await
        .expect("stored");
    assert_eq!(again, first);
    let removed = home
        .store(home.inbox, &uids, StoreMode::Remove, seen, &["b", "none"])
        .await
        .expect("stored");
    assert!(removed.highest_modseq > first.highest_modseq);
    assert_eq!(
        flags(&home).await,
        [(uids[0], a), (uids[1], a), (uids[2], 0)]
    );
    let since = home
        .index
        .changes(home.inbox, ModSeq(first.highest_modseq))
        .await
        .expect("reads work");
    assert_eq!(since.changed.len(), 2, "the third did not change");
    assert_eq!(since.keywords, ["a", "b"], "removing adds no keyword");
    home.store(home.inbox, &uids[1..], StoreMode::Replace, flagged, &["c"])
        .await
        .expect("stored");
    let c = 1 << 7;
    assert_eq!(
        flags(&home).await,
        [
            (uids[0], a),
            (uids[1], flagged.0 | c),
            (uids[2], flagged.0 | c)
        ]
    );
    home.store(home.inbox, &uids, StoreMode::Replace, Flags(0), &[])
        .await
        .expect("stored");
    assert!(flags(&home).await.iter().all(|(_, flags)| *flags == 0));

    let none = home
        .store(MailboxId(i64::MAX), &uids, StoreMode::Add, seen, &[])
        .await;
    assert_eq!(none, Err(Error::NotFound("mailbox")));
    home.expunge(home.inbox, ExpungeWhich::Exactly(uids.clone()), NOW)
        .await
        .expect("gone");
    let gone = home
        .store(home.inbox, &uids, StoreMode::Add, seen, &[])
        .await
        .expect("nothing to do");
    assert_eq!(gone.modified, []);
    home.check().await;
}

async fn unchanged_since(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let uids = home.fill(home.inbox, "m", 4).await;
    let at = home.mailbox(home.inbox).await.highest_modseq;
    home.store(
        home.inbox,
        &[uids[1], uids[2]],
        StoreMode::Add,
        Flags::SEEN,
        &[],
    )
    .await
    .expect("stored");
    home.expunge(home.inbox, ExpungeWhich::Exactly(vec![uids[3]]), NOW)
        .await
        .expect("gone");
    let store = |since| {
        Change::Store(Store {
            mailbox: home.inbox,
            uids: uids.clone(),
            mode: StoreMode::Add,
            flags: Flags::FLAGGED,
            keywords: Vec::new(),
            unchanged_since: Some(since),
        })
    };
    let outcome = home.one(store(ModSeq(0))).await;
    let Ok(Outcome::Stored(none)) = outcome else {
        panic!("a store brought {outcome:?}");
    };
    assert_eq!(none.modified, uids[..3]);
    let outcome = home.one(store(at)).await;
    let modified = vec![uids[1], uids[2]];
    let highest_modseq = home.mailbox(home.inbox).await.highest_modseq.0;
    assert_eq!(
        outcome,
        Ok(Outcome::Stored(Stored {
            highest_modseq,
            modified
        }))
    );
    assert!(highest_modseq > none.highest_modseq);
    let flagged = Flags::FLAGGED.0;
    assert_eq!(
        flags(&home).await,
        [(uids[0], flagged), (uids[1], 1), (uids[2], 1)]
    );
    home.one(store(ModSeq(u64::MAX))).await.expect("all");
    assert_eq!(
        flags(&home).await,
        [
            (uids[0], flagged),
            (uids[1], flagged | 1),
            (uids[2], flagged | 1)
        ]
    );
    home.check().await;
}

/// More UIDs than a statement may have parameters.
async fn ten_thousand(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    home.fill(home.inbox, "m", 100).await;
    let uids: Vec<Uid> = (1..=50_000).map(Uid).collect();
    home.store(home.inbox, &uids, StoreMode::Add, Flags::DELETED, &[])
        .await
        .expect("stored");
    assert_eq!(home.summaries(home.inbox, &uids).await.len(), 100);
    let which = ExpungeWhich::DeletedAmong(uids);
    let gone = home.expunge(home.inbox, which, NOW).await.expect("gone");
    assert_eq!(gone.uids.len(), 100);
    home.check().await;
}
