//! Domains, aliases, the generation, and batches of which one part fails.

use std::sync::Arc;

use super::{Home, NOW, add_account, add_domain, one};
use crate::{
    Error,
    index::{
        AddAlias, AddDomain, Alias, AuthType, Change, Index, Outcome, RemoveAccount, RemoveAlias,
        RemoveDomain, SetAccountActive, SetDomainActive, SetDomainAuth, SetPassword, SetQuota,
        TouchLogin, UsersOfDomain,
    },
};

pub(super) async fn all<F: AsyncFn() -> Arc<dyn Index>>(fresh: &F) {
    domains(&*fresh().await).await;
    aliases(&*fresh().await).await;
    refused_names(&*fresh().await).await;
    generations(fresh().await).await;
    one_fails_others_stand(&*fresh().await).await;
    a_domain_goes_to_the_directory_and_back(fresh().await).await;
}

async fn domains(index: &dyn Index) {
    let first = one(index, add_domain("b.test")).await;
    assert!(matches!(first, Ok(Outcome::Domain(_))), "{first:?}");
    let ldap = AddDomain {
        name: "a.test".to_owned(),
        auth: AuthType::Ldap,
        ldap_base_dn: Some("dc=a,dc=test".to_owned()),
        now: NOW,
    };
    one(index, Change::AddDomain(ldap))
        .await
        .expect("another domain");
    let again = one(index, add_domain("b.test")).await;
    assert_eq!(again, Err(Error::Exists("domain")));

    let all = index.domains().await.expect("reads work");
    let names: Vec<&str> = all.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["a.test", "b.test"]);
    let domain = index
        .domain("a.test")
        .await
        .expect("reads work")
        .expect("there");
    assert_eq!(domain, all[0]);
    assert_eq!(domain.auth, AuthType::Ldap);
    assert_eq!(domain.ldap_base_dn.as_deref(), Some("dc=a,dc=test"));
    assert_eq!(domain.transport, "virtual:");
    assert_eq!(
        (domain.active, domain.created, domain.company),
        (true, NOW, None)
    );
    assert_eq!(index.domain("c.test").await, Ok(None));

    let off = |name: &str| {
        Change::SetDomainActive(SetDomainActive {
            name: name.to_owned(),
            active: false,
        })
    };
    one(index, off("b.test")).await.expect("switched off");
    let domain = index
        .domain("b.test")
        .await
        .expect("reads work")
        .expect("there");
    assert!(!domain.active);
    assert_eq!(
        one(index, off("c.test")).await,
        Err(Error::NotFound("domain"))
    );

    let remove = |name: &str| {
        Change::RemoveDomain(RemoveDomain {
            name: name.to_owned(),
        })
    };
    one(index, add_account("x@a.test", None))
        .await
        .expect("an account");
    assert_eq!(
        one(index, remove("a.test")).await,
        Err(Error::Exists("account"))
    );
    one(index, remove("b.test")).await.expect("removed");
    assert_eq!(
        one(index, remove("b.test")).await,
        Err(Error::NotFound("domain"))
    );
    assert_eq!(index.domains().await.expect("reads work").len(), 1);
}

