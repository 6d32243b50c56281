//! Entries of directories, renamed accounts, leases.

use std::sync::Arc;

use super::{NOW, add_account, add_domain, later, one};
use crate::{
    Error,
    index::{
        AccountId, AddAlias, Alias, AuthType, BindEntry, BindTo, Change, DirectoryEntry, Index,
        NewAccount, NewEntry, Outcome, RemoveAccount, RenameAccount, SetEntryActive, TakeLease,
        Timestamp, UnbindEntry,
    },
};

pub(super) async fn all<F: AsyncFn() -> Arc<dyn Index>>(fresh: &F) {
    entries(&*fresh().await).await;
    refused_entries(&*fresh().await).await;
    brought_aliases(&*fresh().await).await;
    renamed_accounts(&*fresh().await).await;
    switched_off_by_the_directory(&*fresh().await).await;
    leases(&*fresh().await).await;
}

fn entry(stable_id: &str, aliases: &[&str]) -> NewEntry {
    NewEntry {
        source: "ldap".to_owned(),
        stable_id: stable_id.to_owned(),
        display_name: Some("Ada Lovelace".to_owned()),
        department: None,
        aliases: aliases.iter().map(|it| (*it).to_owned()).collect(),
    }
}

fn bind(to: BindTo, entry: NewEntry, now: Timestamp) -> Change {
    Change::BindEntry(BindEntry { to, entry, now })
}

fn new(email: &str) -> BindTo {
    BindTo::New(NewAccount {
        email: email.to_owned(),
        password: None,
        quota: Some(7),
        auth: AuthType::Ldap,
    })
}

fn rename(account: AccountId, email: &str) -> Change {
    Change::RenameAccount(RenameAccount {
        account,
        email: email.to_owned(),
        now: later(5),
    })
}

/// Adds an account with its entry.
async fn bound(index: &dyn Index, email: &str, entry: NewEntry) -> AccountId {
    match one(index, bind(new(email), entry, NOW)).await {
        Ok(Outcome::Accounts(ids)) if ids.len() == 1 => ids[0],
        other => panic!("binding {email} brought {other:?}"),
    }
}

async fn domains(index: &dyn Index) {
    for name in ["a.test", "b.test"] {
        one(index, add_domain(name)).await.expect("a domain");
    }
}

async fn destinations(index: &dyn Index, source: &str) -> Vec<String> {
    index.destinations(source).await.expect("reads work")
}

async fn entries(index: &dyn Index) {
    domains(index).await;
    let ada = bound(index, "ada@a.test", entry("one", &["lovelace@a.test"])).await;
    let bob = bound(index, "bob@a.test", entry("two", &[])).await;
    let expected = DirectoryEntry {
        account: ada,
        source: "ldap".to_owned(),
        stable_id: "one".to_owned(),
        display_name: Some("Ada Lovelace".to_owned()),
        department: None,
        seen: NOW,
        disabled: None,
        aliases: vec!["lovelace@a.test".to_owned()],
    };
    let found = index.directory_entry("ldap", "one").await;
    assert_eq!(found, Ok(Some(expected.clone())));
    assert_eq!(
        index.directory_entry_of(ada).await,
        Ok(Some(expected.clone()))
    );
    let all = index.directory_entries("ldap").await.expect("reads work");
    let accounts: Vec<AccountId> = all.iter().map(|it| it.account).collect();
    assert_eq!(accounts, [ada, bob]);
    assert_eq!(all[0], expected);
    assert_eq!(index.directory_entries("other").await, Ok(Vec::new()));
    assert_eq!(index.directory_entry("other", "one").await, Ok(None));
    assert_eq!(index.directory_entry("ldap", "ONE").await, Ok(None));

    let before = index.account_by_id(ada).await.expect("reads work");
    let mut says = entry("one", &["lovelace@a.test"]);
    says.department = Some("수학".to_owned());
    let again = one(index, bind(BindTo::Existing(ada), says, later(9))).await;
    assert_eq!(again, Ok(Outcome::Accounts(vec![ada])));
    let now = index.directory_entry_of(ada).await.expect("reads work");
    let now = now.expect("bound");
    assert_eq!(now.department.as_deref(), Some("수학"));
    assert_eq!(now.seen, later(9));
    assert_eq!(now.aliases, expected.aliases);
    assert_eq!(index.account_by_id(ada).await, Ok(before));

    let unbind = || Change::UnbindEntry(UnbindEntry { account: ada });
    one(index, unbind()).await.expect("unbound");
    assert_eq!(
        one(index, unbind()).await,
        Err(Error::NotFound("directory entry"))
    );
    assert_eq!(index.directory_entry("ldap", "one").await, Ok(None));
    assert!(destinations(index, "lovelace@a.test").await.is_empty());
    let other = one(index, bind(BindTo::Existing(ada), entry("three", &[]), NOW)).await;
    assert_eq!(other, Ok(Outcome::Accounts(vec![ada])));

    let remove = RemoveAccount {
        account: bob,
        now: NOW,
    };
    one(index, Change::RemoveAccount(remove))
        .await
        .expect("removed");
    assert_eq!(index.directory_entry("ldap", "two").await, Ok(None));
}

