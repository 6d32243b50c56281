//! `kill -9` at every step that makes something durable, while mail comes in by SMTP, LMTP and IMAP and is copied, moved, marked
//! and expunged by IMAP and POP3: what was answered with yes is true after every restart.
//!
//! A library between the program and the disk counts the steps (writes, fsyncs, renames, unlinks, answers to clients) and kills the
//! server before, after or half-way through the n-th of a kind; n comes from a seed. After each round, on the same data:
//! 1. Every message answered 250 (or OK to an APPEND) is there exactly once, and whole. One that was sent and not answered
//!    is there at most once, and whole.
//! 2. A message whose expunge was answered OK never comes back. One whose move was asked for is in one of the two mailboxes, one that
//!    was copied is there as often as that was answered, flags that were stored are there, mailboxes have the name of the last answer.
//! 3. UIDVALIDITY stays; a UID names one message for ever, new ones are higher than all before, also than those of
//!    messages that are gone; what one connection was answered first has the lower UID.
//! 4. The used quota is the sum of what is there.
//! 5. Index and store agree, but for bodies that no message names (a crash fell between the two); once those are repaired `fsck`
//!    finds nothing. This every eighth round.
//!
//! The same library lets calls fail: fsync (once, or for a while), reads and writes, a full disk, writes that end half-way, no descriptors. Then
//! clients may hear "later" or lose their connection, and nothing else of the above changes; memory stays bounded, and when the trouble
//! is over mail is taken again, by the same process or, if it gave up, by the next one.
//!
//! And a power cut takes what no fsync has made durable, or some of it; the journal that the library keeps says what that is.
//!
//! The seed is printed; `CRASH_SEED` repeats its choices (the machine's timing is not among them), `CRASH_ROUNDS` asks
//! for more, hundreds if you like: every so many rounds begin with nothing. `FAULT_ROUNDS` does for faults,
//! `POWER_ROUNDS` for power cuts.

mod certain;
mod house;
mod keeper;
mod ledger;
mod letter;
mod point;
mod random;
mod shelf;
mod trouble;
#[allow(dead_code)] // others use the rest
mod wire;
mod worker;
mod writer;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use house::{agree, build, clients};
use keeper::check;
use ledger::Ledger;
use point::{Point, Tally};
use postrider_tests::daemon::House;
use postrider_tests::fault::power::{Before, Unsynced};
use random::Random;
use wire::Manners;

const PASSWORD: &str = "not to be guessed";

/// Rounds that go on with the same data.
const GENERATION: u64 = 25;
/// How long a kind of step is waited for.
const PATIENCE: Duration = Duration::from_millis(2500);

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number")),
        Err(_) => default,
    }
}

/// The seed, new unless it is given.
fn seed() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    number("CRASH_SEED", now.as_secs())
}

#[test]
fn attack_45_what_was_answered_with_yes_survives_kill_9() {
    let (seed, rounds) = (seed(), number("CRASH_ROUNDS", 26));
    println!("CRASH_SEED={seed} CRASH_ROUNDS={rounds}");
    let (mut random, mut tally) = (Random::new(seed), Tally::default());
    let start = Instant::now();
    for first in (1..=rounds).step_by(GENERATION as usize) {
        let last = rounds.min(first + GENERATION - 1);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let summary = generation(folder.path(), first..=last, &mut random, &mut tally, seed);
        println!(
            "rounds {first} to {last}, {:.0?}: {summary}",
            start.elapsed()
        );
    }
    println!("killed:\n{tally}");
}

