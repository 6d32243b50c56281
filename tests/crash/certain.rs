//! Faults one at a time, with one client: what it must hear.

use std::time::{Duration, Instant};

use postrider_tests::daemon::Daemon;
use postrider_tests::fault::{Class, EIO, ENOSPC, Failure, Op};

use crate::PASSWORD;
use crate::house::{build, build_with};
use crate::ledger::ACCOUNTS;
use crate::letter::Letter;
use crate::trouble;
use crate::wire::{End, Wire};

const EVER: u64 = u64::MAX;

/// A letter by SMTP; what the server said.
fn send(wire: &mut Wire, number: u64, lines: u64) -> Result<(), End> {
    let letter = Letter {
        round: 1,
        writer: 1,
        number,
        lines,
    };
    wire.smtp("MAIL FROM:<writer@elsewhere.test>", "250")?;
    wire.smtp(&format!("RCPT TO:<{}>", ACCOUNTS[0]), "250")?;
    wire.smtp("DATA", "354")?;
    let text = letter.text().replace("\r\n.", "\r\n..");
    wire.write(format!("{text}.\r\n").as_bytes())?;
    wire.expect("the message", "250")
}

fn smtp(daemon: &Daemon) -> Wire {
    let connected = Wire::connect(daemon.port("smtp")).map_err(End::from);
    let greeted = connected.and_then(|mut wire| {
        wire.expect("the connection", "220")?;
        wire.smtp("EHLO client.elsewhere.test", "250")?;
        Ok(wire)
    });
    greeted.unwrap_or_else(|end| panic!("{end:?}"))
}

/// An fsync that fails once is an answer that is not yes, and the next message is taken.
#[test]
fn attack_44_an_fsync_that_failed_is_never_yes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (house, faults) = build(folder.path(), false);
    let daemon = house.start();
    let mut wire = smtp(&daemon);
    let yes = |end: Result<(), End>| end.unwrap_or_else(|it| panic!("{it:?}\n{}", house.log()));
    let mut number = 0;
    let mut next = || {
        number += 1;
        number
    };
    yes(send(&mut wire, next(), 10));
    for class in [Class::Temporary, Class::Folder, Class::Log] {
        faults.fail(&[Op::Fsync], &[class], 1, 1, Failure::Error(EIO));
        let said = send(&mut wire, next(), 10);
        assert!(matches!(said, Err(End::Later(_))), "{class:?}: {said:?}");
        assert_eq!(faults.failed(), 1, "{class:?}");
        faults.clear();
        yes(send(&mut wire, next(), 10));
    }
    assert!(daemon.stop().success(), "{}", house.log());
}

/// A commit whose fsync failed was refused, and lies whole in the log: who reads that after a crash must not take it for a commit.
#[test]
fn attack_44_a_message_that_was_refused_does_not_come_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (house, faults) = build(folder.path(), false);
    let mut there = 0;
    // Also where the write that is to cover it fails the same way.
    for (round, times) in [1, 2, 1].into_iter().enumerate() {
        let daemon = house.start();
        let mut wire = smtp(&daemon);
        let number = round as u64 * 2;
        let taken = send(&mut wire, number + 1, 10);
        taken.unwrap_or_else(|it| panic!("{it:?}\n{}", house.log()));
        there += 1;
        faults.fail(&[Op::Fsync], &[Class::Log], 1, times, Failure::Error(EIO));
        let said = send(&mut wire, number + 2, 10);
        assert!(matches!(said, Err(End::Later(_))), "{said:?}");
        assert_eq!(faults.failed(), times);
        faults.clear();
        daemon.kill();
        let daemon = house.start();
        let opened = Wire::inbox(daemon.port("imap"), ACCOUNTS[0], PASSWORD);
        let (mut imap, _) = opened.unwrap_or_else(|end| panic!("{end:?}"));
        let (lines, _) = imap.ok("UID SEARCH ALL").expect("it is searched");
        let uids = lines.iter().find_map(|it| it.strip_prefix("* SEARCH"));
        let count = uids.unwrap_or_default().split_whitespace().count();
        assert_eq!(count, there, "what was refused is there: {lines:?}");
        drop((wire, imap));
        daemon.kill();
    }
}

