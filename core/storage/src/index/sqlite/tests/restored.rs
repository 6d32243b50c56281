//! Attack 43: a database that is brought back from a backup never gives a UID again for another message, and one that is not
//! keeps what clients know.

use std::{collections::BTreeMap, fs, sync::Arc};

use diesel::{SqliteConnection, connection::SimpleConnection};
use tempfile::TempDir;

use super::{again, open, path};
use crate::{
    Error,
    index::{
        Index, Uid,
        contract::Home,
        sqlite::{connect, connect::Purpose, mark::Mark},
    },
};

/// A backup as SQLite makes it beside a running server.
fn back_up(dir: &TempDir) {
    let mut conn = connect::open(&path(dir), Purpose::Write).unwrap();
    let to = dir.path().join("backup.db");
    let _ = fs::remove_file(&to);
    let command = format!("VACUUM INTO '{}'", to.display());
    conn.batch_execute(&command).unwrap();
}

/// Puts the backup in the place of the database, as the manual says: after the server has stopped.
fn bring_back(dir: &TempDir) {
    // The threads that read end in their own time.
    let open = || {
        let files = fs::read_dir("/proc/self/fd").unwrap();
        let names = files.filter_map(|it| fs::read_link(it.ok()?.path()).ok());
        let database = path(dir);
        let mut names = names.filter_map(|it| Some(it.to_str()?.to_owned()));
        names.any(|it| it.starts_with(&database) && !it.contains("-mark"))
    };
    let began = std::time::Instant::now();
    while open() {
        assert!(began.elapsed().as_secs() < 30, "the database is still open");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{end}", path(dir)));
    }
    fs::copy(dir.path().join("backup.db"), path(dir)).unwrap();
}

/// What a client may have kept: by UIDVALIDITY and UID, which message that is.
#[derive(Default)]
struct Known(BTreeMap<(u32, u32), String>);

impl Known {
    async fn append(&mut self, home: &Home, name: &str) {
        let appended = home.append(home.inbox, name, 1).await.unwrap();
        let pair = (appended.uid_validity.0, appended.uid.0);
        let before = self.0.insert(pair, name.to_owned());
        assert_eq!(before, None, "{pair:?} was another message");
    }
}

#[tokio::test]
async fn attack_43_a_restored_backup_gives_no_uid_again() {
    let dir = TempDir::new().unwrap();
    let mut home = Home::new(Arc::new(open(&dir).await), None).await;
    let mut known = Known::default();
    known.append(&home, "before").await;
    for round in 0..3 {
        back_up(&dir);
        known.append(&home, &format!("lost{round}")).await;
        let validities = home.validities().await;
        drop(home.index);
        bring_back(&dir);
        home.index = Arc::new(open(&dir).await);
        let after = home.validities().await;
        let renewed = after.iter().all(|it| !validities.contains(it));
        assert!(renewed, "{validities:?} {after:?}");
        known.append(&home, &format!("after{round}")).await;
        home.check().await;
        // Noticed once.
        home = again(&home, open(&dir).await);
        assert_eq!(home.validities().await, after);
    }
}

/// Also one commit is too many, and a change of flags counts: modification sequences are given again too.
#[tokio::test]
async fn attack_43_any_commit_behind_the_backup_counts() {
    let dir = TempDir::new().unwrap();
    let mut home = Home::new(Arc::new(open(&dir).await), None).await;
    back_up(&dir);
    let flags = crate::index::Flags::SEEN;
    home.append(home.inbox, "a", 1).await.unwrap();
    back_up(&dir);
    let mode = crate::index::StoreMode::Add;
    home.store(home.inbox, &[Uid(1)], mode, flags, &[])
        .await
        .unwrap();
    let before = home.validities().await;
    drop(home.index);
    bring_back(&dir);
    home.index = Arc::new(open(&dir).await);
    assert_ne!(home.validities().await, before);
}

