//! Whole logins: what is let in, what is not, what it costs, what it leaves in the log.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use postrider_storage::index::{AuthType, Index, SetAccountActive, SetDomainActive, SqliteIndex};
use tokio::sync::Semaphore;
use tracing::field::{Field, Visit};

use super::super::memory::MemoryResolver;
use super::super::resolver::Answer;
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
    let domain = postrider_storage::index::AddDomain {
        name: "example.test".to_owned(),
        auth: AuthType::Local,
        ldap_base_dn: None,
        now: Timestamp(0),
    };
    let account = postrider_storage::index::AddAccounts {
        accounts: vec![postrider_storage::index::NewAccount {
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
    let long = "x".repeat(72);
    assert_eq!(login(&house, HOME, ADA, &long).await, denied());
}

#[tokio::test(start_paused = true)]
async fn an_index_that_is_away_is_later_and_bans_nobody() {
    let house = House::new().await;
    house.accounts.away.store(true, Ordering::SeqCst);
    for _ in 0..50 {
        assert_eq!(
            login(&house, HOME, ADA, "wrong").await,
            Err(Verdict::Unavailable)
        );
    }
    house.accounts.away.store(false, Ordering::SeqCst);
    assert!(login(&house, HOME, ADA, "secret").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_deadline_ends_everything() {
    let house = House::new().await;
    *house.passwords.gate.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
    let began = Instant::now();
    let attempts = (0..30).map(|n| {
        let (house, name) = (&house, format!("user{n}@example.test"));
        async move { login(house, HOME, &name, "secret").await }
    });
    for result in join_all(attempts).await {
        assert_eq!(result, Err(Verdict::Unavailable));
    }
    assert_eq!(began.elapsed(), MINUTE);
    *house.passwords.gate.lock().unwrap() = None;
    assert!(login(&house, HOME, ADA, "secret").await.is_ok());
}

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

#[tokio::test(start_paused = true)]
async fn guesses_count_also_while_a_directory_is_down() {
    let memory = Arc::new(MemoryResolver::default());
    memory.set_broken(Some("down"));
    let house = House::with(settings(), vec![memory]).await;
    for _ in 0..5 {
        assert_eq!(
            login(&house, HOME, ADA, "wrong").await,
            Err(Verdict::Unavailable)
        );
    }
    assert_eq!(
        login(&house, HOME, ADA, "secret").await,
        Err(Verdict::Throttled)
    );
    // Those whom only the directory knows come back until it does.
    house
        .accounts
        .add("ldap@example.test", None, AuthType::Ldap)
        .await;
    for _ in 0..50 {
        let result = login(&house, "192.0.2.2", "ldap@example.test", "right").await;
        assert_eq!(result, Err(Verdict::Unavailable));
    }
}

struct Provisions(Arc<super::super::testing::FakeAccounts>);

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

/// Writes every event as its field names and values, in order.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

impl tracing::Subscriber for Heard {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().contains("::auth")
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = String::new();
        event.record(&mut Line(&mut line));
        self.0.lock().unwrap().push(line.trim_end().to_owned());
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn each_decision_leaves_one_event_with_the_peer_first_and_never_a_password() {
    let heard = Heard::default();
    let _guard = tracing::subscriber::set_default(heard.clone());
    let memory = Arc::new(MemoryResolver::new([("dir@example.test", "hunter2")]));
    memory.set_broken(Some("down"));
    let house = House::with(settings(), vec![memory.clone()]).await;
    let lines = |heard: &Heard| std::mem::take(&mut *heard.0.lock().unwrap());
    let _ = login(&house, HOME, ADA, "secret").await;
    let line = lines(&heard);
    assert_eq!(line.len(), 1, "{line:?}");
    assert_eq!(
        line[0],
        "message=login accepted peer=192.0.2.1:4711 service=\"imaps\" by=\"local\" \
         why=\"memory: unavailable, down; local: granted\" mechanism=\"PLAIN\" account=\"ada@example.test\""
    );
    memory.set_broken(None);
    let forged = "x\npeer=203.0.113.9:1 login failed";
    for name in [ADA, forged] {
        assert_eq!(login(&house, HOME, name, "hunter2").await, denied());
    }
    let line = lines(&heard);
    assert_eq!(line.len(), 2, "{line:?}");
    assert_eq!(
        line[0],
        "message=login failed peer=192.0.2.1:4711 service=\"imaps\" by=\"local\" \
         why=\"memory: unknown, no such user; local: denied, wrong password\" mechanism=\"PLAIN\" user=\"ada@example.test\""
    );
    let (peer, user) = (
        line[1].find("peer=192.0.2.1").unwrap(),
        line[1].find("user=").unwrap(),
    );
    assert!(
        peer < user && line[1].ends_with("login failed\""),
        "{line:?}"
    );
    for _ in 0..5 {
        let _ = login(&house, "203.0.113.7", "bob@example.test", "hunter2").await;
    }
    assert_eq!(
        login(&house, "203.0.113.7", "bob@example.test", "hunter2").await,
        Err(Verdict::Throttled)
    );
    let line = lines(&heard);
    assert_eq!(
        line.len(),
        7,
        "five failures, one lock, one refusal: {line:?}"
    );
    let lock = "message=too many failed logins peer=203.0.113.7:4711 why=\"account is locked\" user=\"bob@example.test\"";
    assert!(line.iter().any(|it| it == lock), "{line:?}");
    assert!(
        line[6].starts_with("message=login throttled peer=203.0.113.7:4711"),
        "{line:?}"
    );
    assert!(
        line.iter()
            .all(|it| !it.contains("hunter2") && !it.contains("secret"))
    );
}
