//! Plans, from what the directory and the index say.

use std::collections::BTreeMap;

use postrider_storage::index::{
    Account, AccountId, Alias, AuthType, DirectoryEntry, Domain, DomainId, Timestamp,
};

use super::plan::{Known, plan};
use super::{DomainPlan, Limit, Step};
use crate::auth::ldap::entry::Entry;

fn domain(id: i64, name: &str) -> Domain {
    Domain {
        id: DomainId(id),
        name: name.to_owned(),
        transport: "virtual:".to_owned(),
        company: None,
        auth: AuthType::Ldap,
        ldap_base_dn: None,
        active: true,
        created: Timestamp(0),
    }
}

fn account(id: i64, email: &str) -> Account {
    Account {
        id: AccountId(id),
        email: email.to_owned(),
        domain: DomainId(if email.ends_with("@b.test") { 2 } else { 1 }),
        password: None,
        quota: None,
        used: 0,
        auth: AuthType::Ldap,
        active: true,
        domain_active: true,
        version: 1,
        last_login: None,
        created: Timestamp(0),
        addressed: Timestamp(0),
        pop3_retention: None,
    }
}

fn bound(account: i64, stable_id: &str, aliases: &[&str]) -> DirectoryEntry {
    DirectoryEntry {
        account: AccountId(account),
        source: "ldap".to_owned(),
        stable_id: stable_id.to_owned(),
        display_name: None,
        department: None,
        seen: Timestamp(0),
        disabled: None,
        aliases: aliases.iter().map(|it| (*it).to_owned()).collect(),
    }
}

fn entry(stable_id: &str, mails: &[&str]) -> Entry {
    Entry {
        dn: format!("uid={stable_id},dc=test"),
        stable_id: Some(stable_id.to_owned()),
        mails: mails.iter().map(|it| (*it).to_owned()).collect(),
        ..Entry::default()
    }
}

fn alias(source: &str, destination: &str) -> Alias {
    Alias {
        source: source.to_owned(),
        destination: destination.to_owned(),
        active: true,
    }
}

/// So many accounts of a.test, each bound to its entry, and the entries.
fn company(count: i64) -> (Known, Vec<Entry>) {
    let known = Known {
        domains: vec![domain(1, "a.test"), domain(2, "b.test")],
        accounts: (1..=count)
            .map(|n| account(n, &format!("u{n}@a.test")))
            .collect(),
        bound: (1..=count)
            .map(|n| bound(n, &format!("id{n}"), &[]))
            .collect(),
        aliases: Vec::new(),
        since: Timestamp(10),
        unread: BTreeMap::new(),
        elsewhere: BTreeMap::new(),
    };
    let entries = (1..=count).map(|n| entry(&format!("id{n}"), &[&format!("u{n}@a.test")]));
    (known, entries.collect())
}

fn of<'a>(plans: &'a [DomainPlan], name: &str) -> &'a DomainPlan {
    plans.iter().find(|it| it.domain == name).expect("planned")
}

