//! Processes hear from each other.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::broadcast::Receiver, time::timeout};

use super::{again, open, shared};
use crate::index::{
    Index, MailboxId, ModSeq, News, PostgresIndex,
    contract::{self, Home},
};

/// Waits until it hears.
async fn hearing(index: &PostgresIndex) {
    let heard = timeout(Duration::from_secs(60), async {
        while !index.notices.hears() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    heard.await.unwrap();
}

async fn of_mailbox(news: &mut Receiver<News>, wanted: MailboxId) -> ModSeq {
    let heard = timeout(Duration::from_secs(60), async {
        loop {
            if let News::Mailbox {
                mailbox, modseq, ..
            } = news.recv().await.unwrap()
                && mailbox == wanted
            {
                return modseq;
            }
        }
    });
    heard.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_hear_at_once() {
    let database = shared().database().await;
    let home = Home::new(Arc::new(open(shared(), &database).await), None).await;
    let index = open(shared(), &database).await;
    hearing(&index).await;
    let mut news = index.news().unwrap();
    let mut times = Vec::new();
    for nth in 0..21 {
        let appended = home
            .append(home.inbox, &format!("n{nth}"), 1)
            .await
            .unwrap();
        let committed = Instant::now();
        loop {
            if of_mailbox(&mut news, home.inbox).await >= appended.modseq {
                break;
            }
        }
        times.push(committed.elapsed());
        let changes = index
            .changes(home.inbox, ModSeq(appended.modseq.0 - 1))
            .await
            .unwrap();
        assert_eq!(changes.changed.len(), 1, "what is told of can be read");
    }
    times.sort();
    println!("median {:?}, longest {:?}", times[10], times[20]);
    // Twenty times what an idle machine takes.
    assert!(times[10] < Duration::from_millis(200), "{times:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_generation_tells_of_the_directory_and_of_nothing_else() {
    let database = shared().database().await;
    let home = Home::new(Arc::new(open(shared(), &database).await), None).await;
    let index = open(shared(), &database).await;
    hearing(&index).await;
    let other = again(&home, index.clone());
    let seen = index.generation().await.unwrap();
    home.append(home.inbox, "a", 1).await.unwrap();
    other.append(other.inbox, "b", 1).await.unwrap();
    assert_eq!(index.generation().await, Ok(seen), "news tell of mailboxes");
    let mut news = index.news().unwrap();
    home.one(contract::add_domain("new.test")).await.unwrap();
    assert!(index.generation().await.unwrap() > seen);
    let told = timeout(Duration::from_secs(60), async {
        while news.recv().await.unwrap() != News::Directory {}
    });
    told.await.unwrap();
}

/// Attack 31: what a company's own SQL changes is heard as if we had changed it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_31_sql_of_others_is_heard() {
    let database = shared().database().await;
    let home = Home::new(Arc::new(open(shared(), &database).await), None).await;
    let index = open(shared(), &database).await;
    hearing(&index).await;
    let mut news = index.news().unwrap();
    for (statement, raises) in [
        ("UPDATE virtual_users SET password = '{PLAIN}other'", true),
        ("UPDATE virtual_users SET is_active = FALSE", true),
        ("UPDATE virtual_users SET is_active = TRUE", true),
        ("UPDATE domains SET is_active = FALSE", false),
        ("UPDATE domains SET is_active = TRUE", false),
        (
            "INSERT INTO virtual_aliases (source, destination, domain_id) \
             SELECT 'sales@example.test', email, domain_id FROM virtual_users",
            false,
        ),
        ("DELETE FROM virtual_aliases", false),
    ] {
        let (seen, before) = (index.generation().await.unwrap(), home.account().await);
        shared().execute(&database, statement).await.unwrap();
        let told = timeout(Duration::from_secs(60), async {
            while news.recv().await.unwrap() != News::Directory {}
        });
        told.await.expect(statement);
        assert!(index.generation().await.unwrap() > seen, "{statement}");
        let version = before.version + i64::from(raises);
        assert_eq!(home.account().await.version, version, "{statement}");
    }
    // What we change ourselves is counted once, and what no login rests on not at all.
    let seen = (
        index.generation().await.unwrap(),
        home.account().await.version,
    );
    for statement in [
        "UPDATE virtual_users SET quota = 7, used_quota = used_quota, last_login = now()",
        "UPDATE virtual_users SET password = password",
    ] {
        shared().execute(&database, statement).await.unwrap();
    }
    home.append(home.inbox, "big", 100).await.unwrap_err();
    shared()
        .execute(&database, "UPDATE virtual_users SET quota = NULL")
        .await
        .unwrap();
    let appended = home.append(home.inbox, "a", 1).await.unwrap();
    while of_mailbox(&mut news, home.inbox).await < appended.modseq {}
    let now = (
        index.generation().await.unwrap(),
        home.account().await.version,
    );
    assert_eq!(now, seen);
    // Mail is not lost by a row that is taken away behind our back: the database refuses.
    let refused = shared()
        .execute(&database, "DELETE FROM virtual_users")
        .await;
    assert!(refused.is_err());
    home.check().await;
}

/// Whoever could not listen for a while looks at everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_listener_is_anything() {
    let database = shared().database().await;
    let home = Home::new(Arc::new(open(shared(), &database).await), None).await;
    let index = open(shared(), &database).await;
    hearing(&index).await;
    let before = index.generation().await.unwrap();
    let mut news = index.news().unwrap();
    let cut = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()"
    );
    shared().execute("postgres", &cut).await.unwrap();
    let told = timeout(Duration::from_secs(60), async {
        while news.recv().await.unwrap() != News::Anything {}
    });
    told.await.unwrap();
    hearing(&index).await;
    assert!(index.generation().await.unwrap() > before);
    // Those who write also found their connections cut, and nobody noticed.
    home.append(home.inbox, "after", 1).await.unwrap();
    of_mailbox(&mut news, home.inbox).await;
}
