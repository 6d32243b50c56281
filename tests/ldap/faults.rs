//! A directory that is slow, goes, comes back; several servers; the time of grace.

use std::time::{Duration, Instant};

use postrider_protocol::sasl::Verdict;
use postrider_storage::index::AuthType;

use super::company::{Company, settings};
use super::slapd::{Slapd, dn, free_port, person};

const LATER: Result<String, Verdict> = Err(Verdict::Unavailable);

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_hangs_slows_no_other_domain() {
    let slapd = Slapd::start(&[person("ada@with.test", "one")]);
    let mut settings = settings(&slapd);
    settings.timeout = Duration::from_secs(8);
    let company = std::sync::Arc::new(Company::new(&settings).await);
    let local = "bob@without.test";
    company.account(local, AuthType::Local, Some("two")).await;
    slapd.stop();
    // More than any bounded queue between here and there.
    let hanging: Vec<_> = (0..600)
        .map(|n| {
            let company = company.clone();
            let user = format!("user{n}@with.test");
            tokio::spawn(async move { company.opens(&user, "x").await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    for _ in 0..20 {
        assert!(company.opens(local, "two").await.is_ok());
    }
    let waiting = hanging.iter().filter(|it| !it.is_finished()).count();
    assert!(waiting > 0, "nobody hung, so nothing was shown");
    for login in hanging {
        assert_eq!(login.await.unwrap(), LATER);
    }
    slapd.go_on();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_failed_is_left_alone_and_comes_back() {
    let mut slapd = Slapd::start(&[person("ada@with.test", "one")]);
    let mut settings = settings(&slapd);
    settings.timeout = Duration::from_secs(2);
    let company = Company::new(&settings).await;
    let user = "ada@with.test";
    assert!(company.opens(user, "one").await.is_ok());
    // Its connections break while nobody looks: the next login does not notice.
    slapd.kill();
    slapd.restart();
    assert!(company.opens(user, "one").await.is_ok());
    slapd.stop();
    let began = Instant::now();
    assert_eq!(company.opens(user, "one").await, LATER);
    // It is left alone for a second first, which a slow machine may need for the rest of the login.
    let in_time = began.elapsed() < settings.timeout + Duration::from_millis(500);
    // Known to be away, it is not waited for; where a login takes longer than it is left alone, once it is left alone for longer.
    let waited_for = async || {
        let began = Instant::now();
        assert_eq!(company.opens(user, "one").await, LATER);
        began.elapsed() >= settings.timeout
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while waited_for().await {
        assert!(!in_time, "it is not left alone from the first failure on");
        assert!(Instant::now() < deadline, "it is never left alone");
    }
    slapd.go_on();
    let deadline = Instant::now() + Duration::from_secs(60);
    while company.opens(user, "one").await == LATER {
        assert!(Instant::now() < deadline, "it does not come back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(company.opens(user, "one").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_asked_in_turn() {
    let people = [person("ada@with.test", "one")];
    let mut first = Slapd::start(&people);
    let mut settings = settings(&first);
    // One that nobody listens at.
    let nobody = format!("ldaps://127.0.0.1:{}", free_port());
    settings.urls = vec![nobody, first.url()];
    let company = Company::new(&settings).await;
    assert!(company.opens("ada@with.test", "one").await.is_ok());
    first.kill();
    assert_eq!(company.opens("ada@with.test", "one").await, LATER);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_given_up_leaves_no_connection_unusable() {
    let slapd = Slapd::start(&[person("ada@with.test", "one")]);
    let mut settings = settings(&slapd);
    settings.connections = 1;
    let company = std::sync::Arc::new(Company::new(&settings).await);
    for _ in 0..10 {
        let company = company.clone();
        let login = tokio::spawn(async move { company.opens("ada@with.test", "one").await });
        tokio::time::sleep(Duration::from_millis(3)).await;
        login.abort();
    }
    for password in ["one", "two", "one"] {
        let opened = company.opens("ada@with.test", password).await;
        assert_eq!(opened.is_ok(), password == "one", "{opened:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_never_mix_up() {
    let people: Vec<_> = (0..16)
        .map(|n| person(&format!("u{n}@with.test"), &format!("password {n}")))
        .collect();
    let slapd = Slapd::start(&people);
    let company = std::sync::Arc::new(Company::new(&settings(&slapd)).await);
    let logins: Vec<_> = (0..128)
        .map(|n| {
            let company = company.clone();
            let (user, password) = (n % 16, n / 16 * 2 + n % 2);
            tokio::spawn(async move {
                let opened = company
                    .opens(
                        &format!("u{user}@with.test"),
                        &format!("password {password}"),
                    )
                    .await;
                match user == password {
                    true => assert_eq!(opened, Ok(format!("u{user}@with.test"))),
                    false => assert_eq!(opened, Err(Verdict::Denied)),
                }
            })
        })
        .collect();
    for login in logins {
        login.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_of_grace_lets_in_who_was_in_lately() {
    let mut slapd = Slapd::start(&[
        person("ada@with.test", "one"),
        person("bob@with.test", "two"),
    ]);
    let mut settings = settings(&slapd);
    settings.grace = Duration::from_secs(3600);
    let company = Company::new(&settings).await;
    // Twice: the first login adds the account, whose row the second one has seen.
    for _ in 0..2 {
        assert!(company.opens("ada@with.test", "one").await.is_ok());
    }
    slapd.kill();
    assert!(company.opens("ada@with.test", "one").await.is_ok());
    assert_eq!(company.opens("ada@with.test", "two").await, LATER);
    assert_eq!(company.opens("bob@with.test", "two").await, LATER);
    slapd.restart();
    // What the directory says ends what it said before.
    slapd.set(&dn("ada"), "userPassword", "new");
    let deadline = Instant::now() + Duration::from_secs(60);
    while company.opens("ada@with.test", "one").await != Err(Verdict::Denied) {
        assert!(Instant::now() < deadline, "the old password stays");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    slapd.kill();
    assert_eq!(company.opens("ada@with.test", "one").await, LATER);
}
