//! Several processes on one database: here each is an index with connections of its own, which is all that the server sees of a process.

use std::sync::Arc;

use super::{again, open, server::settings, shared};
use crate::{
    Error,
    index::{
        Append, AppendAll, Change, CopyMode, ExpungeWhich, Flags, Index, MailboxId, ModSeq,
        Outcome, PostgresIndex, Reap, SetDomainActive, StoreMode, Timestamp, Uid,
        contract::{self, Home, NOW, body},
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_write_at_once() {
    let database = shared().database().await;
    let home = Home::new(Arc::new(open(shared(), &database).await), Some(905)).await;
    let mut tasks = Vec::new();
    for process in 0..3 {
        let home = again(&home, open(shared(), &database).await);
        tasks.push(tokio::spawn(async move {
            let mut uids = Vec::new();
            for nth in 0..40 {
                match home
                    .append(home.inbox, &format!("p{process}.{nth}"), 10)
                    .await
                {
                    Ok(appended) => uids.push(appended.uid),
                    Err(Error::OverQuota { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            uids
        }));
    }
    let mut uids = Vec::new();
    for task in tasks {
        uids.extend(task.await.unwrap());
    }
    uids.sort();
    let all: Vec<Uid> = (1..=90).map(Uid).collect();
    assert_eq!(uids, all, "I3 and I4 hold between them");
    home.check().await;
}

/// Batches that touch two accounts each, in opposite orders, with everything else in between: nobody waits in a circle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_across_accounts_do_not_get_stuck() {
    let database = shared().database().await;
    let one = Home::new(Arc::new(open(shared(), &database).await), None).await;
    let two = Home::add(one.index.clone(), "two@example.test", None).await;
    let (one_to, two_to) = (
        one.create("to").await.unwrap(),
        two.create("to").await.unwrap(),
    );
    one.fill(one.inbox, "start1", 30).await;
    two.fill(two.inbox, "start2", 30).await;
    let mut tasks = Vec::new();
    for process in 0..4 {
        let index = Arc::new(open(shared(), &database).await);
        let (mut first, mut second) =
            (again(&one, (*index).clone()), again(&two, (*index).clone()));
        let (mut first_to, mut second_to) = (one_to, two_to);
        if process % 2 == 1 {
            std::mem::swap(&mut first, &mut second);
            std::mem::swap(&mut first_to, &mut second_to);
        }
        tasks.push(tokio::spawn(async move {
            for round in 0..12 {
                let changes = mixed(&first, first_to, &second, process, round);
                for answer in index.apply(changes).await {
                    match answer {
                        Ok(_) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    one.check().await;
    two.check().await;
}

fn mixed(first: &Home, to: MailboxId, second: &Home, process: u32, round: u32) -> Vec<Change> {
    let name = |which: &str| body(&format!("{which}.{process}.{round}"), 7);
    let append = |home: &Home, which: &str| -> Append { home.append_of(home.inbox, name(which)) };
    let uids: Vec<Uid> = (1..=5).map(|nth| Uid(nth + round)).collect();
    let mut changes = vec![
        Change::Append(append(first, "a")),
        Change::AppendAll(AppendAll {
            appends: vec![append(second, "b"), append(first, "c")],
        }),
        Change::Copy(crate::index::Copy {
            account: first.account,
            from: first.inbox,
            uids: uids.clone(),
            to,
            mode: CopyMode::Copy,
            now: NOW,
        }),
        Change::Store(crate::index::Store {
            mailbox: second.inbox,
            uids,
            mode: StoreMode::Add,
            flags: Flags::SEEN,
            keywords: vec![format!("k{process}")],
            unchanged_since: None,
        }),
        Change::Expunge(crate::index::Expunge {
            account: second.account,
            mailbox: second.inbox,
            which: ExpungeWhich::Exactly(vec![Uid(1 + process + 4 * round)]),
            now: NOW,
        }),
        Change::Reap(Reap {
            before: Timestamp(i64::MAX),
            limit: 3,
        }),
    ];
    if process == 0 {
        changes.push(Change::SetDomainActive(SetDomainActive {
            name: "example.test".to_owned(),
            active: true,
        }));
    }
    changes
}

/// Hosts whose own clocks differ agree on when a right ends: it is the server's clock that says it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clock_is_the_servers() {
    let database = shared().database().await;
    let index = open(shared(), &database).await;
    let ask = async || -> i64 {
        let query = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        shared().ask(&database, query).await.parse().unwrap()
    };
    let before = ask().await;
    let now = index.shared_clock().await.unwrap().unwrap();
    assert!((before..=ask().await).contains(&now.0), "{before} {now:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_start_at_once() {
    let database = shared().empty().await;
    let start = || {
        let url = shared().url(&database);
        tokio::spawn(async move { PostgresIndex::open(&settings(&url)).await.map(|_| ()) })
    };
    for task in [start(), start(), start(), start()] {
        task.await.unwrap().unwrap();
    }
    assert_eq!(
        PostgresIndex::migrate(&settings(&shared().url(&database))).await,
        Ok(Vec::new())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_is_refused() {
    let database = shared().database().await;
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('99999999999999')";
    shared().execute(&database, newer).await.unwrap();
    let refused = PostgresIndex::open(&settings(&shared().url(&database))).await;
    assert!(matches!(refused, Err(Error::NewerSchema { found, .. }) if found == "99999999999999"));
}

/// The same account and the same domain made by two at once: one of them is told that it exists.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_directory_is_made_once() {
    let database = shared().database().await;
    let (one, two) = (
        open(shared(), &database).await,
        open(shared(), &database).await,
    );
    contract::one(&one, contract::add_domain("example.test"))
        .await
        .unwrap();
    for nth in 0..10 {
        let change = contract::add_account(&format!("a{nth}@example.test"), None);
        let (a, b) = tokio::join!(
            contract::one(&one, change.clone()),
            contract::one(&two, change)
        );
        let made = [&a, &b].iter().filter(|it| it.is_ok()).count();
        assert_eq!(made, 1, "{a:?} {b:?}");
        assert!([a, b].contains(&Err(Error::Exists("account"))));
    }
}

/// Calls that are dropped at any moment leave no transaction open and hold up nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_calls_harm_nobody() {
    let database = shared().database().await;
    let home = Home::new(Arc::new(open(shared(), &database).await), None).await;
    for nth in 0..60u32 {
        let change = Change::Append(home.append_of(home.inbox, body(&format!("d{nth}"), 10)));
        let work = async {
            home.index.apply(vec![change]).await;
            home.index.changes(home.inbox, ModSeq(0)).await
        };
        let _ =
            tokio::time::timeout(std::time::Duration::from_micros(u64::from(nth) * 60), work).await;
    }
    // Everybody's turn comes.
    let last = home.append(home.inbox, "last", 10).await.unwrap();
    assert!(last.uid.0 <= 61);
    // What was begun comes to its end, also behind the back of who left.
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
        AND pid <> pg_backend_pid() AND state <> 'idle'";
    let mut quiet = 0;
    for _ in 0..600 {
        quiet = match shared().ask(&database, busy).await.as_str() {
            "0" => quiet + 1,
            _ => 0,
        };
        if quiet == 10 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(quiet, 10, "transactions that nobody ends");
    home.check().await;
}

/// A call may be awaited where another runtime lives than the one that opened the index.
#[test]
fn calls_come_from_any_runtime() {
    let service = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let home = service.block_on(async {
        let database = shared().database().await;
        Home::new(Arc::new(open(shared(), &database).await), None).await
    });
    let caller = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    caller.block_on(async {
        let appended = home
            .one(Change::Append(home.append_of(home.inbox, body("x", 1))))
            .await;
        assert!(matches!(appended, Ok(Outcome::Appended(_))));
        home.check().await;
    });
}
