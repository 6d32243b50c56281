//! What only a file can get wrong.

#![allow(clippy::unwrap_used)]

mod crash;
mod faults;
mod processes;
mod restored;
mod speed;

use std::{
    sync::{Arc, Mutex},
    time::SystemTime,
};

use tempfile::TempDir;

use super::SqliteIndex;
use crate::index::{
    BlobId, Change, CopyMode, ExpungeWhich, Index, MemoryIndex, ModSeq, Uid,
    contract::{self, Home, NOW, random},
};

fn path(dir: &TempDir) -> String {
    dir.path().join("index.db").to_str().unwrap().to_owned()
}

async fn open(dir: &TempDir) -> SqliteIndex {
    SqliteIndex::open(&path(dir), 2).await.unwrap()
}

/// The same account in an index opened anew.
fn again(home: &Home, index: SqliteIndex) -> Home {
    Home {
        index: Arc::new(index),
        ..home.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_contract() {
    let dirs = Mutex::new(Vec::new());
    contract::all(async || {
        let dir = TempDir::new().unwrap();
        let index = open(&dir).await;
        dirs.lock().unwrap().push(dir);
        Arc::new(index) as Arc<dyn Index>
    })
    .await;
}

/// `INDEX_SEED=n` repeats a run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equals_the_model() {
    let chance = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let chance = u64::from(chance.unwrap().subsec_nanos());
    let seeds = match std::env::var("INDEX_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => vec![1, 2, 3, 4, chance],
    };
    for seed in seeds {
        println!("seed {seed}");
        let dir = TempDir::new().unwrap();
        let other = open(&dir).await;
        random::same(&MemoryIndex::new(), &other, seed, 120).await;
        let index = open(&dir).await;
        let integrity = index.read(|conn| Ok(faults::integrity(conn)?)).await;
        assert_eq!(integrity, Ok("ok".to_owned()), "seed {seed}");
    }
}

/// I3 over deletes, renames and restarts.
#[tokio::test]
async fn numbers_only_rise_over_a_restart() {
    let dir = TempDir::new().unwrap();
    let mut home = Home::new(Arc::new(open(&dir).await), None).await;
    let mut last = (Uid(0), ModSeq(0));
    let mut highest = (0, 0, BlobId(0));
    for round in 0..5 {
        let name = format!("round{round}");
        let appended = home.append(home.inbox, &name, 10).await.unwrap();
        assert!(appended.uid > last.0 && appended.modseq > last.1);
        let which = ExpungeWhich::Exactly(vec![appended.uid]);
        let gone = home.expunge(home.inbox, which, NOW).await.unwrap();
        last = (appended.uid, ModSeq(gone.highest_modseq));

        // The highest numbers go away, and are not given again.
        let id = home.create(&name).await.unwrap();
        let mailbox = home.mailbox(id).await;
        assert!(mailbox.id.0 > highest.0 && mailbox.uid_validity.0 > highest.1);
        home.append(id, &format!("in{round}"), 10).await.unwrap();
        let blob = home
            .index
            .all_blobs(highest.2, 100)
            .await
            .unwrap()
            .pop()
            .unwrap()
            .id;
        highest = (mailbox.id.0, mailbox.uid_validity.0, blob);
        home.rename(&name, "other").await.unwrap();
        home.delete("other").await.unwrap();
        let before = crate::index::Timestamp(i64::MAX);
        let reap = crate::index::Reap { before, limit: 100 };
        let doomed = match home.one(Change::Reap(reap)).await.unwrap() {
            crate::index::Outcome::Doomed(doomed) => doomed,
            other => panic!("{other:?}"),
        };
        let blobs = doomed.iter().map(|it| it.id).collect();
        home.one(Change::Forget(crate::index::Forget { blobs }))
            .await
            .unwrap();
        home.check().await;
        home = again(&home, open(&dir).await);
    }
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let dir = TempDir::new().unwrap();
    let home = Home::new(Arc::new(open(&dir).await), Some(1000)).await;
    let uids = home.fill(home.inbox, "m", 5).await;
    let to = home.create("to/이름").await.unwrap();
    home.copy(home.inbox, &uids[..2], to, CopyMode::Move)
        .await
        .unwrap();
    let before = (
        home.account().await,
        home.index.mailboxes(home.account).await.unwrap(),
        home.index.changes(home.inbox, ModSeq(1)).await.unwrap(),
        home.index.changes(to, ModSeq(0)).await.unwrap(),
        home.index.all_blobs(BlobId(0), 100).await.unwrap(),
    );
    let home = again(&home, open(&dir).await);
    let after = (
        home.account().await,
        home.index.mailboxes(home.account).await.unwrap(),
        home.index.changes(home.inbox, ModSeq(1)).await.unwrap(),
        home.index.changes(to, ModSeq(0)).await.unwrap(),
        home.index.all_blobs(BlobId(0), 100).await.unwrap(),
    );
    assert_eq!(after, before);
}
