//! The store or the index is away or slow: everything is temporary, nothing is lost, and all is well when it is back (I8).

use std::sync::Arc;
use std::time::Duration;

use postrider::config::{ByteCount, Config, Service};
use postrider::engine::Parts;
use postrider_storage::Error;
use postrider_storage::blob::{Fault, MemoryStore, Operation};
use postrider_storage::index::MemoryIndex;

use super::client::Client;
use super::house::{ADA, BOB, House, message, until};

async fn house() -> (House, MemoryStore, Arc<MemoryIndex>) {
    let (store, index) = (MemoryStore::new(), Arc::new(MemoryIndex::new()));
    let parts = Parts {
        store: Some(Arc::new(store.clone())),
        index: Some(index.clone()),
        ..Parts::default()
    };
    let change = |config: &mut Config| config.deadlines.answer = Duration::from_millis(700);
    (House::with(change, parts).await, store, index)
}

/// The status line and the body of a GET.
async fn get(house: &House, path: &str) -> (String, String) {
    let mut client = Client::connect(house.port(Service::Metrics)).await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    client.write(request.as_bytes()).await;
    let answer = client.rest().await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default();
    (status.to_owned(), body.to_owned())
}

#[actix_rt::test]
async fn ready_only_while_mail_could_be_taken() {
    let (house, store, index) = house().await;
    let ready = async || get(&house, "/health/ready").await;
    assert!(ready().await.0.contains(" 200 "));
    store.fault(Operation::Probe, Fault::Fail);
    let (status, body) = ready().await;
    assert!(
        status.contains(" 503 ") && body.contains("store"),
        "{status} {body}"
    );
    assert!(ready().await.0.contains(" 200 "));
    index.break_with(Some(Error::Unavailable("away".to_owned())));
    let (status, body) = ready().await;
    assert!(
        status.contains(" 503 ") && body.contains("index"),
        "{status} {body}"
    );
    assert!(
        get(&house, "/health/live").await.0.contains(" 200 "),
        "alive all the same"
    );
    index.break_with(None);
    assert!(ready().await.0.contains(" 200 "));
    house.stop().await;
}

#[actix_rt::test]
async fn a_store_that_fails_makes_mail_temporary_and_loses_none() {
    let (house, store, _index) = house().await;
    let mut smtp = house.smtp().await;
    // Nothing was done; done without an answer; other octets than confirmed cannot be told from outside.
    for fault in [Fault::Fail, Fault::FailAfter] {
        store.fault(Operation::Put, fault);
        let reply = smtp.send(ADA, &message("repeated")).await;
        assert!(reply.starts_with("451 4.3.0"), "{fault:?}: {reply}");
    }
    assert!(
        smtp.send(ADA, &message("repeated"))
            .await
            .starts_with("250")
    );
    assert_eq!(house.subjects(ADA).await, ["repeated"]);

    let mut imap = house.imap(BOB).await;
    store.fault(Operation::Put, Fault::Fail);
    let tagged = imap.append("INBOX", &message("draft")).await;
    assert!(tagged.starts_with("NO [UNAVAILABLE]"), "{tagged}");
    assert!(
        imap.append("INBOX", &message("draft"))
            .await
            .starts_with("OK")
    );
    assert_eq!(house.subjects(BOB).await, ["draft"]);
    house.stop().await;
}

#[actix_rt::test]
async fn a_store_that_hangs_costs_the_deadline_and_no_more() {
    let (house, store, _index) = house().await;
    store.fault(Operation::Put, Fault::Stall);
    let mut slow = house.smtp().await;
    let mut fast = house.smtp().await;
    let stalled = async {
        let reply = slow.send(ADA, &message("slow")).await;
        assert!(reply.starts_with("451 4.3.0"), "{reply}");
    };
    let others = async {
        store.stalled(1).await;
        assert!(fast.send(ADA, &message("fast")).await.starts_with("250"));
    };
    tokio::join!(stalled, others);
    assert_eq!(house.subjects(ADA).await, ["fast"]);
    store.resume();
    assert!(slow.send(ADA, &message("slow")).await.starts_with("250"));
    assert_eq!(house.subjects(ADA).await, ["fast", "slow"]);
    house.stop().await;
}

