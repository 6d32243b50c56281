//! A hundred at the edge of the quota.

use postrider::config::Service;

use super::client::Client;
use super::house::{PASSWORD, message};
use super::{Kept, house};

const EDGE: &str = "edge@example.test";
/// Deliveries and APPENDs at a time.
const CLIENTS: usize = 100;
/// Messages that there is room for.
const ROOM: u64 = 7;

#[actix_rt::test]
async fn attack_41_a_hundred_at_the_edge_of_the_quota_never_pass_it_together() {
    for kept in [Kept::Memory, Kept::Disk] {
        let house = house(kept).await;
        // What one message takes, delivered and appended.
        house.add("scale@example.test", None).await;
        let text = message(&"x".repeat(200));
        let mut lmtp = house.connect(Service::Lmtp).await;
        lmtp.smtp("LHLO client.example").await;
        let reply = lmtp.send("scale@example.test", &text).await;
        assert!(reply.starts_with("250"), "{reply}");
        let one = house
            .admin()
            .find_user("scale@example.test")
            .await
            .unwrap()
            .used;

        let quota = one * ROOM;
        house.add(EDGE, Some(quota)).await;
        let (lmtp, imap) = (house.port(Service::Lmtp), house.port(Service::Imap));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let text = text.clone();
                actix_rt::spawn(async move {
                    match number % 2 {
                        0 => deliver(lmtp, &text).await,
                        _ => append(imap, &text).await,
                    }
                })
            })
            .collect();
        let mut taken = 0;
        for client in clients {
            taken += u64::from(client.await.expect("an answer that is allowed"));
        }
        let account = house.admin().user(EDGE).await.unwrap();
        let sum: u64 = account.mailboxes.iter().map(|it| it.size).sum();
        assert_eq!(account.account.used, sum);
        assert!(sum <= quota, "{sum} of {quota}");
        let count: u64 = account
            .mailboxes
            .iter()
            .map(|it| u64::from(it.messages))
            .sum();
        assert_eq!(count, taken, "what was answered with yes");
        // Whoever came last found no room: it was used, not kept free by those who were refused.
        assert!(sum + one > quota, "{sum} of {quota}");
        house.stop().await;
    }
}

async fn deliver(port: u16, text: &str) -> bool {
    let mut lmtp = Client::connect(port).await;
    lmtp.reply().await;
    lmtp.smtp("LHLO client.example").await;
    let reply = lmtp.send(EDGE, text).await;
    assert!(
        reply.starts_with("250") || reply.starts_with("452 4.2.2"),
        "{reply}"
    );
    reply.starts_with("250")
}

async fn append(port: u16, text: &str) -> bool {
    let mut imap = Client::connect(port).await;
    imap.line().await;
    let answer = imap.imap(&format!("LOGIN {EDGE} {PASSWORD}")).await;
    assert!(answer.is_ok(), "{answer:?}");
    let tagged = imap.append("INBOX", text).await;
    assert!(
        tagged.starts_with("OK") || tagged.starts_with("NO [OVERQUOTA]"),
        "{tagged}"
    );
    tagged.starts_with("OK")
}