/// Some rounds on the same data.
fn generation(
    folder: &std::path::Path,
    rounds: std::ops::RangeInclusive<u64>,
    random: &mut Random,
    tally: &mut Tally,
    seed: u64,
) -> String {
    let (house, faults) = build(folder, false);
    let ledger = Arc::new(Ledger::default());
    let last = *rounds.end();
    for round in rounds {
        let place = format!("CRASH_SEED={seed}, round {round}");
        // A server that is killed before it is up has to leave what it found.
        if random.below(5) == 0 {
            let point = Point::first(random);
            faults.kill(point.ops, point.classes, point.nth, point.when);
            if let Ok(daemon) = house.try_start() {
                daemon.kill();
            }
            tally.add(&point, faults.killed());
        }
        faults.clear();
        let mut daemon = house.start();
        check(&house, &daemon.door(), &ledger).unwrap_or_else(|why| failed(&place, &why, &house));
        let before = ledger.answered();
        let threads = clients(&daemon.door(), round, Manners::Strict, random, &ledger);
        // Into the middle of work, not into the greeting.
        let patience = Instant::now() + Duration::from_secs(30);
        while ledger.answered() == before && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(1));
        }
        let point = Point::choose(random);
        faults.kill(point.ops, point.classes, point.nth, point.when);
        daemon.ended(PATIENCE);
        daemon.kill();
        tally.add(&point, faults.killed());
        end(threads).unwrap_or_else(|why| failed(&place, &format!("{why} ({point:?})"), &house));
        if ledger.answered() == before {
            failed(&place, "nothing was answered in 30 s", &house);
        }
        // What looks wrong is looked at again after seconds, so not in every round.
        if round % 8 == 0 {
            agree(&house).unwrap_or_else(|why| failed(&place, &why, &house));
        }
    }
    // And once more, whole: every message is read to its last octet.
    faults.clear();
    ledger.forget_what_was_read();
    let place = format!("CRASH_SEED={seed}, after round {last}");
    let daemon = house.start();
    check(&house, &daemon.door(), &ledger).unwrap_or_else(|why| failed(&place, &why, &house));
    let status = daemon.stop();
    assert!(status.success(), "after SIGTERM: {status}\n{}", house.log());
    agree(&house).unwrap_or_else(|why| failed(&place, &why, &house));
    assert!(!house.log().contains("panicked"), "{}", house.log());
    ledger.summary()
}

/// How long a server has to take mail again after a trouble.
const RECOVERY: Duration = Duration::from_secs(30);

#[test]
fn attack_44_what_was_answered_with_yes_survives_faults_of_the_disk() {
    let (seed, rounds) = (seed(), number("FAULT_ROUNDS", 9));
    println!("CRASH_SEED={seed} FAULT_ROUNDS={rounds}");
    let mut random = Random::new(seed);
    let troubles = trouble::choose(&mut random, rounds);
    let start = Instant::now();
    for (at, some) in troubles.chunks(GENERATION as usize).enumerate() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (house, faults) = build(folder.path(), false);
        let ledger = Arc::new(Ledger::default());
        let mut daemon = house.start();
        let mut happened = 0;
        for (number, trouble) in some.iter().enumerate() {
            let round = at as u64 * GENERATION + number as u64 + 1;
            let place = format!("CRASH_SEED={seed}, fault round {round}, {trouble:?}");
            let bad = |why: &str| -> ! { failed(&place, why, &house) };
            check(&house, &daemon.door(), &ledger).unwrap_or_else(|why| bad(&why));
            let until = Instant::now() + Duration::from_secs(2);
            let manners = Manners::Patient(until);
            let threads = clients(&daemon.door(), round, manners, &mut random, &ledger);
            std::thread::sleep(Duration::from_millis(300));
            trouble::begin(&faults, *trouble, &mut random);
            std::thread::sleep(trouble::lasts(&mut random));
            if let Some(held) = trouble::too_much_memory(&daemon) {
                bad(&format!("the server holds {held} KiB"));
            }
            faults.clear();
            println!("{:6} x {trouble:?}", faults.failed());
            happened += usize::from(faults.failed() > 0);
            let (before, over) = (ledger.answered(), Instant::now());
            if let Some(status) = daemon.ended(Duration::ZERO) {
                println!("{trouble:?}: the server gave up with {status}");
                daemon = house.start();
            }
            end(threads).unwrap_or_else(|why| bad(&why));
            while ledger.answered() == before {
                if over.elapsed() > RECOVERY {
                    bad("no mail is taken after the trouble");
                }
                let again = Manners::Patient(Instant::now() + Duration::from_secs(1));
                let threads = clients(&daemon.door(), round, again, &mut random, &ledger);
                end(threads).unwrap_or_else(|why| bad(&why));
            }
            if random.below(3) == 0 {
                daemon.kill();
                daemon = house.start();
            }
        }
        // A checkpoint, say, need not come in time.
        assert!(
            some.len() < 8 || happened * 2 > some.len(),
            "{happened} of {} happened",
            some.len()
        );
        ledger.forget_what_was_read();
        let place = format!("CRASH_SEED={seed}, after faults");
        check(&house, &daemon.door(), &ledger).unwrap_or_else(|why| failed(&place, &why, &house));
        let status = daemon.stop();
        assert!(status.success(), "after SIGTERM: {status}\n{}", house.log());
        agree(&house).unwrap_or_else(|why| failed(&place, &why, &house));
        assert!(!house.log().contains("panicked"), "{}", house.log());
        println!("faults, {:.0?}: {}", start.elapsed(), ledger.summary());
    }
}

