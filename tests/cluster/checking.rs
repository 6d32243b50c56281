//! `fsck` and `fsck --repair` again and again, from two hosts at once, beside everything that goes on: mail comes in by SMTP, LMTP and APPEND, is
//! copied, moved, expunged, deleted over POP3, brought back, and reaped. Commits are slow and come in another order than their rows are
//! numbered, and the store is slow too, so that there is always something under way.
//!
//! A check beside healthy servers finds nothing but what the test has put there; what it repairs is there once; and no mail is touched.
//! `CLUSTER_SEED` repeats the choices, `CLUSTER_ROUNDS` asks for more than two.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use postrider_storage::blob::{
    BlobBody, BlobKey, BlobMeta, BlobSource, BlobStore, S3Store, Unique,
};
use postrider_storage::index::Timestamp;
use postrider_tests::daemon::House;
use postrider_tests::door::Door;
use serde_json::Value;

use crate::house::{agree, clients};
use crate::keeper::check;
use crate::ledger::Ledger;
use crate::letter::Letter;
use crate::random::Random;
use crate::server::Fault;
use crate::site::Site;
use crate::wire::{End, Manners, Wire};
use crate::{PASSWORD, number, seed};

/// Whose mail is left over, and whose is brought back: accounts that no client of the ledger knows.
const LOST: &str = "lost@crash.test";
const BACK: &str = "back@crash.test";
/// How long a round's load goes on at least, and how many checks are made meanwhile at least.
const ROUND: Duration = Duration::from_secs(7);
const CHECKS: usize = 3;
/// Bodies without a row that a round puts, of each age.
const PLANTED: u64 = 12;

/// Commits take up to 0.2 s, one in three of them: rows that have their numbers are not seen yet.
const SLOW_COMMITS: &str = "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ \
    BEGIN IF random() < 0.33 THEN PERFORM pg_sleep(random() * 0.2); END IF; RETURN NULL; END $$; \
    CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON blob DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dawdle()";