/// A disk that stands still for longer than anybody waits: senders are told to come back in time, who needs no fsync is served, memory
/// stays bounded, and when it moves again mail is taken by the same process.
#[test]
fn attack_44_a_disk_that_stands_still_is_later_and_goes_on() {
    const STILL: Duration = Duration::from_secs(20);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (house, faults) = build_with(folder.path(), false, "[deadlines]\nanswer = \"2s\"\n");
    let daemon = house.start();
    let yes = |end: Result<(), End>| end.unwrap_or_else(|it| panic!("{it:?}\n{}", house.log()));
    let mut wire = smtp(&daemon);
    yes(send(&mut wire, 1, 10));
    let opened = Wire::inbox(daemon.port("imap"), ACCOUNTS[0], PASSWORD);
    let (mut imap, _) = opened.unwrap_or_else(|end| panic!("{end:?}"));

    let classes = [Class::Temporary, Class::Folder];
    let slow = Failure::Slow(STILL.as_micros() as u64);
    faults.fail(&[Op::Fsync], &classes, 1, EVER, slow);
    let began = Instant::now();
    let senders: Vec<_> = (0..12)
        .map(|number| {
            let mut wire = smtp(&daemon);
            std::thread::spawn(move || send(&mut wire, 100 + number, 20_000))
        })
        .collect();
    let (lines, _) = imap.ok("FETCH 1 (BODY.PEEK[HEADER])").expect("it is read");
    assert!(!lines.is_empty());
    let mut told = 0;
    for sender in senders {
        let said = sender.join().expect("a client does not panic");
        assert!(matches!(said, Err(End::Later(_))), "{said:?}");
        told += 1;
    }
    assert_eq!(told, 12);
    let waited = began.elapsed();
    assert!(
        waited < STILL,
        "told after {waited:?}, when the disk was back"
    );
    let held = trouble::too_much_memory(&daemon);
    assert_eq!(held, None, "KiB");
    assert!(faults.count() > 0, "the disk did stand still");

    faults.clear();
    let over = Instant::now();
    let mut number = 200;
    while let Err(end) = send(&mut wire, number, 10) {
        let patient = matches!(end, End::Later(_)) && over.elapsed() < 3 * STILL;
        assert!(patient, "{end:?}\n{}", house.log());
        std::thread::sleep(Duration::from_millis(100));
        number += 1;
    }
    imap.ok("NOOP").expect("it is told");
    let (lines, _) = imap.ok("UID SEARCH ALL").expect("it is searched");
    let uids = lines.iter().find_map(|it| it.strip_prefix("* SEARCH"));
    let count = uids.unwrap_or_default().split_whitespace().count();
    assert_eq!(count, 2, "what was answered with yes: {lines:?}");
    drop((wire, imap));
    assert!(daemon.stop().success(), "{}", house.log());
}

/// Where the spool is full, what fits into memory is taken, and what does not is told to come back.
#[test]
fn attack_48_a_full_spool_is_later_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (house, faults) = build(folder.path(), false);
    let daemon = house.start();
    let yes = |end: Result<(), End>| end.unwrap_or_else(|it| panic!("{it:?}\n{}", house.log()));
    let mut wire = smtp(&daemon);
    let opened = Wire::inbox(daemon.port("imap"), ACCOUNTS[0], PASSWORD);
    let (mut imap, _) = opened.unwrap_or_else(|end| panic!("{end:?}"));
    yes(send(&mut wire, 1, 10_000));

    let full = Failure::Error(ENOSPC);
    faults.fail(&[Op::Write, Op::Open], &[Class::Spool], 1, EVER, full);
    for number in 2..5 {
        let said = send(&mut wire, number, 10_000);
        assert!(matches!(said, Err(End::Later(_))), "{said:?}");
    }
    let large = Letter {
        round: 1,
        writer: 2,
        number: 1,
        lines: 10_000,
    };
    let said = imap.append("INBOX", &large.text());
    assert!(matches!(said, Err(End::Later(_))), "{said:?}");
    assert!(faults.failed() > 0);
    // The same connections go on: a small one needs no file, and reading none either.
    yes(send(&mut wire, 5, 10));
    let (lines, _) = imap.ok("FETCH 1 (BODY.PEEK[HEADER])").expect("it is read");
    assert!(!lines.is_empty());

    faults.clear();
    yes(send(&mut wire, 6, 10_000));
    yes(imap.append("INBOX", &large.text()).map(drop));
    let (lines, _) = imap.ok("UID SEARCH ALL").expect("it is searched");
    let there = lines.iter().find_map(|it| it.strip_prefix("* SEARCH"));
    let there = there.unwrap_or_default().split_whitespace().count();
    assert_eq!(there, 4, "what was answered with yes: {lines:?}");
    drop((wire, imap));
    assert!(daemon.stop().success(), "{}", house.log());
}
