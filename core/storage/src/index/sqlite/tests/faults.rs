//! Files that are not right, disks that are full, and what each connection is set to.

use std::{os::unix::fs::PermissionsExt, sync::Arc};

use diesel::{
    QueryResult, QueryableByName, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    sql_query,
    sql_types::{BigInt, Text},
};
use tempfile::TempDir;

use super::{again, open, path};
use crate::{
    Error,
    index::{
        Change, CopyMode, Index, ModSeq, Timestamp, TouchLogin, Uid,
        contract::{self, Home},
        sqlite::{
            SqliteIndex,
            connect::{self, Purpose},
        },
    },
};

#[derive(QueryableByName)]
struct One {
    #[diesel(sql_type = Text)]
    answer: String,
}

#[derive(QueryableByName)]
struct Plan {
    #[diesel(sql_type = Text)]
    detail: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// What SQLite says of the file as a whole, and of references that lead nowhere.
pub(super) fn integrity(conn: &mut SqliteConnection) -> QueryResult<String> {
    let check = "SELECT integrity_check AS answer FROM pragma_integrity_check";
    let lost: Count =
        sql_query("SELECT count(*) AS count FROM pragma_foreign_key_check").get_result(conn)?;
    let lost_bodies: Count = sql_query(
        "SELECT count(*) AS count FROM expunged WHERE recoverable AND blob_id NOT IN (SELECT id FROM blob WHERE doomed IS NULL)",
    )
    .get_result(conn)?;
    let row: One = sql_query(check).get_result(conn)?;
    Ok(match (lost.count, lost_bodies.count) {
        (0, 0) => row.answer,
        lost => format!("{lost:?} references lead nowhere"),
    })
}

fn raw(dir: &TempDir) -> SqliteConnection {
    connect::open(&path(dir), Purpose::Write).unwrap()
}

#[tokio::test]
async fn only_the_owner_reads_the_files() {
    let dir = TempDir::new().unwrap();
    let index = open(&dir).await;
    let _home = Home::new(Arc::new(index), None).await;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{entry:?}");
        names.push(entry.file_name());
    }
    assert!(names.contains(&"index.db-wal".into()), "{names:?}");
}

#[tokio::test]
async fn urls_and_paths() {
    let dir = TempDir::new().unwrap();
    let url = format!("sqlite://{}", path(&dir));
    SqliteIndex::open(&url, 0)
        .await
        .unwrap()
        .probe()
        .await
        .unwrap();
    assert!(dir.path().join("index.db").exists());
    // Nothing in a path is a parameter of an URI.
    let odd = dir.path().join("a?mode=memory&x=%41#b.db");
    let odd = odd.to_str().unwrap();
    Home::new(Arc::new(SqliteIndex::open(odd, 1).await.unwrap()), None).await;
    assert!(std::fs::exists(odd).unwrap());
    for bad in ["", "sqlite://", ":memory:", "sqlite::memory:", "a\0b"] {
        let refused = SqliteIndex::open(bad, 1).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{bad:?}");
    }
    let nowhere = dir.path().join("none/index.db");
    let refused = SqliteIndex::open(nowhere.to_str().unwrap(), 1).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
}

#[tokio::test]
async fn what_is_no_database_is_corrupt() {
    let dir = TempDir::new().unwrap();
    std::fs::write(path(&dir), "x".repeat(5000)).unwrap();
    let refused = SqliteIndex::open(&path(&dir), 1).await;
    assert!(matches!(refused, Err(Error::Corrupt(_))), "{refused:?}");
}

