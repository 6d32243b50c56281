//! `kill -9` at random moments while mail comes in by SMTP, LMTP and IMAP and is expunged by IMAP: what was answered
//! with yes is true after every restart.
//!
//! After each round, on the same data:
//! 1. Every message answered 250 (or OK to an APPEND) is there exactly once, and whole. One that was sent and not answered
//!    is there at most once, and whole.
//! 2. A message whose expunge was answered OK never comes back.
//! 3. UIDVALIDITY stays; a UID names one message for ever, new ones are higher than all before, also than those of
//!    messages that are gone; what one connection was answered first has the lower UID.
//! 4. Index and store agree, but for bodies that no message names (a crash fell between the two). This every fourth round.
//!
//! The seed is printed; `CRASH_SEED` repeats its choices (the machine's timing is not among them), `CRASH_ROUNDS` asks
//! for more.

mod keeper;
mod ledger;
mod letter;
mod random;
mod wire;
mod writer;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use postrider_tests::daemon::House;

use keeper::{check, gardener};
use ledger::{ACCOUNTS, Ledger};
use random::Random;

const PASSWORD: &str = "not to be guessed";

/// Its hash at bcrypt's lowest cost: the rounds are to be about mail.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuZ4LSViaTlWbA3NzuQsqZWas5EXpaDH6";
const WRITERS: u64 = 8;

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number")),
        Err(_) => default,
    }
}

fn house(folder: &std::path::Path) -> House {
    let mut lines =
        "hostname = \"mail.crash.test\"\n[auth]\nupgrade_hashes = false\n[limits]\nexempt = [\"127.0.0.1/32\"]\n".to_owned();
    for (service, more) in [
        ("smtp", ""),
        ("lmtp", ""),
        ("imap", "plaintext_login = true\n"),
    ] {
        lines.push_str(&format!(
            "[[listener]]\nservice = \"{service}\"\nbind = \"127.0.0.1:0\"\n{more}"
        ));
    }
    House::new(folder, &lines)
}

#[test]
fn what_was_answered_with_yes_survives_kill_9() {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let seed = number("CRASH_SEED", now.as_secs());
    let rounds = number("CRASH_ROUNDS", 12);
    println!("CRASH_SEED={seed} CRASH_ROUNDS={rounds}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let house = house(folder.path());
    house.done(&["migrate"], "");
    house.done(&["domain", "add", "crash.test"], "");
    let rows = ACCOUNTS.map(|account| format!("{account},{HASH},unlimited\n"));
    let table = format!("email,password_hash,quota\n{}", rows.concat());
    house.done(&["user", "import", "-"], &table);
    let ledger = Arc::new(Ledger::default());
    let mut random = Random::new(seed);
    let start = Instant::now();
    for round in 1..=rounds {
        // A server that is killed before it is up has to leave what it found.
        if random.below(4) == 0 {
            let daemon = house.launch();
            std::thread::sleep(Duration::from_millis(random.below(120)));
            daemon.kill();
        }
        let daemon = house.start();
        check(&daemon, &ledger).unwrap_or_else(|why| failed(seed, round, &why, &house));
        let before = ledger.answered();
        let mut threads: Vec<_> = (0..WRITERS)
            .map(|at| writer::start(&daemon, round, at, random.fork(), ledger.clone()))
            .collect();
        threads.push(gardener(&daemon, random.fork(), ledger.clone()));
        // Into the middle of work, not into the greeting.
        let patience = Instant::now() + Duration::from_secs(30);
        while ledger.answered() == before && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(random.below(600)));
        daemon.kill();
        for thread in threads {
            if let Err(why) = thread.join().expect("a writer does not panic") {
                failed(seed, round, &why, &house);
            }
        }
        if ledger.answered() == before {
            failed(seed, round, "nothing was answered in 30 s", &house);
        }
        // What looks wrong is looked at again after seconds, so not in every round.
        if round % 4 == 0 {
            agree(&house).unwrap_or_else(|why| failed(seed, round, &why, &house));
        }
    }
    // And once more, whole: every message is read to its last octet.
    ledger.forget_what_was_read();
    let daemon = house.start();
    check(&daemon, &ledger).unwrap_or_else(|why| failed(seed, rounds, &why, &house));
    let status = daemon.stop();
    assert!(status.success(), "after SIGTERM: {status}\n{}", house.log());
    agree(&house).unwrap_or_else(|why| failed(seed, rounds, &why, &house));
    assert!(!house.log().contains("panicked"), "{}", house.log());
    println!(
        "{rounds} rounds in {:.0?}: {}",
        start.elapsed(),
        ledger.summary()
    );
}

fn failed(seed: u64, round: u64, why: &str, house: &House) -> ! {
    panic!(
        "CRASH_SEED={seed}, round {round}: {why}\n\nthe server's log:\n{}",
        house.log()
    );
}

/// Index and store agree, but for bodies that no message names.
fn agree(house: &House) -> Result<(), String> {
    let output = house.control(&["--json", "fsck"], "");
    let said = String::from_utf8_lossy(&output.stderr);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("fsck wrote no JSON ({error}): {said}"))?;
    let findings = report["findings"]
        .as_array()
        .ok_or_else(|| format!("fsck: {report}"))?;
    let wrong: Vec<_> = findings
        .iter()
        .filter(|it| it["kind"] != "left_over")
        .collect();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!("index and store disagree: {wrong:?}")),
    }
}
