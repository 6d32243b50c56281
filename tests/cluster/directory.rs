//! The directory falls silent while many log in: who is not in it does not notice, who is hears "later", and neither waits for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use postrider_tests::door::Door;

use crate::PASSWORD;
use crate::ledger::ACCOUNTS;
use crate::site::Site;
use crate::slapd::{SERVICE, Slapd, person};
use crate::wire::{End, Wire};

/// Who is in the directory.
const PEOPLE: [&str; 3] = ["ann@with.test", "ben@with.test", "cat@with.test"];
/// Clients that log in as one of them again and again.
const CLIENTS: usize = 12;
/// How long nobody may ever wait for an answer to LOGIN: the directory's time-outs, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// A login over IMAP: how it ended, and how long it took.
fn login(door: &Door, account: &str) -> (Result<(), End>, Duration) {
    let begun = Instant::now();
    let said = Wire::connect(door.port("imap"))
        .map_err(End::from)
        .and_then(|mut wire| {
            wire.line()?;
            wire.ok(&format!("LOGIN {account} \"{PASSWORD}\""))?;
            wire.ok("LOGOUT").map(drop)
        });
    (said, begun.elapsed())
}

/// Logins that go on until they are told to end.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    yes: AtomicUsize,
    later: AtomicUsize,
}

#[test]
fn attack_32_a_directory_that_falls_silent_stops_nobody_else() {
    let people = PEOPLE.map(|mail| person(mail, PASSWORD));
    let slapd = Slapd::start(&people);
    let lines = [
        ("auth", "cache = \"0s\"".to_owned()),
        ("auth.ldap", format!("url = [\"{}\"]", slapd.url())),
        (
            "auth.ldap",
            format!("ca_file = \"{}\"", slapd.ca().display()),
        ),
        ("auth.ldap", format!("bind_dn = \"{}\"", SERVICE.0)),
        ("auth.ldap", format!("bind_password = \"{}\"", SERVICE.1)),
        ("auth.ldap", "base_dn = \"ou=people,dc=test\"".to_owned()),
        ("auth.ldap", "timeout = \"1s\"".to_owned()),
        ("auth.throttle", "failures_per_account = 1000000".to_owned()),
        ("auth.throttle", "failures_per_ip = 1000000".to_owned()),
    ];
    let lines: Vec<_> = lines
        .iter()
        .map(|(section, line)| (*section, line.as_str()))
        .collect();
    let mut site = Site::new(2, false, &lines);
    let house = &site.hosts[0].house;
    house.done(&["domain", "add", "with.test", "--auth", "ldap"], "");
    site.start_what_is_down();
    let log = |site: &Site| site.log();
    for account in PEOPLE {
        let (said, _) = login(&site.door, account);
        assert!(said.is_ok(), "{account}: {said:?}\n{}", log(&site));
    }

    let load = Arc::new(Load::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|at| {
            let (load, door) = (load.clone(), site.door.clone());
            std::thread::spawn(move || {
                let mut longest = Duration::ZERO;
                while !load.stop.load(Ordering::SeqCst) {
                    let (said, took) = login(&door, PEOPLE[at % PEOPLE.len()]);
                    longest = longest.max(took);
                    match said {
                        Ok(()) => load.yes.fetch_add(1, Ordering::SeqCst),
                        Err(End::Later(_)) => load.later.fetch_add(1, Ordering::SeqCst),
                        Err(end) => return Err(format!("{end:?} after {took:?}")),
                    };
                }
                Ok(longest)
            })
        })
        .collect();
    let some = |counter: &AtomicUsize, count: usize, what: &str| {
        let (begun, before) = (Instant::now(), counter.load(Ordering::SeqCst));
        while counter.load(Ordering::SeqCst) < before + count {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{what}\n{}",
                site.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let local = |count: usize| {
        let logins = (0..count).map(|at| {
            let (said, took) = login(&site.door, ACCOUNTS[at % 2]);
            assert!(said.is_ok(), "{}\n\na local account: {said:?}", site.log());
            took
        });
        let mut took: Vec<_> = logins.collect();
        took.sort();
        (took[count / 2], took[count - 1])
    };
    some(&load.yes, CLIENTS, "nobody is let in");
    let before = local(20);

    slapd.stop();
    some(&load.later, CLIENTS, "nobody is told to come later");
    let during = local(40);
    slapd.go_on();
    some(
        &load.yes,
        CLIENTS,
        "the directory is back and nobody is let in",
    );
    load.stop.store(true, Ordering::SeqCst);
    for client in clients {
        let longest = client
            .join()
            .unwrap()
            .unwrap_or_else(|why| panic!("{}\n\n{why}", site.log()));
        assert!(longest < PATIENCE, "a login took {longest:?}");
    }
    println!(
        "local logins, median and longest: {before:?} before, {during:?} while the directory was silent"
    );
    // Nobody waits for the directory: its time-out is a second.
    assert!(
        during.0 < Duration::from_millis(900),
        "{during:?}, before {before:?}"
    );
    assert!(
        during.1 < Duration::from_secs(5),
        "{during:?}, before {before:?}"
    );
    site.stop();
}