#[tokio::test]
async fn overwritten_pages_are_corrupt() {
    let dir = TempDir::new().unwrap();
    let home = Home::new(Arc::new(open(&dir).await), None).await;
    home.fill(home.inbox, "m", 500).await;
    raw(&dir)
        .batch_execute("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    drop(home.index);
    let mut octets = std::fs::read(path(&dir)).unwrap();
    // The first page lives, so that the file opens.
    octets[8192..].fill(0x5a);
    std::fs::write(path(&dir), octets).unwrap();
    let mut faults = Vec::new();
    match SqliteIndex::open(&path(&dir), 1).await {
        Err(error) => faults.push(error),
        Ok(index) => {
            faults.extend(index.changes(home.inbox, ModSeq(0)).await.err());
            faults.extend(
                index
                    .apply(vec![contract::add_domain("x.test")])
                    .await
                    .remove(0)
                    .err(),
            );
        }
    }
    assert!(!faults.is_empty());
    assert!(
        faults.iter().all(|it| matches!(it, Error::Corrupt(_))),
        "{faults:?}"
    );
}

#[tokio::test]
async fn a_row_that_cannot_be_understood_is_corrupt_and_hurts_no_other() {
    let dir = TempDir::new().unwrap();
    let home = Home::new(Arc::new(open(&dir).await), None).await;
    let bob = Home::add(home.index.clone(), "bob@example.test", None).await;
    let mut conn = raw(&dir);
    conn.batch_execute(&format!(
        "UPDATE mailbox SET uid_next = -1 WHERE id = {}",
        home.inbox.0
    ))
    .unwrap();
    assert!(matches!(
        home.index.mailboxes(home.account).await,
        Err(Error::Corrupt(_))
    ));
    let append =
        |home: &Home, name| Change::Append(home.append_of(home.inbox, contract::body(name, 1)));
    let answers = home
        .index
        .apply(vec![append(&home, "a"), append(&bob, "b")])
        .await;
    assert!(matches!(answers[0], Err(Error::Corrupt(_))), "{answers:?}");
    assert!(answers[1].is_ok(), "{answers:?}");
    assert_eq!(bob.uids(bob.inbox).await, [Uid(1)]);
}

/// The migrations there are, the first one first.
fn known() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/sqlite");
    let names = std::fs::read_dir(folder).unwrap();
    let names = names.map(|it| it.unwrap().file_name().into_string().unwrap());
    let mut known: Vec<_> = names.map(|name| name[..14].to_owned()).collect();
    known.sort();
    known
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let dir = TempDir::new().unwrap();
    drop(open(&dir).await);
    let mut conn = raw(&dir);
    conn.batch_execute(
        "INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')",
    )
    .unwrap();
    let newer = Error::NewerSchema {
        found: "99990101000000".to_owned(),
        known: known().pop().unwrap(),
    };
    assert_eq!(
        SqliteIndex::open(&path(&dir), 1).await.err(),
        Some(newer.clone())
    );
    assert_eq!(SqliteIndex::migrate(&path(&dir)).await, Err(newer));
}

#[tokio::test]
async fn migrations_run_once_and_can_be_undone() {
    let dir = TempDir::new().unwrap();
    let applied = SqliteIndex::migrate(&path(&dir)).await.unwrap();
    assert_eq!(applied, known());
    assert_eq!(SqliteIndex::migrate(&path(&dir)).await, Ok(Vec::new()));
    let mut conn = raw(&dir);
    for _ in &applied {
        connect::undo(&mut conn).unwrap();
    }
    let tables: Count = sql_query(
        "SELECT count(*) AS count FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' AND name NOT LIKE '%diesel%'",
    )
    .get_result(&mut conn)
    .unwrap();
    assert_eq!(tables.count, 0);
    assert_eq!(SqliteIndex::migrate(&path(&dir)).await.unwrap(), applied);
}

/// A file of an older program keeps what is in it.
#[tokio::test]
async fn an_older_schema_is_brought_up_to_date_with_its_mail() {
    let dir = TempDir::new().unwrap();
    let home = Home::new(Arc::new(open(&dir).await), None).await;
    home.fill(home.inbox, "m", 3).await;
    let before = home.index.changes(home.inbox, ModSeq(0)).await;
    let account = home.account().await;
    let mut conn = raw(&dir);
    // Down to the first.
    for _ in 1..known().len() {
        connect::undo(&mut conn).unwrap();
    }
    drop(conn);
    let home = again(&home, open(&dir).await);
    assert_eq!(home.index.changes(home.inbox, ModSeq(0)).await, before);
    assert_eq!(home.account().await, account);
    assert_eq!(account.pop3_retention, None);
    home.check().await;
}

/// Disk full: nothing of the batch happens, reads go on, and so do changes when there is room again.
#[tokio::test]
async fn a_full_disk_is_unavailable() {
    let dir = TempDir::new().unwrap();
    let index = Arc::new(open(&dir).await);
    let home = Home::new(index.clone(), None).await;
    index.limit_pages(0).await;
    let big = |name| {
        let mut body = contract::body(name, 1);
        body.summary = vec![7; 100_000];
        Change::Append(home.append_of(home.inbox, body))
    };
    let answers = index
        .apply(vec![contract::add_domain("small.test"), big("a"), big("b")])
        .await;
    assert_eq!(answers.len(), 3);
    assert!(
        answers
            .iter()
            .all(|it| matches!(it, Err(Error::Unavailable(_)))),
        "{answers:?}"
    );
    assert_eq!(home.uids(home.inbox).await, []);
    assert_eq!(index.domain("small.test").await, Ok(None));
    // The connection was opened anew, without the limit of the test.
    let answers = index.apply(vec![big("a")]).await;
    assert!(answers[0].is_ok(), "{answers:?}");
    home.check().await;
}

