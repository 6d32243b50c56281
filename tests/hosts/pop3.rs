//! A maildrop is one session's, on whatever hosts its user comes (RFC 1939 section 4).

use std::time::{Duration, Instant};

use postrider_tests::daemon::Daemon;

use super::client::Client;
use super::company::{ADA, BOB, Company, PASSWORD, connect, deliver, signal, until};

/// How long leases last here.
const LEASE: Duration = Duration::from_secs(2);

/// A company with mail for Ada, and two hosts that serve POP3.
fn two_hosts(messages: usize) -> (Company, Daemon, Daemon) {
    let company = Company::new("[deadlines]\nmaildrop = \"2s\"\n");
    let (one, two) = (company.host("one"), company.host("two"));
    let smtpd = one.start_daemon("smtpd");
    for number in 0..messages {
        deliver(&smtpd, ADA, &format!("m{number}"));
    }
    let pop3 = (one.start_daemon("pop3d"), two.start_daemon("pop3d"));
    (company, pop3.0, pop3.1)
}

/// Logs in; the session and the answer to its password.
fn login(pop3d: &Daemon, email: &str) -> (Client, String) {
    let mut client = connect(pop3d, "pop3");
    let user = say(&mut client, &format!("USER {email}"));
    assert!(user.starts_with("+OK"), "{user}");
    let opened = say(&mut client, &format!("PASS {PASSWORD}"));
    (client, opened)
}

fn say(client: &mut Client, command: &str) -> String {
    client.write(format!("{command}\r\n").as_bytes());
    client.try_line().unwrap_or_default()
}

/// A login that must succeed.
fn open(pop3d: &Daemon, email: &str) -> (Client, String) {
    let (client, opened) = login(pop3d, email);
    assert!(opened.starts_with("+OK"), "{opened}");
    (client, opened)
}

/// A login that must be told that the maildrop is another session's.
fn refused(pop3d: &Daemon, email: &str) {
    let (_, opened) = login(pop3d, email);
    assert!(opened.starts_with("-ERR [IN-USE]"), "{opened}");
}

#[test]
fn a_maildrop_is_one_sessions_on_all_hosts() {
    let (company, one, two) = two_hosts(3);
    let (mut first, _) = open(&one, ADA);
    refused(&two, ADA);
    refused(&one, ADA);
    // Others have maildrops of their own.
    drop(open(&two, BOB));
    // It stays so for longer than a lease lasts.
    let begun = Instant::now();
    while begun.elapsed() < LEASE * 3 {
        refused(&two, ADA);
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(say(&mut first, "DELE 1").starts_with("+OK"));
    assert!(say(&mut first, "QUIT").starts_with("+OK"));
    // Whoever has read the answer to QUIT may come at once, anywhere.
    for (nth, pop3d) in [&two, &one, &two, &one].into_iter().enumerate() {
        let (mut next, opened) = open(pop3d, ADA);
        assert!(opened.starts_with("+OK 2 "), "{nth}: {opened}");
        assert!(say(&mut next, "QUIT").starts_with("+OK"));
    }
    // One that only hangs up is noticed as well.
    drop(open(&one, ADA));
    until("the maildrop is free", || {
        login(&two, ADA).1.starts_with("+OK").then_some(())
    });
    let left = "SELECT count(*) FROM lease WHERE name LIKE 'maildrop/%'";
    until("nothing is left", || {
        (company.ask(left) == "0").then_some(())
    });
}

#[test]
fn attack_45_a_dead_holders_maildrop_opens_by_itself() {
    let (_company, one, two) = two_hosts(2);
    let (mut first, _) = open(&one, ADA);
    assert!(say(&mut first, "DELE 1").starts_with("+OK"));
    refused(&two, ADA);
    one.kill();
    let opened = until("the lease has ended", || {
        let (_, opened) = login(&two, ADA);
        opened.starts_with("+OK").then_some(opened)
    });
    // Who never said QUIT has removed nothing.
    assert!(opened.starts_with("+OK 2 "), "{opened}");
}

#[test]
fn attack_45_who_lost_the_maildrop_removes_nothing() {
    let (_company, one, two) = two_hosts(3);
    let (mut first, _) = open(&one, ADA);
    assert!(say(&mut first, "DELE 1").starts_with("+OK"));
    assert!(say(&mut first, "DELE 2").starts_with("+OK"));
    // A host that does nothing for a while: stopped, swapped out, cut off.
    signal(&one, "STOP");
    let (mut second, opened) = until("the lease has ended", || {
        let (client, opened) = login(&two, ADA);
        opened.starts_with("+OK").then_some((client, opened))
    });
    assert!(opened.starts_with("+OK 3 "), "{opened}");
    signal(&one, "CONT");
    let said = say(&mut first, "QUIT");
    assert!(said.starts_with("-ERR [SYS/TEMP]"), "{said}");
    // And the one who has it keeps it.
    refused(&one, ADA);
    assert!(say(&mut second, "DELE 3").starts_with("+OK"));
    assert!(say(&mut second, "STAT").starts_with("+OK 2 "));
    assert!(say(&mut second, "QUIT").starts_with("+OK"));
    let (_, opened) = open(&one, ADA);
    assert!(opened.starts_with("+OK 2 "), "{opened}");
}
