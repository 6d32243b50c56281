//! Whole logins: what is let in, what is not, what it costs.

#![allow(clippy::unwrap_used)]

mod attacks;
mod hashes;
mod log;
mod resolvers;
mod trouble;

use futures_util::future::join_all;

use super::super::testing::{House, MINUTE, SECOND, settings};
use super::*;

const ADA: &str = "ada@example.test";
const HOME: &str = "192.0.2.1";

async fn login(house: &House, ip: &str, user: &str, password: &str) -> Result<String, Verdict> {
    let attempt = House::attempt(ip, user, password);
    house.auth.authenticate(attempt).await.map(|it| it.email)
}

fn denied<T>() -> Result<T, Verdict> {
    Err(Verdict::Denied)
}

#[tokio::test(start_paused = true)]
async fn who_proves_to_be_an_account_is_let_in_as_it() {
    let house = House::new().await;
    for name in [ADA, "ADA@Example.TEST", "Ada@example.test"] {
        assert_eq!(
            login(&house, HOME, name, "secret").await,
            Ok(ADA.to_owned())
        );
    }
    for (name, password) in [
        (ADA, "Secret"),
        (ADA, ""),
        ("ada", "secret"),
        ("dave@example.test", "secret"),
        ("", "secret"),
    ] {
        assert_eq!(
            login(&house, HOME, name, password).await,
            denied(),
            "{name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_acts_for_somebody_else() {
    let house = House::new().await;
    let mut attempt = House::attempt(HOME, "Ada@example.test", "secret");
    attempt.credentials.authorize_as = "bob@example.test".to_owned();
    assert_eq!(
        house.auth.authenticate(attempt.clone()).await.err(),
        Some(Verdict::Denied)
    );
    assert_eq!(house.passwords.work(), 0);
    attempt.credentials.authorize_as = ADA.to_owned();
    assert!(house.auth.authenticate(attempt).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_success_is_remembered_a_failure_is_not() {
    let house = House::new().await;
    for _ in 0..5 {
        assert!(login(&house, HOME, ADA, "secret").await.is_ok());
    }
    assert_eq!(house.passwords.work(), 1);
    for _ in 0..2 {
        assert_eq!(login(&house, HOME, ADA, "wrong").await, denied());
    }
    assert_eq!(house.passwords.work(), 3);
    tokio::time::advance(5 * MINUTE).await;
    assert!(login(&house, HOME, ADA, "secret").await.is_ok());
    assert_eq!(house.passwords.work(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_login_is_noted_once_a_minute_and_does_not_wait_for_it() {
    let house = House::new().await;
    let noted = || {
        let changes = house.accounts.changes.lock().unwrap();
        changes
            .iter()
            .filter(|it| matches!(it, Change::TouchLogin(_)))
            .count()
    };
    let logins = (0..20).map(|_| login(&house, HOME, ADA, "secret"));
    assert!(join_all(logins).await.iter().all(Result::is_ok));
    assert_eq!(login(&house, HOME, ADA, "wrong").await, denied());
    tokio::time::sleep(SECOND).await;
    assert_eq!(noted(), 1);
    assert!(house.accounts.row(ADA).await.last_login.is_some());
}
