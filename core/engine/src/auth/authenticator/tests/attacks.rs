//! Attacks on logins, by their numbers.

use postrider_storage::index::{
    AddAccounts, AddDomain, AuthType, Index, NewAccount, SetAccountActive, SetDomainActive,
    SqliteIndex,
};
use tokio::sync::Semaphore;

use super::super::super::testing::from;
use super::*;
use crate::net::peer::Remote;

#[tokio::test(start_paused = true)]
async fn attack_4_what_is_no_text_hurts_itself_alone() {
    let house = House::new().await;
    let mut broken = House::attempt(HOME, ADA, "secret");
    broken.credentials.password = Secret::new(vec![0xff, 0xfe]);
    let good = House::attempt(HOME, "bob@example.test", "secret");
    let attempts = (0..40).map(|n| match n % 2 {
        0 => house.auth.authenticate(broken.clone()),
        _ => house.auth.authenticate(good.clone()),
    });
    for (n, result) in join_all(attempts).await.into_iter().enumerate() {
        match n % 2 {
            0 => assert_eq!(result.err(), Some(Verdict::Denied)),
            _ => assert_eq!(result.map(|it| it.email), Ok("bob@example.test".to_owned())),
        }
    }
    assert_eq!(login(&house, HOME, ADA, "secret").await, Ok(ADA.to_owned()));
}