#[test]
fn attack_46_a_check_beside_running_servers_takes_nothing_from_them() {
    let (seed, rounds) = (seed(), number("CLUSTER_ROUNDS", 2));
    println!("CLUSTER_SEED={seed} CLUSTER_ROUNDS={rounds}");
    let (mut random, begun) = (Random::new(seed), Instant::now());
    // A store that is known to be late is waited for where a body is missing; this one is slow, and not late.
    let lines = [
        ("deadlines", "answer = \"20s\""),
        ("store", "consistency = \"strong\""),
    ];
    let mut site = Site::start(2, false, &lines);
    let house = &site.hosts[0].house;
    let table = [LOST, BACK].map(|it| format!("{it},{{PLAIN}}{PASSWORD},unlimited\n"));
    let table = format!("email,password_hash,quota\n{}", table.concat());
    house.done(&["user", "import", "-"], &table);
    // As if the accounts had been there for long, so that what was left over is theirs.
    site.ask(
        "UPDATE virtual_users SET addressed_at = 0 WHERE email LIKE '%@crash.test' RETURNING 1",
    );
    site.ask(SLOW_COMMITS);
    let ledger = Arc::new(Ledger::default());
    let mut planted = BTreeSet::new();
    let mut checks = 0;
    for round in 1..=rounds {
        let place = format!("CLUSTER_SEED={seed}, round {round}");
        // Objects are there before who put them hears of it.
        let delay = Duration::from_millis(random.below(60));
        site.store.always(Some(Fault::DelayAfter(delay)));
        let until = Instant::now() + ROUND;
        planted.extend(plant(&site, round, Age::Old));
        let young = plant(&site, round, Age::Young);
        let threads = clients(
            &site.door,
            round,
            Manners::Patient(until),
            &mut random,
            &ledger,
        );
        let load = AtomicBool::new(true);
        let outcome = std::thread::scope(|scope| {
            let bringing = {
                let (site, load) = (&site, &load);
                scope.spawn(move || bring_back(&site.hosts[0].house, &site.door, round, load))
            };
            let checking: Vec<_> = (0..2)
                .map(|host| {
                    let site = &site;
                    scope.spawn(move || {
                        let mut made = 0;
                        while made < CHECKS || Instant::now() < until {
                            let how: &[&str] = match (made + host) % 2 {
                                0 => &["--json", "fsck", "--repair"],
                                _ => &["--json", "fsck"],
                            };
                            one_check(&site.hosts[host].house, how)?;
                            made += 1;
                        }
                        Ok::<usize, String>(made)
                    })
                })
                .collect();
            let mut outcome = Ok(());
            for thread in checking {
                match thread.join().unwrap() {
                    Ok(made) => checks += made,
                    Err(why) => outcome = outcome.and(Err(why)),
                }
            }
            load.store(false, Ordering::SeqCst);
            outcome.and(bringing.join().unwrap())
        });
        let ends = threads.into_iter().map(|it| it.join().unwrap());
        let ended = ends.collect::<Vec<_>>().into_iter().collect();
        site.store.always(None);
        outcome
            .and(ended)
            .and_then(|()| check(&site.hosts[1].house, &site.door, &ledger))
            .and_then(|()| found_again(&site.door, &planted, &young))
            .and_then(|()| brought_back(&site.door))
            .unwrap_or_else(|why| panic!("{}\n\n{place}: {why}", site.log()));
        println!(
            "{:6.1?}: {} answers, {checks} checks",
            begun.elapsed(),
            ledger.answered()
        );
    }
    ledger.forget_what_was_read();
    check(&site.hosts[0].house, &site.door, &ledger)
        .unwrap_or_else(|why| panic!("{}\n\n{why}", site.log()));
    assert_eq!(
        site.ask("SELECT count(*) FROM virtual_users u WHERE used_quota <> (SELECT coalesce(sum(size), 0) FROM message m WHERE m.account_id = u.id)"),
        "0"
    );
    site.stop();
    // With nobody at work the young ones are left over like the others were.
    agree(&site.hosts[0].house).unwrap_or_else(|why| panic!("{}\n\n{why}", site.log()));
    assert!(!site.log().contains("panicked"), "{}", site.log());
    println!("{:.1?}: {}", begun.elapsed(), ledger.summary());
}

/// A check finds nothing but what was planted, which lies in one account.
fn one_check(house: &House, how: &[&str]) -> Result<(), String> {
    let output = house.control(how, "");
    let said = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{how:?} wrote no JSON ({error}): {said}"))?;
    let repairs = how.contains(&"--repair");
    let planted = |it: &Value| {
        let key = it["key"].as_str().unwrap_or_default();
        it["kind"] == "left_over"
            && key.starts_with("crash.test/lost/")
            && (!repairs || it["repaired"] == true)
    };
    let findings = report["findings"].as_array().cloned().unwrap_or_default();
    match findings.iter().find(|it| !planted(it)) {
        Some(finding) => Err(format!("{how:?} found {finding}")),
        None if report["not_checked"] != Value::Null => Err(format!("{how:?}: {report}")),
        None => Ok(()),
    }
}

/// How old a body is that the test puts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Age {
    /// A delivery may be about to name it.
    Young,
    /// None is.
    Old,
}

