//! Recipients of every kind against the in-memory index.

use std::sync::Arc;

use postrider_storage::index::{
    AddAccounts, AddAlias, AddDomain, Alias, AuthType, Change, Index, MemoryIndex, NewAccount,
    SetAccountActive, SetDomainActive, Timestamp,
};

use super::*;
use crate::actor::{Escalation, ServiceRuntime, Supervisor};

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

struct Home {
    directory: Directory,
    index: Arc<MemoryIndex>,
}

impl Home {
    /// Domains `a.test` and `b.test`; accounts `ada` and `bob` in the first.
    async fn new() -> Self {
        let index = Arc::new(MemoryIndex::new());
        let runtime = ServiceRuntime::start(1, 4).expect("threads");
        let supervisor = Supervisor::new(Escalation::log_only());
        let pool = IndexPool::new(index.clone(), runtime, &supervisor);
        let home = Self {
            directory: Directory::new(pool, "mail.a.test".into(), Some('+'), None),
            index,
        };
        for name in ["a.test", "b.test"] {
            home.change(Change::AddDomain(AddDomain {
                name: name.into(),
                auth: AuthType::Local,
                ldap_base_dn: None,
                now: NOW,
            }))
            .await;
        }
        for email in ["ada@a.test", "bob@a.test"] {
            home.account(email).await;
        }
        home
    }

    async fn account(&self, email: &str) {
        let account = NewAccount {
            email: email.into(),
            password: None,
            quota: None,
            auth: AuthType::Local,
        };
        self.change(Change::AddAccounts(AddAccounts {
            accounts: vec![account],
            now: NOW,
        }))
        .await;
    }

    async fn change(&self, change: Change) {
        let mut outcomes = self.index.apply(vec![change]).await;
        outcomes.pop().expect("one").expect("done");
    }

    async fn alias(&self, source: &str, destination: &str) {
        self.change(Change::AddAlias(AddAlias {
            alias: Alias {
                source: source.into(),
                destination: destination.into(),
                active: true,
            },
        }))
        .await;
    }

    /// Who gets mail for an address, or why nobody does.
    async fn route(&self, to: &str) -> Result<Vec<String>, Unroutable> {
        let address: Address = to.parse().expect("an address");
        let route = self.directory.route(Some(&address)).await?;
        let emails = route.targets.into_iter().map(|target| target.account.email);
        Ok(emails.collect())
    }
}

fn to(emails: &[&str]) -> Result<Vec<String>, Unroutable> {
    Ok(emails.iter().map(|email| (*email).to_owned()).collect())
}

#[actix::test]
async fn addresses_details_and_unknown_ones() {
    let home = Home::new().await;
    assert_eq!(home.route("ada@a.test").await, to(&["ada@a.test"]));
    assert_eq!(home.route("ADA@A.test").await, to(&["ada@a.test"]));
    assert_eq!(home.route("ada+lists@a.test").await, to(&["ada@a.test"]));
    assert_eq!(home.route("eve@a.test").await, Err(Unroutable::Unknown));
    assert_eq!(home.route("ada@c.test").await, Err(Unroutable::Foreign));
    assert_eq!(
        home.route("ada@[127.0.0.1]").await,
        Err(Unroutable::Foreign)
    );
}

#[actix::test]
async fn aliases_lists_catch_all_and_own_copies() {
    let home = Home::new().await;
    home.alias("all@a.test", "ada@a.test").await;
    home.alias("all@a.test", "bob@a.test").await;
    home.alias("all@a.test", "gone@a.test").await;
    assert_eq!(
        home.route("all@a.test").await,
        to(&["ada@a.test", "bob@a.test"])
    );
    assert_eq!(
        home.route("all+x@a.test").await,
        to(&["ada@a.test", "bob@a.test"])
    );
    home.alias("@b.test", "bob@a.test").await;
    assert_eq!(home.route("anything@b.test").await, to(&["bob@a.test"]));
    // The detail of an alias may have a home of its own.
    home.alias("all+ada@a.test", "ada@a.test").await;
    assert_eq!(home.route("all+ada@a.test").await, to(&["ada@a.test"]));
    home.alias("ada@a.test", "bob@a.test").await;
    assert_eq!(home.route("ada@a.test").await, to(&["bob@a.test"]));
    home.alias("ada@a.test", "ada@a.test").await;
    assert_eq!(
        home.route("ada@a.test").await,
        to(&["ada@a.test", "bob@a.test"])
    );
    home.alias("out@a.test", "eve@c.test").await;
    assert_eq!(
        home.route("out@a.test").await,
        Err(Unroutable::ForeignAlias)
    );
}