#[test]
fn attack_45_what_was_answered_with_yes_survives_power_cuts() {
    let (seed, rounds) = (seed(), number("POWER_ROUNDS", 14));
    println!("CRASH_SEED={seed} POWER_ROUNDS={rounds}");
    let (mut random, mut tally, mut lost) = (Random::new(seed), Tally::default(), 0);
    let start = Instant::now();
    for first in (1..=rounds).step_by(GENERATION as usize) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (house, faults) = build(folder.path(), true);
        let ledger = Arc::new(Ledger::default());
        for round in first..=rounds.min(first + GENERATION - 1) {
            let place = format!("CRASH_SEED={seed}, power round {round}");
            let before = Before::copy(&house.data(), &folder.path().join("before"));
            let before = before.unwrap_or_else(|it| failed(&place, &it.to_string(), &house));
            let _ = std::fs::remove_file(faults.journal());
            faults.clear();
            let mut daemon = house.start();
            // In some rounds an fsync fails first: what it was for is gone, and nobody may count on the next one.
            let trouble = trouble::of_fsync(&mut random);
            let manners = match trouble {
                None => Manners::Strict,
                Some(_) => Manners::Patient(Instant::now() + Duration::from_secs(2)),
            };
            let threads = clients(&daemon.door(), round, manners, &mut random, &ledger);
            std::thread::sleep(Duration::from_millis(200 + random.below(200)));
            if let Some(trouble) = trouble {
                trouble::begin(&faults, trouble, &mut random);
                std::thread::sleep(trouble::lasts(&mut random));
            }
            let point = Point::choose(&mut random);
            faults.kill(point.ops, point.classes, point.nth, point.when);
            daemon.ended(PATIENCE);
            daemon.kill();
            tally.add(&point, faults.killed());
            faults.clear();
            end(threads).unwrap_or_else(|why| failed(&place, &why, &house));
            let unsynced = match random.below(3) {
                0 => Unsynced::Lost,
                _ => Unsynced::Either(random.next()),
            };
            let cut = before.cut_power(faults.journal(), unsynced);
            lost += cut.unwrap_or_else(|it| failed(&place, &it.to_string(), &house));
            let place = format!("{place} ({point:?}, {unsynced:?}, {trouble:?})");
            let daemon = house.start();
            check(&house, &daemon.door(), &ledger)
                .unwrap_or_else(|why| failed(&place, &why, &house));
            match random.below(2) {
                0 => daemon.kill(),
                _ => drop(daemon.stop()),
            }
            if round % 8 == 0 {
                agree(&house).unwrap_or_else(|why| failed(&place, &why, &house));
            }
        }
        let place = format!("CRASH_SEED={seed}, after power cuts");
        agree(&house).unwrap_or_else(|why| failed(&place, &why, &house));
        let summary = ledger.summary();
        println!(
            "power, {:.0?}: {lost} changes lost; {summary}",
            start.elapsed()
        );
    }
    assert!(
        lost > 0,
        "every change was durable at once, which cannot be"
    );
    println!("cut:\n{tally}");
}

/// Waits for clients; what the server must not have said to one.
fn end(threads: Vec<JoinHandle<Result<(), String>>>) -> Result<(), String> {
    let ends = threads
        .into_iter()
        .map(|it| it.join().expect("a client does not panic"));
    ends.collect::<Vec<_>>().into_iter().collect()
}

fn failed(place: &str, why: &str, house: &House) -> ! {
    panic!("the server's log:\n{}\n\n{place}: {why}", house.log());
}
