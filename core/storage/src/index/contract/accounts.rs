//! Accounts.

use std::sync::Arc;

use super::{Home, NOW, add_domain, later, one};
use crate::{
    Error,
    index::{
        AddAccounts, AuthType, Change, Index, NewAccount, Outcome, RemoveAccount, SetAccountActive,
        SetDomainActive, SetPassword, SetQuota, Subscribe, TouchLogin,
    },
};

pub(super) async fn all<F: AsyncFn() -> Arc<dyn Index>>(fresh: &F) {
    accounts(&*fresh().await).await;
    first_accounts(fresh().await).await;
    passwords(fresh().await).await;
    logins_and_switches(fresh().await).await;
    a_removed_account_is_gone(fresh().await).await;
    injections(fresh().await).await;
}

async fn accounts(index: &dyn Index) {
    one(index, add_domain("example.test"))
        .await
        .expect("a domain");
    one(index, add_domain("other.test"))
        .await
        .expect("a domain");
    let new = |email: &str| NewAccount {
        email: email.to_owned(),
        password: None,
        quota: Some(7),
        auth: AuthType::Ldap,
    };
    let add = |emails: &[&str]| {
        Change::AddAccounts(AddAccounts {
            accounts: emails.iter().map(|it| new(it)).collect(),
            now: NOW,
        })
    };
    let added = one(
        index,
        add(&["z@example.test", "a@example.test", "m@other.test"]),
    )
    .await;
    let Ok(Outcome::Accounts(ids)) = added else {
        panic!("adding brought {added:?}");
    };
    assert_eq!(ids.len(), 3);

    let all = index.accounts(None).await.expect("reads work");
    let emails: Vec<&str> = all.iter().map(|it| it.email.as_str()).collect();
    assert_eq!(emails, ["a@example.test", "m@other.test", "z@example.test"]);
    let some = index
        .accounts(Some("other.test"))
        .await
        .expect("reads work");
    assert_eq!(some, all[1..2]);
    assert_eq!(index.accounts(Some("none.test")).await, Ok(Vec::new()));

    let account = index
        .account("z@example.test")
        .await
        .expect("reads work")
        .expect("there");
    assert_eq!(account.id, ids[0], "identifiers come in order");
    assert_eq!(index.account_by_id(ids[0]).await, Ok(Some(account.clone())));
    assert_eq!(
        (account.quota, account.used, account.auth),
        (Some(7), 0, AuthType::Ldap)
    );
    assert_eq!((account.created, account.last_login), (NOW, None));
    assert!(account.enabled() && account.password.is_none());
    assert_eq!(index.account("y@example.test").await, Ok(None));

    let mailboxes = index.mailboxes(ids[0]).await.expect("reads work");
    let names: Vec<&str> = mailboxes.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(
        names,
        ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"]
    );
    let subscribed = index.subscriptions(ids[0]).await.expect("reads work");
    assert_eq!(
        subscribed,
        ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"]
    );

    // All or none.
    for (emails, error) in [
        (
            ["new@example.test", "a@example.test"],
            Error::Exists("account"),
        ),
        (
            ["new@example.test", "new@example.test"],
            Error::Exists("account"),
        ),
        (
            ["new@example.test", "new@none.test"],
            Error::NotFound("domain"),
        ),
        (
            ["new@example.test", "@example.test"],
            Error::Invalid("not a lower-case address"),
        ),
        (
            ["new@example.test", "New2@example.test"],
            Error::Invalid("not a lower-case address"),
        ),
    ] {
        assert_eq!(one(index, add(&emails)).await, Err(error), "{emails:?}");
        assert_eq!(index.account("new@example.test").await, Ok(None));
    }
}

