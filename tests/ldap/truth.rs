//! The truth table of a login: what the directory says, what the local hash says, whether the domain has LDAP; and what comes of it.

use std::time::Duration;

use postrider_protocol::sasl::Verdict;
use postrider_storage::index::AuthType;

use super::company::{Company, WITH, WITHOUT, settings};
use super::slapd::{Person, Slapd, person};

/// What is typed.
const TYPED: &str = "what is typed";
const OTHER: &str = "something else";

/// What the directory says of somebody.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Says {
    Yes,
    Wrong,
    Disabled,
    NoSuchUser,
    Locked,
    Down,
    Hanging,
    TlsBroken,
}

/// What the local hash says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Local {
    Yes,
    Wrong,
    /// LDAP vouches for the account.
    None,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Comes {
    In,
    Denied,
    Later,
}

const LOCALS: [Local; 3] = [Local::Yes, Local::Wrong, Local::None];
/// As long as the directory answers, whatever it is.
const ANSWERS: [Says; 5] = [
    Says::Yes,
    Says::Wrong,
    Says::Disabled,
    Says::NoSuchUser,
    Says::Locked,
];

/// The table.
fn expected(says: Says, local: Local, domain: &str) -> Comes {
    let by_local = match local {
        Local::Yes => Comes::In,
        Local::Wrong | Local::None => Comes::Denied,
    };
    if domain == WITHOUT {
        return by_local;
    }
    match (says, local) {
        (Says::Yes, _) | (_, Local::Yes) => Comes::In,
        (Says::Wrong | Says::Disabled | Says::NoSuchUser | Says::Locked, _) => Comes::Denied,
        (Says::Down | Says::Hanging | Says::TlsBroken, _) => Comes::Later,
    }
}

fn email(says: Says, local: Local, domain: &str) -> String {
    format!("{says:?}-{local:?}@{domain}").to_lowercase()
}

fn people(says: &[Says]) -> Vec<Person> {
    let mut people = Vec::new();
    for &says in says {
        for local in LOCALS {
            for domain in [WITH, WITHOUT] {
                let mail = email(says, local, domain);
                let mut person = match says {
                    Says::NoSuchUser => continue,
                    Says::Wrong => person(&mail, OTHER),
                    _ => person(&mail, TYPED),
                };
                // The same local part in both domains.
                person.uid = mail.replace('@', ".");
                people.push(match says {
                    Says::Disabled => person.with("pwdAccountLockedTime", "000001010000Z"),
                    Says::Locked => person.with("pwdPolicySubentry", "cn=strict,dc=test"),
                    _ => person,
                });
            }
        }
    }
    people
}

async fn accounts(company: &Company, says: Says) {
    for local in LOCALS {
        for domain in [WITH, WITHOUT] {
            let email = email(says, local, domain);
            match local {
                Local::Yes => company.account(&email, AuthType::Local, Some(TYPED)).await,
                Local::Wrong => company.account(&email, AuthType::Local, Some(OTHER)).await,
                // Where LDAP says yes the first login adds it.
                Local::None if says == Says::Yes && domain == WITH => {}
                Local::None => company.account(&email, AuthType::Ldap, None).await,
            }
        }
    }
}

async fn check(company: &Company, says: Says) {
    for local in LOCALS {
        for domain in [WITH, WITHOUT] {
            let email = email(says, local, domain);
            let comes = match company.opens(&email, TYPED).await {
                Ok(opened) => {
                    assert_eq!(opened, email, "{says:?} {local:?} {domain}");
                    Comes::In
                }
                Err(Verdict::Denied) => Comes::Denied,
                Err(Verdict::Unavailable) => Comes::Later,
                Err(other) => panic!("{says:?} {local:?} {domain}: {other:?}"),
            };
            let expected = expected(says, local, domain);
            assert_eq!(comes, expected, "{says:?} {local:?} {domain}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_answers() {
    let slapd = Slapd::start(&people(&ANSWERS));
    let company = Company::new(&settings(&slapd)).await;
    for says in ANSWERS {
        accounts(&company, says).await;
    }
    for local in LOCALS {
        // Locked out by wrong passwords; afterwards the right one is refused too.
        let email = email(Says::Locked, local, WITH);
        for _ in 0..3 {
            let _ = company.login(&email, "guess").await;
        }
    }
    for says in ANSWERS {
        check(&company, says).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_is_down() {
    let mut slapd = Slapd::start(&people(&[Says::Down]));
    let company = Company::new(&settings(&slapd)).await;
    accounts(&company, Says::Down).await;
    slapd.kill();
    check(&company, Says::Down).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_hangs() {
    let slapd = Slapd::start(&people(&[Says::Hanging]));
    let mut settings = settings(&slapd);
    settings.timeout = Duration::from_millis(500);
    let company = Company::new(&settings).await;
    accounts(&company, Says::Hanging).await;
    slapd.stop();
    check(&company, Says::Hanging).await;
    slapd.go_on();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_is_not_to_be_trusted() {
    let slapd = Slapd::start(&people(&[Says::TlsBroken]));
    let mut settings = settings(&slapd);
    settings.ca_file = Some(slapd.other_ca());
    let company = Company::new(&settings).await;
    accounts(&company, Says::TlsBroken).await;
    check(&company, Says::TlsBroken).await;
    // The right authority, and the name of another server.
    settings.ca_file = Some(slapd.ca());
    settings.urls = vec![slapd.url().replace("127.0.0.1", "localhost")];
    let company = Company::over(company.index.clone(), &settings);
    check(&company, Says::TlsBroken).await;
}
