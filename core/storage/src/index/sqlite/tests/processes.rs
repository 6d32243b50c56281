//! More than one process on one file. Here each is an index of its own: to SQLite connections of one process and of two differ in
//! nothing but how they lock, and `crash` has real ones.

use std::sync::Arc;

use tempfile::TempDir;

use super::{again, open, path};
use crate::index::{
    Change, TouchLogin, Uid,
    contract::{self, Home, NOW},
    sqlite::SqliteIndex,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_write_at_once() {
    let dir = TempDir::new().unwrap();
    let home = Home::new(Arc::new(open(&dir).await), Some(505)).await;
    let other = again(&home, open(&dir).await);
    let write = |home: Home, name: &'static str| {
        tokio::spawn(async move {
            let mut uids = Vec::new();
            for nth in 0..50 {
                match home.append(home.inbox, &format!("{name}{nth}"), 10).await {
                    Ok(appended) => uids.push(appended.uid),
                    Err(crate::Error::OverQuota { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            uids
        })
    };
    let (a, b) = (write(home.clone(), "a"), write(other.clone(), "b"));
    let mut uids = a.await.unwrap();
    uids.extend(b.await.unwrap());
    uids.sort();
    assert_eq!(
        uids,
        (1..=50).map(Uid).collect::<Vec<_>>(),
        "I3 and I4 hold between them"
    );
    home.check().await;
    assert_eq!(home.uids(home.inbox).await, other.uids(other.inbox).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_start_at_once() {
    for _ in 0..5 {
        let dir = TempDir::new().unwrap();
        let start = || {
            let path = path(&dir);
            tokio::spawn(async move { SqliteIndex::open(&path, 1).await.map(|_| ()) })
        };
        for task in [start(), start(), start(), start()] {
            task.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn the_generation_tells_of_others() {
    let dir = TempDir::new().unwrap();
    let home = Home::new(Arc::new(open(&dir).await), None).await;
    let other = again(&home, open(&dir).await);
    let mut seen = home.index.generation().await.unwrap();
    assert_eq!(
        home.index.generation().await,
        Ok(seen),
        "asking changes nothing"
    );

    // A change of the directory, made by another process or by this one.
    other.one(contract::add_domain("a.test")).await.unwrap();
    let after = home.index.generation().await.unwrap();
    assert!(after > seen);
    seen = after;
    home.one(contract::add_domain("b.test")).await.unwrap();
    let after = home.index.generation().await.unwrap();
    assert!(after > seen);
    seen = after;

    // A change of a mailbox: only the other's.
    home.append(home.inbox, "own", 1).await.unwrap();
    assert_eq!(home.index.generation().await, Ok(seen));
    other.append(other.inbox, "other", 1).await.unwrap();
    let after = home.index.generation().await.unwrap();
    assert!(after > seen);
    seen = after;

    // Also if this process writes before it asks.
    other.append(other.inbox, "other2", 1).await.unwrap();
    home.append(home.inbox, "own2", 1).await.unwrap();
    let after = home.index.generation().await.unwrap();
    assert!(after > seen);
    seen = after;
    let touch = TouchLogin {
        account: home.account,
        now: NOW,
    };
    home.one(Change::TouchLogin(touch)).await.unwrap();
    assert_eq!(home.index.generation().await, Ok(seen));
}
