//! Limits kept and given back, alone and under contention.

use std::time::Duration;

use super::*;

fn limits(total: usize, address: usize, before_login: usize, account: usize) -> Limits {
    Limits {
        total,
        per_address: address,
        per_address_before_login: before_login,
        per_account: account,
        exempt: vec!["10.0.0.0/8".parse().expect("a network")],
    }
}

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().expect("an address"))
}

fn admit(limiter: &Limiter, from: Option<IpAddr>) -> Result<Permit, Refused> {
    let slot = limiter.try_slot(Service::Imap).expect("a slot");
    slot.admit(from, Login::Expected)
        .map_err(|(_, refused)| refused)
}

#[test]
fn attack_06_an_address_cannot_take_all() {
    let limiter = Limiter::new(limits(100, 3, 2, 10));
    let mut one = admit(&limiter, ip("192.0.2.1")).expect("first");
    let _two = admit(&limiter, ip("::ffff:192.0.2.1")).expect("second");
    let refused = admit(&limiter, ip("192.0.2.1")).expect_err("two wait for login");
    assert_eq!(refused, Refused::AddressBeforeLogin);
    one.log_in("ada").expect("logs in");
    let _three = admit(&limiter, ip("192.0.2.1")).expect("one logged in");
    let refused = admit(&limiter, ip("192.0.2.1")).expect_err("three are open");
    assert_eq!(refused, Refused::Address);
    assert_eq!(limiter.open(), 3, "the refused gave back their slots");

    admit(&limiter, ip("192.0.2.2")).expect("another address");
}

#[test]
fn attack_34_an_ipv6_network_counts_as_one() {
    let limiter = Limiter::new(limits(100, 2, 2, 10));
    let _one = admit(&limiter, ip("2001:db8::1")).expect("first");
    let _two = admit(&limiter, ip("2001:db8::2")).expect("second");
    assert!(admit(&limiter, ip("2001:db8::ffff:3")).is_err());
    assert!(admit(&limiter, ip("2001:db8:0:1::1")).is_ok());
}

#[test]
fn exempt_and_local_peers_are_not_counted_per_address() {
    let limiter = Limiter::new(limits(100, 1, 1, 10));
    let exempt: Vec<_> = (0..5).map(|_| admit(&limiter, ip("10.1.2.3"))).collect();
    let local: Vec<_> = (0..5).map(|_| admit(&limiter, None)).collect();
    assert!(exempt.iter().chain(&local).all(Result::is_ok));
    assert_eq!(limiter.entries(), (0, 0));
    assert_eq!(limiter.open(), 10);
}

#[test]
fn services_without_login_wait_for_none() {
    let limiter = Limiter::new(limits(100, 5, 0, 10));
    let slot = limiter.try_slot(Service::Imap).expect("a slot");
    slot.admit(ip("192.0.2.1"), Login::NotExpected)
        .expect("counts as open alone");
    assert!(admit(&limiter, ip("192.0.2.1")).is_err());
}

#[test]
fn an_account_has_its_own_limit_and_may_change() {
    let limiter = Limiter::new(limits(100, 100, 100, 2));
    let mut permits: Vec<_> = (0..3)
        .map(|_| admit(&limiter, ip("192.0.2.1")).expect("admitted"))
        .collect();
    permits[0].log_in("ada").expect("first");
    permits[1].log_in("ada").expect("second");
    assert_eq!(permits[2].log_in("ada"), Err(Refused::Account));
    permits[1].log_in("bob").expect("another account");
    permits[2].log_in("ada").expect("a place became free");
    assert_eq!(limiter.entries(), (1, 2));
    permits.truncate(1);
    assert_eq!(limiter.entries(), (1, 1));
}

