//! Attacks 29 to 33, and who is who.

use postrider_protocol::sasl::Verdict;
use postrider_storage::index::{AuthType, Change, RenameAccount, Timestamp, UnbindEntry};

use super::company::{Company, WITH, change, settings};
use super::slapd::{Slapd, dn, person};

const DENIED: Result<String, Verdict> = Err(Verdict::Denied);

#[tokio::test(flavor = "multi_thread")]
async fn attack_29_no_name_is_a_filter() {
    let slapd = Slapd::start(&[
        person("ada@with.test", "one"),
        person("bob@with.test", "two"),
    ]);
    let company = Company::new(&settings(&slapd)).await;
    for name in [
        "*@with.test",
        "a*@with.test",
        "ada@with.test)(|(uid=*",
        "*)(uid=*@with.test",
        "ada)(|(objectClass=*@with.test",
        "\\2a@with.test",
        "ada\\@with.test",
        "ada@with.test,dc=test",
        "uid=ada,ou=people,dc=test",
        "ada",
    ] {
        for password in ["one", "two", "*", ""] {
            assert_eq!(company.opens(name, password).await, DENIED, "{name}");
        }
    }
    assert_eq!(company.index.accounts(None).await.unwrap(), []);
    let opened = company.opens("Ada@WITH.test", "one").await;
    assert_eq!(opened.as_deref(), Ok("ada@with.test"));
}

