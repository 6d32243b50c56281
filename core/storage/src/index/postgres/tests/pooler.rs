//! Behind a pooler that gives each transaction another connection.

use std::{fs, path::Path, process::Command, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    server::{free_port, hand_over, settings},
    shared,
};
use crate::index::{
    Hearing, Index, MemoryIndex, PostgresIndex, PostgresSettings,
    contract::{Home, random},
};

const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A pooler with two connections to the server for any number of its own.
struct Pooler {
    child: std::process::Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Pooler {
    async fn start() -> Pooler {
        assert!(
            Path::new(PROGRAM).exists(),
            "there is no pgbouncer: install the Debian package pgbouncer"
        );
        let dir = tempfile::Builder::new()
            .prefix("postrider-pgb")
            .tempdir()
            .unwrap();
        let port = free_port();
        let text = format!(
            "[databases]\n* = user=postgres host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n\
             ignore_startup_parameters = extra_float_digits\n",
            shared().port
        );
        let file = dir.path().join("pgbouncer.ini");
        fs::write(&file, text).unwrap();
        hand_over(dir.path());
        hand_over(&file);
        let command = super::server::as_user(Path::new(PROGRAM));
        let child = Command::new(&command[0])
            .args(&command[1..])
            .arg("-q")
            .arg(&file)
            .current_dir(dir.path())
            .spawn()
            .unwrap();
        let pooler = Pooler {
            child,
            port,
            _dir: dir,
        };
        for _ in 0..300 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
            {
                return pooler;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("pgbouncer does not listen");
    }

    fn settings(&self, database: &str) -> PostgresSettings {
        PostgresSettings {
            listen_url: Some(shared().url(database)),
            ..settings(&format!(
                "postgres://postgres@127.0.0.1:{}/{database}",
                self.port
            ))
        }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_works_through_a_pooler() {
    let pooler = Pooler::start().await;
    let database = shared().database().await;
    let index = PostgresIndex::open(&pooler.settings(&database))
        .await
        .unwrap();
    random::same(&MemoryIndex::new(), &index, 3, 100).await;

    let database = shared().database().await;
    let index = PostgresIndex::open(&pooler.settings(&database))
        .await
        .unwrap();
    let other = PostgresIndex::open(&pooler.settings(&database))
        .await
        .unwrap();
    let home = Home::new(Arc::new(index), None).await;
    let tasks: Vec<_> = (0..30)
        .map(|nth| {
            let home = match nth % 2 {
                0 => home.clone(),
                _ => super::again(&home, other.clone()),
            };
            tokio::spawn(async move { home.append(home.inbox, &format!("p{nth}"), 1).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(home.uids(home.inbox).await.len(), 30);
    home.check().await;
}

/// Two programs tell one server to keep the same statement: both learn that it is not theirs alone, and neither is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_kept_behind_a_pooler() {
    let pooler = Pooler::start().await;
    let database = shared().database().await;
    let open = async || PostgresIndex::open(&pooler.settings(&database)).await;
    let (one, other) = (open().await.unwrap(), open().await.unwrap());
    let home = Home::new(Arc::new(one.clone()), None).await;
    // In turns, so that the pooler gives both the connection that was used last.
    for _ in 0..20 {
        let (mine, its) = (
            one.mailbox_by_id(home.inbox).await,
            other.mailbox_by_id(home.inbox).await,
        );
        assert_eq!(mine.unwrap().unwrap().id, home.inbox);
        assert_eq!(its.unwrap().unwrap().account, home.account);
    }
    assert!(!one.pool.keeps() || !other.pool.keeps());
}

/// Who gave no way around the pooler finds out that nothing is heard, and asks instead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_news_the_generation_tells_of_others() {
    let pooler = Pooler::start().await;
    let database = shared().database().await;
    let deaf = PostgresSettings {
        listen_url: None,
        ..pooler.settings(&database)
    };
    let index = PostgresIndex::open(&deaf).await.unwrap();
    let home = Home::new(Arc::new(super::open(shared(), &database).await), None).await;
    index.generation().await.unwrap();
    let seen = index.generation().await.unwrap();
    home.append(home.inbox, "told", 1).await.unwrap();
    assert!(index.generation().await.unwrap() > seen);
}

/// Behind a pooler too `fsck` and `copy` learn that a server works, whether it has a way around it or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_behind_a_pooler_is_seen() {
    const ROWS: &str = "SELECT count(*)::text FROM lease WHERE name LIKE 'serves %'";
    let pooler = Pooler::start().await;
    let database = shared().database().await;
    let around = pooler.settings(&database);
    let deaf = PostgresSettings {
        listen_url: None,
        ..around.clone()
    };
    let looks = PostgresSettings {
        hearing: Hearing::Nobody,
        ..deaf.clone()
    };
    let looks = PostgresIndex::open(&looks).await.unwrap();
    let becomes = async |wanted: bool| {
        let waited = timeout(Duration::from_secs(60), async {
            while looks.is_served().await.unwrap() != wanted {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        waited.await.expect("not in a minute");
    };
    assert!(!looks.is_served().await.unwrap());

    // Around it by the lock, which ends with its connection.
    let server = PostgresIndex::open(&around).await.unwrap();
    becomes(true).await;
    drop(server);
    shared()
        .execute(&database, "DELETE FROM lease")
        .await
        .unwrap();
    becomes(false).await;

    // Without a way around it by a row: from the start, again and again, and for a minute at most after the end.
    let server = PostgresIndex::open(&deaf).await.unwrap();
    assert!(server.is_deaf());
    assert!(looks.is_served().await.unwrap());
    assert_eq!(shared().ask(&database, ROWS).await, "1");
    let end = "UPDATE lease SET until = 0";
    shared().execute(&database, end).await.unwrap();
    assert!(!looks.is_served().await.unwrap());
    becomes(true).await;
    drop(server);
    shared().execute(&database, end).await.unwrap();
    // Longer than a row is written again.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!looks.is_served().await.unwrap());
    // The next server takes away what is left of others.
    let _server = PostgresIndex::open(&deaf).await.unwrap();
    assert_eq!(shared().ask(&database, ROWS).await, "1");
}
