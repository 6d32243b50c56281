//! How many may come, and how much they may hold (I7).

use std::time::Duration;

use postrider::config::{ByteCount, Service};
use postrider::engine::Parts;

use super::client::Client;
use super::house::{ADA, BOB, House, PASSWORD, until};

#[actix_rt::test]
async fn one_connection_too_many_hears_so_in_its_own_words() {
    let house = House::with(|_| {}, Parts::default()).await;
    let mut config = house.config.clone();
    config.limits.connections_per_ip = 4;
    config.limits.connections_before_login_per_ip = 2;
    house.running.reload(&config).unwrap();

    let first = house.connect(Service::Imap).await;
    let mut second = house.connect(Service::Pop3).await;
    // Two that have not logged in.
    let refused = [
        (Service::Imap, "* BYE [UNAVAILABLE] too many connections"),
        (Service::Pop3, "-ERR [SYS/TEMP] too many connections"),
        (
            Service::Submission,
            "421 4.7.0 localhost too many connections",
        ),
    ];
    for (service, words) in refused {
        let said = Client::connect(house.port(service)).await.rest().await;
        assert!(said.starts_with(words), "{service}: {said}");
        assert!(said.ends_with("\r\n"));
    }
    // TLS would have to come first: it is closed without a word.
    let said = Client::connect(house.port(Service::Imaps))
        .await
        .rest()
        .await;
    assert_eq!(said, "");
    // Who logs in makes room.
    assert!(second.smtp(&format!("USER {ADA}")).await.starts_with("+OK"));
    let in_now = second.smtp(&format!("PASS {PASSWORD}")).await;
    assert!(in_now.starts_with("+OK"), "{in_now}");
    let third = house.connect(Service::Imap).await;
    // Mail from outside needs no login and counts among all.
    let smtp = house.smtp().await;
    let said = Client::connect(house.port(Service::Smtp))
        .await
        .rest()
        .await;
    assert!(said.starts_with("421 4.7.0 "), "{said}");
    // Who leaves makes room.
    drop((first, second, third, smtp));
    until("room again", async || {
        let mut client = Client::connect(house.port(Service::Smtp)).await;
        let greeting = client.try_line().await?;
        greeting.starts_with("220 ").then_some(())
    })
    .await;
    house.stop().await;
}

#[actix_rt::test]
async fn an_account_has_so_many_connections() {
    let change = |config: &mut postrider::config::Config| config.limits.connections_per_account = 2;
    let house = House::with(change, Parts::default()).await;
    let (first, _second) = (house.imap(ADA).await, house.imap(ADA).await);
    let mut third = house.connect(Service::Imap).await;
    let answer = third.imap(&format!("LOGIN {ADA} {PASSWORD}")).await;
    assert!(answer.tagged.starts_with("NO ["), "{answer:?}");
    // Nobody else minds.
    drop(house.imap(BOB).await);
    drop(first);
    until("room again", async || {
        let mut client = house.connect(Service::Imap).await;
        let answer = client.imap(&format!("LOGIN {ADA} {PASSWORD}")).await;
        answer.is_ok().then_some(())
    })
    .await;
    house.stop().await;
}

fn large(subject: &str, octets: usize) -> String {
    let line = "x".repeat(76) + "\r\n";
    super::house::message(subject) + &line.repeat(octets / line.len())
}

#[actix_rt::test]
async fn large_messages_take_turns_in_the_memory_there_is() {
    let change = |config: &mut postrider::config::Config| {
        config.limits.memory = ByteCount(1 << 20);
        config.deadlines.answer = Duration::from_secs(20);
    };
    let house = House::with(change, Parts::default()).await;
    let senders: Vec<_> = (0..8)
        .map(|number| {
            let port = house.port(Service::Smtp);
            tokio::spawn(async move {
                let mut client = Client::connect(port).await;
                client.reply().await;
                client.smtp("EHLO client.example").await;
                let large = large(&number.to_string(), 700 << 10);
                client.send(ADA, &large).await
            })
        })
        .collect();
    for sender in senders {
        let reply = sender.await.unwrap();
        assert!(reply.starts_with("250"), "{reply}");
    }
    let mut subjects = house.subjects(ADA).await;
    subjects.sort();
    assert_eq!(subjects, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    // One that never fits is refused, not lost; and what it held is free again.
    let mut smtp = house.smtp().await;
    let reply = smtp.send(ADA, &large("too large", 2 << 20)).await;
    assert!(
        reply.starts_with('4') || reply.starts_with("552"),
        "{reply}"
    );
    let reply = smtp.send(BOB, &large("fits", 700 << 10)).await;
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(house.subjects(BOB).await, ["fits"]);
    house.stop().await;
}