async fn refused_entries(index: &dyn Index) {
    domains(index).await;
    let ada = bound(index, "ada@a.test", entry("one", &[])).await;
    let taken = Err(Error::Exists("directory entry"));
    let other = bind(BindTo::Existing(ada), entry("two", &[]), NOW);
    assert_eq!(one(index, other).await, taken);
    let same = bind(new("bob@a.test"), entry("one", &[]), NOW);
    assert_eq!(one(index, same).await, taken);
    assert_eq!(
        index.account("bob@a.test").await,
        Ok(None),
        "all of it or nothing"
    );
    let address = bind(new("ada@a.test"), entry("two", &[]), NOW);
    assert_eq!(one(index, address).await, Err(Error::Exists("account")));
    let nowhere = bind(new("ada@c.test"), entry("two", &[]), NOW);
    assert_eq!(one(index, nowhere).await, Err(Error::NotFound("domain")));
    let gone = bind(BindTo::Existing(AccountId(999)), entry("two", &[]), NOW);
    assert_eq!(one(index, gone).await, Err(Error::NotFound("account")));
    let strange = bind(new("bob@a.test"), entry("two", &["x@c.test"]), NOW);
    assert_eq!(one(index, strange).await, Err(Error::NotFound("domain")));
    assert_eq!(index.account("bob@a.test").await, Ok(None));

    let added = one(index, add_account("local@a.test", None)).await;
    let Ok(Outcome::Accounts(ids)) = added else {
        panic!("adding brought {added:?}");
    };
    let local = bind(BindTo::Existing(ids[0]), entry("two", &[]), NOW);
    assert!(matches!(one(index, local).await, Err(Error::Invalid(_))));
    for (source, id) in [("", "two"), ("ldap", ""), ("ldap", "a\0b")] {
        let mut bad = entry(id, &[]);
        bad.source = source.to_owned();
        let refused = one(index, bind(new("bob@a.test"), bad, NOW)).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    assert_eq!(index.directory_entry("ldap", "two").await, Ok(None));
}

async fn brought_aliases(index: &dyn Index) {
    domains(index).await;
    let made = Alias {
        source: "made@a.test".to_owned(),
        destination: "ada@a.test".to_owned(),
        active: true,
    };
    one(index, Change::AddAlias(AddAlias { alias: made }))
        .await
        .expect("an alias");
    let aliases = ["made@a.test", "x@b.test", "y@a.test", "ada@a.test"];
    let ada = bound(index, "ada@a.test", entry("one", &aliases)).await;
    let of = async || {
        let entry = index.directory_entry_of(ada).await.expect("reads work");
        entry.expect("bound").aliases
    };
    assert_eq!(of().await, ["x@b.test", "y@a.test"]);
    assert_eq!(destinations(index, "x@b.test").await, ["ada@a.test"]);
    assert!(destinations(index, "ada@a.test").await.is_empty());
    let fewer = bind(BindTo::Existing(ada), entry("one", &["y@a.test"]), NOW);
    one(index, fewer).await.expect("again");
    assert_eq!(of().await, ["y@a.test"]);
    assert!(destinations(index, "x@b.test").await.is_empty());
    assert_eq!(destinations(index, "made@a.test").await, ["ada@a.test"]);
    let none = bind(BindTo::Existing(ada), entry("one", &[]), NOW);
    one(index, none).await.expect("again");
    assert_eq!(destinations(index, "made@a.test").await, ["ada@a.test"]);
}

async fn renamed_accounts(index: &dyn Index) {
    domains(index).await;
    let ada = bound(index, "ada@a.test", entry("one", &["lovelace@b.test"])).await;
    let bob = bound(index, "bob@a.test", entry("two", &[])).await;
    for (source, destination) in [
        ("all@a.test", "ada@a.test"),
        ("all@a.test", "bob@a.test"),
        ("both@a.test", "ada@a.test"),
        ("both@a.test", "countess@b.test"),
        ("countess@b.test", "ada@a.test"),
    ] {
        let alias = Alias {
            source: source.to_owned(),
            destination: destination.to_owned(),
            active: true,
        };
        one(index, Change::AddAlias(AddAlias { alias }))
            .await
            .expect("an alias");
    }
    assert_eq!(
        one(index, rename(ada, "bob@a.test")).await,
        Err(Error::Exists("account"))
    );
    assert_eq!(
        one(index, rename(ada, "ada@c.test")).await,
        Err(Error::NotFound("domain"))
    );
    assert_eq!(
        one(index, rename(AccountId(999), "x@a.test")).await,
        Err(Error::NotFound("account"))
    );
    let upper = one(index, rename(ada, "Ada@a.test")).await;
    assert!(matches!(upper, Err(Error::Invalid(_))), "{upper:?}");
    let before = index.account_by_id(ada).await.expect("reads work");
    let before = before.expect("there");
    assert_eq!(before.addressed, before.created);
    one(index, rename(ada, "ada@a.test"))
        .await
        .expect("it is that already");
    assert_eq!(
        index.account_by_id(ada).await,
        Ok(Some(before.clone())),
        "nothing changed"
    );
    let generation = index.generation().await.expect("reads work");
    one(index, rename(ada, "countess@b.test"))
        .await
        .expect("renamed");
    assert!(index.generation().await.expect("reads work") > generation);
    let after = index.account("countess@b.test").await.expect("reads work");
    let after = after.expect("there");
    assert_eq!(after.id, ada);
    assert!(after.version > before.version);
    assert!(after.addressed > before.addressed, "the address is new");
    assert_eq!(after.created, before.created);
    let domain = index.domain("b.test").await.expect("reads work");
    assert_eq!(Some(after.domain), domain.map(|it| it.id));
    assert_eq!(index.account("ada@a.test").await, Ok(None));
    let all = destinations(index, "all@a.test").await;
    assert_eq!(all, ["bob@a.test", "countess@b.test"]);
    let both = destinations(index, "both@a.test").await;
    assert_eq!(both, ["countess@b.test"]);
    let brought = destinations(index, "lovelace@b.test").await;
    assert_eq!(brought, ["countess@b.test"]);
    let itself = destinations(index, "countess@b.test").await;
    assert!(itself.is_empty(), "{itself:?}");
    let entry = index.directory_entry_of(ada).await.expect("reads work");
    assert_eq!(entry.expect("still bound").aliases, ["lovelace@b.test"]);
    // Its old address is free.
    one(index, rename(bob, "ada@a.test"))
        .await
        .expect("renamed");
}

async fn switched_off_by_the_directory(index: &dyn Index) {
    domains(index).await;
    let ada = bound(index, "ada@a.test", entry("one", &[])).await;
    let set = |account, active| {
        Change::SetEntryActive(SetEntryActive {
            account,
            active,
            now: later(3),
        })
    };
    let account = async || {
        let found = index.account_by_id(ada).await.expect("reads work");
        found.expect("there")
    };
    let disabled = async || {
        let found = index.directory_entry_of(ada).await.expect("reads work");
        found.expect("bound").disabled
    };
    let before = account().await;
    one(index, set(ada, false)).await.expect("off");
    let off = account().await;
    assert!(!off.active && off.version > before.version);
    assert_eq!(disabled().await, Some(later(3)));
    // What the entry says may change meanwhile.
    one(index, bind(BindTo::Existing(ada), entry("one", &[]), NOW))
        .await
        .expect("again");
    assert_eq!(disabled().await, Some(later(3)));
    one(index, set(ada, true)).await.expect("on");
    let on = account().await;
    assert!(on.active && on.version > off.version);
    assert_eq!(disabled().await, None);
    let added = one(index, add_account("local@a.test", None)).await;
    let Ok(Outcome::Accounts(ids)) = added else {
        panic!("adding brought {added:?}");
    };
    assert_eq!(
        one(index, set(ids[0], false)).await,
        Err(Error::NotFound("directory entry"))
    );
    let local = index.account("local@a.test").await.expect("reads work");
    assert!(local.expect("there").active, "all of it or nothing");
}

async fn leases(index: &dyn Index) {
    let take = |holder: &str, now, until| {
        Change::TakeLease(TakeLease {
            name: "ldap_sync".to_owned(),
            holder: holder.to_owned(),
            until: later(until),
            now: later(now),
        })
    };
    let held = Err(Error::Exists("lease"));
    let done = Ok(Outcome::Done);
    let generation = index.generation().await.expect("reads work");
    assert_eq!(one(index, take("one", 0, 10)).await, done);
    assert_eq!(one(index, take("two", 5, 20)).await, held);
    assert_eq!(one(index, take("one", 5, 15)).await, done, "prolonged");
    assert_eq!(one(index, take("two", 14, 20)).await, held);
    assert_eq!(one(index, take("two", 15, 20)).await, done, "it ended");
    assert_eq!(one(index, take("one", 16, 30)).await, held);
    assert_eq!(one(index, take("two", 16, 16)).await, done, "given back");
    assert_eq!(one(index, take("one", 16, 30)).await, done);
    assert_eq!(index.generation().await, Ok(generation));
    let refused = one(index, take("", 40, 50)).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
}