async fn first_accounts(index: Arc<dyn Index>) {
    let first = async || {
        let first = index.first_account("example.test").await;
        first.expect("reads work").map(|account| account.email)
    };
    assert_eq!(first().await, None, "no domain");
    let home = Home::new(index.clone(), None).await;
    let second = Home::add(index.clone(), "aaa@example.test", None).await;
    assert_eq!(first().await.as_deref(), Some("ada@example.test"));
    let switch = async |account, active| {
        let now = NOW;
        let change = SetAccountActive {
            account,
            active,
            now,
        };
        one(&*index, Change::SetAccountActive(change))
            .await
            .expect("switched");
    };
    switch(home.account, false).await;
    assert_eq!(first().await.as_deref(), Some("aaa@example.test"));
    switch(second.account, false).await;
    assert_eq!(first().await, None);
    switch(home.account, true).await;
    let off = SetDomainActive {
        name: "example.test".to_owned(),
        active: false,
    };
    one(&*index, Change::SetDomainActive(off))
        .await
        .expect("switched");
    assert_eq!(first().await, None);
    assert_eq!(index.first_account("none.test").await, Ok(None));
}

async fn passwords(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let before = home.account().await;
    let set = |password: Option<&str>, only_if: Option<&str>| {
        Change::SetPassword(SetPassword {
            account: home.account,
            password: password.map(str::to_owned),
            only_if: only_if.map(str::to_owned),
            now: later(1),
        })
    };
    home.one(set(Some("one"), None))
        .await
        .expect("a new password");
    let first = home.account().await;
    assert_eq!(first.password.as_deref(), Some("one"));
    assert!(first.version > before.version);

    // An upgrade that comes after a change does nothing.
    home.one(set(Some("two"), Some("{PLAIN}secret")))
        .await
        .expect("nothing done");
    assert_eq!(home.account().await, first);
    home.one(set(Some("two"), Some("one")))
        .await
        .expect("upgraded");
    let second = home.account().await;
    assert_eq!(second.password.as_deref(), Some("two"));
    assert!(second.version > first.version);
    home.one(set(None, None)).await.expect("no password");
    assert_eq!(home.account().await.password, None);
    home.one(set(Some("three"), Some("two")))
        .await
        .expect("nothing done");
    assert_eq!(home.account().await.password, None);

    let long = "x".repeat(300);
    let refused = home.one(set(Some(&long), None)).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
}

async fn logins_and_switches(index: Arc<dyn Index>) {
    let home = Home::new(index, Some(100)).await;
    let touch = |now| {
        Change::TouchLogin(TouchLogin {
            account: home.account,
            now,
        })
    };
    home.one(touch(NOW)).await.expect("a login");
    home.one(touch(later(30_000_000)))
        .await
        .expect("another within the minute");
    let account = home.account().await;
    assert_eq!((account.last_login, account.version), (Some(NOW), 1));
    home.one(touch(later(60_000_000)))
        .await
        .expect("a minute later");
    assert_eq!(home.account().await.last_login, Some(later(60_000_000)));

    let switch = |active| {
        Change::SetAccountActive(SetAccountActive {
            account: home.account,
            active,
            now: NOW,
        })
    };
    home.one(switch(false)).await.expect("off");
    let off = home.account().await;
    assert!(!off.active && !off.enabled() && off.version > 1);
    home.one(switch(true)).await.expect("on");
    let on = home.account().await;
    assert!(on.enabled() && on.version > off.version);

    // A domain that is switched off takes its accounts along.
    for active in [false, true] {
        let before = home.account().await.version;
        let change = SetDomainActive {
            name: "example.test".to_owned(),
            active,
        };
        home.one(Change::SetDomainActive(change))
            .await
            .expect("switched");
        let account = home.account().await;
        assert_eq!((account.domain_active, account.active), (active, true));
        assert!(account.version > before);
    }

    let quota = |quota| {
        Change::SetQuota(SetQuota {
            account: home.account,
            quota,
            now: NOW,
        })
    };
    home.append(home.inbox, "a", 60).await.expect("room");
    home.one(quota(Some(50)))
        .await
        .expect("a quota below what is used");
    let refused = home.append(home.inbox, "b", 1).await;
    let over = Error::OverQuota {
        used: 60,
        quota: 50,
        wanted: 1,
    };
    assert_eq!(refused, Err(over));
    home.one(quota(None)).await.expect("no limit");
    home.append(home.inbox, "b", 1 << 40).await.expect("room");
    home.one(quota(Some(0)))
        .await
        .expect("none at all, which is not no limit");
    assert!(matches!(
        home.append(home.inbox, "c", 1).await,
        Err(Error::OverQuota { .. })
    ));
    let refused = home.one(quota(Some(u64::MAX))).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    home.check().await;
}

