//! Synchronisation: new, changed, renamed, disabled, back and gone.

use postrider::auth::ldap::sync::{self, Limit, Mode, SyncError};
use postrider_protocol::sasl::Verdict;
use postrider_storage::index::{
    AddAlias, AddDomain, Alias, AuthType, Change, SetAccountActive, TakeLease, Timestamp,
};

use super::company::{Company, change, changes, settings};
use super::slapd::{Person, Slapd, dn, person};

const NOTHING: [String; 0] = [];

fn people(count: usize) -> Vec<Person> {
    (0..count)
        .map(|n| person(&format!("u{n}@with.test"), "one"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn takes_over_what_the_directory_says() {
    let mut people = people(8);
    people[0] = people[0]
        .clone()
        .with("displayName", "김에이다")
        .with("departmentNumber", "수학과")
        .with("mailAlternate", "countess@with.test")
        .with("mailAlternate", "ada@elsewhere.test");
    let slapd = Slapd::start(&people);
    let company = Company::new(&settings(&slapd)).await;
    let planned = company.plans(Mode::DryRun, Limit::OneInFive).await;
    assert_eq!(company.index.accounts(None).await.unwrap(), [], "only said");
    // Pages of three.
    let done = company.sync().await;
    assert_eq!(done, changes(&planned));
    assert_eq!(done.len(), 8);
    assert_eq!(company.sync().await, NOTHING);
    let ada = company.find("u0@with.test").await.unwrap();
    assert_eq!((ada.auth, &ada.password), (AuthType::Ldap, &None));
    let entry = company.index.directory_entry_of(ada.id).await.unwrap();
    let entry = entry.unwrap();
    assert_eq!(entry.display_name.as_deref(), Some("김에이다"));
    assert_eq!(entry.department.as_deref(), Some("수학과"));
    assert_eq!(entry.aliases, ["countess@with.test"]);

    slapd.set(&dn("u1"), "departmentNumber", "물리학과");
    slapd.set(&dn("u2"), "mail", "renamed@with.test");
    slapd.set(&dn("u3"), "pwdAccountLockedTime", "000001010000Z");
    slapd.delete(&dn("u4"));
    slapd.unset(&dn("u0"), "mailAlternate");
    slapd.add(&person("new@with.test", "one"));
    let before = company.find("u2@with.test").await.unwrap();
    // Two of eight are more than one in five.
    let plans = company.plans(Mode::Apply, Limit::OneInFive).await;
    let refused = plans[0].refused.as_deref().unwrap_or_default();
    assert!(refused.contains("2 of 8 accounts"), "{plans:?}");
    assert_eq!(changes(&plans), NOTHING);
    assert!(company.find("new@with.test").await.is_none());
    let plans = company.plans(Mode::Apply, Limit::None).await;
    assert_eq!(
        changes(&plans),
        [
            "disable u3@with.test: locked by an administrator",
            "disable u4@with.test: gone from the directory",
            "rename u2@with.test to renamed@with.test",
            "update u0@with.test: no alias countess@with.test",
            "update u1@with.test: department 물리학과",
            "create new@with.test",
        ]
    );
    let after = company.find("renamed@with.test").await.unwrap();
    assert_eq!(after.id, before.id);
    assert!(!company.find("u4@with.test").await.unwrap().active);
    let closed = company.opens("u3@with.test", "one").await;
    assert_eq!(closed, Err(Verdict::Denied));
    assert_eq!(company.sync().await, NOTHING);

    slapd.unset(&dn("u3"), "pwdAccountLockedTime");
    assert_eq!(company.sync().await, ["enable u3@with.test"]);
    assert!(company.opens("u3@with.test", "one").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_did_stays() {
    let slapd = Slapd::start(&people(5));
    let company = Company::new(&settings(&slapd)).await;
    let local = "u0@with.test";
    company.account(local, AuthType::Local, Some("two")).await;
    company.account("u1@with.test", AuthType::Ldap, None).await;
    let alias = Alias {
        source: "sales@with.test".to_owned(),
        destination: "u2@with.test".to_owned(),
        active: true,
    };
    change(&*company.index, Change::AddAlias(AddAlias { alias })).await;
    assert_eq!(
        company.sync().await,
        [
            "bind u1@with.test to its entry",
            "create u2@with.test",
            "create u3@with.test",
            "create u4@with.test",
        ]
    );
    let off = company.find("u2@with.test").await.unwrap();
    let set = SetAccountActive {
        account: off.id,
        active: false,
        now: Timestamp(1),
    };
    change(&*company.index, Change::SetAccountActive(set)).await;
    slapd.set(&dn("u3"), "mailAlternate", "sales@with.test");
    let plans = company.plans(Mode::Apply, Limit::OneInFive).await;
    assert_eq!(changes(&plans), NOTHING);
    assert_eq!(plans[0].problems.len(), 1, "{plans:?}");
    let to = company.index.destinations("sales@with.test").await.unwrap();
    assert_eq!(to, ["u2@with.test"]);
    assert_eq!(company.find(local).await.unwrap().auth, AuthType::Local);
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_of_renames_find_their_way() {
    let slapd = Slapd::start(&people(3));
    let company = Company::new(&settings(&slapd)).await;
    company.sync().await;
    let ids = async |email: &str| company.find(email).await.map(|it| it.id);
    let before = [ids("u0@with.test").await, ids("u1@with.test").await];
    // u0 takes the address that u1 gives up in the same round.
    slapd.set(&dn("u1"), "mail", "free@with.test");
    slapd.set(&dn("u0"), "mail", "u1@with.test");
    company.sync().await;
    let after = [ids("u1@with.test").await, ids("free@with.test").await];
    assert_eq!(after, before);
    assert_eq!(company.sync().await, NOTHING);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_not_whole_switches_off_nobody() {
    // One entry more than the server tells the service account.
    let slapd = Slapd::start_with(&people(5), "sizelimit size.soft=4 size.hard=4\n");
    let company = Company::new(&settings(&slapd)).await;
    company.account("u0@with.test", AuthType::Ldap, None).await;
    let plans = company.plans(Mode::Apply, Limit::None).await;
    assert_eq!(changes(&plans), NOTHING);
    let refused = plans[0].refused.as_deref().unwrap_or_default();
    assert!(refused.contains("sizeLimitExceeded"), "{plans:?}");
    assert!(company.find("u0@with.test").await.unwrap().active);
    assert!(company.find("u1@with.test").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_away_or_empty_switches_off_nobody() {
    let mut slapd = Slapd::start(&people(5));
    let company = Company::new(&settings(&slapd)).await;
    company.sync().await;
    let mut elsewhere = settings(&slapd);
    elsewhere.base_dn = "ou=former,dc=test".to_owned();
    let empty = Company::over(company.index.clone(), &elsewhere);
    let mut nowhere = elsewhere.clone();
    nowhere.base_dn = "ou=never,dc=test".to_owned();
    let missing = Company::over(company.index.clone(), &nowhere);
    for company in [&empty, &missing] {
        let plans = company.plans(Mode::Apply, Limit::OneInFive).await;
        assert!(plans[0].refused.is_some(), "{plans:?}");
    }
    slapd.kill();
    let plans = company.plans(Mode::Apply, Limit::None).await;
    assert!(plans[0].refused.is_some(), "{plans:?}");
    let accounts = company.index.accounts(None).await.unwrap();
    assert!(accounts.iter().all(|it| it.active));
    // A base that is there and empty may be meant.
    slapd.restart();
    let plans = empty.plans(Mode::Apply, Limit::None).await;
    assert_eq!(changes(&plans).len(), 5, "{plans:?}");
}

/// A tree split by references to other servers: who is not in the part that is read may be in another.
#[tokio::test(flavor = "multi_thread")]
async fn a_tree_that_goes_on_elsewhere_switches_off_nobody() {
    let slapd = Slapd::start(&people(12));
    let company = Company::new(&settings(&slapd)).await;
    company.sync().await;
    let branch = "ldap://branch.test/ou=branch,ou=people,dc=test";
    slapd.refer("branch", branch);
    slapd.delete(&dn("u4"));
    slapd.set(&dn("u3"), "pwdAccountLockedTime", "000001010000Z");
    for (mode, limit) in [
        (Mode::DryRun, Limit::OneInFive),
        (Mode::Apply, Limit::None),
        (Mode::Apply, Limit::OneInFive),
    ] {
        let plans = company.plans(mode, limit).await;
        let [problem] = &plans[0].problems[..] else {
            panic!("nobody hears of it: {plans:?}");
        };
        assert!(problem.contains("ldap://branch.test/"), "{problem}");
        let gone = |it: &String| it.contains("u4@with.test");
        assert!(!changes(&plans).iter().any(gone), "{plans:?}");
        assert_eq!(plans[0].refused, None);
    }
    assert!(company.find("u4@with.test").await.unwrap().active);
    let off = company.find("u3@with.test").await.unwrap();
    assert!(!off.active, "what an entry says of itself counts");
    // Who knows that nobody of ours is there.
    let mut alone = settings(&slapd);
    alone.ignore_references = true;
    let alone = Company::over(company.index.clone(), &alone);
    assert_eq!(
        alone.sync().await,
        ["disable u4@with.test: gone from the directory"]
    );
}

/// Each company has a part of the tree, and its domain that base: what stands in one part says nothing of the domain of the other.
#[tokio::test(flavor = "multi_thread")]
async fn addresses_count_below_the_base_of_their_domain_alone() {
    let mut eve = person("eve@with.test", "one");
    eve.mails.push("sales@second.test".to_owned());
    let slapd = Slapd::start(&[eve, person("boss@second.test", "two")]);
    let company = Company::new(&settings(&slapd)).await;
    let second = AddDomain {
        name: "second.test".to_owned(),
        auth: AuthType::Ldap,
        ldap_base_dn: Some("ou=former,dc=test".to_owned()),
        now: Timestamp(1),
    };
    change(&*company.index, Change::AddDomain(second)).await;
    let plans = company.plans(Mode::Apply, Limit::OneInFive).await;
    assert_eq!(changes(&plans), ["create eve@with.test"], "{plans:?}");
    let problems: Vec<&String> = plans.iter().flat_map(|it| &it.problems).collect();
    assert!(
        problems.len() == 1 && problems[0].contains("sales@second.test"),
        "{problems:?}"
    );
    let leads = company.index.destinations("sales@second.test").await;
    assert_eq!(leads, Ok(Vec::new()));
    assert!(company.opens("boss@second.test", "two").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_at_a_time() {
    let slapd = Slapd::start(&people(1));
    let company = Company::new(&settings(&slapd)).await;
    let now = postrider::clock::now();
    let lease = |until| {
        Change::TakeLease(TakeLease {
            name: "ldap_sync".to_owned(),
            holder: "another process".to_owned(),
            until,
            now,
        })
    };
    let later = Timestamp(now.0 + 60_000_000);
    change(&*company.index, lease(later)).await;
    let (client, rows) = (&company.client, &company.rows);
    let busy = sync::run(client, rows, None, Mode::Apply, Limit::OneInFive).await;
    assert_eq!(busy, Err(SyncError::Busy));
    let planned = company.plans(Mode::DryRun, Limit::OneInFive).await;
    assert_eq!(changes(&planned).len(), 1, "looking is free");
    change(&*company.index, lease(now)).await;
    // And gives it back.
    for expected in [1, 0] {
        assert_eq!(company.sync().await.len(), expected);
    }
    let unknown = sync::run(client, rows, Some("x.test"), Mode::DryRun, Limit::None).await;
    assert_eq!(unknown, Err(SyncError::NoDomain("x.test".to_owned())));
}
