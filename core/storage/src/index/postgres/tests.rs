//! What only a server, and several processes on it, can get wrong.

#![allow(clippy::unwrap_used)]

mod faults;
mod kept;
mod news;
mod pooler;
mod processes;
mod proxy;
mod server;
mod snapshot;
mod speed;
mod standby;
mod takeover;
mod tls;

use std::{sync::Arc, time::SystemTime};

use server::{Server, settings, shared};

use super::{Hearing, PostgresIndex, PostgresSettings, snapshot::Remembered};
use crate::{
    Error,
    index::{
        Index, MemoryIndex,
        contract::{self, Home, random},
    },
};

/// Another process on a database.
async fn open(server: &Server, database: &str) -> PostgresIndex {
    PostgresIndex::open(&settings(&server.url(database)))
        .await
        .unwrap()
}

/// The same account seen by another process.
fn again(home: &Home, index: PostgresIndex) -> Home {
    Home {
        index: Arc::new(index),
        ..home.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_contract() {
    contract::all(async || {
        let server = shared();
        let database = server.database().await;
        Arc::new(open(server, &database).await) as Arc<dyn Index>
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
        Err(_) => vec![1, 2, chance],
    };
    for seed in seeds {
        println!("seed {seed}");
        let database = shared().database().await;
        let mut index = open(shared(), &database).await;
        index.remembered = Remembered::of(1..=1_000);
        random::same(&MemoryIndex::new(), &index, seed, 120).await;
    }
}

#[tokio::test]
async fn a_bad_url_says_what_is_wrong() {
    for (url, word) in [
        ("postgres://u:hunter2@h/d?sslmode=perhaps", "sslmode"),
        (
            "postgres://u:hunter2@h/d?sslmode=verify-full&sslrootcert=/nowhere.pem",
            "/nowhere.pem",
        ),
    ] {
        let refused = PostgresIndex::open(&settings(url)).await;
        let Err(Error::Unavailable(text)) = refused else {
            panic!("{refused:?}");
        };
        assert!(text.contains(word) && !text.contains("hunter2"), "{text}");
    }
}