async fn aliases(index: &dyn Index) {
    one(index, add_domain("example.test"))
        .await
        .expect("a domain");
    one(index, add_domain("other.test"))
        .await
        .expect("a domain");
    let alias = |source: &str, destination: &str, active| Alias {
        source: source.to_owned(),
        destination: destination.to_owned(),
        active,
    };
    let add = |alias: &Alias| {
        Change::AddAlias(AddAlias {
            alias: alias.clone(),
        })
    };
    let all = [
        alias("@example.test", "all@example.test", true),
        alias("a@example.test", "x@elsewhere.test", true),
        alias("a@example.test", "y@elsewhere.test", false),
        alias("a@example.test", "z@elsewhere.test", true),
        alias("b@other.test", "x@elsewhere.test", true),
    ];
    for it in all.iter().rev() {
        one(index, add(it)).await.expect("an alias");
    }
    assert_eq!(one(index, add(&all[1])).await, Err(Error::Exists("alias")));
    let nowhere = alias("a@none.test", "x@elsewhere.test", true);
    assert_eq!(
        one(index, add(&nowhere)).await,
        Err(Error::NotFound("domain"))
    );

    assert_eq!(index.aliases(None).await, Ok(all.to_vec()));
    assert_eq!(
        index.aliases(Some("other.test")).await,
        Ok(all[4..].to_vec())
    );
    assert_eq!(index.aliases(Some("none.test")).await, Ok(Vec::new()));
    let to = index
        .destinations("a@example.test")
        .await
        .expect("reads work");
    assert_eq!(to, ["x@elsewhere.test", "z@elsewhere.test"]);
    let to = index
        .destinations("@example.test")
        .await
        .expect("reads work");
    assert_eq!(to, ["all@example.test"]);
    assert_eq!(index.destinations("c@example.test").await, Ok(Vec::new()));

    let remove = |source: &str, destination: Option<&str>| {
        Change::RemoveAlias(RemoveAlias {
            source: source.to_owned(),
            destination: destination.map(str::to_owned),
        })
    };
    one(index, remove("a@example.test", Some("x@elsewhere.test")))
        .await
        .expect("one");
    let again = one(index, remove("a@example.test", Some("x@elsewhere.test"))).await;
    assert_eq!(again, Err(Error::NotFound("alias")));
    one(index, remove("a@example.test", None))
        .await
        .expect("all of the source");
    let again = one(index, remove("a@example.test", None)).await;
    assert_eq!(again, Err(Error::NotFound("alias")));
    let domain = RemoveDomain {
        name: "example.test".to_owned(),
    };
    one(index, Change::RemoveDomain(domain))
        .await
        .expect("with its aliases");
    assert_eq!(index.aliases(None).await, Ok(all[4..].to_vec()));
}

async fn refused_names(index: &dyn Index) {
    one(index, add_domain("example.test"))
        .await
        .expect("a domain");
    let long = "x".repeat(256);
    for name in [
        "",
        "Example.test",
        "exa mple.test",
        "a@b",
        "a/b",
        "\0",
        &long,
    ] {
        let refused = one(index, add_domain(name)).await;
        assert!(
            matches!(refused, Err(Error::Invalid(_))),
            "{name:?}: {refused:?}"
        );
    }
    let long = format!("{}@example.test", "x".repeat(256));
    for email in ["", "ada", "ADA@example.test", "a\0@example.test", &long] {
        let refused = one(index, add_account(email, None)).await;
        assert!(
            matches!(refused, Err(Error::Invalid(_))),
            "{email:?}: {refused:?}"
        );
        let alias = Alias {
            source: email.to_owned(),
            destination: "x@y.test".to_owned(),
            active: true,
        };
        let refused = one(index, Change::AddAlias(AddAlias { alias })).await;
        assert!(
            matches!(refused, Err(Error::Invalid(_))),
            "{email:?}: {refused:?}"
        );
    }
    for destination in ["", "a\nb@c.test", &long] {
        let alias = Alias {
            source: "a@example.test".to_owned(),
            destination: destination.to_owned(),
            active: true,
        };
        let refused = one(index, Change::AddAlias(AddAlias { alias })).await;
        assert!(
            matches!(refused, Err(Error::Invalid(_))),
            "{destination:?}: {refused:?}"
        );
    }
    let refused = one(index, add_account("ada@example.test", Some(u64::MAX))).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
}

