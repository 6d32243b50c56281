//! The reaper with failures at every step.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use postrider_storage::{
    blob::{BlobKey, Fault, Operation},
    index::{Copy, CopyMode, ModSeq, Uid},
};

use super::{
    super::testing::{DAY, DAYS, House, IndexFault, NOW},
    *,
};

fn reaper(house: &House, batch: u32) -> Reaper {
    let settings = ReaperSettings {
        retention: DAYS(30),
        batch,
        parallel: 3,
        patience: Duration::from_secs(10),
    };
    Reaper::new(house.index.clone(), house.blobs.clone(), settings)
}

fn after(days: i64) -> Timestamp {
    Timestamp(NOW.0 + days * DAY)
}

#[tokio::test]
async fn what_is_named_or_can_be_brought_back_stays() {
    let house = House::new().await;
    let reaper = reaper(&house, 100);
    let (stays, _) = house.deliver("stays").await;
    let (copied, uid) = house.deliver("copied").await;
    let (gone, gone_uid) = house.deliver("gone").await;
    let copy = Copy {
        account: house.account,
        from: house.inbox,
        uids: vec![uid],
        to: house.inbox,
        mode: CopyMode::Copy,
        now: NOW,
    };
    super::super::apply(house.index.as_ref(), Change::Copy(copy))
        .await
        .unwrap();
    house.expunge(uid, NOW).await;
    house.expunge(gone_uid, NOW).await;

    assert_eq!(
        reaper.run(after(30), 9).await,
        Ok(Reaped::default()),
        "not a moment early"
    );
    assert_eq!(house.store.len(), 3);
    let one = Reaped {
        doomed: 1,
        deleted: 1,
        failed: 0,
    };
    assert_eq!(reaper.run(after(31), 9).await, Ok(one));
    assert!(house.store.body(&gone).is_none());
    assert!(house.store.body(&stays).is_some() && house.store.body(&copied).is_some());
    assert_eq!(house.rows().await, [stays, copied]);
    assert_eq!(reaper.run(after(31), 9).await, Ok(Reaped::default()));
}

#[tokio::test]
async fn many_go_in_rounds() {
    rounds(House::new().await).await;
    let dir = tempfile::tempdir().unwrap();
    rounds(House::on_sqlite(&dir).await).await;
}

async fn rounds(house: House) {
    for number in 0..25 {
        let (_, uid) = house.deliver(&format!("message {number}")).await;
        house.expunge(uid, NOW).await;
    }
    let reaper = reaper(&house, 10);
    assert_eq!(reaper.run(after(31), 2).await.unwrap().deleted, 20);
    assert_eq!(house.store.len(), 5);
    assert_eq!(reaper.run(after(31), 9).await.unwrap().deleted, 5);
    assert!(house.store.is_empty() && house.known().await.is_empty());
}

#[tokio::test]
async fn a_body_that_cannot_be_deleted_comes_again() {
    let house = House::new().await;
    for text in ["one", "two", "three"] {
        let (_, uid) = house.deliver(text).await;
        house.expunge(uid, NOW).await;
    }
    let reaper = reaper(&house, 100);
    house.store.fault(Operation::Delete, Fault::Fail);
    house.store.fault(Operation::Delete, Fault::FailAfter);
    let round = reaper.round(after(31)).await.unwrap();
    assert_eq!((round.doomed, round.deleted, round.failed), (3, 1, 2));
    assert_eq!(house.store.len(), 1);
    assert_eq!(
        house.known().await.len(),
        2,
        "what may lie there is still known"
    );
    let round = reaper.round(after(31)).await.unwrap();
    assert_eq!((round.doomed, round.deleted, round.failed), (2, 2, 0));
    assert!(house.store.is_empty() && house.known().await.is_empty());
}