/// Another process that keeps the file to itself for too long.
#[tokio::test]
async fn a_locked_file_is_unavailable() {
    let dir = TempDir::new().unwrap();
    let index = Arc::new(open(&dir).await);
    let home = Home::new(index.clone(), None).await;
    let hurry = |conn: &mut SqliteConnection, _: &_| {
        conn.batch_execute("PRAGMA busy_timeout = 20").unwrap();
        Ok(())
    };
    index.write(hurry).await.unwrap();
    let mut other = raw(&dir);
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    let append = Change::Append(home.append_of(home.inbox, contract::body("a", 1)));
    let answers = index.apply(vec![append.clone()]).await;
    assert!(
        matches!(&answers[0], Err(Error::Unavailable(why)) if why.contains("locked")),
        "{answers:?}"
    );
    assert_eq!(home.uids(home.inbox).await, [], "reads go on");
    other.batch_execute("ROLLBACK").unwrap();
    assert!(index.apply(vec![append]).await[0].is_ok());
}

/// I3 where the numbers end.
#[tokio::test]
async fn numbers_end() {
    let dir = TempDir::new().unwrap();
    let home = Home::new(Arc::new(open(&dir).await), None).await;
    let last = u32::MAX - 1;
    raw(&dir)
        .batch_execute(&format!(
            "UPDATE mailbox SET uid_next = {last} WHERE id = {}",
            home.inbox.0
        ))
        .unwrap();
    let appended = home.append(home.inbox, "last", 1).await.unwrap();
    assert_eq!(appended.uid, Uid(last));
    let end = Err(Error::Limit {
        what: "UIDs in a mailbox",
        limit: u64::from(u32::MAX),
    });
    assert_eq!(home.append(home.inbox, "none", 1).await, end);
    let copied = home
        .copy(home.inbox, &[appended.uid], home.inbox, CopyMode::Copy)
        .await;
    assert_eq!(copied.map(|_| ()), end.map(|_| ()));
    raw(&dir)
        .batch_execute(&format!(
            "UPDATE virtual_users SET last_uid_validity = {}",
            u32::MAX
        ))
        .unwrap();
    let refused = home.create("x").await;
    assert!(matches!(refused, Err(Error::Limit { .. })), "{refused:?}");
    raw(&dir)
        .batch_execute(&format!("UPDATE mailbox SET highest_modseq = {}", i64::MAX))
        .unwrap();
    let id = home
        .index
        .mailbox(home.account, "Sent")
        .await
        .unwrap()
        .unwrap()
        .id;
    let refused = home.append(id, "y", 1).await;
    assert!(matches!(refused, Err(Error::Limit { .. })), "{refused:?}");
    home.check().await;
}

/// Columns that other programs read hold times that all understand, whatever the clock says.
#[tokio::test]
async fn absurd_times_are_kept() {
    let dir = TempDir::new().unwrap();
    let home = Home::new(Arc::new(open(&dir).await), None).await;
    for (now, noted) in [
        (i64::MIN, -62_167_219_200_000_000),
        (-1, -1),
        (0, 0),
        (1_700_000_000_000_000, 1_700_000_000_000_000),
        (i64::MAX, 253_402_300_799_999_999),
    ] {
        let touch = TouchLogin {
            account: home.account,
            now: Timestamp(now),
        };
        raw(&dir)
            .batch_execute("UPDATE virtual_users SET last_login = NULL")
            .unwrap();
        home.one(Change::TouchLogin(touch)).await.unwrap();
        assert_eq!(home.account().await.last_login, Some(Timestamp(noted)));
    }
    // As SQLite itself and other programs write it.
    raw(&dir)
        .batch_execute("UPDATE virtual_users SET last_login = '2026-01-02 03:04:05'")
        .unwrap();
    let login = home.account().await.last_login;
    assert_eq!(login, Some(Timestamp(1_767_323_045_000_000)));
}

/// A task that panicked in the middle of a batch leaves nothing behind.
#[tokio::test]
async fn a_panic_rolls_back() {
    let dir = TempDir::new().unwrap();
    let index = Arc::new(open(&dir).await);
    let home = Home::new(index.clone(), None).await;
    let failed: Result<(), Error> = index
        .write(|conn, _| {
            conn.batch_execute("BEGIN IMMEDIATE; DELETE FROM subscription")
                .unwrap();
            panic!("on purpose");
        })
        .await;
    assert!(matches!(failed, Err(Error::Unavailable(_))), "{failed:?}");
    home.append(home.inbox, "a", 1).await.unwrap();
    let names = index.subscriptions(home.account).await.unwrap();
    assert_eq!(names.len(), 6);
}