async fn generations(index: Arc<dyn Index>) {
    let home = Home::new(index.clone(), None).await;
    let mut last = index.generation().await.expect("reads work");
    let account = home.account;
    let name = || "example.test".to_owned();
    let alias = Alias {
        source: "@example.test".to_owned(),
        destination: "x@y.test".to_owned(),
        active: true,
    };
    for change in [
        add_domain("new.test"),
        add_account("x@new.test", None),
        Change::SetDomainActive(SetDomainActive {
            name: name(),
            active: true,
        }),
        Change::SetDomainAuth(SetDomainAuth {
            name: name(),
            auth: AuthType::Local,
            ldap_base_dn: None,
            users: UsersOfDomain::Follow,
            now: NOW,
        }),
        Change::SetPassword(SetPassword {
            account,
            password: None,
            only_if: None,
            now: NOW,
        }),
        Change::SetQuota(SetQuota {
            account,
            quota: None,
            now: NOW,
        }),
        Change::SetAccountActive(SetAccountActive {
            account,
            active: true,
            now: NOW,
        }),
        Change::AddAlias(AddAlias { alias }),
        Change::RemoveAlias(RemoveAlias {
            source: "@example.test".to_owned(),
            destination: None,
        }),
        Change::RemoveAccount(RemoveAccount { account, now: NOW }),
        Change::RemoveDomain(RemoveDomain { name: name() }),
    ] {
        home.one(change.clone()).await.expect("a change");
        let generation = index.generation().await.expect("reads work");
        assert!(generation > last, "{change:?}");
        last = generation;
    }
    let refused = home
        .one(Change::RemoveDomain(RemoveDomain { name: name() }))
        .await;
    assert!(refused.is_err());
    let other = Home::add(index.clone(), "y@new.test", None).await;
    let last = index.generation().await.expect("reads work");
    // What happens all day long leaves the caches alone.
    other.fill(other.inbox, "m", 2).await;
    let touch = TouchLogin {
        account: other.account,
        now: NOW,
    };
    other.one(Change::TouchLogin(touch)).await.expect("a login");
    assert_eq!(index.generation().await, Ok(last));
}

async fn one_fails_others_stand(index: &dyn Index) {
    let answers = index
        .apply(vec![
            add_domain("example.test"),
            add_domain("example.test"),
            add_account("a@example.test", None),
            add_account("a@none.test", None),
            add_account("b@example.test", None),
        ])
        .await;
    assert_eq!(answers.len(), 5);
    assert!(
        answers[0].is_ok() && answers[2].is_ok() && answers[4].is_ok(),
        "{answers:?}"
    );
    assert_eq!(answers[1], Err(Error::Exists("domain")));
    assert_eq!(answers[3], Err(Error::NotFound("domain")));
    assert_eq!(index.accounts(None).await.expect("reads work").len(), 2);
    assert_eq!(index.apply(Vec::new()).await, Vec::new());
    index.probe().await.expect("changes can be made");
}

/// Its accounts go with it, or stay, and keep their hashes; what was remembered of their logins no longer counts.
async fn a_domain_goes_to_the_directory_and_back(index: Arc<dyn Index>) {
    let home = Home::new(index.clone(), None).await;
    let added = one(&*index, add_domain("other.test")).await;
    added.expect("a new domain");
    let other = Home::add(index.clone(), "bob@other.test", None).await;
    let before = (home.account().await, other.account().await);
    let auth = async |auth, dn: Option<&str>, users| {
        let change = SetDomainAuth {
            name: "example.test".to_owned(),
            auth,
            ldap_base_dn: dn.map(str::to_owned),
            users,
            now: NOW,
        };
        one(&*index, Change::SetDomainAuth(change))
            .await
            .expect("changed");
        let domain = index.domain("example.test").await.expect("reads work");
        let domain = domain.expect("there");
        let account = home.account().await;
        assert_eq!(account.password, before.0.password);
        (
            domain.auth,
            domain.ldap_base_dn,
            account.auth,
            account.version,
        )
    };
    let version = before.0.version;
    let (ldap, local) = (AuthType::Ldap, AuthType::Local);
    let dn = Some("dc=a,dc=test");
    let now = auth(ldap, dn, UsersOfDomain::Stay).await;
    assert_eq!(now, (ldap, dn.map(str::to_owned), local, version + 1));
    let now = auth(ldap, None, UsersOfDomain::Follow).await;
    assert_eq!(now, (ldap, None, ldap, version + 2));
    let now = auth(local, None, UsersOfDomain::Follow).await;
    assert_eq!(now, (local, None, local, version + 3));
    assert_eq!(other.account().await, before.1);
    let nobody = SetDomainAuth {
        name: "nowhere.test".to_owned(),
        auth: ldap,
        ldap_base_dn: None,
        users: UsersOfDomain::Follow,
        now: NOW,
    };
    let missing = one(&*index, Change::SetDomainAuth(nobody)).await;
    assert_eq!(missing, Err(Error::NotFound("domain")));
}
