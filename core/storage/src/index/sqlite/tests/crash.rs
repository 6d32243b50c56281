//! Attack 45: a process that is killed at any moment. A child of this test program appends in batches and tells which are answered; it is
//! killed, and what it told must be there, whole batches or nothing.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;

use super::{again, faults, open};
use crate::index::{
    ExpungeWhich, Flags, Index, MailboxId, ModSeq, StoreMode, Uid,
    contract::{self, Home, NOW},
    sqlite::SqliteIndex,
};

const FILE: &str = "POSTRIDER_CRASH_TEST_FILE";
const BATCH: u32 = 7;

/// Not a test of its own: what the child does.
#[test]
fn child() {
    let Ok(file) = std::env::var(FILE) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(append_for_ever(&file));
}

async fn append_for_ever(file: &str) {
    let index: Arc<dyn Index> = Arc::new(SqliteIndex::open(file, 1).await.unwrap());
    let account = index.account("ada@example.test").await.unwrap().unwrap().id;
    let inbox = index.mailbox(account, "INBOX").await.unwrap().unwrap().id;
    let home = Home {
        index,
        account,
        inbox,
    };
    let start = home.mailbox(inbox).await.uid_next.0;
    for batch in 0.. {
        let name = format!("{start}.{batch}");
        let uids = home.fill(inbox, &name, BATCH).await;
        // Other work between, so that a kill also falls into it.
        home.store(inbox, &uids[1..3], StoreMode::Add, Flags::SEEN, &["k"])
            .await
            .unwrap();
        let which = ExpungeWhich::Exactly(vec![uids[0]]);
        home.expunge(inbox, which, NOW).await.unwrap();
        println!("answered {}", uids[6].0);
    }
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let dir = TempDir::new().unwrap();
    let mut home = Home::new(Arc::new(open(&dir).await), None).await;
    let mut answered = 0;
    for round in 0..8u64 {
        let start = home.mailbox(home.inbox).await.uid_next.0;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "index::sqlite::tests::crash::child",
                "--exact",
                "--nocapture",
            ])
            .env(FILE, super::path(&dir))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = |line: std::io::Result<String>| -> Option<u32> {
            line.ok()?.strip_prefix("answered ")?.parse().ok()
        };
        let Some(first) = lines.by_ref().find_map(told) else {
            panic!("the child went away by itself: {:?}", child.wait());
        };
        // Somewhere inside the next batches.
        std::thread::sleep(Duration::from_micros(300 * round * round));
        child.kill().unwrap();
        child.wait().unwrap();
        answered = lines.filter_map(told).fold(answered.max(first), u32::max);

        home = again(&home, open(&dir).await);
        let index = open(&dir).await;
        assert_eq!(
            index.read(|conn| Ok(faults::integrity(conn)?)).await,
            Ok("ok".to_owned())
        );
        home.check().await;
        verify(&home, home.inbox, answered).await;
        let appended = home.mailbox(home.inbox).await.uid_next.0 - start;
        assert_eq!(appended % BATCH, 0, "whole batches or nothing of them");
        // And work goes on.
        home.append(home.inbox, &format!("after{round}"), 1)
            .await
            .unwrap();
        let which = ExpungeWhich::Exactly(home.uids(home.inbox).await);
        home.expunge(home.inbox, which, NOW).await.unwrap();
    }
    assert!(answered > 0);
    home.one(contract::add_domain("done.test")).await.unwrap();
}

/// UIDs come without gaps but for those expunged, and none is there twice.
async fn verify(home: &Home, inbox: MailboxId, answered: u32) {
    let mailbox = home.mailbox(inbox).await;
    assert!(
        mailbox.uid_next.0 > answered,
        "UID {answered} was answered: {mailbox:?}"
    );
    let seen = home.index.changes(inbox, ModSeq(1)).await.unwrap();
    let mut all: Vec<Uid> = seen.changed.iter().map(|it| it.uid).collect();
    all.extend(&seen.expunged);
    all.sort();
    assert_eq!(all, (1..mailbox.uid_next.0).map(Uid).collect::<Vec<_>>());
    let bodies: BTreeSet<_> = seen.changed.iter().map(|it| it.blob).collect();
    assert_eq!(bodies.len(), seen.changed.len(), "no message twice");
}
