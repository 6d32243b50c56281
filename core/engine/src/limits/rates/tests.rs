//! Who may send how much, on a clock of our own.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::config::Config;
use crate::net::peer::Remote;

const ADA: Option<&str> = Some("ada@example.test");
const BOB: Option<&str> = Some("bob@example.test");
const EVE: Option<&str> = Some("eve@other.test");

fn limits() -> config::Limits {
    let mut limits = Config::embedded("/nowhere".as_ref()).limits;
    limits.exempt = vec!["198.51.100.0/24".parse().expect("a network")];
    limits.rates = config::Rates {
        window: Duration::from_secs(3600),
        messages_per_ip: 3,
        recipients_per_ip: 5,
        messages_per_account: 4,
        recipients_per_account: 6,
        messages_per_domain: 6,
        recipients_per_domain: 9,
    };
    limits
}

fn peer(remote: Remote) -> Peer {
    Peer {
        remote,
        local: None,
        proxy: None,
        tls: None,
    }
}

fn client(ip: &str) -> Peer {
    let ip: IpAddr = ip.parse().expect("an address");
    peer(Remote::inet((ip, 4711).into()))
}

/// How many are let through of a hundred.
fn passed(rates: &Rates, sent: Sent, peer: &Peer, account: Option<&str>) -> usize {
    (0..100)
        .filter(|_| rates.allow(sent, peer, account))
        .count()
}

#[tokio::test(start_paused = true)]
async fn an_address_sends_so_much_and_again_when_the_window_is_over() {
    let rates = Rates::new(&limits());
    let one = client("192.0.2.1");
    assert_eq!(passed(&rates, Sent::Message, &one, None), 3);
    assert_eq!(passed(&rates, Sent::Recipient, &one, None), 5);
    assert_eq!(passed(&rates, Sent::Message, &client("192.0.2.2"), None), 3);
    tokio::time::advance(Duration::from_secs(3599)).await;
    assert_eq!(passed(&rates, Sent::Message, &one, None), 0);
    // What was refused did not count: an eighth of the window more at most.
    tokio::time::advance(Duration::from_secs(1 + 3600 / 7 + 1)).await;
    assert_eq!(passed(&rates, Sent::Message, &one, None), 3);
}

#[tokio::test(start_paused = true)]
async fn an_ipv6_network_of_64_bits_is_one_client() {
    let rates = Rates::new(&limits());
    let all: usize = (0..20)
        .map(|n| client(&format!("2001:db8:1:2::{n:x}")))
        .map(|peer| passed(&rates, Sent::Message, &peer, None))
        .sum();
    assert_eq!(all, 3);
    let mapped = client("::ffff:192.0.2.1");
    assert_eq!(passed(&rates, Sent::Message, &mapped, None), 3);
    let plain = client("192.0.2.1");
    assert_eq!(passed(&rates, Sent::Message, &plain, None), 0);
}

#[tokio::test(start_paused = true)]
async fn who_logs_in_counts_as_an_account_and_its_domain_wherever_it_is() {
    let rates = Rates::new(&limits());
    let (office, exempt) = (client("192.0.2.1"), client("198.51.100.7"));
    assert_eq!(passed(&rates, Sent::Message, &office, ADA), 4);
    // A stolen password is no better through the webmail.
    assert_eq!(passed(&rates, Sent::Message, &exempt, ADA), 0);
    // Six of the domain: Ada's refused ones took nothing of it.
    assert_eq!(passed(&rates, Sent::Message, &office, BOB), 2);
    assert_eq!(passed(&rates, Sent::Message, &office, EVE), 4);
    // An office behind one address is not one client.
    assert_eq!(passed(&rates, Sent::Message, &office, None), 3);
    assert_eq!(passed(&rates, Sent::Recipient, &office, ADA), 6);
    assert_eq!(passed(&rates, Sent::Recipient, &office, BOB), 3);
}

#[tokio::test(start_paused = true)]
async fn this_host_and_exempt_networks_have_no_count() {
    let rates = Rates::new(&limits());
    let free = [
        client("127.0.0.1"),
        client("::1"),
        client("::ffff:127.0.0.1"),
        client("198.51.100.7"),
        peer(Remote::Unix),
    ];
    for peer in free {
        assert_eq!(passed(&rates, Sent::Message, &peer, None), 100, "{peer}");
    }
    assert!(rates.state().counts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn other_settings_hold_at_once() {
    let rates = Rates::new(&limits());
    let one = client("192.0.2.1");
    assert_eq!(passed(&rates, Sent::Message, &one, None), 3);
    let mut more = limits();
    more.rates.messages_per_ip = 10;
    rates.set(&more);
    assert_eq!(passed(&rates, Sent::Message, &one, None), 7);
    more.rates.window = Duration::from_secs(60);
    rates.set(&more);
    assert_eq!(passed(&rates, Sent::Message, &one, None), 10);
    more.exempt.push("192.0.2.0/24".parse().expect("a network"));
    rates.set(&more);
    assert_eq!(passed(&rates, Sent::Message, &one, None), 100);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_addresses_forgets_those_that_sent_least() {
    let rates = Rates::bounded(&limits(), 64);
    let guilty = client("192.0.2.1");
    assert_eq!(passed(&rates, Sent::Message, &guilty, None), 3);
    for n in 0..10_000 {
        let stranger = client(&format!("10.0.{}.{}", n / 256, n % 256));
        assert!(rates.allow(Sent::Message, &stranger, None));
        assert!(rates.state().counts.len() <= 64);
    }
    assert_eq!(passed(&rates, Sent::Message, &guilty, None), 0);
    // What no longer counts goes first of all.
    tokio::time::advance(Duration::from_secs(3 * 3600)).await;
    for n in 0..64 {
        assert!(rates.allow(Sent::Message, &client(&format!("10.1.0.{n}")), None));
    }
    assert!(rates.state().counts.len() <= 64);
    assert_eq!(passed(&rates, Sent::Message, &guilty, None), 3);
}

#[test]
fn many_at_once_are_let_through_as_few() {
    let system = tokio::runtime::Builder::new_multi_thread()
        .build()
        .expect("a runtime");
    let rates = Arc::new(Rates::new(&limits()));
    let all = system.block_on(async {
        let senders = (0..16).map(|_| {
            let rates = rates.clone();
            tokio::spawn(async move { passed(&rates, Sent::Recipient, &client("192.0.2.1"), None) })
        });
        let mut all = 0;
        for sender in senders.collect::<Vec<_>>() {
            all += sender.await.expect("ends");
        }
        all
    });
    assert_eq!(all, 5);
}

#[tokio::test(start_paused = true)]
async fn the_operator_hears_of_it_once_in_a_while() {
    let (log, _guard) = crate::telemetry::testing::listen("off,postrider::limits=warn");
    let rates = Rates::new(&limits());
    for _ in 0..2 {
        passed(&rates, Sent::Message, &client("192.0.2.1"), ADA);
    }
    tokio::time::advance(Duration::from_secs(1200)).await;
    passed(&rates, Sent::Message, &client("192.0.2.1"), ADA);
    let lines = log.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in lines {
        assert!(line.contains("account ada@example.test"), "{line}");
    }
}
