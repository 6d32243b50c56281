//! A database in trouble: what is acknowledged is there once, what is not says so, and it goes on by itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    again, open,
    proxy::{Cut, Proxy},
    server::{Server, settings},
    shared,
};
use crate::{
    Error,
    index::{
        Change, ModSeq, Outcome, PostgresIndex, Uid,
        contract::{Home, body},
    },
};

/// Attack 45: the server dies in the middle of everything, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_45_a_killed_server_loses_nothing_that_was_acknowledged() {
    let server = Arc::new(Server::start(&[]));
    let database = server.database().await;
    let home = Home::new(Arc::new(open(&server, &database).await), None).await;
    let until = Instant::now() + Duration::from_secs(60);
    let mut writers = Vec::new();
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    for writer in 0..4 {
        let home = again(&home, open(&server, &database).await);
        let done = done.clone();
        writers.push(tokio::spawn(async move {
            let mut acknowledged: Vec<(String, Uid)> = Vec::new();
            for nth in 0.. {
                if done.load(std::sync::atomic::Ordering::SeqCst) || Instant::now() > until {
                    break;
                }
                let name = format!("k{writer}.{nth}");
                // Who hears of trouble says it again, as deliveries are said again.
                for _ in 0..100 {
                    match home.append(home.inbox, &name, 3).await {
                        Ok(appended) => {
                            acknowledged.push((name, appended.uid));
                            break;
                        }
                        Err(Error::Unavailable(_)) => {
                            tokio::time::sleep(Duration::from_millis(50)).await
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            acknowledged
        }));
    }
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let killed = server.clone();
        tokio::task::spawn_blocking(move || {
            killed.tell("kill");
            killed.tell("start");
            killed.wait_ready();
        })
        .await
        .unwrap();
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    done.store(true, std::sync::atomic::Ordering::SeqCst);
    let mut all = Vec::new();
    for writer in writers {
        all.extend(writer.await.unwrap());
    }
    assert!(all.len() > 10, "{} messages", all.len());
    let mut uids: Vec<Uid> = all.iter().map(|(_, uid)| *uid).collect();
    uids.sort();
    assert!(uids.is_sorted_by(|a, b| a < b), "no UID twice (I3)");
    let home = again(&home, open(&server, &database).await);
    assert_eq!(
        home.uids(home.inbox).await,
        uids,
        "each once, and nothing else"
    );
    home.check().await;
}

/// What happens to a commit that nobody hears of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_45_an_unheard_commit_is_unavailable() {
    let database = shared().database().await;
    let proxy = Proxy::start(shared().port).await;
    let url = format!("postgres://postgres@127.0.0.1:{}/{database}", proxy.port);
    let index = Arc::new(PostgresIndex::open(&settings(&url)).await.unwrap());
    let home = Home::new(index, None).await;
    let first = home.append(home.inbox, "first", 1).await.unwrap();
    for (nth, cut) in [Cut::Before, Cut::After, Cut::Before, Cut::After]
        .into_iter()
        .enumerate()
    {
        let name = format!("cut{nth}");
        proxy.cut(cut);
        let answer = home.append(home.inbox, &name, 1).await;
        assert!(proxy.was_cut(), "{cut:?}");
        // Nobody can know which of both it was, so it is never "done".
        assert!(
            matches!(answer, Err(Error::Unavailable(_))),
            "{cut:?}: {answer:?}"
        );
        let again = home.append(home.inbox, &name, 1).await.unwrap();
        let uids = home.uids(home.inbox).await;
        assert_eq!(uids.last(), Some(&again.uid));
        assert_eq!(uids.len(), nth + 2, "said twice, there once");
    }
    assert!(home.uids(home.inbox).await[0] == first.uid);
    home.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_takes_too_long_ends() {
    let database = shared().database().await;
    let url = format!("{}?statement_timeout=1", shared().url(&database));
    let home = Home::new(
        Arc::new(PostgresIndex::open(&settings(&url)).await.unwrap()),
        None,
    )
    .await;
    // Somebody holds the account and does not let go.
    let (client, connection) =
        tokio_postgres::connect(&shared().url(&database), tokio_postgres::NoTls)
            .await
            .unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("BEGIN; SELECT * FROM virtual_users FOR UPDATE")
        .await
        .unwrap();
    let refused = home.append(home.inbox, "waits", 1).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert_eq!(home.uids(home.inbox).await, [], "reads go on");
    client.batch_execute("ROLLBACK").await.unwrap();
    home.append(home.inbox, "waits", 1).await.unwrap();
    home.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_connections_are_waited_for() {
    let database = shared().database().await;
    shared()
        .execute("postgres", "DROP ROLE IF EXISTS few")
        .await
        .unwrap();
    let role = "CREATE ROLE few LOGIN CONNECTION LIMIT 2; GRANT pg_write_all_data, pg_read_all_data TO few; \
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO few";
    shared().execute(&database, role).await.unwrap();
    let home = Home::new(Arc::new(open(shared(), &database).await), None).await;
    let url = format!("postgres://few@127.0.0.1:{}/{database}", shared().port);
    // One connection listens and one is left, where five may be asked for.
    let home = again(&home, PostgresIndex::open(&settings(&url)).await.unwrap());
    let tasks: Vec<_> = (0..20)
        .map(|nth| {
            let home = home.clone();
            tokio::spawn(async move { home.append(home.inbox, &format!("c{nth}"), 1).await })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => done += 1,
            Err(Error::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(done > 0);
    home.append(home.inbox, "after", 1).await.unwrap();
    assert_eq!(home.uids(home.inbox).await.len(), done + 1);
}

/// A server that is not there is found again by itself, whatever is asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_away_is_found_again() {
    let server = Arc::new(Server::start(&[super::server::FAST]));
    let database = server.database().await;
    let home = Home::new(Arc::new(open(&server, &database).await), None).await;
    home.append(home.inbox, "before", 1).await.unwrap();
    tell(&server, "stop").await;
    let began = Instant::now();
    let change = Change::Append(home.append_of(home.inbox, body("away", 1)));
    let (read, written, probed) = tokio::join!(
        home.index.changes(home.inbox, ModSeq(0)),
        home.one(change.clone()),
        home.index.probe(),
    );
    assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
    assert!(matches!(written, Err(Error::Unavailable(_))), "{written:?}");
    assert!(matches!(probed, Err(Error::Unavailable(_))), "{probed:?}");
    assert!(began.elapsed() < Duration::from_secs(60));
    tell(&server, "start").await;
    let waits = server.clone();
    tokio::task::spawn_blocking(move || waits.wait_ready())
        .await
        .unwrap();
    let written = home.one(change).await;
    assert!(matches!(written, Ok(Outcome::Appended(_))), "{written:?}");
    home.index.probe().await.unwrap();
    home.check().await;
}

async fn tell(server: &Arc<Server>, word: &'static str) {
    let server = server.clone();
    tokio::task::spawn_blocking(move || server.tell(word))
        .await
        .unwrap();
}
