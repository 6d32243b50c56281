//! Weak hashes become strong ones.

use std::num::NonZeroUsize;

use postrider_storage::index::AuthType;
use tokio::sync::Semaphore;

use super::super::super::hasher::Hasher;
use super::*;

#[tokio::test(start_paused = true)]
async fn a_weak_hash_becomes_a_strong_one_once() {
    let house = House::new().await;
    house
        .accounts
        .add("old@example.test", Some("weak:secret"), AuthType::Local)
        .await;
    assert_eq!(
        login(&house, HOME, "old@example.test", "wrong").await,
        denied()
    );
    assert_eq!(house.passwords.hashed.load(Ordering::SeqCst), 0);
    let attempt = House::attempt(HOME, "old@example.test", "secret");
    let account = house.auth.authenticate(attempt).await.unwrap();
    let row = house.accounts.row("old@example.test").await;
    assert_eq!(row.password.as_deref(), Some("strong:secret"));
    assert_eq!(
        account.version, row.version,
        "the session begins with the new version"
    );
    let work = house.passwords.work();
    assert!(
        login(&house, HOME, "old@example.test", "secret")
            .await
            .is_ok()
    );
    assert_eq!(
        house.passwords.work(),
        work,
        "remembered under the new version"
    );
    assert_eq!(house.passwords.hashed.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn logins_at_once_agree_on_one_upgraded_hash() {
    let house = House::new().await;
    house
        .accounts
        .add("old@example.test", Some("weak:secret"), AuthType::Local)
        .await;
    let logins = (0..5).map(|_| {
        house
            .auth
            .authenticate(House::attempt(HOME, "old@example.test", "secret"))
    });
    let versions: Vec<_> = join_all(logins)
        .await
        .into_iter()
        .map(|it| it.unwrap().version)
        .collect();
    let row = house.accounts.row("old@example.test").await;
    assert_eq!(row.password.as_deref(), Some("strong:secret"));
    assert!(versions.iter().all(|it| *it == row.version), "{versions:?}");
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_undoes_no_change_made_meanwhile() {
    let house = House::new().await;
    let old = "old@example.test";
    let account = house
        .accounts
        .add(old, Some("weak:secret"), AuthType::Local)
        .await;
    let gate = Arc::new(Semaphore::new(1));
    *house.passwords.gate.lock().unwrap() = Some(gate.clone());
    let auth = house.auth.clone();
    let attempt = House::attempt(HOME, old, "secret");
    let judged = tokio::spawn(async move { auth.authenticate(attempt).await });
    // The comparison has its permit, the new hash waits for one.
    while house.passwords.work() < 2 {
        tokio::task::yield_now().await;
    }
    let change = SetPassword {
        account,
        password: Some("strong:new".to_owned()),
        only_if: None,
        now: Timestamp(0),
    };
    house.accounts.apply(Change::SetPassword(change)).await;
    gate.add_permits(10);
    assert_eq!(judged.await.unwrap().err(), Some(Verdict::Denied));
    let row = house.accounts.row(old).await;
    assert_eq!(row.password.as_deref(), Some("strong:new"));
}

#[tokio::test(start_paused = true)]
async fn weak_hashes_stay_where_the_configuration_says_so() {
    let mut settings = settings();
    settings.upgrade_hashes = false;
    let house = House::with(settings, Vec::new()).await;
    house
        .accounts
        .add("old@example.test", Some("weak:secret"), AuthType::Local)
        .await;
    assert!(
        login(&house, HOME, "old@example.test", "secret")
            .await
            .is_ok()
    );
    let row = house.accounts.row("old@example.test").await;
    assert_eq!(row.password.as_deref(), Some("weak:secret"));
}

#[tokio::test]
async fn real_hashes_are_verified_and_upgraded() {
    let house = House::new().await;
    let auth = Authenticator::new(Parts {
        accounts: house.accounts.clone(),
        passwords: Arc::new(Hasher::start(NonZeroUsize::MIN, MINUTE).unwrap()),
        settings: settings(),
        exempt: Vec::new(),
        deadline: MINUTE,
        resolvers: Vec::new(),
    });
    let weak = "{BLF-CRYPT}$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    house
        .accounts
        .add("old@example.test", Some(weak), AuthType::Local)
        .await;
    let ask = |user, password| auth.authenticate(House::attempt(HOME, user, password));
    let long = "U*U".repeat(25);
    for (user, password) in [
        ("old@example.test", "U*V"),
        ("old@example.test", long.as_str()),
        ("nobody@example.test", "U*U"),
    ] {
        assert_eq!(ask(user, password).await.err(), Some(Verdict::Denied));
    }
    let account = ask("old@example.test", "U*U").await.unwrap();
    let row = house.accounts.row("old@example.test").await;
    assert_eq!(account.version, row.version);
    assert!(row.password.unwrap().starts_with("$2y$12$"));
    // What bcrypt would cut stays with the hash that it has.
    let longer = "x".repeat(80);
    let clear = format!("{{PLAIN}}{longer}");
    house
        .accounts
        .add("long@example.test", Some(&clear), AuthType::Local)
        .await;
    assert!(ask("long@example.test", &longer).await.is_ok());
    assert_eq!(
        ask("long@example.test", &longer[..72]).await.err(),
        Some(Verdict::Denied)
    );
    let row = house.accounts.row("long@example.test").await;
    assert_eq!(row.password, Some(clear));
    // A hash that cannot be verified is a wrong password to who tries.
    house
        .accounts
        .add("odd@example.test", Some("{MD5}x"), AuthType::Local)
        .await;
    assert_eq!(
        ask("odd@example.test", "x").await.err(),
        Some(Verdict::Denied)
    );
    // Another process knows the new hash alone.
    auth.set(
        &crate::config::Auth {
            cache: Duration::ZERO,
            ..settings()
        },
        Vec::new(),
    );
    assert!(ask("old@example.test", "U*U").await.is_ok());
    assert_eq!(
        ask("old@example.test", "U*V").await.err(),
        Some(Verdict::Denied)
    );
}
