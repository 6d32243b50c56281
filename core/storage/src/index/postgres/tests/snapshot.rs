//! What is remembered of a mailbox's messages never says anything else than their rows.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use super::{again, open, settings, shared};
use crate::index::{
    CopyMode, ExpungeWhich, Flags, ModSeq, PostgresIndex, Repeat, StoreMode, Uid,
    contract::{Home, NOW, places::message},
    postgres::snapshot::Remembered,
};

/// Generous: a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many messages a mailbox has that is remembered here.
const SIZES: RangeInclusive<u64> = 20..=45;

/// A process that remembers them.
async fn process(database: &str) -> PostgresIndex {
    let mut index = open(shared(), database).await;
    index.remembered = Remembered::of(SIZES);
    index
}

/// What the database remembers: UIDVALIDITY, modification sequence, octets.
async fn row(database: &str) -> String {
    let query = "SELECT coalesce(string_agg(format('%s %s %s', uid_validity, modseq, encode(messages, 'hex')), ' '), '') FROM mailbox_snapshot";
    shared().ask(database, query).await
}

/// Waits until it remembers something else.
async fn row_after(database: &str, before: &str) -> String {
    let wait = async {
        loop {
            let now = row(database).await;
            if now != before {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, wait).await;
    found.expect("somebody writes what is remembered")
}

/// Opens INBOX and compares with its rows; how many messages there are.
async fn opened(home: &Home) -> usize {
    let fast = home.index.messages(home.inbox).await.unwrap();
    let rows = home.index.changes(home.inbox, ModSeq(0)).await.unwrap();
    assert_eq!(fast, rows);
    rows.changed.len()
}

async fn filled(home: &Home, from: u32, count: u32) {
    for nth in from..from + count {
        home.append(home.inbox, &format!("m{nth}"), 10)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_opens_a_mailbox_next_reads_one_row_and_what_changed_since() {
    let database = shared().database().await;
    let home = Home::new(Arc::new(process(&database).await), None).await;
    filled(&home, 0, 19).await;
    assert_eq!(opened(&home).await, 19);
    assert_eq!(row(&database).await, "", "too few");
    // Before anybody opens it.
    filled(&home, 19, 1).await;
    let early = row_after(&database, "").await;
    filled(&home, 20, 18).await;
    assert_eq!(opened(&home).await, 38);
    let first = row_after(&database, &early).await;
    let other = again(&home, process(&database).await);
    assert_eq!(opened(&other).await, 38);
    // Three changes: too few to write it anew.
    home.store(home.inbox, &[Uid(3)], StoreMode::Add, Flags::SEEN, &["k"])
        .await
        .unwrap();
    home.expunge(home.inbox, ExpungeWhich::Exactly(vec![Uid(38)]), NOW)
        .await
        .unwrap();
    filled(&home, 38, 1).await;
    assert_eq!(opened(&other).await, 38);
    assert_eq!(row(&database).await, first);
    // The first, the last, one of them changed before it went, and one that nobody remembers.
    home.store(home.inbox, &[Uid(7)], StoreMode::Add, Flags::DELETED, &[])
        .await
        .unwrap();
    let gone = vec![Uid(1), Uid(7), Uid(39)];
    home.expunge(home.inbox, ExpungeWhich::Exactly(gone), NOW)
        .await
        .unwrap();
    assert_eq!(opened(&other).await, 35);
    let second = row_after(&database, &first).await;
    // What went is no longer written down.
    let all = home.uids(home.inbox).await;
    let to = home.create("to").await.unwrap();
    home.copy(home.inbox, &all[..12], to, CopyMode::Move)
        .await
        .unwrap();
    shared()
        .execute(
            &database,
            "DELETE FROM expunged; UPDATE mailbox SET vanished_floor = highest_modseq",
        )
        .await
        .unwrap();
    assert_eq!(opened(&other).await, 23);
    row_after(&database, &second).await;
    home.expunge(home.inbox, ExpungeWhich::Exactly(all), NOW)
        .await
        .unwrap();
    assert_eq!(opened(&other).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_spoilt_or_of_another_mailbox_is_read_anew_and_written_anew() {
    let database = shared().database().await;
    let home = Home::new(Arc::new(process(&database).await), None).await;
    filled(&home, 0, 20).await;
    let good = row_after(&database, "").await;
    for spoil in [
        "messages = ''",
        "messages = '\\x00'",
        "messages = substring(messages FROM 1 FOR length(messages) - 1)",
        // A message fewer, of which nobody is told.
        "messages = '\\x0100'",
        "modseq = modseq + 1000",
    ] {
        let spoil = format!("UPDATE mailbox_snapshot SET {spoil}");
        shared().execute(&database, &spoil).await.unwrap();
        let spoilt = row(&database).await;
        assert_eq!(opened(&home).await, 20, "{spoil}");
        assert_eq!(row_after(&database, &spoilt).await, good, "{spoil}");
    }
    // The same, with news to be read.
    shared()
        .execute(
            &database,
            "UPDATE mailbox_snapshot SET messages = '\\x0100'",
        )
        .await
        .unwrap();
    let spoilt = row(&database).await;
    filled(&home, 20, 1).await;
    assert_eq!(opened(&home).await, 21);
    let good = row_after(&database, &spoilt).await;
    shared()
        .execute(
            &database,
            "UPDATE mailbox SET uid_validity = uid_validity + 1",
        )
        .await
        .unwrap();
    assert_eq!(opened(&home).await, 21);
    let renewed = row_after(&database, &good).await;
    // Too many: the rows are read, and nothing is written.
    filled(&home, 21, 19).await;
    let full = row_after(&database, &renewed).await;
    filled(&home, 40, 6).await;
    for _ in 0..2 {
        assert_eq!(opened(&home).await, 46);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(row(&database).await, full);
    }
    // A mailbox that goes takes along what was remembered of it.
    let to = home.create("to").await.unwrap();
    let all = home.uids(home.inbox).await;
    home.copy(home.inbox, &all[..21], to, CopyMode::Copy)
        .await
        .unwrap();
    let both = row_after(&database, &full).await;
    home.delete("to").await.unwrap();
    assert_eq!(row_after(&database, &both).await, full);
}

/// Mail that comes from elsewhere keeps modification sequences that may be older than what is remembered by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_that_is_placed_behind_what_is_remembered_is_there() {
    let database = shared().database().await;
    let home = Home::new(Arc::new(process(&database).await), None).await;
    let id = home.placed(home.place("Moved")).await.unwrap();
    let mut before = String::new();
    for (round, until) in [(1, 30), (2, 32), (3, 33)] {
        let first = home.mailbox(id).await.uid_next.0;
        let messages = (first..=until).map(|uid| {
            let mut message = message(uid, &format!("p.{uid}"));
            message.modseq = Some(ModSeq(u64::from(uid)));
            message
        });
        home.bring(id, Repeat::Uid, messages.collect())
            .await
            .unwrap();
        assert_eq!(home.mailbox(id).await.highest_modseq, ModSeq(5_000));
        if round == 1 {
            before = row_after(&database, &before).await;
        }
        let fast = home.index.messages(id).await.unwrap();
        assert_eq!(
            fast,
            home.index.changes(id, ModSeq(0)).await.unwrap(),
            "{round}"
        );
        assert_eq!(fast.changed.len(), until as usize, "{round}");
        if round > 1 {
            before = row_after(&database, &before).await;
        }
    }
    // And in one step with changes that are heard of.
    let mut late = message(34, "p.34");
    late.modseq = Some(ModSeq(34));
    home.bring(id, Repeat::Uid, vec![late]).await.unwrap();
    home.store(id, &[Uid(1)], StoreMode::Add, Flags::SEEN, &[])
        .await
        .unwrap();
    let fast = home.index.messages(id).await.unwrap();
    assert_eq!(fast, home.index.changes(id, ModSeq(0)).await.unwrap());
    assert_eq!(fast.changed.len(), 34);
}

/// Who has one connection has it for clients.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_where_no_connection_is_to_spare() {
    let database = shared().database().await;
    let mut settings = settings(&shared().url(&database));
    settings.pool_size = 1;
    let mut index = PostgresIndex::open(&settings).await.unwrap();
    index.remembered = Remembered::of(SIZES);
    let home = Home::new(Arc::new(index), None).await;
    filled(&home, 0, 21).await;
    for _ in 0..3 {
        assert_eq!(opened(&home).await, 21);
    }
    assert_eq!(row(&database).await, "");
    let other = again(&home, process(&database).await);
    assert_eq!(opened(&other).await, 21);
    row_after(&database, "").await;
    assert_eq!(opened(&home).await, 21);
}
