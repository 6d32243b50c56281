//! Faults one at a time, with one client: what it must hear.

use postrider_tests::daemon::Daemon;
use postrider_tests::fault::{Class, EIO, ENOSPC, Failure, Op};

use crate::PASSWORD;
use crate::house::build;
use crate::ledger::ACCOUNTS;
use crate::letter::Letter;
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
