//! Guessing, in all its forms, on a clock of our own.

use futures_util::FutureExt;

use super::super::testing::{MINUTE, SECOND, from, peer, settings};
use super::*;
use crate::net::peer::Remote;

const ADA: &str = "ada@example.test";

fn throttle() -> Arc<Throttle> {
    let exempt = vec!["198.51.100.0/24".parse().expect("a network")];
    Arc::new(Throttle::new(settings().throttle, exempt))
}

/// One attempt that is settled at once.
async fn attempt(
    throttle: &Arc<Throttle>,
    ip: &str,
    user: &str,
    how: Settled,
) -> Result<(), Closed> {
    attempt_of(throttle, &peer(ip), user, how).await
}

async fn attempt_of(
    throttle: &Arc<Throttle>,
    peer: &Peer,
    user: &str,
    how: Settled,
) -> Result<(), Closed> {
    throttle.admit(peer, user).await?.settle(how);
    Ok(())
}

/// How many failures pass before the door closes.
async fn fail_until_closed(throttle: &Arc<Throttle>, ip: &str, user: &str) -> (u32, Closed) {
    for passed in 0.. {
        if let Err(door) = attempt(throttle, ip, user, Settled::Failure).await {
            return (passed, door);
        }
        assert!(passed < 1000, "the door never closes");
    }
    unreachable!("the loop has no end")
}