/// Bodies that no row names, in INBOX and in a mailbox that is not there.
fn plant(site: &Site, round: u64, age: Age) -> Vec<Letter> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = S3Store::open(&site.store.settings()).unwrap();
        let mut letters = Vec::new();
        for number in 0..PLANTED {
            let letter = Letter {
                round,
                writer: 5000 + u64::from(age == Age::Old),
                number,
                lines: number,
            };
            let now = postrider::clock::now();
            let made = match age {
                // By a clock that is ahead, so that it stays young on a slow machine.
                Age::Young => Timestamp(now.0 + 600_000_000),
                Age::Old => Timestamp(now.0 - 3_600_000_000),
            };
            let source = BlobSource {
                prefix: Default::default(),
                body: BlobBody::Memory(letter.text().into()),
            };
            let written = source.digest().await.unwrap();
            let unique = Unique::new("gone.crash.test", made, &written).unwrap();
            let mailbox = match number % 2 {
                0 => "INBOX".to_owned(),
                _ => format!("Lost/{round}"),
            };
            let key = BlobKey::for_message("crash.test", "lost", &mailbox, &unique).unwrap();
            let meta = BlobMeta {
                account: LOST.to_owned(),
                mailbox,
                internal_date: made.0,
                ..BlobMeta::default()
            };
            store.put(&key, source, &meta).await.unwrap();
            letters.push(letter);
        }
        letters
    })
}

/// Every old one is there once, and no young one.
fn found_again(door: &Door, planted: &BTreeSet<Letter>, young: &[Letter]) -> Result<(), String> {
    let mut found = BTreeSet::new();
    for letter in everything(door, LOST)? {
        if young.contains(&letter) {
            return Err(format!("{letter} was taken from who puts it"));
        }
        if !found.insert(letter) {
            return Err(format!("{letter} is there twice"));
        }
    }
    match planted.difference(&found).next() {
        Some(letter) => Err(format!("{letter} was left over and is no message")),
        None if found.len() > planted.len() => Err(format!("{found:?} are too many")),
        None => Ok(()),
    }
}

/// All letters of an account.
fn everything(door: &Door, account: &str) -> Result<Vec<Letter>, String> {
    let told = |end: End| format!("{account}: {end:?}");
    let mut letters = Vec::new();
    let (mut wire, _) = Wire::inbox(door.port("imap"), account, PASSWORD).map_err(told)?;
    let (lines, _) = wire.ok("LIST \"\" \"*\"").map_err(told)?;
    let names = lines
        .iter()
        .filter(|line| !line.contains("\\NonExistent") && !line.contains("\\Noselect"))
        .filter_map(|line| Some(line.rsplit_once(' ')?.1.trim_matches('"').to_owned()));
    for name in names {
        wire.ok(&format!("EXAMINE \"{name}\"")).map_err(told)?;
        wire.imap(b"UID FETCH 1:* (UID BODY.PEEK[])", |_, octets| {
            letters.push(Letter::of(&octets).map_err(|why| format!("{name}: {why}"))?);
            Ok(())
        })
        .map_err(told)?;
    }
    Ok(letters)
}

/// Messages are appended, expunged, and brought back by the control program, as long as the load goes on.
fn bring_back(house: &House, door: &Door, round: u64, load: &AtomicBool) -> Result<(), String> {
    let told = |end: End| format!("{BACK}: {end:?}");
    let mut number = 0;
    while load.load(Ordering::SeqCst) {
        let (mut wire, _) = Wire::inbox(door.port("imap"), BACK, PASSWORD).map_err(told)?;
        for _ in 0..4 {
            number += 1;
            let letter = Letter {
                round,
                writer: 6000,
                number,
                lines: 3,
            };
            wire.append("INBOX", &letter.text()).map_err(told)?;
        }
        wire.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
            .map_err(told)?;
        wire.ok("EXPUNGE").map_err(told)?;
        wire.ok("LOGOUT").map_err(told)?;
        // What was expunged longer ago than a second may be gone for good by now: all of it, on a busy machine.
        let output = house.control(&["undelete", BACK, "--all"], "");
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() && !said.contains("no deleted message") {
            return Err(format!("undelete: {said}"));
        }
    }
    Ok(())
}

/// What was brought back is whole, and there once.
fn brought_back(door: &Door) -> Result<(), String> {
    let letters = everything(door, BACK)?;
    let once: BTreeSet<&Letter> = letters.iter().collect();
    match once.len() == letters.len() {
        true => Ok(()),
        false => Err(format!("{BACK}: brought back twice: {letters:?}")),
    }
}
