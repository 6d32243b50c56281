//! The local resolver against rows of every kind.

use super::super::testing::{FakePasswords, MINUTE, account, peer, secret};
use super::*;
use tokio::time::Instant;

async fn ask(passwords: &Arc<FakePasswords>, row: Option<&Account>, password: &str) -> Answer {
    ask_after(passwords, row, password, false).await
}

/// The same where somebody before could tell, or could not.
async fn ask_after(
    passwords: &Arc<FakePasswords>,
    row: Option<&Account>,
    password: &str,
    in_doubt: bool,
) -> Answer {
    let local = LocalResolver::new(passwords.clone());
    local
        .authenticate(Request {
            user: "ada@example.test",
            account: row,
            password: &secret(password),
            peer: &peer("192.0.2.1"),
            protocol: "imap",
            deadline: Instant::now() + MINUTE,
            in_doubt,
        })
        .await
}

fn row(change: impl FnOnce(&mut Account)) -> Account {
    let mut row = account("ada@example.test");
    row.password = Some("strong:secret".to_owned());
    change(&mut row);
    row
}

#[tokio::test]
async fn attack_33_every_refusal_costs_one_verification() {
    let denied = |why: &'static str| Answer::Denied(why.into());
    let unknown = |why: &'static str| Answer::Unknown(why.into());
    for (row, answer) in [
        (None, unknown("no such account")),
        (
            Some(row(|it| it.active = false)),
            denied("account is switched off"),
        ),
        (
            Some(row(|it| it.domain_active = false)),
            denied("domain is switched off"),
        ),
        (
            Some(row(|it| it.auth = AuthType::Ldap)),
            unknown("LDAP vouches for the account"),
        ),
        (
            Some(row(|it| it.password = None)),
            unknown("account has no password"),
        ),
    ] {
        // Also by the right password.
        for password in ["secret", "wrong"] {
            let passwords = Arc::new(FakePasswords::default());
            assert_eq!(ask(&passwords, row.as_ref(), password).await, answer);
            assert_eq!(passwords.work(), 1, "{answer:?}");
        }
    }
    let passwords = Arc::new(FakePasswords::default());
    let row = row(|_| ());
    assert_eq!(
        ask(&passwords, Some(&row), "wrong").await,
        denied("wrong password")
    );
    assert_eq!(passwords.work(), 1);
    assert_eq!(ask(&passwords, Some(&row), "secret").await, Answer::Granted);
    assert_eq!(passwords.work(), 2);
}

/// While the directory is away all its users try again and again: that must not take the hashers from everybody else.
#[tokio::test]
async fn attack_36_while_a_directory_cannot_tell_its_users_cost_no_verification() {
    let passwords = Arc::new(FakePasswords::default());
    for row in [
        None,
        Some(row(|it| it.auth = AuthType::Ldap)),
        Some(row(|it| it.password = None)),
    ] {
        let answer = ask_after(&passwords, row.as_ref(), "secret", true).await;
        assert!(matches!(answer, Answer::Unknown(_)), "{answer:?}");
    }
    assert_eq!(passwords.work(), 0);
    // Who has a password here may use it, and whoever guesses it pays.
    let row = row(|_| ());
    for (password, right) in [("secret", true), ("wrong", false)] {
        let answer = ask_after(&passwords, Some(&row), password, true).await;
        assert_eq!(answer == Answer::Granted, right);
    }
    assert_eq!(passwords.work(), 2);
}

#[tokio::test]
async fn attack_36_what_bcrypt_would_cut_is_wrong_for_everybody_and_costs_everybody_the_same() {
    let passwords = Arc::new(FakePasswords::default());
    let long = "x".repeat(73);
    for password in [long.as_str(), "secret\0"] {
        let known = ask(&passwords, Some(&row(|_| ())), password).await;
        assert!(matches!(known, Answer::Denied(_)), "{known:?}");
        let unknown = ask(&passwords, None, password).await;
        assert_eq!(unknown, Answer::Unknown("no such account".into()));
    }
    assert_eq!(passwords.work(), 4);
}

#[tokio::test]
async fn our_own_trouble_is_not_a_wrong_password() {
    let passwords = Arc::new(FakePasswords::default());
    let damaged = row(|it| it.password = Some("?".to_owned()));
    let answer = ask(&passwords, Some(&damaged), "secret").await;
    let why = "cannot verify a damaged hash: no scheme that we know";
    assert_eq!(answer, Answer::Damaged(why.into()));
    assert_eq!(passwords.work(), 1);
    passwords
        .overloaded
        .store(true, std::sync::atomic::Ordering::SeqCst);
    for row in [None, Some(row(|_| ()))] {
        let answer = ask(&passwords, row.as_ref(), "secret").await;
        assert!(matches!(answer, Answer::Unavailable(_)), "{answer:?}");
    }
}
