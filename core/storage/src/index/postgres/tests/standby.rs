//! A standby: it takes no changes, and when it takes over it is found.

use std::sync::Arc;

use super::server::{FAST, Server, free_port, settings};
use crate::{
    Error,
    index::{
        Index, PostgresIndex,
        contract::{self, Home},
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_refuses_until_it_takes_over() {
    let primary = Server::start(&[FAST]);
    let database = primary.database().await;
    let home = Home::new(
        Arc::new(
            PostgresIndex::open(&settings(&primary.url(&database)))
                .await
                .unwrap(),
        ),
        None,
    )
    .await;
    home.append(home.inbox, "before", 1).await.unwrap();
    let second = Server::of(primary.standby(free_port(), &[FAST]));
    let replayed = "SELECT pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn()";
    assert_eq!(second.ask("postgres", replayed).await, "t");

    // Alone it can be read, and refuses to be changed.
    let reader = PostgresIndex::open(&settings(&second.url(&database)))
        .await
        .unwrap();
    assert_eq!(reader.domains().await.unwrap().len(), 1);
    let refused = contract::one(&reader, contract::add_domain("x.test")).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert!(matches!(reader.probe().await, Err(Error::Unavailable(_))));

    // Both named, the one that takes changes is used, and then the other.
    let url = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/{database}?target_session_attrs=read-write",
        second.port, primary.port
    );
    let home = super::again(&home, PostgresIndex::open(&settings(&url)).await.unwrap());
    let last = home.append(home.inbox, "on-the-first", 1).await.unwrap();
    let there = format!("SELECT count(*) FROM message WHERE uid = {}", last.uid);
    for _ in 0..200 {
        if second.ask(&database, &there).await == "1" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    primary.tell("kill");
    second
        .execute("postgres", "SELECT pg_promote()")
        .await
        .unwrap();
    let mut done = None;
    for _ in 0..60 {
        match home.append(home.inbox, "on-the-second", 1).await {
            Ok(appended) => {
                done = Some(appended);
                break;
            }
            Err(Error::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(done.is_some_and(|it| it.uid > last.uid));
    home.check().await;
    // The one that stood alone now takes changes too.
    contract::one(&reader, contract::add_domain("x.test"))
        .await
        .unwrap();
}
