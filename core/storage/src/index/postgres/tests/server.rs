//! A PostgreSQL of its own for the tests ([`Process`]), and its databases.
//!
//! The tests of the programs include this file too: it knows of the index only what whoever includes it imports.

// Also found by who includes this file from elsewhere.
#[path = "server/process.rs"]
pub(super) mod process;

use std::{
    ops::Deref,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio_postgres::NoTls;

#[allow(unused_imports)] // whoever includes this file needs a part
pub(super) use self::process::{FAST, Process, as_user, free_port, hand_over};
use super::{Hearing, PostgresIndex, PostgresSettings};

/// A server.
pub(super) struct Server {
    process: Process,
    databases: AtomicU32,
}

impl Deref for Server {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

/// The server that most tests share.
pub(super) fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::start(&[FAST]))
}

impl Server {
    /// Makes and starts one with these settings.
    pub(super) fn start(settings: &[&str]) -> Server {
        Self::of(Process::start(settings))
    }

    /// One that runs.
    pub(super) fn of(process: Process) -> Server {
        Server {
            process,
            databases: AtomicU32::new(0),
        }
    }

    /// Runs statements as its master.
    pub(super) async fn execute(
        &self,
        database: &str,
        text: &str,
    ) -> Result<(), tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.url(database), NoTls).await?;
        let driver = tokio::spawn(connection);
        let done = client.batch_execute(text).await;
        drop(client);
        let _ = driver.await;
        done
    }

    /// The first column of the first row of a query, as text.
    pub(super) async fn ask(&self, database: &str, query: &str) -> String {
        let (client, connection) = tokio_postgres::connect(&self.url(database), NoTls)
            .await
            .unwrap();
        let driver = tokio::spawn(connection);
        let rows = client.simple_query(query).await.unwrap();
        drop(client);
        let _ = driver.await;
        let first = rows.iter().find_map(|it| match it {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                Some(row.get(0).unwrap_or_default().to_owned())
            }
            _ => None,
        });
        first.unwrap_or_default()
    }

    /// A database without anything.
    pub(super) async fn empty(&self) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute(
            "postgres",
            &format!("CREATE DATABASE {name} TEMPLATE template0"),
        )
        .await
        .unwrap();
        name
    }

    /// A database with the schema and nothing in it.
    pub(super) async fn database(&self) -> String {
        static MADE: tokio::sync::Mutex<Vec<u16>> = tokio::sync::Mutex::const_new(Vec::new());
        let mut made = MADE.lock().await;
        if !made.contains(&self.port) {
            self.execute("postgres", "CREATE DATABASE base TEMPLATE template0")
                .await
                .unwrap();
            PostgresIndex::migrate(&settings(&self.url("base")))
                .await
                .unwrap();
            made.push(self.port);
        }
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let copy = format!("CREATE DATABASE {name} TEMPLATE base STRATEGY FILE_COPY");
        // Who migrated it may not have left yet.
        for _ in 0..100 {
            match self.execute("postgres", &copy).await {
                Ok(()) => return name,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        self.execute("postgres", &copy).await.unwrap();
        name
    }
}

/// Settings of an index at a URL.
pub(super) fn settings(url: &str) -> PostgresSettings {
    PostgresSettings {
        url: url.to_owned(),
        listen_url: None,
        password: None,
        pool_size: 5,
        hearing: Hearing::Everybody,
    }
}