fn steps(plans: &[DomainPlan], name: &str) -> Vec<String> {
    of(plans, name)
        .steps
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn nothing_new_changes_nothing() {
    let (known, entries) = company(5);
    let plans = plan(&known, &entries, Limit::OneInFive);
    assert_eq!(plans.len(), 2);
    assert!(
        plans
            .iter()
            .all(|it| it.steps.is_empty() && it.problems.is_empty() && it.refused.is_none())
    );
    assert_eq!(of(&plans, "a.test").entries, 5);
}

#[test]
fn new_changed_renamed_disabled_back_and_gone() {
    let (mut known, mut entries) = company(12);
    known.accounts[4].active = false;
    known.bound[4].disabled = Some(Timestamp(1));
    // Switched off by an operator.
    known.accounts[5].active = false;
    entries[1].department = Some("수학과".to_owned());
    entries[1].name = Some("Bob".to_owned());
    entries[2].mails = vec!["new@a.test".to_owned()];
    entries[3].disabled = Some("disabled somehow");
    entries.remove(11);
    entries.push(entry("new", &["carol@b.test", "c@a.test"]));
    entries.push(Entry {
        disabled: Some("disabled somehow"),
        ..entry("never", &["never@b.test"])
    });
    entries.push(entry("elsewhere", &["x@elsewhere.test"]));
    let plans = plan(&known, &entries, Limit::OneInFive);
    assert_eq!(
        steps(&plans, "a.test"),
        [
            "disable u4@a.test: disabled somehow",
            "disable u12@a.test: gone from the directory",
            "rename u3@a.test to new@a.test",
            "update u2@a.test: name Bob, department 수학과",
            "enable u5@a.test",
        ]
    );
    assert_eq!(steps(&plans, "b.test"), ["create carol@b.test"]);
    let [Step::Create { says, .. }] = &of(&plans, "b.test").steps[..] else {
        panic!("{plans:?}");
    };
    assert_eq!(says.aliases, ["c@a.test"]);
    assert!(plans.iter().all(|it| it.problems.is_empty()), "{plans:?}");
}

#[test]
fn an_address_stays_for_as_long_as_the_entry_has_it() {
    let (known, mut entries) = company(1);
    entries[0].mails = vec!["new@a.test".to_owned(), "u1@a.test".to_owned()];
    let plans = plan(&known, &entries, Limit::OneInFive);
    assert_eq!(
        steps(&plans, "a.test"),
        ["update u1@a.test: alias new@a.test"]
    );
}

#[test]
fn moves_between_domains_and_swaps_of_addresses() {
    let (known, mut entries) = company(3);
    entries[0].mails = vec!["u1@b.test".to_owned()];
    // Each takes the other's; one of them has to wait for the other, which an operator sees.
    entries[1].mails = vec!["u3@a.test".to_owned()];
    entries[2].mails = vec!["u2@a.test".to_owned()];
    let plans = plan(&known, &entries, Limit::OneInFive);
    assert_eq!(
        steps(&plans, "b.test"),
        ["rename u1@a.test to u1@b.test"],
        "and nobody is gone from a.test"
    );
    assert_eq!(
        steps(&plans, "a.test"),
        [
            "rename u2@a.test to u3@a.test",
            "rename u3@a.test to u2@a.test"
        ]
    );
}

#[test]
fn an_address_that_two_want_goes_to_neither() {
    let (known, mut entries) = company(3);
    entries.push(entry("x", &["both@a.test"]));
    entries.push(entry("y", &["both@a.test"]));
    entries.push(entry("z", &["u2@a.test"]));
    let plans = plan(&known, &entries, Limit::OneInFive);
    let plan = of(&plans, "a.test");
    assert!(plan.steps.is_empty(), "{plan:?}");
    assert_eq!(plan.problems.len(), 3, "{plan:?}");
}

#[test]
fn who_gets_the_address_of_somebody_who_left_does_not_get_the_mail() {
    let (known, mut entries) = company(10);
    entries[0] = entry("another person", &["u1@a.test"]);
    let plans = plan(&known, &entries, Limit::OneInFive);
    assert_eq!(
        steps(&plans, "a.test"),
        ["disable u1@a.test: gone from the directory"]
    );
    let problems = &of(&plans, "a.test").problems;
    assert!(
        problems[0].contains("ldap unbind u1@a.test"),
        "{problems:?}"
    );
}

#[test]
fn what_an_operator_made_stays() {
    let (mut known, mut entries) = company(4);
    known.bound.remove(0);
    known.accounts[0].auth = AuthType::Local;
    known.bound.remove(0);
    known.aliases = vec![
        alias("sales@a.test", "u4@a.test"),
        alias("own@a.test", "u3@a.test"),
    ];
    entries[2].aliases = vec![
        "sales@a.test".to_owned(),
        "own@a.test".to_owned(),
        "u4@a.test".to_owned(),
        "x@elsewhere.test".to_owned(),
    ];
    let plans = plan(&known, &entries, Limit::OneInFive);
    assert_eq!(
        steps(&plans, "a.test"),
        [
            "bind u2@a.test to its entry",
            "update u3@a.test: alias own@a.test"
        ]
    );
    let problems = &of(&plans, "a.test").problems;
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn what_was_not_read_is_not_gone() {
    let (mut known, _) = company(10);
    let why = "cannot read: sizeLimitExceeded (4)".to_owned();
    known.unread.insert("a.test".to_owned(), why.clone());
    let plans = plan(&known, &[], Limit::None);
    let plan = of(&plans, "a.test");
    assert!(plan.steps.is_empty());
    assert_eq!(plan.refused, Some(why));
}

#[test]
fn who_may_be_elsewhere_is_not_gone() {
    let (mut known, mut entries) = company(10);
    entries.remove(0);
    entries[0].disabled = Some("disabled somehow");
    let urls = "ldap://b.test/ou=b,dc=test".to_owned();
    known.elsewhere.insert("a.test".to_owned(), urls.clone());
    for limit in [Limit::OneInFive, Limit::None] {
        let plans = plan(&known, &entries, limit);
        // What the entries themselves say counts.
        assert_eq!(
            steps(&plans, "a.test"),
            ["disable u2@a.test: disabled somehow"]
        );
        let [problem] = &of(&plans, "a.test").problems[..] else {
            panic!("{plans:?}");
        };
        assert!(
            problem.contains(&urls) && problem.contains("of 1 accounts"),
            "{problem}"
        );
        assert!(of(&plans, "b.test").problems.is_empty());
    }
}

/// Who keeps one company's part of the tree takes no addresses of another's.
#[test]
fn an_entry_has_no_say_in_domains_of_another_base() {
    let (mut known, mut entries) = company(3);
    known.accounts.push(account(9, "boss@b.test"));
    known.bound.push(bound(9, "boss", &[]));
    let below = |names: &[&str]| Some(names.iter().map(|it| (*it).to_owned()).collect());
    entries[0].mails.push("sales@b.test".to_owned());
    entries[0].aliases.push("u1-too@a.test".to_owned());
    entries.push(entry("eve", &["eve@b.test"]));
    // First in the other domain: that is not its address.
    entries.push(entry("dan", &["dan@b.test", "dan@a.test"]));
    for it in &mut entries {
        it.below = below(&["a.test"]);
    }
    entries.push(Entry {
        below: below(&["a.test", "b.test"]),
        ..entry("boss", &["boss@b.test", "boss@a.test"])
    });
    let plans = plan(&known, &entries, Limit::OneInFive);
    assert_eq!(
        steps(&plans, "a.test"),
        ["update u1@a.test: alias u1-too@a.test", "create dan@a.test"]
    );
    assert_eq!(
        steps(&plans, "b.test"),
        ["update boss@b.test: alias boss@a.test"]
    );
    let problems = &of(&plans, "a.test").problems;
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("sales@b.test"), "{problems:?}");
}

#[test]
fn whom_a_login_added_meanwhile_is_not_gone() {
    let (mut known, entries) = company(10);
    known.bound[3].seen = known.since;
    let plans = plan(&known, &entries[..3], Limit::None);
    assert_eq!(steps(&plans, "a.test").len(), 6);
    assert!(!steps(&plans, "a.test").iter().any(|it| it.contains("u4@")));
}

#[test]
fn too_many_at_once_are_not_switched_off() {
    for (all, gone, refused) in [
        (10, 2, false),
        (10, 3, true),
        (10, 10, true),
        (1, 1, false),
        (2, 1, false),
        (2, 2, true),
        (100, 20, false),
        (100, 21, true),
    ] {
        let (known, mut entries) = company(all);
        entries.drain(..gone);
        entries.push(entry("new", &["new@a.test"]));
        let plans = plan(&known, &entries, Limit::OneInFive);
        let plan = of(&plans, "a.test");
        assert_eq!(plan.refused.is_some(), refused, "{gone} of {all}");
        let steps = if refused { 0 } else { gone + 1 };
        assert_eq!(plan.steps.len(), steps, "{gone} of {all}: {plan:?}");
        let forced = super::plan::plan(&known, &entries, Limit::None);
        let forced = of(&forced, "a.test");
        assert_eq!((forced.steps.len(), &forced.refused), (gone + 1, &None));
    }
}

#[test]
fn an_entry_without_stable_id_stops_its_domain() {
    let (known, mut entries) = company(3);
    entries[1].stable_id = None;
    let plans = plan(&known, &entries, Limit::None);
    let plan = of(&plans, "a.test");
    assert!(plan.steps.is_empty(), "{plan:?}");
    let refused = plan.refused.as_deref().unwrap_or_default();
    assert!(refused.contains("uid=id2,dc=test"), "{refused}");
    assert!(refused.contains("id_attribute"), "{refused}");
}