#[tokio::test(start_paused = true)]
async fn attack_34_spraying_over_many_accounts_closes_to_the_network_of_64_bits() {
    let throttle = throttle();
    for n in 0..10 {
        let ip = format!("2001:db8:1:2::{n}");
        let user = format!("user{n}@example.test");
        assert_eq!(
            attempt(&throttle, &ip, &user, Settled::Failure).await,
            Ok(())
        );
    }
    let again = attempt(
        &throttle,
        "2001:db8:1:2:ffff::1",
        "other@example.test",
        Settled::Success,
    );
    assert_eq!(again.await, Err(Closed::Address));
    let neighbour = attempt(
        &throttle,
        "2001:db8:1:3::1",
        "other@example.test",
        Settled::Success,
    );
    assert_eq!(neighbour.await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn attack_34_spraying_from_a_network_of_48_bits_closes_to_it_but_not_to_who_is_known_there() {
    let throttle = throttle();
    attempt(&throttle, "2001:db8:1:ffff::1", ADA, Settled::Success)
        .await
        .expect("open");
    let mut passed = 0;
    'spray: for net in 0..100 {
        for n in 0..9 {
            let ip = format!("2001:db8:1:{net:x}::1");
            let user = format!("user{net}-{n}@example.test");
            match attempt(&throttle, &ip, &user, Settled::Failure).await {
                Ok(()) => passed += 1,
                Err(door) => {
                    assert_eq!(door, Closed::Network);
                    break 'spray;
                }
            }
        }
    }
    assert_eq!(passed, 10 * NETWORK_FACTOR);
    let known = attempt(&throttle, "2001:db8:1:ffff::2", ADA, Settled::Success);
    assert_eq!(known.await, Ok(()));
    let other = attempt(&throttle, "2001:db8:2::1", ADA, Settled::Success);
    assert_eq!(other.await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn attack_34_guesses_at_one_account_from_everywhere_close_it_to_strangers_alone() {
    let throttle = throttle();
    attempt(&throttle, "192.0.2.77", ADA, Settled::Success)
        .await
        .expect("open");
    for n in 0..5 {
        let ip = format!("203.0.113.{n}");
        assert_eq!(attempt(&throttle, &ip, ADA, Settled::Failure).await, Ok(()));
    }
    let stranger = attempt(&throttle, "203.0.113.99", ADA, Settled::Success);
    assert_eq!(stranger.await, Err(Closed::Account));
    let owner = attempt(&throttle, "192.0.2.77", ADA, Settled::Success);
    assert_eq!(owner.await, Ok(()));
    let other = attempt(
        &throttle,
        "203.0.113.99",
        "bob@example.test",
        Settled::Success,
    );
    assert_eq!(other.await, Ok(()));
    // Who shares the owner's address may guess there no more than anybody else.
    assert_eq!(
        fail_until_closed(&throttle, "192.0.2.77", ADA).await,
        (5, Closed::Account)
    );
}

#[tokio::test(start_paused = true)]
async fn attack_34_guesses_at_once_are_no_more_than_guesses_in_a_row() {
    let throttle = throttle();
    let client = peer("192.0.2.1");
    let names: Vec<_> = (0..200).map(|n| format!("user{n}@example.test")).collect();
    let mut looked_at = 0;
    let mut under_way = Vec::new();
    let mut waiting: Vec<_> = names
        .iter()
        .map(|name| Box::pin(throttle.admit(&client, name)))
        .collect();
    let mut closed = 0;
    while !waiting.is_empty() || !under_way.is_empty() {
        waiting.retain_mut(|it| match it.as_mut().now_or_never() {
            Some(Ok(reservation)) => {
                looked_at += 1;
                under_way.push(reservation);
                false
            }
            Some(Err(door)) => {
                assert_eq!(door, Closed::Address);
                closed += 1;
                false
            }
            None => true,
        });
        assert!(under_way.len() <= 10, "places are taken before the look");
        if let Some(reservation) = under_way.pop() {
            reservation.settle(Settled::Failure);
        }
    }
    assert_eq!((looked_at, closed), (10, 190));
}

#[tokio::test(start_paused = true)]
async fn a_crowd_that_comes_back_at_once_is_let_in_one_after_the_other() {
    let throttle = throttle();
    let crowd = (0..500).map(|n| {
        let throttle = throttle.clone();
        tokio::spawn(async move {
            let name = format!("user{n}@example.test");
            let place = throttle.admit(&peer("192.0.2.1"), &name).await?;
            tokio::time::sleep(SECOND).await;
            place.settle(Settled::Success);
            Ok::<_, Closed>(())
        })
    });
    let began = Instant::now();
    for one in crowd.collect::<Vec<_>>() {
        assert_eq!(one.await.expect("no panic"), Ok(()));
    }
    assert_eq!(began.elapsed(), 50 * SECOND, "ten at a time");
}

#[tokio::test(start_paused = true)]
async fn a_ban_lasts_its_time_and_trying_does_not_lengthen_it() {
    let throttle = throttle();
    let ip = "192.0.2.1";
    let mut doors = Vec::new();
    for n in 0..10 {
        let name = format!("user{n}@example.test");
        let place = throttle.admit(&peer(ip), &name).await.expect("open");
        doors.extend(place.settle(Settled::Failure));
    }
    assert_eq!(doors, [Closed::Address], "told once");
    let key = peer(ip).key().expect("a client");
    assert_eq!(
        throttle.banned_until(key),
        Some(Instant::now() + 20 * MINUTE)
    );
    for _ in 0..20 {
        tokio::time::advance(MINUTE - SECOND / 100).await;
        let tried = attempt(&throttle, ip, ADA, Settled::Failure);
        assert_eq!(tried.await, Err(Closed::Address));
    }
    tokio::time::advance(SECOND).await;
    assert_eq!(throttle.banned_until(key), None);
    for n in 0..9 {
        let name = format!("user{n}@example.test");
        assert_eq!(
            attempt(&throttle, ip, &name, Settled::Failure).await,
            Ok(())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn old_failures_no_longer_count() {
    let throttle = throttle();
    for _ in 0..20 {
        for _ in 0..4 {
            let tried = attempt(&throttle, "192.0.2.1", ADA, Settled::Failure);
            assert_eq!(tried.await, Ok(()));
        }
        tokio::time::advance(10 * MINUTE + 10 * MINUTE / 7).await;
    }
}

#[tokio::test(start_paused = true)]
async fn own_logins_do_not_pay_for_guesses_at_others() {
    let throttle = throttle();
    for n in 0..10 {
        let victim = format!("user{n}@example.test");
        attempt(&throttle, "192.0.2.1", &victim, Settled::Failure)
            .await
            .expect("open");
        let own = attempt(
            &throttle,
            "192.0.2.1",
            "mallory@example.test",
            Settled::Success,
        )
        .await;
        assert_eq!(own.is_ok(), n < 9);
    }
}

#[tokio::test(start_paused = true)]
async fn success_and_our_own_trouble_are_given_back() {
    let throttle = throttle();
    for how in [Settled::Success, Settled::Neither] {
        for _ in 0..100 {
            assert_eq!(attempt(&throttle, "2001:db8::1", ADA, how).await, Ok(()));
        }
    }
    assert_eq!(throttle.len(), 0, "nothing is kept of them");
    let silent = throttle.admit(&peer("192.0.2.1"), ADA).await.expect("open");
    drop(silent);
    assert_eq!(throttle.len(), 2, "an attempt without outcome is a failure");
}

#[tokio::test(start_paused = true)]
async fn attack_34_exempt_networks_and_what_is_no_client_are_never_banned() {
    let throttle = throttle();
    for n in 0..1000 {
        let user = format!("user{n}@example.test");
        for client in [peer("198.51.100.9"), peer("::ffff:198.51.100.9")] {
            let tried = attempt_of(&throttle, &client, ADA, Settled::Failure);
            assert_eq!(tried.await, Ok(()));
        }
        let proxy = from(Remote::Proxy(([203, 0, 113, 1], 443).into()));
        for client in [from(Remote::Unix), proxy] {
            let tried = attempt_of(&throttle, &client, &user, Settled::Failure);
            assert_eq!(tried.await, Ok(()));
        }
    }
    assert_eq!(
        attempt(&throttle, "203.0.113.1", ADA, Settled::Success).await,
        Ok(())
    );
    // The account is protected from a local process all the same.
    let (local, bob) = (from(Remote::Unix), "bob@example.test");
    for _ in 0..5 {
        let tried = attempt_of(&throttle, &local, bob, Settled::Failure);
        assert_eq!(tried.await, Ok(()));
    }
    let tried = attempt_of(&throttle, &local, bob, Settled::Failure);
    assert_eq!(tried.await, Err(Closed::Account));
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded_and_a_flood_does_not_lift_a_ban() {
    let throttle = Arc::new(Throttle::bounded(settings().throttle, Vec::new(), 256));
    for n in 0..10 {
        let name = format!("user{n}@example.test");
        attempt(&throttle, "192.0.2.1", &name, Settled::Failure)
            .await
            .expect("open");
    }
    let busy = peer("192.0.2.2");
    let mut held = Vec::new();
    for n in 0..10 {
        let name = format!("held{n}@example.test");
        held.push(throttle.admit(&busy, &name).await.expect("open"));
    }
    for n in 0..5000u32 {
        let ip = format!("10.{}.{}.1", n >> 8, n & 255);
        let name = format!("flood{n}@example.test");
        attempt(&throttle, &ip, &name, Settled::Failure)
            .await
            .expect("open");
        assert!(throttle.len() <= 256);
    }
    let tried = attempt(&throttle, "192.0.2.1", ADA, Settled::Success);
    assert_eq!(tried.await, Err(Closed::Address));
    let more = throttle.admit(&busy, ADA).now_or_never();
    assert!(more.is_none(), "attempts under way are not forgotten");
    for reservation in held {
        reservation.settle(Settled::Failure);
    }
    let more = attempt(&throttle, "192.0.2.2", ADA, Settled::Success);
    assert_eq!(more.await, Err(Closed::Address));
    tokio::time::advance(60 * MINUTE).await;
    // What no longer counts goes before anything else.
    for n in 0..20 {
        let name = format!("late{n}@example.test");
        let ip = format!("10.99.0.{n}");
        attempt(&throttle, &ip, &name, Settled::Failure)
            .await
            .expect("open");
    }
    assert!(throttle.len() <= 256);
}

#[tokio::test(start_paused = true)]
async fn other_settings_hold_from_now_on_and_open_no_closed_door() {
    let throttle = throttle();
    let (closed, _) = fail_until_closed(&throttle, "192.0.2.1", ADA).await;
    for _ in 0..4 {
        attempt(&throttle, "192.0.2.2", "bob@example.test", Settled::Failure)
            .await
            .expect("open");
    }
    let patient = config::Throttle {
        failures_per_account: 7,
        ..settings().throttle
    };
    let exempt = vec!["203.0.113.0/24".parse().expect("a network")];
    throttle.set(patient, exempt.clone());
    assert_eq!(closed, 5);
    let tried = attempt(&throttle, "192.0.2.3", ADA, Settled::Success);
    assert_eq!(tried.await, Err(Closed::Account));
    let bob = fail_until_closed(&throttle, "192.0.2.2", "bob@example.test");
    assert_eq!(
        bob.await,
        (3, Closed::Account),
        "what was counted still counts"
    );
    let tried = attempt(&throttle, "203.0.113.1", ADA, Settled::Success);
    assert_eq!(tried.await, Ok(()));
    let shorter = config::Throttle {
        window: MINUTE,
        ..patient
    };
    attempt(
        &throttle,
        "192.0.2.9",
        "carol@example.test",
        Settled::Failure,
    )
    .await
    .expect("open");
    tokio::time::advance(5 * MINUTE).await;
    throttle.set(shorter, exempt);
    let carol = fail_until_closed(&throttle, "192.0.2.9", "carol@example.test");
    assert_eq!(carol.await, (7, Closed::Account));
}

#[tokio::test(start_paused = true)]
async fn a_higher_limit_lets_in_who_waits() {
    let throttle = throttle();
    let client = peer("192.0.2.1");
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(throttle.admit(&client, ADA).await.expect("open"));
    }
    let mut sixth = Box::pin(throttle.admit(&client, ADA));
    assert!((&mut sixth).now_or_never().is_none());
    let patient = config::Throttle {
        failures_per_account: 6,
        ..settings().throttle
    };
    throttle.set(patient, Vec::new());
    assert!(sixth.now_or_never().is_some_and(|it| it.is_ok()));
}
