//! Going down under load: what was answered is there afterwards, once (I1).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postrider::config::Service;
use tokio::sync::Semaphore;

use super::client::Client;
use super::house::{ADA, BOB, House, message};

/// Connections that deliver at a time.
const SENDERS: usize = 12;
/// Answers after which the server goes down.
const ANSWERED: usize = 60;

/// Patience with who does not finish.
const SHORT: Duration = Duration::from_millis(500);

/// Delivers until the server goes; what it said about each message.
async fn deliver(
    sender: usize,
    port: u16,
    service: Service,
    answered: Arc<AtomicUsize>,
    enough: Arc<Semaphore>,
) -> Vec<(String, String)> {
    let mut client = Client::connect(port).await;
    client.reply().await;
    let hello = match service {
        Service::Lmtp => "LHLO client.example",
        _ => "EHLO client.example",
    };
    client.smtp(hello).await;
    let mut said = Vec::new();
    loop {
        let subject = format!("{sender}-{}", said.len());
        let reply = client.send(ADA, &message(&subject)).await;
        let taken = reply.starts_with("250");
        said.push((subject, reply));
        if !taken {
            return said;
        }
        if answered.fetch_add(1, Ordering::SeqCst) + 1 == ANSWERED {
            enough.add_permits(1);
        }
    }
}

#[actix_rt::test]
async fn no_answered_message_is_lost_or_doubled() {
    let house = House::new().await;
    let (answered, enough) = (Arc::default(), Arc::new(Semaphore::new(0)));
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let service = match sender % 2 {
                0 => Service::Smtp,
                _ => Service::Lmtp,
            };
            let port = house.port(service);
            let work = deliver(
                sender,
                port,
                service,
                Arc::clone(&answered),
                Arc::clone(&enough),
            );
            tokio::spawn(work)
        })
        .collect();
    let _ = enough.acquire().await.unwrap();
    let house = house.restart().await;

    let mut taken = Vec::new();
    let mut unclear = Vec::new();
    for sender in senders {
        for (subject, reply) in sender.await.unwrap() {
            match reply.starts_with("250") {
                true => taken.push(subject),
                // Refused while going down, or cut: both are temporary to a client.
                false => {
                    assert!(reply.is_empty() || reply.starts_with('4'), "{reply}");
                    unclear.push(subject);
                }
            }
        }
    }
    assert!(taken.len() >= ANSWERED);
    assert_eq!(unclear.len(), SENDERS, "each was stopped by the drain");

    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for subject in house.subjects(ADA).await {
        *times.entry(subject).or_default() += 1;
    }
    for subject in &taken {
        assert_eq!(times.remove(subject), Some(1), "{subject} was answered 250");
    }
    for (subject, count) in times {
        assert!(unclear.contains(&subject) && count == 1, "{subject}");
    }
    house.stop().await;
}

#[actix_rt::test]
async fn who_is_idle_hears_goodbye_and_who_comes_is_not_let_in() {
    let house = House::new().await;
    let mut idle = house.imap(BOB).await;
    idle.imap("SELECT INBOX").await;
    idle.write(b"i IDLE\r\n").await;
    assert!(idle.line().await.starts_with('+'));
    let mut quiet = house.smtp().await;
    let mut pop3 = house.connect(Service::Pop3).await;
    let port = house.port(Service::Imap);
    house.stop().await;
    assert!(idle.rest().await.contains("* BYE "));
    assert!(quiet.rest().await.starts_with("421 "));
    pop3.rest().await;
    let refused = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
    assert!(refused.is_err());
}

#[actix_rt::test]
async fn a_message_half_sent_when_the_server_goes_is_not_half_kept() {
    let house = House::new().await;
    let mut smtp = house.smtp().await;
    smtp.smtp("MAIL FROM:<eve@remote.example>").await;
    smtp.smtp(&format!("RCPT TO:<{ADA}>")).await;
    assert!(smtp.smtp("DATA").await.starts_with("354"));
    smtp.write(message("half").as_bytes()).await;
    // And an APPEND whose literal never ends.
    let mut imap = house.imap(ADA).await;
    imap.write(b"a APPEND INBOX {1000}\r\n").await;
    assert!(imap.line().await.starts_with('+'));
    imap.write(b"Subject: half").await;

    let house = house.restart_within(SHORT).await;
    assert!(!smtp.rest().await.starts_with('2'));
    assert!(!imap.rest().await.contains("a OK"));
    assert_eq!(house.subjects(ADA).await, Vec::<String>::new());
    assert_eq!(house.admin().find_user(ADA).await.unwrap().used, 0);
    house.stop().await;
}