async fn a_removed_account_is_gone(index: Arc<dyn Index>) {
    let home = Home::new(index.clone(), None).await;
    home.fill(home.inbox, "m", 3).await;
    let validity = home.mailbox(home.inbox).await.uid_validity;
    let remove = Change::RemoveAccount(RemoveAccount {
        account: home.account,
        now: NOW,
    });
    home.one(remove.clone()).await.expect("removed");
    let gone = Err(Error::NotFound("account"));
    assert_eq!(home.one(remove).await, gone);
    assert_eq!(index.account("ada@example.test").await, Ok(None));
    assert_eq!(index.mailboxes(home.account).await, Ok(Vec::new()));
    assert_eq!(index.mailbox_by_id(home.inbox).await, Ok(None));
    assert_eq!(index.subscriptions(home.account).await, Ok(Vec::new()));
    assert_eq!(
        home.append(home.inbox, "n", 1).await,
        Err(Error::NotFound("account"))
    );
    let account = home.account;
    for change in [
        Change::TouchLogin(TouchLogin { account, now: NOW }),
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
        Change::SetPassword(SetPassword {
            account,
            password: None,
            only_if: None,
            now: NOW,
        }),
        Change::Subscribe(Subscribe {
            account,
            name: "x".to_owned(),
            subscribed: true,
        }),
    ] {
        assert_eq!(home.one(change.clone()).await, gone, "{change:?}");
    }
    assert_eq!(home.create("x").await, Err(Error::NotFound("account")));

    // The same address again is another account, and its mailboxes are other mailboxes, even in the same second.
    let again = Home::add(index, "ada@example.test", None).await;
    assert!(again.account > home.account && again.inbox > home.inbox);
    assert!(again.mailbox(again.inbox).await.uid_validity > validity);
    assert_eq!(again.account().await.used, 0);
}

/// Attack 29: text that is a piece of SQL, or odd, is only text.
async fn injections(index: Arc<dyn Index>) {
    let home = Home::new(index.clone(), None).await;
    let odd = [
        "'; drop table virtual_users; --",
        "' or '1'='1",
        "\" or \"\"=\"",
        "%_",
        "?1",
        "$1 :a @b",
        "\\'",
        "우편함/보낸 편지",
        "e\u{301}",
        "🙂",
    ];
    for text in odd {
        let email = format!("{text}@example.test");
        assert_eq!(index.account(&email).await, Ok(None), "{text}");
        let other = Home::add(index.clone(), &email, None).await;
        let found = index
            .account(&email)
            .await
            .expect("reads work")
            .expect("there");
        assert_eq!(
            (found.id, found.email.as_str()),
            (other.account, email.as_str())
        );
        let id = home.create(text).await.expect("a mailbox");
        let found = index.mailbox(home.account, text).await.expect("reads work");
        assert_eq!(found.expect("there").id, id, "{text}");
        let subscribe = Subscribe {
            account: home.account,
            name: text.to_owned(),
            subscribed: true,
        };
        home.one(Change::Subscribe(subscribe))
            .await
            .expect("subscribed");
        let names = index.subscriptions(home.account).await.expect("reads work");
        assert!(names.iter().any(|it| it == text), "{text}");
        assert_eq!(index.destinations(text).await, Ok(Vec::new()));
        assert_eq!(index.domain(text).await, Ok(None));
        assert_eq!(index.accounts(Some(text)).await, Ok(Vec::new()));
        home.delete(text).await.expect("deleted");
        assert_eq!(index.mailbox(home.account, text).await, Ok(None), "{text}");
    }
    let all = index.accounts(None).await.expect("reads work");
    assert_eq!(all.len(), odd.len() + 1);
}