#[tokio::test]
async fn attack_29_a_user_name_is_never_sql() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index.db");
    let index: Arc<dyn Index> =
        Arc::new(SqliteIndex::open(path.to_str().unwrap(), 2).await.unwrap());
    let house = House::new().await;
    let domain = AddDomain {
        name: "example.test".to_owned(),
        auth: AuthType::Local,
        ldap_base_dn: None,
        now: Timestamp(0),
    };
    let account = AddAccounts {
        accounts: vec![NewAccount {
            email: ADA.to_owned(),
            password: Some("strong:secret".to_owned()),
            quota: None,
            auth: AuthType::Local,
        }],
        now: Timestamp(0),
    };
    let answers = index
        .apply(vec![
            Change::AddDomain(domain),
            Change::AddAccounts(account),
        ])
        .await;
    assert!(answers.iter().all(Result::is_ok));
    let auth = Authenticator::new(Parts {
        accounts: Arc::new(index.clone()),
        passwords: house.passwords.clone(),
        settings: settings(),
        exempt: vec!["192.0.2.0/24".parse().unwrap()],
        deadline: MINUTE,
        resolvers: Vec::new(),
    });
    for name in [
        "' OR '1'='1",
        "ada@example.test' --",
        "ada@example.test'; DROP TABLE virtual_users; --",
        "x' UNION SELECT 1,'ada@example.test',1,'strong:secret',1,1,'local',1,1,1,NULL,'' --",
        "%",
        "_da@example.test",
        "ada@example.test\u{2019}",
        "*)(uid=*",
    ] {
        let result = auth
            .authenticate(House::attempt(HOME, name, "secret"))
            .await;
        assert_eq!(result.err(), Some(Verdict::Denied), "{name}");
    }
    let result = auth.authenticate(House::attempt(HOME, ADA, "secret")).await;
    assert_eq!(result.map(|it| it.email), Ok(ADA.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn attack_31_two_users_with_one_password_share_nothing() {
    let house = House::new().await;
    assert_eq!(login(&house, HOME, ADA, "secret").await, Ok(ADA.to_owned()));
    let id = house.accounts.row("bob@example.test").await.id;
    let set = SetPassword {
        account: id,
        password: Some("strong:other".to_owned()),
        only_if: None,
        now: Timestamp(0),
    };
    house.accounts.apply(Change::SetPassword(set)).await;
    assert_eq!(
        login(&house, HOME, "bob@example.test", "secret").await,
        denied()
    );
    let carol = login(&house, HOME, "carol@example.test", "secret").await;
    assert_eq!(carol, Ok("carol@example.test".to_owned()));
    assert_eq!(house.passwords.work(), 3, "each paid for itself");
}

#[tokio::test(start_paused = true)]
async fn attack_31_no_variant_of_a_name_finds_the_success_of_another() {
    let house = House::new().await;
    for name in ["ada+x@example.test", "a@example.test", "ada.x@example.test"] {
        house
            .accounts
            .add(name, Some("strong:other"), AuthType::Local)
            .await;
    }
    assert_eq!(login(&house, HOME, ADA, "secret").await, Ok(ADA.to_owned()));
    for (n, name) in [
        "ada+x@example.test",
        "ada+y@example.test",
        "ada-y@example.test",
        "ada.x@example.test",
        "a@example.test",
        "da@example.test",
        "ada",
        "ada@",
        "@example.test",
        "ada@example.tes",
        "ada@sub.example.test",
        "ada@example.test.example.test",
        "ada@example.test@example.test",
        "ada%example.test",
        "ada*ada@example.test",
        "ada\u{200b}@example.test",
        "\u{430}da@example.test",
        "ada@example.test/bob@example.test",
        "ada@example.test:secret",
    ]
    .into_iter()
    .enumerate()
    {
        // The separator may not wander into the password either.
        let from = format!("203.0.113.{n}");
        for password in ["secret", ":secret", "@example.testsecret"] {
            assert_eq!(
                login(&house, &from, name, password).await,
                denied(),
                "{name}"
            );
        }
    }
    // What means the same account is the same account.
    let work = house.passwords.work();
    for name in [
        "ADA@example.test",
        "ada@EXAMPLE.TEST",
        "\"ada\"@example.test",
    ] {
        assert_eq!(
            login(&house, HOME, name, "secret").await,
            Ok(ADA.to_owned())
        );
    }
    assert_eq!(house.passwords.work(), work, "remembered");
}

#[tokio::test(start_paused = true)]
async fn attack_31_a_changed_or_disabled_account_does_not_profit_from_its_past() {
    let house = House::new().await;
    let id = house.accounts.row(ADA).await.id;
    assert!(login(&house, HOME, ADA, "secret").await.is_ok());
    let set = SetPassword {
        account: id,
        password: Some("strong:new".to_owned()),
        only_if: None,
        now: Timestamp(0),
    };
    house.accounts.apply(Change::SetPassword(set)).await;
    assert_eq!(login(&house, HOME, ADA, "secret").await, denied());
    assert!(login(&house, HOME, ADA, "new").await.is_ok());
    let active = |active| {
        Change::SetAccountActive(SetAccountActive {
            account: id,
            active,
            now: Timestamp(0),
        })
    };
    house.accounts.apply(active(false)).await;
    assert_eq!(login(&house, HOME, ADA, "new").await, denied());
    house.accounts.apply(active(true)).await;
    assert!(login(&house, HOME, ADA, "new").await.is_ok());
    let domain = Change::SetDomainActive(SetDomainActive {
        name: "example.test".to_owned(),
        active: false,
    });
    house.accounts.apply(domain).await;
    assert_eq!(login(&house, HOME, ADA, "new").await, denied());
}

#[tokio::test(start_paused = true)]
async fn attack_31_an_account_switched_off_by_hand_does_not_profit_either() {
    let house = House::new().await;
    assert!(login(&house, HOME, ADA, "secret").await.is_ok());
    let version = house.accounts.row(ADA).await.version;
    house.accounts.switched_off.store(true, Ordering::SeqCst);
    assert_eq!(login(&house, HOME, ADA, "secret").await, denied());
    assert_eq!(house.accounts.row(ADA).await.version, version);
}

#[tokio::test(start_paused = true)]
async fn attack_31_what_changes_while_the_password_is_looked_at_decides() {
    for (change, expected) in [
        ("off", denied()),
        ("password", denied()),
        ("nothing", Ok(ADA.to_owned())),
    ] {
        let house = House::new().await;
        let gate = Arc::new(Semaphore::new(0));
        *house.passwords.gate.lock().unwrap() = Some(gate.clone());
        let account = house.accounts.row(ADA).await.id;
        let auth = house.auth.clone();
        let attempt = House::attempt(HOME, ADA, "secret");
        let judged = tokio::spawn(async move { auth.authenticate(attempt).await });
        while house.passwords.work() == 0 {
            tokio::task::yield_now().await;
        }
        let now = Timestamp(0);
        match change {
            "off" => {
                let change = SetAccountActive {
                    account,
                    active: false,
                    now,
                };
                house.accounts.apply(Change::SetAccountActive(change)).await;
            }
            "password" => {
                let password = Some("strong:new".to_owned());
                let change = SetPassword {
                    account,
                    password,
                    only_if: None,
                    now,
                };
                house.accounts.apply(Change::SetPassword(change)).await;
            }
            _ => {}
        }
        gate.add_permits(10);
        let result = judged.await.unwrap().map(|it| it.email);
        assert_eq!(result, expected, "{change}");
    }
}

#[tokio::test(start_paused = true)]
async fn attack_33_unknown_disabled_and_passwordless_users_cost_what_others_cost() {
    let house = House::new().await;
    house
        .accounts
        .add("ldap@example.test", None, AuthType::Ldap)
        .await;
    house
        .accounts
        .add("none@example.test", None, AuthType::Local)
        .await;
    let off = house
        .accounts
        .add("off@example.test", Some("strong:secret"), AuthType::Local)
        .await;
    let change = SetAccountActive {
        account: off,
        active: false,
        now: Timestamp(0),
    };
    house.accounts.apply(Change::SetAccountActive(change)).await;
    for name in [
        ADA,
        "ldap@example.test",
        "none@example.test",
        "off@example.test",
        "nobody@example.test",
        "nobody",
    ] {
        let before = house.passwords.work();
        assert_eq!(login(&house, HOME, name, "wrong").await, denied(), "{name}");
        assert_eq!(house.passwords.work() - before, 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn attack_34_under_a_ban_no_password_is_looked_at() {
    let house = House::new().await;
    for n in 0..10 {
        let name = format!("user{n}@example.test");
        assert_eq!(login(&house, HOME, &name, "wrong").await, denied());
    }
    let work = house.passwords.work();
    house.accounts.away.store(true, Ordering::SeqCst);
    for password in ["secret", "wrong"] {
        let result = login(&house, HOME, ADA, password).await;
        assert_eq!(result, Err(Verdict::Throttled));
    }
    assert_eq!(house.passwords.work(), work);
    let key = House::attempt(HOME, "", "").peer.key().unwrap();
    assert_eq!(house.auth.banned_for(key), Some(20 * MINUTE));
    let is_banned = |peer| house.auth.is_banned(&peer);
    assert!(is_banned(House::attempt(HOME, "", "").peer));
    assert!(!is_banned(House::attempt("192.0.2.2", "", "").peer));
    let proxy = format!("{HOME}:4711").parse().unwrap();
    assert!(!is_banned(from(Remote::Proxy(proxy))) && !is_banned(from(Remote::Unix)));
    // The operator lets it in again by name.
    house
        .auth
        .set(&settings(), vec!["192.0.2.1/32".parse().unwrap()]);
    assert!(!is_banned(House::attempt(HOME, "", "").peer));
    house.auth.set(&settings(), Vec::new());
    house.accounts.away.store(false, Ordering::SeqCst);
    tokio::time::advance(20 * MINUTE).await;
    assert!(login(&house, HOME, ADA, "secret").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn attack_34_a_hundred_guesses_at_once_are_five_guesses() {
    let house = House::new().await;
    let guesses = (0..100).map(|n| {
        let (house, password) = (&house, format!("guess{n}"));
        async move { login(house, &format!("203.0.113.{n}"), ADA, &password).await }
    });
    let results = join_all(guesses).await;
    let count = |verdict| {
        results
            .iter()
            .filter(|it| it.as_ref().err() == Some(&verdict))
            .count()
    };
    assert_eq!((count(Verdict::Denied), count(Verdict::Throttled)), (5, 95));
    assert_eq!(house.passwords.work(), 5);
}

#[tokio::test(start_paused = true)]
async fn attack_34_a_client_that_hangs_up_has_guessed_all_the_same() {
    let house = House::new().await;
    for n in 0..5 {
        let attempt = House::attempt(HOME, ADA, &format!("guess{n}"));
        let judged = house.auth.authenticate(attempt);
        assert!(tokio::time::timeout(Duration::ZERO, judged).await.is_err());
        while house.passwords.work() <= n {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(SECOND).await;
    }
    let result = login(&house, HOME, ADA, "secret").await;
    assert_eq!(result, Err(Verdict::Throttled));
}

#[tokio::test(start_paused = true)]
async fn attack_36_a_hash_that_nobody_can_verify_is_no_free_work() {
    let house = House::new().await;
    let odd = "odd@example.test";
    house.accounts.add(odd, Some("?"), AuthType::Local).await;
    for _ in 0..5 {
        assert_eq!(login(&house, HOME, odd, "secret").await, denied());
    }
    for _ in 0..50 {
        let result = login(&house, HOME, odd, "secret").await;
        assert_eq!(result, Err(Verdict::Throttled));
    }
    assert_eq!(house.passwords.work(), 5);
}

#[tokio::test(start_paused = true)]
async fn attack_36_overload_is_later_and_bans_nobody() {
    let house = House::new().await;
    house.passwords.overloaded.store(true, Ordering::SeqCst);
    for _ in 0..50 {
        for name in [ADA, "nobody@example.test"] {
            assert_eq!(
                login(&house, HOME, name, "secret").await,
                Err(Verdict::Unavailable)
            );
        }
    }
    house.passwords.overloaded.store(false, Ordering::SeqCst);
    assert!(login(&house, HOME, ADA, "secret").await.is_ok());
    let long = "x".repeat(73);
    assert_eq!(login(&house, HOME, ADA, &long).await, denied());
}
