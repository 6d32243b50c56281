//! Statements that the server keeps, and connections that end, or whose readers leave, at any time.

use std::time::Duration;

use tokio::time::timeout;

use super::{open, shared};
use crate::index::{AccountId, Index, ModSeq, PostgresIndex, Uid, contract::Home};

/// How often something is looked at, so that it is seen by every connection that there is.
const OFTEN: usize = 20;

async fn home(index: &PostgresIndex) -> Home {
    Home::new(std::sync::Arc::new(index.clone()), None).await
}

/// A server keeps the statements of its connections, and a change of its tables costs nobody an answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_statements_outlive_no_table() {
    let database = shared().database().await;
    let index = open(shared(), &database).await;
    let home = home(&index).await;
    for name in ["INBOX", "it's \\ \"one\"", "gone\0"] {
        let found = index.mailbox(home.account, name).await.unwrap();
        assert_eq!(found.is_some(), name == "INBOX", "{name:?}");
    }
    for _ in 0..OFTEN {
        let found = index.mailbox_by_id(home.inbox).await.unwrap().unwrap();
        assert_eq!((found.id, found.account), (home.inbox, home.account));
        let other = AccountId(home.account.0 + 1);
        assert_eq!(index.mailbox(other, "INBOX").await.unwrap(), None);
    }
    assert!(index.pool.keeps());
    let wider = "ALTER TABLE mailbox ALTER COLUMN special_use TYPE varchar(100)";
    shared().execute(&database, wider).await.unwrap();
    for _ in 0..OFTEN {
        assert!(index.mailbox_by_id(home.inbox).await.unwrap().is_some());
    }
    assert!(!index.pool.keeps(), "the plan was kept after all");
}

/// Who lists first after a start finds connections that have planned it: as many as a session uses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_leaves_two_connections_that_know_what_to_do() {
    let database = shared().database().await;
    let _index = open(shared(), &database).await;
    let count = format!(
        "DO $$ DECLARE warm int := (SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND state = 'idle' \
            AND query LIKE 'EXECUTE postrider%'); \
         BEGIN IF warm <> 2 THEN RAISE EXCEPTION '% connections', warm; END IF; END $$"
    );
    shared().execute(&database, &count).await.unwrap();
}

/// What the server closed while nobody used it is noticed before anything is sent there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_was_closed_while_idle_costs_nobody_an_answer() {
    let database = shared().database().await;
    let index = open(shared(), &database).await;
    let home = home(&index).await;
    for _ in 0..3 {
        let end = format!(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
             WHERE datname = '{database}' AND pid <> pg_backend_pid()"
        );
        shared().execute("postgres", &end).await.unwrap();
        // A commit is never tried again once it is on its way: it must not go where nobody is.
        home.append(home.inbox, "after", 1).await.unwrap();
        assert_eq!(home.uids(home.inbox).await, [Uid(1)]);
    }
}

/// Whoever leaves in the middle of a read leaves no connection behind that is not whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_nobody_waits_for_leave_connections_whole() {
    let database = shared().database().await;
    let index = open(shared(), &database).await;
    let home = home(&index).await;
    home.append(home.inbox, "one", 1).await.unwrap();
    let before = index.mailbox_by_id(home.inbox).await.unwrap();
    for nth in 0..100 {
        // Some of them have begun, and some have ended.
        let patience = Duration::from_micros(nth * 10);
        let _ = timeout(patience, index.mailbox(home.account, "INBOX")).await;
        let _ = timeout(patience, index.changes(home.inbox, ModSeq(0))).await;
        let _ = timeout(patience, index.changes(home.inbox, ModSeq(1))).await;
        let _ = timeout(patience, index.blobs(home.inbox, &[Uid(1)])).await;
    }
    assert_eq!(index.mailbox_by_id(home.inbox).await.unwrap(), before);
    let all = index.changes(home.inbox, ModSeq(0)).await.unwrap();
    assert_eq!(all.changed.len(), 1);
}