/// What is said of the address with its detail goes before what is said of the address without.
#[actix::test]
async fn an_account_with_a_detail_goes_before_an_alias_without() {
    let home = Home::new().await;
    home.account("ada+lists@a.test").await;
    home.alias("ada@a.test", "bob@a.test").await;
    let own = to(&["ada+lists@a.test"]);
    assert_eq!(home.route("ada+lists@a.test").await, own);
    assert_eq!(home.route("ada+other@a.test").await, to(&["bob@a.test"]));
    home.alias("ada+lists@a.test", "bob@a.test").await;
    assert_eq!(home.route("ada+lists@a.test").await, to(&["bob@a.test"]));
}

/// A circle over a hundred domains costs as many looks as aliases may be deep, and ends in a refusal while the client listens.
#[actix::test]
async fn attack_28_a_circle_over_many_domains_is_cut() {
    let home = Home::new().await;
    for number in 0..100 {
        home.change(Change::AddDomain(AddDomain {
            name: format!("d{number}.test"),
            auth: AuthType::Local,
            ldap_base_dn: None,
            now: NOW,
        }))
        .await;
    }
    for number in 0..100 {
        let next = (number + 1) % 100;
        home.alias(&format!("@d{number}.test"), &format!("x@d{next}.test"))
            .await;
    }
    for number in [0, 50, 99] {
        let to = format!("someone@d{number}.test");
        assert_eq!(home.route(&to).await, Err(Unroutable::Loop));
    }
}

#[actix::test]
async fn attack_28_circles_are_cut() {
    let home = Home::new().await;
    home.alias("x@a.test", "y@b.test").await;
    home.alias("y@b.test", "x@a.test").await;
    assert_eq!(home.route("x@a.test").await, Err(Unroutable::Loop));
    // A circle with a way out delivers to who is outside of it.
    home.alias("y@b.test", "ada@a.test").await;
    assert_eq!(home.route("x@a.test").await, to(&["ada@a.test"]));
    for n in 0..=DEPTH {
        home.alias(&format!("n{n}@a.test"), &format!("n{}@a.test", n + 1))
            .await;
    }
    assert_eq!(home.route("n0@a.test").await, Err(Unroutable::Loop));
}

#[actix::test]
async fn what_is_switched_off_gets_nothing() {
    let home = Home::new().await;
    let ada = home
        .index
        .account("ada@a.test")
        .await
        .expect("read")
        .expect("there");
    home.change(Change::SetAccountActive(SetAccountActive {
        account: ada.id,
        active: false,
        now: NOW,
    }))
    .await;
    assert_eq!(home.route("ada@a.test").await, Err(Unroutable::Disabled));
    home.change(Change::SetDomainActive(SetDomainActive {
        name: "a.test".into(),
        active: false,
    }))
    .await;
    assert_eq!(home.route("bob@a.test").await, Err(Unroutable::Disabled));
}

#[actix::test]
async fn postmaster_is_always_somebody() {
    let home = Home::new().await;
    assert_eq!(home.route("Postmaster@a.test").await, to(&["ada@a.test"]));
    // A domain without accounts has the postmaster of the house.
    assert_eq!(home.route("postmaster@b.test").await, to(&["ada@a.test"]));
    let bare = home.directory.route(None).await.expect("somebody");
    assert_eq!(bare.targets[0].account.email, "ada@a.test");
    home.alias("postmaster@a.test", "bob@a.test").await;
    assert_eq!(home.route("postmaster@a.test").await, to(&["bob@a.test"]));
}

#[actix::test]
async fn our_own_trouble_is_temporary() {
    let home = Home::new().await;
    home.index
        .break_with(Some(Error::Unavailable("away".into())));
    let refused = home.route("ada@a.test").await;
    assert!(matches!(refused, Err(Unroutable::Unavailable(_))));
}

#[actix::test]
async fn who_may_send_as_whom() {
    let home = Home::new().await;
    home.alias("sales@a.test", "ada@a.test").await;
    home.alias("@b.test", "ada@a.test").await;
    let ada = home
        .index
        .account("ada@a.test")
        .await
        .expect("read")
        .expect("there");
    for (sender, may) in [
        ("ada@a.test", true),
        ("Ada+x@a.test", true),
        ("sales@a.test", true),
        ("bob@a.test", false),
        ("anything@b.test", false),
        ("ada@c.test", false),
    ] {
        let address: Address = sender.parse().expect("an address");
        let answer = home.directory.may_send_as(&ada, &address).await;
        assert_eq!(answer, Ok(may), "{sender}");
    }
}
