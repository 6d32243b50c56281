//! How much a client, an account and a domain may send, as they hear it over SMTP.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use postrider::config::{Config, Rates, Service};
use postrider::engine::Parts;

use super::client::Client;
use super::house::{ADA, BOB, House, PASSWORD, message};
use super::logins::through_the_proxy;

const LATER: &str = "451 4.7.1 too much lately, try again later";

/// Mail comes through a proxy in front, so that clients have addresses.
async fn house(change: impl FnOnce(&mut Rates)) -> House {
    let change = |config: &mut Config| {
        for listener in &mut config.listeners {
            if listener.service == Service::Smtp {
                listener.proxy_protocol_from = vec!["127.0.0.0/8".parse().unwrap()];
            }
        }
        change(&mut config.limits.rates);
    };
    House::with(change, Parts::default()).await
}

/// A server with this address.
async fn from(house: &House, ip: &str) -> Client {
    let mut client = through_the_proxy(house, Service::Smtp, ip).await;
    client.reply().await;
    client.smtp("EHLO client.example").await;
    client
}

/// A user's program that has logged in.
async fn user(house: &House, email: &str) -> Client {
    let mut client = house.connect(Service::Submission).await;
    client.smtp("EHLO client.example").await;
    let response = BASE64.encode(format!("\0{email}\0{PASSWORD}"));
    let reply = client.smtp(&format!("AUTH PLAIN {response}")).await;
    assert!(reply.starts_with("235"), "{reply}");
    client
}

async fn mail(client: &mut Client, from: &str) -> String {
    client.smtp(&format!("MAIL FROM:<{from}>")).await
}

#[actix_rt::test]
async fn an_address_is_told_to_come_later_and_the_others_are_not() {
    let house = house(|rates| rates.messages_per_ip = 3).await;
    let mut eager = from(&house, "192.0.2.1").await;
    for n in 0..3 {
        let reply = eager.send(ADA, &message(&n.to_string())).await;
        assert!(reply.starts_with("250"), "{reply}");
    }
    assert_eq!(mail(&mut eager, "eve@remote.example").await, LATER);
    // Another connection is no way around it; the connection itself is as good as before.
    let mut again = from(&house, "192.0.2.1").await;
    assert_eq!(mail(&mut again, "").await, LATER);
    assert!(eager.smtp("NOOP").await.starts_with("250"));
    let mut other = from(&house, "192.0.2.2").await;
    let reply = other.send(ADA, &message("other")).await;
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(house.subjects(ADA).await, ["0", "1", "2", "other"]);

    // Reloading makes it more, without a new connection.
    let mut config = house.config.clone();
    config.limits.rates.messages_per_ip = 4;
    house.running.reload(&config).unwrap();
    let reply = eager.send(ADA, &message("3")).await;
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(mail(&mut eager, "eve@remote.example").await, LATER);
    house.stop().await;
}

#[actix_rt::test]
async fn a_message_goes_to_the_recipients_before_the_one_too_many() {
    let house = house(|rates| rates.recipients_per_ip = 2).await;
    let mut client = from(&house, "192.0.2.1").await;
    assert!(
        mail(&mut client, "eve@remote.example")
            .await
            .starts_with("250")
    );
    // An address that is guessed counts like any other.
    let guess = client.smtp("RCPT TO:<nobody@example.test>").await;
    assert!(guess.starts_with("550 5.1.1"), "{guess}");
    let first = client.smtp(&format!("RCPT TO:<{ADA}>")).await;
    assert!(first.starts_with("250"), "{first}");
    assert_eq!(client.smtp(&format!("RCPT TO:<{BOB}>")).await, LATER);
    assert!(client.smtp("DATA").await.starts_with("354"));
    client.write(message("one").as_bytes()).await;
    assert!(client.smtp(".").await.starts_with("250"));
    assert_eq!(house.subjects(ADA).await, ["one"]);
    assert!(house.subjects(BOB).await.is_empty());
    house.stop().await;
}

#[actix_rt::test]
async fn a_stolen_account_stops_and_so_does_a_domain() {
    let house = house(|rates| {
        rates.messages_per_account = 2;
        rates.messages_per_domain = 3;
    })
    .await;
    let mut ada = user(&house, ADA).await;
    for _ in 0..2 {
        assert!(mail(&mut ada, ADA).await.starts_with("250"));
        assert!(ada.smtp("RSET").await.starts_with("250"));
    }
    assert_eq!(mail(&mut ada, ADA).await, LATER);
    let mut elsewhere = user(&house, ADA).await;
    assert_eq!(mail(&mut elsewhere, ADA).await, LATER);
    let mut bob = user(&house, BOB).await;
    assert!(mail(&mut bob, BOB).await.starts_with("250"));
    bob.smtp("RSET").await;
    assert_eq!(mail(&mut bob, BOB).await, LATER, "three of the domain");
    // What comes from outside for them is none of theirs.
    let mut outside = from(&house, "192.0.2.1").await;
    let reply = outside.send(ADA, &message("in")).await;
    assert!(reply.starts_with("250"), "{reply}");
    house.stop().await;
}

#[actix_rt::test]
async fn servers_of_one_s_own_bring_the_mail_of_many() {
    let house = House::with(
        |config| {
            config.limits.rates.messages_per_ip = 1;
            config.limits.rates.recipients_per_ip = 1;
        },
        Parts::default(),
    )
    .await;
    // From this host.
    let mut smtp = house.smtp().await;
    for n in 0..3 {
        let reply = smtp.send(ADA, &message(&n.to_string())).await;
        assert!(reply.starts_with("250"), "{reply}");
    }
    house.stop().await;
}
