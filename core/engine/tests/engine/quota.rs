//! A full account refuses in the words of each protocol, and is never over its limit (I4).

use std::sync::Arc;

use postrider::config::Service;
use postrider::engine::Parts;
use postrider_storage::blob::MemoryStore;

use super::client::Client;
use super::house::{ADA, BOB, House, message};

const FULL: &str = "full@example.test";

#[actix_rt::test]
async fn over_quota_is_temporary_over_smtp_and_named_over_imap() {
    let house = House::new().await;
    house.add(FULL, Some(2000)).await;
    let large = message("large") + &("x".repeat(70) + "\r\n").repeat(30);

    let mut smtp = house.smtp().await;
    // The client says how much it brings (RFC 1870): refused before a byte of it.
    smtp.smtp("MAIL FROM:<eve@remote.example> SIZE=2500").await;
    let reply = smtp.smtp(&format!("RCPT TO:<{FULL}>")).await;
    assert!(reply.starts_with("452 4.2.2"), "{reply}");
    smtp.smtp("RSET").await;
    // It does not say: refused when all of it is known.
    let reply = smtp.send(FULL, &large).await;
    assert!(reply.starts_with("452 4.2.2"), "{reply}");

    let mut imap = house.imap(FULL).await;
    let tagged = imap.append("INBOX", &large).await;
    assert!(tagged.starts_with("NO [OVERQUOTA]"), "{tagged}");
    assert_eq!(house.subjects(FULL).await, Vec::<String>::new());
    assert_eq!(house.admin().find_user(FULL).await.unwrap().used, 0);

    // What fits is taken, and COPY cannot pass the limit either.
    assert!(smtp.send(FULL, &message("small")).await.starts_with("250"));
    imap.imap("SELECT INBOX").await;
    let mut copies = 0;
    let refused = loop {
        let answer = imap.imap("COPY 1 INBOX").await;
        if !answer.is_ok() {
            break answer.tagged;
        }
        copies += 1;
        assert!(copies < 50);
    };
    assert!(refused.starts_with("NO [OVERQUOTA]"), "{refused}");
    let account = house.admin().user(FULL).await.unwrap();
    let sum: u64 = account.mailboxes.iter().map(|it| it.size).sum();
    assert_eq!(account.account.used, sum);
    assert!(sum <= 2000);

    house.stop().await;
}

#[actix_rt::test]
async fn a_full_recipient_among_others_is_one_answer_over_lmtp_and_all_or_none_over_smtp() {
    let house = House::new().await;
    house.add(FULL, Some(2000)).await;
    let large = message("large") + &("x".repeat(70) + "\r\n").repeat(30);
    let transaction = async |client: &mut Client| {
        client.smtp("MAIL FROM:<eve@remote.example>").await;
        for to in [ADA, FULL, BOB] {
            let reply = client.smtp(&format!("RCPT TO:<{to}>")).await;
            assert!(reply.starts_with("250"), "{reply}");
        }
        assert!(client.smtp("DATA").await.starts_with("354"));
        client.write(large.as_bytes()).await;
        client.smtp(".").await
    };
    let mut smtp = house.smtp().await;
    let reply = transaction(&mut smtp).await;
    assert!(reply.starts_with("452 4.2.2"), "{reply}");
    assert_eq!(house.subjects(ADA).await, Vec::<String>::new());

    let mut lmtp = house.connect(Service::Lmtp).await;
    lmtp.smtp("LHLO client.example").await;
    let replies = [
        transaction(&mut lmtp).await,
        lmtp.reply().await,
        lmtp.reply().await,
    ];
    for (reply, code) in replies.iter().zip(["250", "452 4.2.2", "250"]) {
        assert!(reply.starts_with(code), "{replies:?}");
    }
    for (email, count) in [(ADA, 1), (FULL, 0), (BOB, 1)] {
        assert_eq!(house.subjects(email).await.len(), count, "{email}");
    }
    house.stop().await;
}

/// A list with a full member: who comes again and again neither doubles the others' mail nor fills the store, and with room each gets it once.
#[actix_rt::test]
async fn attack_41_a_retry_storm_at_a_full_list_doubles_nothing_and_leaves_nothing() {
    let store = MemoryStore::new();
    let parts = Parts {
        store: Some(Arc::new(store.clone())),
        ..Parts::default()
    };
    let house = House::with(|_| {}, parts).await;
    house.add(FULL, Some(2000)).await;
    let admin = house.admin();
    for to in [ADA, FULL, BOB] {
        admin.add_alias("list@example.test", to).await.unwrap();
    }
    let large = message("large") + &("x".repeat(70) + "\r\n").repeat(30);
    let mut smtp = house.smtp().await;
    let mut lmtp = house.connect(Service::Lmtp).await;
    lmtp.smtp("LHLO client.example").await;
    let mut imap = house.imap(FULL).await;
    for _ in 0..10 {
        for client in [&mut smtp, &mut lmtp] {
            let reply = client.send("list@example.test", &large).await;
            assert!(reply.starts_with("452 4.2.2"), "{reply}");
        }
        // A client that says nothing of the size before.
        let tagged = imap.append("INBOX", &large).await;
        assert!(tagged.starts_with("NO [OVERQUOTA]"), "{tagged}");
    }
    for email in [ADA, BOB, FULL] {
        assert_eq!(house.subjects(email).await.len(), 0, "{email}");
    }
    assert_eq!(store.len(), 0, "bodies that nobody will ever name");

    // Who says how large it is hears it of the list alone, and the others get theirs.
    smtp.smtp("MAIL FROM:<eve@remote.example> SIZE=2500").await;
    let reply = smtp.smtp("RCPT TO:<list@example.test>").await;
    assert!(reply.starts_with("452 4.2.2"), "{reply}");
    let reply = smtp.smtp(&format!("RCPT TO:<{ADA}>")).await;
    assert!(reply.starts_with("250"), "{reply}");
    assert!(smtp.smtp("DATA").await.starts_with("354"));
    smtp.write(large.as_bytes()).await;
    assert!(smtp.smtp(".").await.starts_with("250"));

    admin.set_quota(FULL, Some(100_000)).await.unwrap();
    let reply = smtp.send("list@example.test", &large).await;
    assert!(reply.starts_with("250"), "{reply}");
    for (email, count) in [(ADA, 2), (BOB, 1), (FULL, 1)] {
        assert_eq!(house.subjects(email).await.len(), count, "{email}");
    }
    assert_eq!(store.len(), 4);
    house.stop().await;
}

#[actix_rt::test]
async fn racing_deliveries_do_not_pass_the_limit_together() {
    let house = House::new().await;
    house.add(FULL, Some(2000)).await;
    let port = house.port(Service::Smtp);
    let senders: Vec<_> = (0..16)
        .map(|number| {
            tokio::spawn(async move {
                let mut client = Client::connect(port).await;
                client.reply().await;
                client.smtp("EHLO client.example").await;
                client.send(FULL, &message(&number.to_string())).await
            })
        })
        .collect();
    let mut taken = 0;
    for sender in senders {
        let reply = sender.await.unwrap();
        match reply.starts_with("250") {
            true => taken += 1,
            false => assert!(reply.starts_with("452 4.2.2"), "{reply}"),
        }
    }
    let account = house.admin().find_user(FULL).await.unwrap();
    assert!(taken > 0 && account.used <= 2000, "{account:?}");
    assert_eq!(house.subjects(FULL).await.len(), taken);
    house.stop().await;
}