/// Everything in the store stands still, for longer than anybody waits, while many come: each hears "later" in time, nobody holds more than
/// may be held, and when it moves again everything works as before, without a restart.
#[actix_rt::test]
async fn attack_44_a_store_that_stands_still_is_later_for_all_and_then_goes_on() {
    const CLIENTS: usize = 30;
    const MEMORY: u64 = 2 << 20;
    let store = MemoryStore::new();
    let parts = Parts {
        store: Some(Arc::new(store.clone())),
        ..Parts::default()
    };
    let change = |config: &mut Config| {
        config.deadlines.answer = Duration::from_millis(1500);
        config.limits.memory = ByteCount(MEMORY);
        config.queues.store_writes = 4;
        config.queues.store_reads = 4;
    };
    let house = House::with(change, parts).await;
    assert!(house.deliver(ADA, "there").await.starts_with("250"));
    let mut readers = Vec::new();
    for _ in 0..8 {
        let mut imap = house.imap(ADA).await;
        imap.imap("SELECT INBOX").await;
        readers.push(imap);
    }
    // As many as there are places; the others wait for one of those.
    for _ in 0..4 {
        store.fault(Operation::Put, Fault::Stall);
        store.fault(Operation::Get, Fault::Stall);
    }
    let port = house.port(Service::Smtp);
    let large = message("large") + &("x".repeat(70) + "\r\n").repeat(1000);
    let began = std::time::Instant::now();
    let senders: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let large = large.clone();
            tokio::spawn(async move {
                let mut client = Client::connect(port).await;
                client.reply().await;
                client.smtp("EHLO client.example").await;
                client.send(ADA, &large).await
            })
        })
        .collect();
    let readers: Vec<_> = readers
        .into_iter()
        .map(|mut imap| {
            tokio::spawn(async move {
                let answer = imap.imap("FETCH 1 (BODY.PEEK[])").await;
                (imap, answer)
            })
        })
        .collect();
    let mut held = 0;
    while !senders.iter().all(tokio::task::JoinHandle::is_finished) {
        let (_, metrics) = get(&house, "/metrics").await;
        let gauge = metrics
            .lines()
            .find_map(|it| it.strip_prefix("postrider_memory_in_flight_bytes "));
        held = held.max(gauge.and_then(|it| it.parse().ok()).unwrap_or(0));
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(began.elapsed().as_secs() < 60, "somebody waits for ever");
    }
    // What does not touch the store does not wait for it.
    assert!(house.imap(BOB).await.imap("SELECT INBOX").await.is_ok());
    for sender in senders {
        let reply = sender.await.unwrap();
        assert!(reply.starts_with("451 4.3.0"), "{reply}");
    }
    assert!(held <= MEMORY, "{held} octets in flight");
    for reader in readers {
        let (_, answer) = reader.await.unwrap();
        let told = answer.tagged.starts_with("NO [UNAVAILABLE]") || answer.tagged == "closed";
        assert!(told, "{answer:?}");
    }
    // It moves again.
    store.resume();
    let mut smtp = house.smtp().await;
    until("mail is taken again", async || {
        let reply = smtp.send(ADA, &message("after")).await;
        reply.starts_with("250").then_some(())
    })
    .await;
    let subjects = house.subjects(ADA).await;
    assert_eq!(subjects.iter().filter(|it| *it == "after").count(), 1);
    assert!(!subjects.contains(&"large".to_owned()), "{subjects:?}");
    house.stop().await;
}

#[actix_rt::test]
async fn reading_what_cannot_be_read_is_refused_and_the_session_lives() {
    let (house, store, _index) = house().await;
    assert!(house.deliver(ADA, "there").await.starts_with("250"));
    let mut imap = house.imap(ADA).await;
    imap.imap("SELECT INBOX").await;
    store.fault(Operation::Get, Fault::Fail);
    let answer = imap.imap("FETCH 1 BODY.PEEK[]").await;
    let told = answer.tagged.starts_with("NO [UNAVAILABLE]") || answer.tagged == "closed";
    assert!(told, "{answer:?}");
    // Never an empty or half a message that looks whole.
    assert!(!answer.is_ok());
    let mut again = house.imap(ADA).await;
    again.imap("SELECT INBOX").await;
    let answer = again.imap("FETCH 1 BODY.PEEK[]").await;
    assert!(answer.untagged.contains(&"Hello.".to_owned()), "{answer:?}");
    house.stop().await;
}

#[actix_rt::test]
async fn an_index_that_is_away_makes_everything_temporary() {
    let (house, _store, index) = house().await;
    let mut smtp = house.smtp().await;
    let mut imap = house.imap(ADA).await;
    index.break_with(Some(Error::Unavailable("away".to_owned())));
    let reply = smtp.send(ADA, &message("later")).await;
    assert!(reply.starts_with("451 4.3.0"), "{reply}");
    let answer = imap.imap("SELECT INBOX").await;
    assert!(answer.tagged.starts_with("NO [UNAVAILABLE]"), "{answer:?}");
    let tagged = imap.append("INBOX", &message("draft")).await;
    assert!(tagged.starts_with("NO [UNAVAILABLE]"), "{tagged}");
    let mut login = house.connect(Service::Imap).await;
    let answer = login
        .imap(&format!("LOGIN {BOB} {}", super::house::PASSWORD))
        .await;
    assert!(answer.tagged.starts_with("NO [UNAVAILABLE]"), "{answer:?}");

    index.break_with(None);
    assert!(smtp.send(ADA, &message("later")).await.starts_with("250"));
    assert!(imap.imap("SELECT INBOX").await.is_ok());
    assert_eq!(house.subjects(ADA).await, ["later"]);
    house.stop().await;
}

/// What an interrupted write left behind goes when `retention.temporary` says so, not earlier and not later (S6).
#[actix_rt::test]
async fn left_over_files_go_when_the_configuration_says_so() {
    for (kept, goes) in [(Duration::ZERO, true), (Duration::from_secs(3600), false)] {
        let change = |config: &mut Config| config.retention.temporary = kept;
        let house = House::with(change, Parts::default()).await;
        house.deliver(ADA, "hello").await;
        let mut left = None;
        let house = house
            .restart_after(|folder| {
                let (local, domain) = ADA.split_once('@').expect("an address");
                let path = folder.join("mail").join(domain).join(local);
                let path = path.join("Maildir/tmp");
                let path = path.join("1700000000.left-over");
                std::fs::write(&path, "half a message").expect("written");
                left = Some(path);
            })
            .await;
        let left = left.expect("written");
        match goes {
            true => until("it goes", async || (!left.exists()).then_some(())).await,
            false => {
                house.deliver(ADA, "again").await;
                tokio::time::sleep(Duration::from_millis(500)).await;
                assert!(left.exists());
            }
        }
    }
}
