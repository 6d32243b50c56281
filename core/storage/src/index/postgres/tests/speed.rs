//! How fast, roughly: `cargo test -p postrider-storage postgres::tests::speed -- --ignored --nocapture`.

use std::{sync::Arc, time::Instant};

use super::{open, shared};

use crate::index::{
    Change, CopyMode, ExpungeWhich, Flags, ModSeq, StoreMode, Uid,
    contract::{self, Home, NOW},
};

fn rate(count: u32, start: Instant) -> f64 {
    f64::from(count) / start.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a test"]
async fn speed() {
    let database = shared().database().await;
    let home = Home::new(Arc::new(open(shared(), &database).await), None).await;
    let mut nth = 0;
    let mut appends = |count: u32| -> Vec<Change> {
        (0..count)
            .map(|_| {
                nth += 1;
                let mut body = contract::body(&format!("speed.{nth}"), 10);
                body.summary = vec![7; 2500];
                Change::Append(home.append_of(home.inbox, body))
            })
            .collect()
    };
    for (batch, rounds) in [(1, 300), (20, 50), (100, 95)] {
        let work: Vec<_> = (0..rounds).map(|_| appends(batch)).collect();
        let start = Instant::now();
        for changes in work {
            assert!(home.index.apply(changes).await.iter().all(Result::is_ok));
        }
        println!(
            "batches of {batch}: {:.0} appends/s",
            rate(batch * rounds, start)
        );
    }
    let uids: Vec<Uid> = (1..=10_000).map(Uid).collect();
    let to = home.create("to").await.unwrap();
    let start = Instant::now();
    home.store(home.inbox, &uids, StoreMode::Add, Flags::SEEN, &["k"])
        .await
        .unwrap();
    println!("store of 10,000: {:?}", start.elapsed());
    let start = Instant::now();
    home.copy(home.inbox, &uids, to, CopyMode::Copy)
        .await
        .unwrap();
    println!("copy of 10,000: {:?}", start.elapsed());
    let start = Instant::now();
    home.index.changes(to, ModSeq(0)).await.unwrap();
    println!("read of 10,000: {:?}", start.elapsed());
    let start = Instant::now();
    home.copy(home.inbox, &uids, to, CopyMode::Move)
        .await
        .unwrap();
    println!("move of 10,000: {:?}", start.elapsed());
    let start = Instant::now();
    home.expunge(to, ExpungeWhich::Exactly(uids), NOW)
        .await
        .unwrap();
    println!("expunge of 10,000: {:?}", start.elapsed());
    home.check().await;
}
