//! Clients that read one message after the other get each of them whole, whatever was read ahead for them.

use postrider::config::Service;
use postrider::engine::Parts;
use postrider_storage::blob::{Fault, MemoryStore, Operation};

use super::client::Client;
use super::house::{ADA, House, PASSWORD, until};

/// Small ones, empty ones, ones too large to be read ahead, and more of them than a batch has.
fn bodies() -> Vec<String> {
    let body = |n: usize| {
        let octets = match n % 20 {
            19 => 100_000,
            15 => 60_000,
            _ => 10 * n,
        };
        let line = format!("{n:08}\r\n").repeat(octets / 10);
        format!("Subject: {n}\r\n\r\n{line}")
    };
    (1..=150).map(body).collect()
}

async fn house() -> (House, MemoryStore) {
    let store = MemoryStore::new();
    let parts = Parts {
        store: Some(std::sync::Arc::new(store.clone())),
        ..Parts::default()
    };
    let house = House::with(|_| {}, parts).await;
    let mut imap = house.imap(ADA).await;
    for body in bodies() {
        let tagged = imap.append("INBOX", &body).await;
        assert!(tagged.starts_with("OK"), "{tagged}");
    }
    (house, store)
}

/// The bodies that an answer to FETCH holds, in order.
fn read(lines: &[String]) -> Vec<String> {
    let mut bodies: Vec<String> = Vec::new();
    for line in lines {
        match (line.starts_with("* "), bodies.last_mut()) {
            (true, _) => bodies.push(String::new()),
            (false, Some(body)) => body.extend([line.as_str(), "\r\n"]),
            (false, None) => panic!("{line} before any response"),
        }
    }
    // The parenthesis behind the literal.
    let body = |body: String| body.strip_suffix(")\r\n").map(str::to_owned);
    bodies.into_iter().flat_map(body).collect()
}

#[actix_rt::test]
async fn a_fetch_of_everything_brings_everything() {
    let (house, store) = house().await;
    let mut imap = house.imap(ADA).await;
    imap.imap("EXAMINE INBOX").await;
    let whole = imap.imap("FETCH 1:* BODY.PEEK[]").await;
    assert!(whole.is_ok() && read(&whole.untagged) == bodies());
    // One by one, some of them twice, and parts of them.
    for (n, body) in bodies().iter().enumerate().take(40) {
        for _ in 0..=n % 3 {
            let one = imap.imap(&format!("FETCH {} BODY.PEEK[]", n + 1)).await;
            assert!(read(&one.untagged) == [body.as_str()], "message {}", n + 1);
        }
        let part = imap
            .imap(&format!("FETCH {} BODY.PEEK[]<3.7>", n + 1))
            .await;
        assert_eq!(part.untagged[1], format!("{})", &body[3..10]));
    }
    // What could not be read ahead is read when it is needed.
    for n in 1..=2 {
        imap.imap(&format!("FETCH {n} BODY.PEEK[]")).await;
    }
    for _ in 0..3 {
        store.fault(Operation::Get, Fault::Fail);
    }
    let rest = imap.imap("FETCH 3:* BODY.PEEK[]").await;
    assert!(rest.is_ok(), "{}", rest.tagged);
    assert!(read(&rest.untagged) == bodies()[2..]);
    house.stop().await;
}

#[actix_rt::test]
async fn what_another_session_expunges_hinders_nobody() {
    let (house, _store) = house().await;
    let (mut reader, mut other) = (house.imap(ADA).await, house.imap(ADA).await);
    reader.imap("SELECT INBOX").await;
    other.imap("SELECT INBOX").await;
    for n in 1..=10 {
        assert!(reader.imap(&format!("FETCH {n} BODY.PEEK[]")).await.is_ok());
    }
    other.imap("STORE 12:20 +FLAGS.SILENT (\\Deleted)").await;
    assert!(other.imap("EXPUNGE").await.is_ok());
    let rest = reader.imap("FETCH 30:* BODY.PEEK[]").await;
    assert!(rest.is_ok(), "{}", rest.tagged);
    assert!(read(&rest.untagged)[..121] == bodies()[29..]);
    house.stop().await;
}

#[actix_rt::test]
async fn a_maildrop_is_read_from_the_first_to_the_last_and_memory_comes_back() {
    let (house, _store) = house().await;
    let mut pop3 = house.connect(Service::Pop3).await;
    for command in [format!("USER {ADA}\r\n"), format!("PASS {PASSWORD}\r\n")] {
        pop3.write(command.as_bytes()).await;
        assert!(pop3.line().await.starts_with("+OK"));
    }
    for (n, body) in bodies().iter().enumerate() {
        pop3.write(format!("RETR {}\r\n", n + 1).as_bytes()).await;
        assert!(pop3.line().await.starts_with("+OK"));
        let mut read = String::new();
        loop {
            match pop3.line().await {
                line if line == "." => break,
                line => read.extend([line.as_str(), "\r\n"]),
            }
        }
        assert!(read == *body, "message {}", n + 1);
        if n == 20 {
            // A client that falls silent holds nothing.
            until("memory back", async || {
                (in_flight(&house).await == 0.0).then_some(())
            })
            .await;
        }
    }
    house.stop().await;
}

async fn in_flight(house: &House) -> f64 {
    let mut client = Client::connect(house.port(Service::Metrics)).await;
    client
        .write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await;
    let all = client.rest().await;
    let line = all
        .lines()
        .find(|line| line.starts_with("postrider_memory_in_flight_bytes "));
    let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    value.unwrap_or_else(|| panic!("no such metric in {all}"))
}
