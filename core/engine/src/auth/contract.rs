//! What every [`Resolver`] must do, as a suite that each runs in its tests, those of embedding programs too.
//!
//! A failed check panics and names itself.

#![allow(clippy::missing_panics_doc)]

use std::time::Duration;

use futures_util::future::join_all;
use postrider_protocol::secret::Secret;
use tokio::time::Instant;

use super::resolver::{Answer, Request, Resolver};
use crate::net::peer::{Peer, Remote};

/// A resolver, with what a test can do to what is behind it.
#[async_trait::async_trait]
pub trait Fixture: Send + Sync {
    /// The resolver.
    fn resolver(&self) -> &dyn Resolver;

    /// Takes away (`false`) and brings back (`true`) what it depends on: directory, database. `None` if it depends on nothing.
    async fn set_reachable(&self, reachable: bool) -> Option<()>;
}

/// The users that every fixture knows. Passwords differ from each other where careless comparisons do not look.
pub const USERS: [(&str, &str); 3] = [
    ("ada@example.test", "Correct horse"),
    ("bob@example.test", "Correct horse battery"),
    ("jürgen@example.test", "pässwörd *)(uid=*"),
];

/// Names that are nobody's, and mean something to SQL, LDAP, shells and file systems (attack 29).
const NOBODIES: [&str; 13] = [
    "carol@example.test",
    "ada",
    "*",
    "*@example.test",
    "ada@example.test)(|(uid=*",
    "*)(uid=*))(|(uid=*",
    "ada@example.test' --",
    "' or '1'='1",
    "ada@example.test\\",
    "cn=admin,dc=example,dc=test",
    "%",
    "_da@example.test",
    "../../ada@example.test",
];

/// What is not quite the first user's password (attacks 30 and 36).
const NEARLY: [&str; 10] = [
    "",
    "C",
    "Correct hors",
    "Correct horse ",
    " Correct horse",
    "correct horse",
    "Correct horse\0",
    "Correct horse battery",
    "*",
    "' or '1'='1",
];

/// Runs the whole suite; each call of `fresh` makes a resolver that knows [`USERS`] and nobody else.
pub async fn all<F: Fixture>(fresh: impl AsyncFn() -> F) {
    has_a_name(&fresh().await);
    lets_in_its_users(&fresh().await).await;
    attack_30_lets_in_nobody_by_a_password_that_is_nearly_right(&fresh().await).await;
    attack_29_takes_no_name_for_a_pattern(&fresh().await).await;
    mixes_up_nobody(&fresh().await).await;
    outlives_requests_that_are_given_up(&fresh().await).await;
    cannot_tell_when_it_cannot(&fresh().await).await;
}

/// Asks a resolver outside of a chain.
pub async fn ask(resolver: &dyn Resolver, user: &str, password: &str) -> Answer {
    let peer = Peer {
        remote: Remote::Unix,
        local: None,
        proxy: None,
        tls: None,
    };
    let request = Request {
        user,
        account: None,
        password: &Secret::new(password.to_owned()),
        peer: &peer,
        protocol: "imap",
        deadline: Instant::now() + Duration::from_secs(60),
        in_doubt: false,
    };
    resolver.authenticate(request).await
}

fn has_a_name(fixture: &impl Fixture) {
    let name = fixture.resolver().name();
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    assert!(
        !name.is_empty() && name.chars().all(good),
        "has_a_name: {name:?} is not one lower-case word"
    );
}

async fn lets_in_its_users(fixture: &impl Fixture) {
    for (user, password) in USERS {
        for round in 1..=2 {
            let answer = ask(fixture.resolver(), user, password).await;
            assert_eq!(
                answer,
                Answer::Granted,
                "lets_in_its_users: {user}, {round}"
            );
        }
    }
}

async fn attack_30_lets_in_nobody_by_a_password_that_is_nearly_right(fixture: &impl Fixture) {
    let (user, right) = USERS[0];
    for password in NEARLY {
        let answer = ask(fixture.resolver(), user, password).await;
        assert!(
            matches!(answer, Answer::Denied(_)),
            "nearly right: {password:?} brought {answer:?}"
        );
    }
    let long = format!("{right}{}", "x".repeat(1000));
    let answer = ask(fixture.resolver(), user, &long).await;
    assert!(
        matches!(answer, Answer::Denied(_)),
        "nearly right: {answer:?}"
    );
    assert_eq!(
        ask(fixture.resolver(), user, right).await,
        Answer::Granted,
        "nearly right: wrong passwords lock nobody out here, that is the throttle's"
    );
}

async fn attack_29_takes_no_name_for_a_pattern(fixture: &impl Fixture) {
    for user in NOBODIES {
        for (_, password) in USERS.into_iter().chain([("", ""), ("", "*")]) {
            let answer = ask(fixture.resolver(), user, password).await;
            assert!(
                matches!(answer, Answer::Unknown(_)),
                "takes_no_name_for_a_pattern: {user:?} brought {answer:?}"
            );
        }
    }
}

async fn mixes_up_nobody(fixture: &impl Fixture) {
    let pairs: Vec<_> = (0..64)
        .map(|n| {
            (
                USERS[n % USERS.len()].0,
                USERS[n / USERS.len() % USERS.len()].1,
            )
        })
        .collect();
    let asked = pairs
        .iter()
        .map(|(user, password)| ask(fixture.resolver(), user, password));
    for (pair, answer) in pairs.iter().zip(join_all(asked).await) {
        assert_eq!(
            answer == Answer::Granted,
            USERS.contains(pair),
            "mixes_up_nobody: {pair:?} brought {answer:?}"
        );
    }
}

async fn outlives_requests_that_are_given_up(fixture: &impl Fixture) {
    let (user, password) = USERS[0];
    for _ in 0..8 {
        let asked = ask(fixture.resolver(), user, password);
        // Polled once at most, then dropped.
        let _ = futures_util::poll!(std::pin::pin!(asked));
    }
    let answer = ask(fixture.resolver(), user, password).await;
    assert_eq!(
        answer,
        Answer::Granted,
        "outlives_requests_that_are_given_up"
    );
}

async fn cannot_tell_when_it_cannot(fixture: &impl Fixture) {
    if fixture.set_reachable(false).await.is_none() {
        return;
    }
    let (user, right) = USERS[0];
    for (user, password) in [(user, right), (user, "wrong"), (NOBODIES[0], right)] {
        let answer = ask(fixture.resolver(), user, password).await;
        assert!(
            matches!(answer, Answer::Unavailable(_)),
            "cannot_tell_when_it_cannot: {user} brought {answer:?}"
        );
    }
    fixture.set_reachable(true).await;
    let answer = ask(fixture.resolver(), user, right).await;
    assert_eq!(answer, Answer::Granted, "recovers by itself");
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryResolver;
    use super::super::testing::LocalFixture;
    use super::*;

    struct Memory(MemoryResolver);

    #[async_trait::async_trait]
    impl Fixture for Memory {
        fn resolver(&self) -> &dyn Resolver {
            &self.0
        }

        async fn set_reachable(&self, reachable: bool) -> Option<()> {
            self.0.set_broken((!reachable).then_some("taken away"));
            Some(())
        }
    }

    #[tokio::test]
    async fn memory_passes() {
        all(async || Memory(MemoryResolver::new(USERS))).await;
    }

    #[tokio::test]
    async fn local_passes() {
        all(LocalFixture::new).await;
    }
}