/// A change whose caller went away is made all the same, and the next one waits for it. On this runtime a dropped task of the connection
/// would panic.
#[tokio::test]
async fn a_caller_that_leaves_hurts_nobody() {
    let dir = TempDir::new().unwrap();
    let home = Home::new(Arc::new(open(&dir).await), None).await;
    for nth in 0..20 {
        let read = home.index.accounts(None);
        let _ = tokio::time::timeout(std::time::Duration::from_micros(nth * 20), read).await;
    }
    for nth in 0..20 {
        let append =
            Change::Append(home.append_of(home.inbox, contract::body(&format!("m{nth}"), 1)));
        let apply = home.index.apply(vec![append]);
        let _ = tokio::time::timeout(std::time::Duration::from_micros(nth * 50), apply).await;
    }
    home.append(home.inbox, "last", 1).await.unwrap();
    home.check().await;
    let home = again(&home, open(&dir).await);
    home.check().await;
}

#[tokio::test]
async fn readers_cannot_write_and_commits_reach_the_disk() {
    let dir = TempDir::new().unwrap();
    let index = open(&dir).await;
    let refused = index
        .read(|conn| Ok(conn.batch_execute("DELETE FROM domains")?))
        .await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    let settings = index
        .write(|conn, _| {
            let ask = |conn: &mut SqliteConnection, name: &str| {
                let one: One = sql_query(format!(
                    "SELECT CAST({name} AS TEXT) AS answer FROM pragma_{name}"
                ))
                .get_result(conn)
                .unwrap();
                one.answer
            };
            Ok(["journal_mode", "synchronous", "foreign_keys"].map(|it| ask(conn, it)))
        })
        .await
        .unwrap();
    assert_eq!(settings, ["wal", "2", "1"]);
}

/// The reads that matter take the index made for them.
#[tokio::test]
async fn plans() {
    let dir = TempDir::new().unwrap();
    let index = open(&dir).await;
    for (query, index_name) in [
        (
            "SELECT uid FROM message WHERE account_id = 1 AND mailbox_id = 1 AND modseq > 5 ORDER BY uid",
            "message_modseq",
        ),
        (
            "SELECT uid, flags, size FROM message INDEXED BY message_deleted WHERE account_id = 1 AND mailbox_id = 1 AND flags & 8 AND '' = '' ORDER BY uid",
            "message_deleted",
        ),
        (
            "SELECT uid FROM message WHERE account_id = 1 AND mailbox_id = 1 AND uid IN (SELECT value FROM json_each('[]')) ORDER BY uid",
            "PRIMARY KEY (account_id=? AND mailbox_id=? AND uid=?)",
        ),
        (
            "SELECT uid FROM expunged WHERE account_id = 1 AND mailbox_id = 1 AND modseq > 5 ORDER BY uid",
            "expunged_modseq",
        ),
        (
            "SELECT uid FROM expunged WHERE expunged_at < 5 ORDER BY expunged_at, account_id, mailbox_id, uid LIMIT 5",
            "expunged_time",
        ),
        (
            "SELECT e.uid FROM expunged e JOIN blob b ON b.id = e.blob_id \
             WHERE e.account_id = 1 AND (e.mailbox_id, e.uid) > (1, 5) AND e.recoverable ORDER BY e.mailbox_id, e.uid LIMIT 5",
            "SEARCH e USING PRIMARY KEY (account_id=?",
        ),
        (
            "SELECT count(*) FROM expunged WHERE account_id = 1 AND expunged_at >= 5 AND recoverable",
            "PRIMARY KEY (account_id=?)",
        ),
        (
            "SELECT uid FROM expunged WHERE account_id = 1 AND mailbox_id = 1 AND uid IN (SELECT value FROM json_each('[]'))",
            "PRIMARY KEY (account_id=? AND mailbox_id=? AND uid=?)",
        ),
        ("SELECT 1 FROM message WHERE blob_id = 1", "message_blob"),
        (
            "SELECT 1 FROM expunged WHERE blob_id = 1 AND recoverable",
            "expunged_blob",
        ),
        (
            "SELECT id FROM blob WHERE doomed IS NOT NULL ORDER BY doomed, id LIMIT 5",
            "blob_doomed",
        ),
    ] {
        let plan = index
            .read(move |conn| {
                Ok(sql_query(format!("EXPLAIN QUERY PLAN {query}")).load::<Plan>(conn)?)
            })
            .await
            .unwrap();
        let plan: Vec<String> = plan.into_iter().map(|it| it.detail).collect();
        assert!(
            plan.iter().any(|it| it.contains(index_name)),
            "{query}: {plan:?}"
        );
    }
}
