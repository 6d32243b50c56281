//! Many at once.

use std::sync::Arc;

use super::{Home, NOW, body, later};
use crate::{
    Error,
    index::{AppendAll, Change, Copy, CopyMode, ExpungeWhich, Index, Outcome, Reap, Uid},
};

pub(super) async fn all<F: AsyncFn() -> Arc<dyn Index>>(fresh: &F) {
    attack_41_quota_is_never_passed_together(fresh().await).await;
    uids_of_racing_appends(fresh().await).await;
    attack_46_copy_races_reap(fresh().await).await;
    one_answer_for_all_recipients(fresh().await).await;
}

/// Attack 41: a hundred deliveries at the limit less one.
async fn attack_41_quota_is_never_passed_together(index: Arc<dyn Index>) {
    let home = Home::new(index, Some(1000)).await;
    home.append(home.inbox, "first", 899).await.expect("room");
    let tasks: Vec<_> = (0..100)
        .map(|nth| {
            let home = home.clone();
            tokio::spawn(async move { home.append(home.inbox, &format!("r{nth}"), 10).await })
        })
        .collect();
    let mut accepted = 0;
    for task in tasks {
        match task.await.expect("no task panics") {
            Ok(_) => accepted += 1,
            Err(Error::OverQuota { quota: 1000, .. }) => {}
            Err(error) => panic!("an append brought {error:?}"),
        }
    }
    assert_eq!(accepted, 10);
    assert_eq!(home.account().await.used, 999);
    home.check().await;
}

/// A message for two accounts, one of which has no room for a second.
async fn one_answer_for_all_recipients(index: Arc<dyn Index>) {
    let roomy = Home::new(index.clone(), None).await;
    let narrow = Home::add(index, "narrow@example.test", Some(15)).await;
    let message = |name: &str| {
        Change::AppendAll(AppendAll {
            appends: vec![
                roomy.append_of(roomy.inbox, body(&format!("roomy.{name}"), 10)),
                narrow.append_of(narrow.inbox, body(&format!("narrow.{name}"), 10)),
            ],
        })
    };
    let first = roomy.one(message("first")).await;
    assert!(matches!(first, Ok(Outcome::AllAppended(all)) if all.len() == 2));
    let second = roomy.one(message("second")).await;
    assert!(matches!(second, Err(Error::OverQuota { quota: 15, .. })));
    assert_eq!(roomy.uids(roomy.inbox).await, [Uid(1)]);
    assert_eq!(roomy.account().await.used, 10);
    roomy.check().await;
    narrow.check().await;
}

async fn uids_of_racing_appends(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let tasks: Vec<_> = (0..20)
        .map(|nth| {
            let home = home.clone();
            tokio::spawn(async move { home.fill(home.inbox, &format!("r{nth}"), 5).await })
        })
        .collect();
    let mut uids = Vec::new();
    for task in tasks {
        let some = task.await.expect("no task panics");
        assert!(some.is_sorted());
        uids.extend(some);
    }
    uids.sort();
    assert_eq!(uids, (1..=100).map(Uid).collect::<Vec<_>>());
    home.check().await;
}

/// Attack 46: a body gets a new row at the moment in which the last old one is given up.
async fn attack_46_copy_races_reap(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let to = home.create("to").await.expect("made");
    for round in 0..20 {
        let appended = home.append_of(home.inbox, body(&format!("b{round}"), 10));
        let uid = match home.one(Change::Append(appended)).await {
            Ok(Outcome::Appended(appended)) => appended.uid,
            other => panic!("an append brought {other:?}"),
        };
        let copy = Change::Copy(Copy {
            account: home.account,
            from: home.inbox,
            uids: vec![uid],
            to,
            mode: CopyMode::Copy,
            now: NOW,
        });
        let copier = home.clone();
        let copier = tokio::spawn(async move { copier.one(copy).await });
        let reaper = home.clone();
        let reaper = tokio::spawn(async move {
            reaper
                .expunge(reaper.inbox, ExpungeWhich::Exactly(vec![uid]), NOW)
                .await
                .expect("gone");
            let before = later(1);
            reaper
                .one(Change::Reap(Reap {
                    before,
                    limit: 1000,
                }))
                .await
        });
        let copied = match copier.await.expect("no task panics") {
            Ok(Outcome::Copied(copied)) => copied.to,
            other => panic!("a copy brought {other:?}"),
        };
        let doomed = match reaper.await.expect("no task panics") {
            Ok(Outcome::Doomed(doomed)) => doomed,
            other => panic!("a reap brought {other:?}"),
        };
        let name = format!("/b{round}");
        let is_doomed = doomed.iter().any(|it| it.key.as_str().ends_with(&name));
        assert_eq!(
            is_doomed,
            copied.is_empty(),
            "doomed if and only if nothing names it"
        );
        let bodies = home.index.blobs(to, &copied).await.expect("reads work");
        assert_eq!(bodies.len(), copied.len());
    }
    home.check().await;
}
