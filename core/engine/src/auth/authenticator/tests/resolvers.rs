//! Resolvers of embedding programs before the local one.

use postrider_storage::index::{AuthType, SetAccountActive};

use super::super::super::memory::MemoryResolver;
use super::super::super::resolver::Answer;
use super::super::super::testing::FakeAccounts;
use super::*;

#[tokio::test(start_paused = true)]
async fn own_resolvers_come_first_and_the_row_still_decides() {
    let memory = Arc::new(MemoryResolver::new([
        (ADA, "directory"),
        ("ghost@example.test", "directory"),
        ("ldap@example.test", "directory"),
    ]));
    let house = House::with(settings(), vec![memory.clone()]).await;
    let ldap = house
        .accounts
        .add("ldap@example.test", Some("strong:secret"), AuthType::Ldap)
        .await;
    for (name, password, works) in [
        (ADA, "directory", true),
        (ADA, "secret", true),
        ("ldap@example.test", "directory", true),
        ("ldap@example.test", "secret", false),
        ("ghost@example.test", "directory", false),
    ] {
        let result = login(&house, "198.51.100.1", name, password).await;
        assert_eq!(result.is_ok(), works, "{name} {password} {result:?}");
    }
    // Not remembered: the directory is asked at every login.
    memory.set_broken(Some("down"));
    assert_eq!(
        login(&house, "198.51.100.1", "ldap@example.test", "directory").await,
        Err(Verdict::Unavailable)
    );
    assert!(login(&house, "198.51.100.1", ADA, "secret").await.is_ok());
    memory.set_broken(None);
    let off = SetAccountActive {
        account: ldap,
        active: false,
        now: Timestamp(0),
    };
    house.accounts.apply(Change::SetAccountActive(off)).await;
    assert_eq!(
        login(&house, "198.51.100.1", "ldap@example.test", "directory").await,
        denied()
    );
}

struct Provisions(Arc<FakeAccounts>);

#[async_trait::async_trait]
impl Resolver for Provisions {
    fn name(&self) -> &'static str {
        "provisions"
    }

    async fn authenticate(&self, request: Request<'_>) -> Answer {
        if request.account.is_none() && request.user.starts_with("new") {
            self.0.add(request.user, None, AuthType::Ldap).await;
        }
        Answer::Granted
    }
}

#[tokio::test(start_paused = true)]
async fn a_resolver_may_add_the_account_it_vouches_for() {
    let house = House::new().await;
    let auth = Authenticator::new(Parts {
        accounts: house.accounts.clone(),
        passwords: house.passwords.clone(),
        settings: settings(),
        exempt: Vec::new(),
        deadline: MINUTE,
        resolvers: vec![Arc::new(Provisions(house.accounts.clone()))],
    });
    let result = auth
        .authenticate(House::attempt(HOME, "New1@example.test", "x"))
        .await;
    assert_eq!(
        result.map(|it| it.email),
        Ok("new1@example.test".to_owned())
    );
    let result = auth
        .authenticate(House::attempt(HOME, "other@example.test", "x"))
        .await;
    assert_eq!(result.err(), Some(Verdict::Denied));
}

/// A directory that has its own answer to everything, or none.
struct Directory(Option<Answer>);

#[async_trait::async_trait]
impl Resolver for Directory {
    fn name(&self) -> &'static str {
        "directory"
    }

    async fn authenticate(&self, _: Request<'_>) -> Answer {
        match &self.0 {
            Some(answer) => answer.clone(),
            None => std::future::pending().await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn attack_32_no_local_hash_lets_in_whom_the_directory_refuses_or_does_not_answer_for() {
    for answer in [
        Some(Answer::Denied("wrong password".into())),
        Some(Answer::Unknown("left the company".into())),
        Some(Answer::Unavailable("down".into())),
        Some(Answer::Damaged("no password".into())),
        None,
    ] {
        let house = House::with(settings(), vec![Arc::new(Directory(answer.clone()))]).await;
        // A hash from before the account went to the directory.
        house
            .accounts
            .add("stale@example.test", Some("strong:secret"), AuthType::Ldap)
            .await;
        for _ in 0..3 {
            let result = login(&house, HOME, "stale@example.test", "secret").await;
            assert!(result.is_err(), "{answer:?}: {result:?}");
        }
        // Who is local is let in whatever the directory does (A3).
        assert_eq!(login(&house, HOME, ADA, "secret").await, Ok(ADA.to_owned()));
    }
}