/// Nothing of this happens to who restarts, is killed, restores the newest state, or lost its mark.
#[tokio::test]
async fn attack_43_what_is_not_older_keeps_its_numbers() {
    let dir = TempDir::new().unwrap();
    let mut home = Home::new(Arc::new(open(&dir).await), None).await;
    home.append(home.inbox, "a", 1).await.unwrap();
    let before = home.validities().await;
    home = again(&home, open(&dir).await);
    assert_eq!(home.validities().await, before, "a second process");
    home.append(home.inbox, "b", 1).await.unwrap();
    let refused = home.create("INBOX").await;
    assert_eq!(refused, Err(Error::Exists("mailbox")));
    drop(home.index);
    home.index = Arc::new(open(&dir).await);
    assert_eq!(home.validities().await, before, "a restart");
    back_up(&dir);
    drop(home.index);
    bring_back(&dir);
    home.index = Arc::new(open(&dir).await);
    assert_eq!(home.validities().await, before, "the newest state");
    drop(home.index);
    fs::write(format!("{}-mark", path(&dir)), "no mark").unwrap();
    home.index = Arc::new(open(&dir).await);
    assert_eq!(home.validities().await, before, "a damaged mark");
    drop(home.index);
    fs::remove_file(format!("{}-mark", path(&dir))).unwrap();
    home.index = Arc::new(open(&dir).await);
    assert_eq!(home.validities().await, before, "without a mark");
    assert!(
        Mark::of(path(&dir).as_ref()).read() > 0,
        "and then with one"
    );
}

/// Several processes open a restored database at once: one of them renews.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_43_who_starts_together_renews_once() {
    let dir = TempDir::new().unwrap();
    let home = Home::new(Arc::new(open(&dir).await), None).await;
    back_up(&dir);
    home.append(home.inbox, "lost", 1).await.unwrap();
    let version = home.account().await.version;
    drop(home.index);
    bring_back(&dir);
    let start = || {
        let path = path(&dir);
        tokio::spawn(async move { super::SqliteIndex::open(&path, 1).await.map(|_| ()) })
    };
    for task in [start(), start(), start(), start()] {
        task.await.unwrap().unwrap();
    }
    let home = Home {
        index: Arc::new(open(&dir).await) as Arc<dyn Index>,
        account: home.account,
        inbox: home.inbox,
    };
    assert_eq!(home.account().await.version, version + 1);
}

/// A commit that fails is followed by one that writes over it, before anybody asks for more.
#[tokio::test]
async fn attack_44_a_failed_commit_is_written_over() {
    let dir = TempDir::new().unwrap();
    let index = Arc::new(open(&dir).await);
    let home = Home::new(index.clone(), None).await;
    let counter = |name: &'static str| {
        let index = index.clone();
        async move {
            let read = move |conn: &mut SqliteConnection| {
                use crate::index::sqlite::schema::counter;
                use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
                Ok(counter::table
                    .filter(counter::name.eq(name))
                    .select(counter::value)
                    .get_result::<i64>(conn)?)
            };
            index.read(read).await.unwrap()
        }
    };
    let (probes, commits) = (counter("probe").await, counter("commit").await);
    // Foreign keys that are looked at with the commit let it fail.
    let failed = index
        .write(|conn, commits| {
            let insert = "BEGIN IMMEDIATE; PRAGMA defer_foreign_keys = ON; \
                 INSERT INTO subscription (account_id, name) VALUES (12345, 'nobody');";
            conn.batch_execute(insert).unwrap();
            commits
                .commit(conn, 99)
                .map_err(|it| Error::Unavailable(it.to_string()))
        })
        .await;
    assert!(matches!(failed, Err(Error::Unavailable(_))), "{failed:?}");
    assert!(!index.commits.is_unsettled());
    assert_eq!(counter("probe").await, probes + 1);
    assert_eq!(counter("commit").await, commits + 1);
    assert!(Mark::of(path(&dir).as_ref()).read() < 99);
    home.append(home.inbox, "a", 1).await.unwrap();
    home.check().await;
}