#[test]
fn zero_means_none() {
    let limiter = Limiter::new(limits(5, 0, 5, 0));
    assert_eq!(
        admit(&limiter, ip("192.0.2.1")).expect_err("none"),
        Refused::Address
    );
    let mut local = admit(&limiter, None).expect("not counted");
    assert_eq!(local.log_in("ada"), Err(Refused::Account));
    assert_eq!(limiter.entries(), (0, 0));
    limiter.set(limits(1, 1, 1, 1));
    assert!(
        limiter.try_slot(Service::Imap).is_none(),
        "one is open, one is allowed"
    );
}

#[test]
fn nothing_is_left_when_all_are_gone() {
    let limiter = Limiter::new(limits(100_000, 50, 20, 9));
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let limiter = &limiter;
            scope.spawn(move || {
                let mut held = std::collections::VecDeque::new();
                for round in 0..3000_u32 {
                    let from = IpAddr::from([192, 0, 2, (round % 7) as u8]);
                    if let Ok(mut permit) = admit(limiter, Some(from)) {
                        let _ = permit.log_in(["ada", "bob", "eve"][round as usize % 3]);
                        held.push_back(permit);
                    }
                    if held.len() > 10 + usize::from(thread) {
                        held.pop_front();
                    }
                }
            });
        }
    });
    assert_eq!(limiter.entries(), (0, 0));
    assert_eq!(limiter.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn waiters_get_what_becomes_free() {
    let limiter = Limiter::new(limits(2, 9, 9, 9));
    let held = [
        limiter.slot(Service::Imap).await,
        limiter.slot(Service::Imap).await,
    ];
    let waiters: Vec<_> = (0..6)
        .map(|number| {
            let limiter = limiter.clone();
            tokio::spawn(async move {
                if number % 2 == 0 {
                    limiter.free().await;
                }
                let slot = limiter.slot(Service::Imap).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
                drop(slot);
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(waiters.iter().all(|waiter| !waiter.is_finished()));
    drop(held);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(waiters.iter().all(tokio::task::JoinHandle::is_finished));
    assert_eq!(limiter.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_raised_limit_wakes_all() {
    let limiter = Limiter::new(limits(0, 9, 9, 9));
    let waiters = futures_util::future::join_all((0..3).map(|_| limiter.slot(Service::Imap)));
    let raise = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        limiter.set(limits(3, 9, 9, 9));
    };
    let (slots, ()) = tokio::join!(waiters, raise);
    assert_eq!(slots.len(), 3);
}

/// No wake-up is lost between threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_waiter_gets_its_turn() {
    let limiter = Limiter::new(limits(2, 9, 9, 9));
    let tasks = (0..8).map(|_| {
        let limiter = limiter.clone();
        tokio::spawn(async move {
            for _ in 0..3000 {
                let slot = limiter.slot(Service::Imap).await;
                tokio::task::yield_now().await;
                drop(slot);
            }
        })
    });
    let all = futures_util::future::join_all(tasks);
    tokio::time::timeout(Duration::from_secs(60), all)
        .await
        .expect("nobody sleeps for ever");
    assert_eq!(limiter.open(), 0);
}

#[test]
fn limits_are_those_of_the_configuration() {
    let config = config::Config::embedded(std::path::Path::new("/nowhere"));
    assert_eq!(Limits::from(&config.limits), Limits::default());
}

#[test]
fn open_and_refused_connections_are_counted() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let render = || recorder.handle().render();
    metrics::with_local_recorder(&recorder, || {
        let limiter = Limiter::new(limits(10, 1, 1, 1));
        let held = admit(&limiter, ip("192.0.2.1")).expect("first");
        admit(&limiter, ip("192.0.2.1")).expect_err("second");
        let open = "postrider_connections_open{service=\"imap\"}";
        assert!(render().contains(&format!("{open} 1\n")), "{}", render());
        drop(held);
        assert!(render().contains(&format!("{open} 0\n")), "{}", render());
    });
    let refused = "postrider_connections_refused_total{service=\"imap\",reason=\"limit_per_ip\"} 1";
    assert!(render().contains(refused), "{}", render());
}