/// This slapd takes a name without password for a success, as RFC 4513 section 5.1.2 lets it.
#[tokio::test(flavor = "multi_thread")]
async fn attack_30_no_password_is_no_login() {
    let without = person("nopass@with.test", "");
    let slapd = Slapd::start(&[person("ada@with.test", "one"), without]);
    let company = Company::new(&settings(&slapd)).await;
    for user in ["ada@with.test", "nopass@with.test", "nobody@with.test"] {
        for password in ["", "\0", " "] {
            let opened = company.opens(user, password).await;
            assert_eq!(opened, DENIED, "{user} {password:?}");
        }
    }
    let binds = slapd.binds();
    assert!(binds.len() > 1, "the log is read");
    assert!(binds.iter().all(|it| !it.is_empty()), "{binds:?}");
    let empty = postrider_protocol::secret::Secret::new(String::new());
    let settings = postrider::config::Ldap {
        bind_password: empty,
        ..settings(&slapd)
    };
    let client =
        postrider::auth::ldap::LdapClient::new(&settings, tokio::runtime::Handle::current());
    assert!(client.is_err(), "nor does the service account go without");
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_31_what_changes_in_the_directory_counts_at_once() {
    let slapd = Slapd::start(&[person("ada@with.test", "one")]);
    let mut settings = settings(&slapd);
    settings.grace = std::time::Duration::from_secs(3600);
    let company = Company::new(&settings).await;
    let user = "ada@with.test";
    assert!(company.opens(user, "one").await.is_ok());
    slapd.set(&dn("ada"), "userPassword", "new");
    assert_eq!(company.opens(user, "one").await, DENIED);
    assert!(company.opens(user, "new").await.is_ok());
    slapd.set(&dn("ada"), "pwdAccountLockedTime", "000001010000Z");
    assert_eq!(company.opens(user, "new").await, DENIED);
    slapd.unset(&dn("ada"), "pwdAccountLockedTime");
    assert!(company.opens(user, "new").await.is_ok());
    slapd.delete(&dn("ada"));
    assert_eq!(company.opens(user, "new").await, DENIED);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_32_a_stale_local_hash_opens_no_account_of_the_directory() {
    let mut slapd = Slapd::start(&[person("ada@with.test", "of the directory")]);
    let company = Company::new(&settings(&slapd)).await;
    let user = "ada@with.test";
    company.account(user, AuthType::Ldap, Some("stale")).await;
    assert_eq!(company.opens(user, "stale").await, DENIED);
    assert!(company.opens(user, "of the directory").await.is_ok());
    slapd.kill();
    let later = Err(Verdict::Unavailable);
    assert_eq!(company.opens(user, "stale").await, later);
    assert_eq!(company.opens(user, "of the directory").await, later);
}

/// Whoever is not there takes as many questions as who is there with a wrong password: a search and a bind.
#[tokio::test(flavor = "multi_thread")]
async fn attack_33_nobody_costs_a_bind_too() {
    let slapd = Slapd::start(&[person("ada@with.test", "one")]);
    let company = Company::new(&settings(&slapd)).await;
    for user in ["ada@with.test", "nobody@with.test", "*@with.test"] {
        // The first login connects.
        assert_eq!(company.opens(user, "wrong").await, DENIED);
        let before = slapd.binds().len();
        assert_eq!(company.opens(user, "wrong").await, DENIED);
        assert_eq!(slapd.binds().len(), before + 1, "{user}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_needs_an_address_in_the_domain() {
    let mut elsewhere = person("ada@other.test", "one");
    elsewhere.uid = "ada".to_owned();
    let twins = [
        person("twin@with.test", "one").with("mailAlternate", "x@with.test"),
        {
            let mut other = person("twin@with.test", "one");
            other.uid = "twin2".to_owned();
            other
        },
    ];
    let slapd = Slapd::start(&[elsewhere, twins[0].clone(), twins[1].clone()]);
    let company = Company::new(&settings(&slapd)).await;
    // Found by its uid, and nobody here.
    assert_eq!(company.opens("ada@with.test", "one").await, DENIED);
    // Two of them.
    assert_eq!(company.opens("twin@with.test", "one").await, DENIED);
    assert_eq!(company.index.accounts(None).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_in_by_address_uid_and_a_bare_name() {
    let mut ada = person("ada.lovelace@with.test", "one");
    ada.uid = "ada".to_owned();
    let slapd = Slapd::start(&[ada]);
    let mut settings = settings(&slapd);
    settings.default_domain = Some(WITH.to_owned());
    let company = Company::new(&settings).await;
    for name in ["ada.lovelace@with.test", "ada@with.test", "ada", "ADA"] {
        let opened = company.opens(name, "one").await;
        assert_eq!(opened.as_deref(), Ok("ada.lovelace@with.test"), "{name}");
        assert_eq!(company.opens(name, "two").await, DENIED, "{name}");
    }
    assert_eq!(company.index.accounts(None).await.unwrap().len(), 1);
    let account = company.find("ada.lovelace@with.test").await.unwrap();
    assert_eq!((account.auth, account.password), (AuthType::Ldap, None));
    assert_eq!(account.quota, Some(1 << 30));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_entry_is_the_person_and_the_address_is_not() {
    let slapd = Slapd::start(&[person("ada@with.test", "one")]);
    let mut settings = settings(&slapd);
    // By address alone: the uid stays what it is here.
    settings.user_filter = "(mail={email})".to_owned();
    let company = Company::new(&settings).await;
    let first = company.login("ada@with.test", "one").await.unwrap();
    // Renamed: the same mailbox, before any synchronisation.
    slapd.set(&dn("ada"), "mail", "countess@with.test");
    let renamed = company.login("countess@with.test", "one").await.unwrap();
    assert_eq!(renamed.id, first.id);
    // Somebody new has the old address: not the old mailbox.
    let mut other = person("ada@with.test", "two");
    other.uid = "ada2".to_owned();
    slapd.add(&other);
    assert_eq!(company.opens("ada@with.test", "two").await, DENIED);
    let rename = RenameAccount {
        account: first.id,
        email: "countess@with.test".to_owned(),
        now: Timestamp(2),
    };
    change(&*company.index, Change::RenameAccount(rename)).await;
    let second = company.login("ada@with.test", "two").await.unwrap();
    assert_ne!(second.id, first.id);
    // Made anew by an administrator of the directory: an operator here says that it is the same person.
    slapd.delete(&dn("ada"));
    let mut again = person("countess@with.test", "three");
    again.uid = "ada".to_owned();
    slapd.add(&again);
    assert_eq!(company.opens("countess@with.test", "three").await, DENIED);
    let unbind = UnbindEntry { account: first.id };
    change(&*company.index, Change::UnbindEntry(unbind)).await;
    let back = company.login("countess@with.test", "three").await.unwrap();
    assert_eq!(back.id, first.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_of_octets_names_an_entry_as_well() {
    let one = person("ada@with.test", "one").with("directoryGuid", "sixteen octets!!");
    let slapd = Slapd::start(&[one]);
    let mut settings = settings(&slapd);
    settings.id_attribute = "directoryGuid".to_owned();
    let company = Company::new(&settings).await;
    let account = company.login("ada@with.test", "one").await.unwrap();
    let entry = company.index.directory_entry_of(account.id).await.unwrap();
    assert_eq!(entry.unwrap().stable_id, "sixteen octets!!");
    // An id that nobody may read is our trouble, not the user's.
    settings.id_attribute = "objectGUID".to_owned();
    let other = Company::over(company.index.clone(), &settings);
    let opened = other.opens("ada@with.test", "one").await;
    assert_eq!(opened, Err(Verdict::Unavailable));
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_come_by_synchronisation_alone_if_that_is_wanted() {
    let slapd = Slapd::start(&[person("ada@with.test", "one")]);
    let mut settings = settings(&slapd);
    settings.create_accounts = false;
    let company = Company::new(&settings).await;
    assert_eq!(company.opens("ada@with.test", "one").await, DENIED);
    assert_eq!(company.sync().await, ["create ada@with.test"]);
    assert!(company.opens("ada@with.test", "one").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_says_who_is_disabled() {
    let ada = person("ada@with.test", "one").with("employeeType", "former");
    let slapd = Slapd::start(&[ada, person("bob@with.test", "one")]);
    let mut settings = settings(&slapd);
    settings.disabled_filter = Some("(employeeType=former)".to_owned());
    let company = Company::new(&settings).await;
    assert_eq!(company.opens("ada@with.test", "one").await, DENIED);
    assert!(company.opens("bob@with.test", "one").await.is_ok());
    assert_eq!(company.sync().await, Vec::<String>::new());
}
