//! The server under test, its accounts, its clients, and `fsck`.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use postrider_tests::daemon::House;
use postrider_tests::door::Door;
use postrider_tests::fault::Faults;

use crate::ledger::{ACCOUNTS, Ledger};
use crate::random::Random;
use crate::wire::{Manners, Wire};
use crate::worker::{self, Work};
use crate::{PASSWORD, writer};

/// The password's hash at bcrypt's lowest cost: the rounds are to be about mail.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuZ4LSViaTlWbA3NzuQsqZWas5EXpaDH6";
const WRITERS: u64 = 8;

const CONFIGURATION: &str = r#"
hostname = "mail.crash.test"
[auth]
upgrade_hashes = false
[limits]
exempt = ["127.0.0.1/32"]
connections_per_account = 1000
[retention]
expunged = "1s"
"#;

/// A server with its accounts, between whose program and disk faults may be put.
pub fn build(folder: &Path, journal: bool) -> (House, Faults) {
    build_with(folder, journal, "")
}

/// The same with more sections in its configuration.
pub fn build_with(folder: &Path, journal: bool, more: &str) -> (House, Faults) {
    let mut lines = format!("{CONFIGURATION}{more}");
    for (service, more) in [
        ("smtp", ""),
        ("lmtp", ""),
        ("imap", "plaintext_login = true\n"),
        ("pop3", "plaintext_login = true\n"),
    ] {
        lines.push_str(&format!(
            "[[listener]]\nservice = \"{service}\"\nbind = \"127.0.0.1:0\"\n{more}"
        ));
    }
    let house = House::new(folder, &lines);
    let faults = Faults::new(folder, &house.data());
    let house = house.with_environment(faults.environment(journal));
    accounts(&house);
    let daemon = house.start();
    shelves(&house, &daemon.door());
    daemon.stop();
    (house, faults)
}

/// Makes tables and accounts.
pub fn accounts(house: &House) {
    house.done(&["migrate"], "");
    house.done(&["domain", "add", "crash.test"], "");
    let rows = ACCOUNTS.map(|account| format!("{account},{HASH},unlimited\n"));
    let table = format!("email,password_hash,quota\n{}", rows.concat());
    house.done(&["user", "import", "-"], &table);
}

/// Makes the mailboxes beside INBOX that the clients know.
pub fn shelves(house: &House, door: &Door) {
    for account in ACCOUNTS {
        let made = Wire::inbox(door.port("imap"), account, PASSWORD).and_then(|(mut wire, _)| {
            wire.ok("CREATE Copies")?;
            wire.ok("CREATE Moved")
        });
        made.unwrap_or_else(|end| panic!("{account}: {end:?}\n{}", house.log()));
    }
}

/// All clients at once; each thread ends with what the server must not have said.
pub fn clients(
    door: &Door,
    round: u64,
    manners: Manners,
    random: &mut Random,
    ledger: &Arc<Ledger>,
) -> Vec<JoinHandle<Result<(), String>>> {
    let writers = (0..WRITERS)
        .map(|at| writer::start(door, round, at, manners, random.fork(), ledger.clone()));
    let mut threads: Vec<_> = writers.collect();
    for work in Work::ALL {
        let random = random.fork();
        threads.push(worker::start(
            door,
            work,
            round,
            manners,
            random,
            ledger.clone(),
        ));
    }
    threads
}

/// Index and store agree, but for bodies that no message names; and those become messages again.
pub fn agree(house: &House) -> Result<(), String> {
    let found = findings(house, &["--json", "fsck", "--repair"])?;
    let wrong: Vec<_> = found
        .iter()
        .filter(|it| it["kind"] != "left_over" || it["repaired"] != true)
        .collect();
    if !wrong.is_empty() {
        return Err(format!("index and store disagree: {wrong:?}"));
    }
    let again = findings(house, &["--json", "fsck"])?;
    match again.is_empty() {
        true => Ok(()),
        false => Err(format!("after the repair: {again:?}")),
    }
}

fn findings(house: &House, arguments: &[&str]) -> Result<Vec<serde_json::Value>, String> {
    let output = house.control(arguments, "");
    let said = String::from_utf8_lossy(&output.stderr);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("fsck wrote no JSON ({error}): {said}"))?;
    let findings = report["findings"].as_array();
    findings.cloned().ok_or_else(|| format!("fsck: {report}"))
}