#[tokio::test]
async fn every_step_may_fail_or_be_the_last() {
    use IndexFault::{Fail, FailAfter, Well};
    for doom in [Well, Fail, FailAfter] {
        for forget in [Well, Fail, FailAfter] {
            for delete in [None, Some(Fault::Fail), Some(Fault::FailAfter)] {
                let house = House::new().await;
                let (stays, _) = house.deliver("stays").await;
                let (_, uid) = house.deliver("goes").await;
                house.expunge(uid, NOW).await;
                let reaper = reaper(&house, 100);
                house.index.fault(doom);
                house.index.fault(forget);
                if let Some(fault) = delete {
                    house.store.fault(Operation::Delete, fault);
                }
                let case = format!("{doom:?} {delete:?} {forget:?}");
                for _ in 0..4 {
                    let _ = reaper.round(after(31)).await;
                    assert!(house.store.body(&stays).is_some(), "{case}");
                    let known: BTreeSet<BlobKey> = house.known().await.into_iter().collect();
                    let known = house.store.keys().iter().all(|key| known.contains(key));
                    assert!(known, "{case}: a body that the index has forgotten");
                }
                assert_eq!(house.store.len(), 1, "{case}");
                assert_eq!(house.known().await, [stays], "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_stopped_round_is_taken_up_by_the_next() {
    let house = House::new().await;
    let (_, uid) = house.deliver("goes").await;
    house.expunge(uid, NOW).await;
    let reaper = reaper(&house, 100);
    house.store.fault(Operation::Delete, Fault::Stall);
    {
        let mut round = std::pin::pin!(reaper.round(after(31)));
        let mut stalled = std::pin::pin!(house.store.stalled(1));
        tokio::select! {
            _ = &mut round => panic!("it stalls"),
            () = &mut stalled => {}
        }
    }
    // The process died; another one finishes.
    assert_eq!(reaper.round(after(31)).await.unwrap().deleted, 1);
    house.store.resume();
    assert!(house.store.is_empty() && house.known().await.is_empty());
}

#[tokio::test]
async fn a_round_full_of_failures_holds_nobody_up() {
    stuck_at_the_head(House::new().await).await;
    let dir = tempfile::tempdir().unwrap();
    stuck_at_the_head(House::on_sqlite(&dir).await).await;
}

/// The store cannot delete the first round of bodies, nor the second; all others go, and a store that takes nothing is left alone.
async fn stuck_at_the_head(house: House) {
    for number in 0..20 {
        let (_, uid) = house.deliver(&format!("message {number}")).await;
        house.expunge(uid, NOW).await;
    }
    let reaper = reaper(&house, 4);
    let fail = |count| (0..count).for_each(|_| house.store.fault(Operation::Delete, Fault::Fail));
    fail(8);
    let all = reaper.run(after(31), 50).await.unwrap();
    // Those that failed at first come again, and go.
    assert_eq!(all.deleted, 20, "{all:?}");
    assert!(house.store.is_empty() && house.known().await.is_empty());

    for number in 0..20 {
        let (_, uid) = house.deliver(&format!("message {number}")).await;
        house.expunge(uid, NOW).await;
    }
    fail(4 * BARREN);
    let none = reaper.run(after(31), 50).await.unwrap();
    assert_eq!((none.deleted, none.doomed), (0, none.failed), "{none:?}");
    assert!((4..20).contains(&none.failed), "{none:?}");
    assert_eq!(reaper.run(after(31), 50).await.unwrap().deleted, 20);
    assert!(house.store.is_empty());
}

#[tokio::test]
async fn reapers_beside_each_other_do_no_harm() {
    let house = House::new().await;
    let (stays, _) = house.deliver("stays").await;
    for number in 0..40 {
        let (_, uid) = house.deliver(&format!("message {number}")).await;
        house.expunge(uid, NOW).await;
    }
    let (one, other) = (reaper(&house, 7), reaper(&house, 7));
    let (one, other) = tokio::join!(one.run(after(31), 50), other.run(after(31), 50));
    assert!(one.is_ok() && other.is_ok());
    assert_eq!(house.rows().await, [stays]);
    assert_eq!(house.store.len(), 1);
    let changes = house.index.changes(house.inbox, ModSeq(0)).await.unwrap();
    let uids: Vec<Uid> = changes.changed.iter().map(|it| it.uid).collect();
    assert_eq!(uids, [Uid(1)]);
}
